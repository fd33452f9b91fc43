"""Several files at once: all slices of a series are that series once; bare arrays say what they are."""

import numpy as np
import pydicom
import pytest
import torch
from napari.layers import Layer
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import Radiograph, ReadError, write_landmarks, write_radiograph
from napari_xreg.images.landmark import Landmark
from napari_xreg.viewer.files import readers
from napari_xreg.viewer.layer_data import carried
from napari_xreg.widgets.data.reading import SeveralFiles


def write_slice(path, number, uid):
    """2 x 3 pixels of 0.9 x 1.3 mm, 1.7 mm apart; the first one's HU is 10 times the number."""
    hu = np.array([[10 * number, -1000, -1000], [40, 60, 1300]], "<i2")
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = f"{uid}.{number + 1}"
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"{uid}.{number + 1}"
    dataset.Modality, dataset.SeriesInstanceUID = "CT", uid
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.FrameOfReferenceUID, dataset.StudyInstanceUID = "1.2.4", "1.2.5"
    dataset.Rows, dataset.Columns = 2, 3
    dataset.PixelSpacing, dataset.SliceThickness = [0.9, 1.3], 1.7
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [11.0, -13.0, 17.0 + 1.7 * number]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.PixelData = hu.tobytes()
    dataset.save_as(path, enforce_file_format=True)


def write_series(folder, count, uid, first=0):
    folder.mkdir(exist_ok=True)
    for number in range(count):
        write_slice(folder / f"{uid}.{number:03}.dcm", number + first, uid)
    return sorted(str(path) for path in folder.glob(f"{uid}.*.dcm"))


@pytest.fixture(scope="module")
def three_hundred(tmp_path_factory):
    return write_series(tmp_path_factory.mktemp("drop") / "a", 300, "1.2.31")


@pytest.fixture
def read(monkeypatch):
    """The sources of the CTs that are read from now on."""
    sources = []
    read_ct = readers.read_ct

    def counted(source):
        sources.append(source)
        return read_ct(source)

    monkeypatch.setattr(readers, "read_ct", counted)
    return sources


def layers_of(paths):
    return [Layer.create(*data) for data in readers.get_reader(paths)(paths)]


@pytest.mark.slow
def test_a_list_of_300_slices_is_one_ct_read_once(three_hundred, read):
    (layer,) = layers_of(three_hundred)
    assert len(read) == 1
    assert layer.data.shape == (300, 2, 3)
    assert layer.data_to_world((2, 1, 1)) == pytest.approx((17 + 3.4, -13 + 0.9, 11 + 1.3))


@pytest.mark.slow
def test_files_chosen_together_for_the_data_widget_are_each_read_once(three_hundred, tmp_path):
    other = write_series(tmp_path / "b", 3, "1.2.31")
    marks = write_landmarks(tmp_path / "marks.fcsv", [Landmark("a", (1.0, 2.0, 3.0))])
    paths = (three_hundred[7], *other, *three_hundred, str(marks), str(marks))
    asked = SeveralFiles(paths, "ct").answer().files
    assert [request.path for request in asked] == [three_hundred[7], other[0], str(marks)]
    assert {request.kind for request in asked} == {"ct"}


def test_a_list_of_two_series_is_two_cts(tmp_path, read):
    one = write_series(tmp_path / "a", 3, "1.2.31")
    two = write_series(tmp_path / "a", 4, "1.2.32", first=20)
    mixed = [one[0], two[0], one[1], two[1], two[2], one[2], two[3]]
    first, second = layers_of(mixed)
    assert first.data[:, 0, 0].tolist() == [0, 10, 20]
    assert second.data[:, 0, 0].tolist() == [200, 210, 220, 230]
    assert len(read) == 2


def test_the_same_series_in_two_folders_is_two_cts(tmp_path, read):
    one = write_series(tmp_path / "a", 3, "1.2.31")
    two = write_series(tmp_path / "b", 3, "1.2.31")
    assert len(layers_of(one + two)) == 2


@pytest.fixture
def shot():
    carm = CArm(1010.0, 620.0, Detector((5, 7), (0.9, 1.3), (1.75, 4.5)))
    image = np.linspace(0.5, 2.0, 35, dtype=np.float32).reshape(5, 7)
    return Radiograph(torch.from_numpy(image), carm, nominal=CArmPose(4.0, -7.0, 2.0))


def test_a_list_of_radiographs_is_each_of_them_once(tmp_path, shot, read):
    write_radiograph(tmp_path / "a.npz", shot)
    write_radiograph(tmp_path / "b.png", shot)
    write_landmarks(tmp_path / "m.fcsv", [Landmark("x", (1.0, 2.0, 3.0))])
    slices = write_series(tmp_path / "ct", 3, "1.2.31")
    names = ["a.npz", "b.png", "b.png.json", "m.fcsv"]
    layers = layers_of([*(str(tmp_path / name) for name in names), *slices])
    assert [layer.name for layer in layers] == ["a", "b", "m", "ct/1.2.31.000"]
    assert [layer.ndim for layer in layers] == [2, 2, 3, 3]
    assert len(read) == 1


def test_a_list_with_a_stranger_is_not_ours(tmp_path, three_hundred):
    stranger = tmp_path / "a.txt"
    stranger.write_text("no")
    assert readers.get_reader([three_hundred[0], str(stranger)]) is None
    assert readers.get_reader([]) is None


def test_a_folder_of_two_series_says_what_to_do(tmp_path):
    write_series(tmp_path / "a", 3, "1.2.31")
    write_series(tmp_path / "a", 4, "1.2.32")
    folder = str(tmp_path / "a")
    with pytest.raises(
        ReadError, match=r"holds 2 CT series \(3 files.*drop the folder on the Data"
    ):
        readers.get_reader(folder)(folder)


def test_slices_dropped_on_napari_are_one_layer(make_napari_viewer, tmp_path, read):
    viewer = make_napari_viewer()
    slices = write_series(tmp_path / "a", 6, "1.2.31")
    (layer,) = viewer.open(slices, plugin="napari-xreg")
    assert len(read) == 1
    assert list(viewer.layers) == [layer]
    assert carried(layer.metadata).source.path == slices[0]
    # Asked for again, and after the layer is gone, the series is read again.
    assert len(viewer.open(slices[2], plugin="napari-xreg")) == 1
    viewer.layers.clear()
    assert len(viewer.open(slices, plugin="napari-xreg")) == 1
    assert len(read) == 3
    assert len(viewer.open(slices, stack=True, plugin="napari-xreg")) == 1
    assert len(read) == 4


# ------------------------------------------------------------------ bare arrays


def test_bare_arrays_say_what_they_are_and_what_to_do(tmp_path, shot):
    bare = tmp_path / "saved.npz"
    np.savez(bare, shot.line_integrals.numpy())
    with pytest.raises(ReadError) as refused:
        readers.get_reader(str(bare))(str(bare))
    said = str(refused.value)
    assert "holds bare arrays (arr_0) and no geometry" in said
    assert "'Radiograph with its geometry'" in said


def test_the_ct_of_a_saved_session_leads_to_the_session(tmp_path):
    part = tmp_path / "case.ct.npz"
    np.savez(part, about=np.array("{}"), world_from_index=np.eye(4), lac=np.zeros((2, 2, 2)))
    with pytest.raises(ReadError, match=r"session file \(\.xreg\.json\) beside it"):
        readers.get_reader(str(part))(str(part))


def test_a_damaged_archive_is_one_sentence(tmp_path):
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04nonsense")
    with pytest.raises(ReadError, match="no readable arrays"):
        readers.get_reader(str(broken))(str(broken))


@pytest.mark.parametrize("name", ["13.1.1", "13.1.2"])
def test_a_cone_beam_volume_of_a_c_arm_is_a_ct(tmp_path, name):
    (path,) = write_series(tmp_path, 1, "1.2.32")
    dataset = pydicom.dcmread(path)
    uid = f"1.2.840.10008.5.1.4.1.1.{name}"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = uid
    dataset.Modality = "XA"  # as radiographs of a C-arm
    dataset.save_as(path)
    assert readers.get_reader(path) is readers.read_ct_layers
    assert readers.get_reader(str(tmp_path)) is readers.read_ct_layers
    assert readers.get_radiograph_reader(path) is None
