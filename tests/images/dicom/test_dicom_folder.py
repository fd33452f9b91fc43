"""A DICOM folder as it is: files without a mark, strangers, damage, links to nothing; its series."""

import json
import os

import numpy as np
import pydicom
import pytest
from ct_writers import hounsfield, positions, save, write_series
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from napari_xreg.cli import main
from napari_xreg.images import ReadError, UnknownValues, read_radiograph, read_volume
from napari_xreg.images.dicom.series import is_dicom, series_files

HU = hounsfield()
ANGIO_3D = "1.2.840.10008.5.1.4.1.1.13.1.1"
CRANIOFACIAL = "1.2.840.10008.5.1.4.1.1.13.1.2"
ENHANCED = "1.2.840.10008.5.1.4.1.1.2.1"


def unmarked(file):
    """Without the 128 bytes and DICM, and without the file meta: as some systems write."""
    image = pydicom.dcmread(file)
    pydicom.dcmwrite(file, Dataset(image), implicit_vr=True, little_endian=True)
    assert file.read_bytes()[128:132] != b"DICM"


def test_slices_without_the_mark_of_dicom(tmp_path):
    folder = write_series(tmp_path / "series")
    for file in folder.iterdir():
        unmarked(file)
        assert is_dicom(file)
    assert np.array_equal(read_volume(folder).hu, HU)
    assert np.array_equal(read_volume(min(folder.iterdir())).hu, HU)
    for name, content in (("a.txt", b"\x08\0" + b"x" * 200), ("b", b"PK\3\4" + b"\0" * 200)):
        (folder / name).write_bytes(content)
        assert not is_dicom(folder / name)
    assert np.array_equal(read_volume(folder).hu, HU)


def stray(folder):
    """What lies beside a series and is none of it."""
    (folder / "IM9997.dcm").write_bytes(b"")
    (folder / "IM9998.dcm").symlink_to(folder / "nowhere.dcm")
    os.mkfifo(folder / "IM9999.dcm")
    image = pydicom.dcmread(folder / "IM0003.dcm")
    del image.SeriesInstanceUID
    save(image, folder / "other.dcm")


def test_what_is_not_of_the_series_is_passed_over_and_named(tmp_path):
    folder = write_series(tmp_path / "series")
    stray(folder)
    ct = read_volume(folder)
    assert np.array_equal(ct.hu, HU)
    (note,) = ct.notes
    for words in ("IM9997.dcm: the file is empty", "IM9998.dcm: there is no such file",
                  "IM9999.dcm: this is a device or a pipe", "and 1 more"):  # fmt: skip
        assert words in note
    # Named by a slice of it: the same.
    assert np.array_equal(read_volume(folder / "IM0003.dcm").hu, HU)


@pytest.mark.parametrize("damage", ["cut", "no position", "no series"])
def test_a_gap_names_what_could_not_be_read(tmp_path, damage):
    folder = write_series(tmp_path / "series")
    file = folder / "IM0006.dcm"  # slice 2 of 5
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:300])
    else:
        image = pydicom.dcmread(file)
        if damage == "no position":
            del image.ImagePositionPatient
        else:
            del image.SeriesInstanceUID
        save(image, file)
    with pytest.raises(ReadError, match=r"slices are missing between .*Not read: .*IM0006\.dcm"):
        read_volume(folder)


def test_a_slice_lost_at_the_end_is_said(tmp_path):
    folder = write_series(tmp_path / "series")
    file = folder / "IM0009.dcm"  # (7 * 4 + 3) % 11: the uppermost
    assert pydicom.dcmread(file).ImagePositionPatient == list(positions()[4])
    file.write_bytes(file.read_bytes()[:300])
    ct = read_volume(folder)
    assert np.array_equal(ct.hu, HU[:4])
    assert "IM0009.dcm" in ct.notes[0]
    assert "a slice at an end of the CT may be lost" in ct.notes[0]


def test_a_dicomdir_stands_for_its_folder(tmp_path, capsys):
    folder = write_series(tmp_path / "series")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    directory.FileSetID = "DISC"
    save(directory, folder / "DICOMDIR")
    assert np.array_equal(read_volume(folder / "DICOMDIR").hu, HU)
    assert main(["inspect", str(folder / "DICOMDIR"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["voxels_xyz"]) == ("CT", [3, 4, 5])


def test_a_series_is_all_its_files_however_it_is_named(tmp_path):
    folder = write_series(tmp_path / "series")
    write_series(tmp_path / "more", HU + 7, series_uid="1.2.3")
    for file in (tmp_path / "more").iterdir():
        file.rename(folder / f"more-{file.name}")
    names = [file.name for file in series_files(folder / "IM0010.dcm")]
    assert names == ["IM0002.dcm", "IM0003.dcm", "IM0006.dcm", "IM0009.dcm", "IM0010.dcm"]


def test_a_negative_slope_is_a_slope(tmp_path):
    def inverted(k, image):
        stored = np.frombuffer(image.PixelData, np.uint16)
        image.PixelData = (4000 - stored).astype(np.uint16).tobytes()
        image.RescaleSlope, image.RescaleIntercept = -1, 4000 - 1024
        return image

    assert np.array_equal(read_volume(write_series(tmp_path / "s", change=inverted)).hu, HU)


@pytest.mark.parametrize(("said", "asked"), [("hu", False), ("", False), ("US", True)])
def test_the_unit_of_a_ct_can_be_overruled(tmp_path, said, asked):
    def change(k, image):
        image.RescaleType = said
        return image

    folder = write_series(tmp_path / "series", change=change)
    if asked:
        with pytest.raises(UnknownValues, match="RescaleType is US"):
            read_volume(folder)
        assert np.array_equal(read_volume(folder, values="hu").hu, HU)
        # 1183 HU is the highest value: half of bone where bone is said to be at 3366, air at -1000.
        ct = read_volume(folder, values="linear -1000 3366")
        assert float(ct.lac.max()) == pytest.approx(0.04937 / 2, rel=2e-3)
    else:
        assert np.array_equal(read_volume(folder).hu, HU)


def sequence(**items):
    inner = Dataset()
    for keyword, value in items.items():
        setattr(inner, keyword, value)
    return pydicom.Sequence([inner])


def multi_frame(
    path, sop_class, stored, *, unit="HU", slope=1.0, intercept=-1024.0, places="frame"
):
    """An enhanced object: pixels 0.9 x 1.3 mm, frames 2.1 mm apart towards the feet."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    image.Modality = "CT" if sop_class == ENHANCED else "XA"
    image.SeriesInstanceUID = "1.2.3.4"
    image.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    image.NumberOfFrames, image.Rows, image.Columns = stored.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.PixelRepresentation, image.PixelData = 0, stored.tobytes()
    shared = Dataset()
    shared.PixelMeasuresSequence = sequence(PixelSpacing=[0.9, 1.3], SliceThickness=2.1)
    shared.PlaneOrientationSequence = sequence(ImageOrientationPatient=[1, 0, 0, 0, 0.96, -0.28])
    if slope is not None:
        rescale = {"RescaleSlope": slope, "RescaleIntercept": intercept}
        rescale |= {} if unit is None else {"RescaleType": unit}
        shared.PixelValueTransformationSequence = sequence(**rescale)
    image.SharedFunctionalGroupsSequence = pydicom.Sequence([shared])
    frames = []
    for k in range(len(stored)):
        frame = Dataset()
        # Along the normal (0, 0.28, 0.96) downwards.
        place = [-31.0, 12.0 - 2.1 * 0.28 * k, 150.0 - 2.1 * 0.96 * k]
        frame.PlanePositionSequence = sequence(ImagePositionPatient=place)
        frames.append(frame)
    image.PerFrameFunctionalGroupsSequence = pydicom.Sequence(frames)
    return save(image, path)


STORED = (HU + 1024).astype(np.uint16)


@pytest.mark.parametrize("sop_class", [ANGIO_3D, CRANIOFACIAL, ENHANCED])
def test_a_multi_frame_volume_in_hu_by_hand(tmp_path, sop_class):
    ct = read_volume(multi_frame(tmp_path / "cbct.dcm", sop_class, STORED))
    # Sorted along the normal: the last frame is the lowest.
    assert np.array_equal(ct.hu, HU[::-1])
    assert ct.spacing == pytest.approx((1.3, 0.9, 2.1))
    # Column 2, row 1, frame 3 is index z = 1: (-31 + 2.6, 12 - 1.764 + 0.864, 150 - 6.048 - 0.252).
    index = ct.world_from_index.new_tensor([2.0, 1.0, 1.0, 1.0])
    at = (ct.world_from_index @ index)[:3].tolist()
    assert at == pytest.approx([-28.4, 11.1, 143.7])
    assert ct.hu[1, 1, 2] == HU[3, 1, 2]


@pytest.mark.parametrize("unit", ["US", None])
def test_a_cone_beam_ct_in_no_unit_is_asked_for(tmp_path, unit):
    path = multi_frame(tmp_path / "cbct.dcm", ANGIO_3D, STORED, unit=unit, intercept=0.0)
    words = "RescaleType is US" if unit else "does not say in which unit"
    with pytest.raises(UnknownValues, match=words) as asked:
        read_volume(path)
    assert (asked.value.lowest, asked.value.highest) == (24, 2207)
    ct = read_volume(path, values="linear 24 2207")
    assert float(ct.lac.min()) == 0
    assert float(ct.lac.max()) == pytest.approx(0.04937, rel=2e-3)


def test_a_cone_beam_ct_without_any_rescale(tmp_path):
    path = multi_frame(tmp_path / "cbct.dcm", ANGIO_3D, STORED, slope=None)
    with pytest.raises(UnknownValues, match="does not say in which unit"):
        read_volume(path)
    assert read_volume(path, values="linear 24 2207").shape == (5, 4, 3)


def test_an_enhanced_ct_without_a_unit_is_in_hu(tmp_path):
    ct = read_volume(multi_frame(tmp_path / "ct.dcm", ENHANCED, STORED, unit=None))
    assert np.array_equal(ct.hu, HU[::-1])


def test_a_slice_of_a_cone_beam_ct_is_no_radiograph(tmp_path, capsys):
    path = multi_frame(tmp_path / "cbct.dcm", ANGIO_3D, STORED)
    with pytest.raises(ReadError, match=r"is a cone-beam CT .*, not a radiograph: give it as the"):
        read_radiograph(path, frame=2)
    assert main(["inspect", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "CT"
