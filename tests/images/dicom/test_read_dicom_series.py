"""DICOM series: order, gantry tilt, rescale, padding, several series, and the NIfTI twin."""

import numpy as np
import pydicom
import pytest
import torch
from ct_writers import (
    ENHANCED_CT,
    SERIES_UID,
    SPACING,
    TILTED,
    dicom_slice,
    hounsfield,
    positions,
    save,
    set_pixels,
    write_series,
)
from jpeg_lossless import squeezed
from pydicom.dataset import Dataset
from torch.testing import assert_close

from napari_xreg.images import ReadError, SeveralSeries, read_volume

HU = hounsfield()


def world(volume, x, y, z):
    return (volume.world_from_index @ torch.tensor([x, y, z, 1.0], dtype=torch.float64))[
        :3
    ].tolist()


def check_by_hand(ct):
    assert ct.shape == (5, 4, 3)
    assert ct.hu.tolist() == HU.tolist()
    # Voxel (x, y, z) = (2, 3, 1): corner of slice 1 (-12.5, 7.25, 104.5), 2 columns of 0.6 mm
    # along (1, 0, 0), 3 rows of 0.8 mm along (0, 0.96, -0.28).
    assert world(ct, 2, 3, 1) == pytest.approx([-11.3, 9.554, 103.828])
    # The table moves along z: the slices are 4.5 mm apart along it, 4.32 mm along their normal.
    assert ct.spacing == pytest.approx((0.6, 0.8, 4.5))
    assert ct.world_from_index[:3, 2].tolist() == pytest.approx([0.0, 0.0, 4.5])


def test_order_and_tilt_by_hand(tmp_path):
    ct = read_volume(write_series(tmp_path / "ct"))
    check_by_hand(ct)
    assert ct.hu.dtype == torch.int16


def test_one_file_stands_for_its_series(tmp_path):
    folder = write_series(tmp_path / "ct")
    check_by_hand(read_volume(sorted(folder.iterdir())[2]))


def test_subfolders_and_strangers(tmp_path):
    folder = write_series(tmp_path / "study" / "ct")
    (folder.parent / "README.txt").write_text("not DICOM")
    (folder.parent / "empty.txt").write_text("")
    (folder / ".DS_Store").write_bytes(b"")
    (folder.parent / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    directory = dicom_slice(HU[0].astype(np.uint16), positions()[0])
    del directory.SOPClassUID
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    save(directory, folder.parent / "DICOMDIR-1")
    scout = dicom_slice(
        np.ones((9, 7), np.uint16), (0.0, 0.0, 0.0), orientation=(1, 0, 0, 0, 0, -1)
    )
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    save(scout, folder / "scout.dcm")
    check_by_hand(read_volume(folder.parent))


def test_head_first_or_last_makes_no_difference(tmp_path):
    """The normal of these slices points down: index z grows downwards, the place is the same."""

    def turned(k, image):
        image.ImageOrientationPatient = [0.0, 0.96, -0.28, 1.0, 0.0, 0.0]
        image.PixelSpacing = [SPACING[1], SPACING[0]]
        set_pixels(image, np.ascontiguousarray(image.pixel_array.T))
        return image

    ct = read_volume(write_series(tmp_path / "ct", change=turned))
    assert ct.shape == (5, 3, 4)
    # The same voxel as above, its indices now (x, y, z) = (3, 2, 4 - 1).
    assert world(ct, 3, 2, 3) == pytest.approx([-11.3, 9.554, 103.828])
    assert ct.hu[3, 2, 3] == HU[1, 3, 2]


def test_slope_before_intercept_and_per_slice(tmp_path):
    def scaled(k, image):
        stored = image.pixel_array // 4
        image.RescaleSlope, image.RescaleIntercept = 2.0 + k, -1000.0 - 10 * k
        set_pixels(image, stored.astype(np.uint16))
        return image

    ct = read_volume(write_series(tmp_path / "ct", change=scaled))
    # HU[3, 1, 2] = -1000 + 37 * 41 = 517, stored 1541, a quarter 385; slice 3: 5 x - 1030.
    assert float(ct.hu[3, 1, 2]) == 385 * 5 - 1030
    assert ct.hu.dtype == torch.float32


def test_twelve_bits_signed_with_rubbish_above(tmp_path):
    def signed(k, image):
        hu = np.arange(12, dtype=np.int16).reshape(4, 3) * 250 - 1300 - k
        rubbish = np.int16(0x5000)
        image.RescaleIntercept = -7.0
        set_pixels(image, (hu & 0x0FFF) | rubbish, bits=12)
        return image

    ct = read_volume(write_series(tmp_path / "ct", change=signed))
    assert ct.hu[2].tolist() == (np.arange(12).reshape(4, 3) * 250 - 1300 - 2 - 7).tolist()


@pytest.mark.parametrize(("kind", "value"), [("unsigned", 63536), ("signed", -2000)])
def test_padding_is_air(tmp_path, kind, value):
    def padded(k, image):
        stored = image.pixel_array.astype(np.int16 if kind == "signed" else np.uint16)
        if kind == "signed":
            stored -= 1024
            image.RescaleIntercept = 0.0
        stored[0, 0] = value
        image.add_new(0x00280120, "SS" if kind == "signed" else "US", value)
        set_pixels(image, stored)
        return image

    ct = read_volume(write_series(tmp_path / "ct", change=padded))
    assert (ct.lac[:, 0, 0] == 0).all()
    assert (ct.hu[:, 0, 0] <= -1000).all()
    assert ct.hu[:, 1:].tolist() == HU[:, 1:].tolist()


def test_padding_beyond_the_stored_bits(tmp_path):
    """Old scanners write -2000 into 12 unsigned bits; 2096, its lower bits, is real bone."""

    def padded(k, image):
        stored = np.array([[63536, 2096, 5], [1024, 0, 9], [7, 8, 3], [1, 2, 4]], np.uint16)
        image.add_new(0x00280120, "US", 63536)
        set_pixels(image, stored, bits=12)
        return image

    ct = read_volume(write_series(tmp_path / "ct", change=padded))
    assert ct.hu[4, 0].tolist() == [-1000, 2096 - 1024, 5 - 1024]
    assert ct.hu[4, 1].tolist() == [0, -1024, 9 - 1024]


def test_copies_of_a_slice_are_dropped(tmp_path):
    folder = write_series(tmp_path / "ct")
    for number, file in enumerate(sorted(folder.iterdir())[1:3]):
        (folder / f"copy{number}.dcm").write_bytes(file.read_bytes())
    check_by_hand(read_volume(folder))


def test_two_images_at_one_position(tmp_path):
    folder = write_series(tmp_path / "ct")
    other = (HU[2].astype(np.int32) + 1025).astype(np.uint16)
    save(dicom_slice(other, positions()[2], number=99), folder / "contrast.dcm")
    with pytest.raises(ReadError, match=r"contrast\.dcm lie at the same position with different"):
        read_volume(folder)


def test_several_series(tmp_path):
    write_series(tmp_path / "study" / "a")
    soft = write_series(tmp_path / "study" / "b", HU[:3] - 20, series_uid=SERIES_UID + ".7")
    with pytest.raises(SeveralSeries, match="2 CT series") as error:
        read_volume(tmp_path / "study")
    assert error.value.series == {SERIES_UID: "5 files, bone", SERIES_UID + ".7": "3 files, bone"}
    assert f"{SERIES_UID} (5 files, bone)" in str(error.value)
    assert f"{SERIES_UID}.7 (3 files, bone)" in str(error.value)
    check_by_hand(read_volume(tmp_path / "study", series_uid=SERIES_UID))
    assert read_volume(tmp_path / "study", series_uid=SERIES_UID + ".7").shape == (3, 4, 3)
    # A file names its series by itself.
    assert read_volume(next(iter(soft.iterdir()))).shape == (3, 4, 3)
    with pytest.raises(ReadError, match=r"no CT series 1\.2\.3"):
        read_volume(tmp_path / "study", series_uid="1.2.3")


def test_rounded_positions_are_even_enough(tmp_path):
    def rounded(k, image):
        image.ImagePositionPatient = [-12.5, 7.25, round(100 + 4.5 * k + (-0.05) ** (k + 1), 2)]
        return image

    ct = read_volume(write_series(tmp_path / "ct", change=rounded))
    assert ct.spacing[2] == pytest.approx(4.5, abs=0.02)


def test_compressed_without_loss(tmp_path):
    def compressed(k, image):
        image.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        return image

    check_by_hand(read_volume(write_series(tmp_path / "ct", change=compressed)))


def test_compressed_as_pydicom_alone_cannot_read(tmp_path):
    def small(k, image):
        stored = np.frombuffer(image.PixelData, np.uint16).reshape(image.Rows, image.Columns)
        return squeezed(image, [stored], 16)

    check_by_hand(read_volume(write_series(tmp_path / "ct", change=small)))


def item(**attributes):
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def enhanced(frames):
    """The series as one multi-frame file, frames in the order given."""
    stored = np.stack([HU[k].astype(np.int32) + 1024 for k in frames]).astype(np.uint16)
    image = dicom_slice(stored[0], positions()[0])
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "RescaleSlope",
        "RescaleIntercept",
        "RescaleType",
    ):
        delattr(image, keyword)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = ENHANCED_CT
    image.NumberOfFrames = len(frames)
    image.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=list(TILTED))],
            PixelMeasuresSequence=[item(PixelSpacing=list(SPACING))],
            PixelValueTransformationSequence=[
                item(RescaleSlope=1.0, RescaleIntercept=-1024.0, RescaleType="HU")
            ],
        )
    ]
    image.PerFrameFunctionalGroupsSequence = [
        item(PlanePositionSequence=[item(ImagePositionPatient=list(positions()[k]))])
        for k in frames
    ]
    set_pixels(image, stored)
    return image


def test_enhanced_ct(tmp_path):
    path = save(enhanced([3, 0, 4, 2, 1]), tmp_path / "enhanced.dcm")
    check_by_hand(read_volume(path))
    check_by_hand(read_volume(tmp_path))


def test_enhanced_ct_without_a_frame_position(tmp_path):
    image = enhanced([3, 0, 4, 2, 1])
    del image.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence
    path = save(image, tmp_path / "enhanced.dcm")
    with pytest.raises(ReadError, match=r"ImagePositionPatient \(0020,0032\) is missing"):
        read_volume(path)


@pytest.mark.slow
def test_twin_of_a_real_series(data_path):
    series = read_volume(data_path("dicom_twin_sts019/series"))
    nifti = read_volume(data_path("dicom_twin_sts019/ct.nii.gz"))
    assert series.shape == nifti.shape == (47, 134, 136)
    assert_close(series.hu.float(), nifti.hu.float(), rtol=0, atol=0)
    assert_close(series.lac, nifti.lac, rtol=0, atol=0)
    # Every corner, so every voxel of an affine grid.
    for x in (0, 135):
        for y in (0, 133):
            for z in (0, 46):
                assert world(series, x, y, z) == pytest.approx(world(nifti, x, y, z), abs=1e-3)
    # ImagePositionPatient of the lowest of the 47 slices, 000000.dcm.
    assert world(series, 0, 0, 0) == pytest.approx([-87.890707999999, -143.554741999990, -225.63])
