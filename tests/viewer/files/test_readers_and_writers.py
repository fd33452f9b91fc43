"""Files as layers and layers as files: which are ours, where they lie, what they carry."""

import json
from types import SimpleNamespace

import nibabel
import numpy as np
import pydicom
import pytest
import torch
from napari.components import ViewerModel
from napari.layers import Image, Layer, Points
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.geometry.axis_conventions import lps_from_ras
from napari_xreg.images import (
    Landmark,
    Radiograph,
    ReadError,
    Volume,
    read_landmarks,
    read_radiograph,
    write_dicom_radiograph,
    write_landmarks,
    write_radiograph,
)
from napari_xreg.session import Session, read_session, write_session
from napari_xreg.simulation import phantom
from napari_xreg.viewer.files.readers import (
    get_landmarks_reader,
    get_radiograph_reader,
    get_reader,
    get_session_reader,
    get_volume_reader,
    read_landmarks_layers,
)
from napari_xreg.viewer.files.writers import (
    LayerRefused,
    session_of_layers,
    write_landmarks_layer,
    write_radiograph_layer,
    write_session_layers,
)
from napari_xreg.viewer.layer_data import Carried, carried, radiograph_layer, volume_layer

CARM = CArm(1010.0, 620.0, Detector((12, 17), (2.7, 1.9), (5.25, 9.5)))
MARKS = (Landmark("asis", (1.5, -2.5, 3.5)), Landmark("head", (40.0, 50.0, -60.0)))


def radiograph():
    image = torch.rand(12, 17, generator=torch.Generator().manual_seed(3))
    mask = torch.ones(12, 17, dtype=torch.bool)
    mask[:2] = False
    return Radiograph(image, CARM, mask, nominal=CArmPose(4.0, -7.0, 2.0), simulated=True)


def write_ct_slice(path, number):
    """One slice of 6 x 5 pixels of 2 x 3 mm; HU 100 times its number."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"1.2.3.{number}"
    dataset.Modality, dataset.SeriesInstanceUID = "CT", "1.2.3"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.FrameOfReferenceUID, dataset.StudyInstanceUID = "1.2.4", "1.2.5"
    dataset.Rows, dataset.Columns = 6, 5
    dataset.PixelSpacing, dataset.SliceThickness = [2.0, 3.0], 4.0
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [11.0, -13.0, 17.0 + 4.0 * number]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.PixelData = np.full((6, 5), 100 * number, "<i2").tobytes()
    dataset.save_as(path, enforce_file_format=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    made = phantom(spacing_mm=9.0)
    affine = lps_from_ras(made.volume.world_from_index.double()).numpy()
    hu = np.ascontiguousarray(made.volume.hu.numpy().transpose(2, 1, 0)).astype(np.int16)
    image = nibabel.Nifti1Image(hu, affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, folder / "ct.nii.gz")
    (folder / "series").mkdir()
    for number in (3, 1, 2):
        write_ct_slice(folder / "series" / f"slice{number}", number)
    shot = radiograph()
    write_radiograph(folder / "shot.npz", shot)
    write_radiograph(folder / "shot.png", shot)
    write_dicom_radiograph(folder / "shot.dcm", shot)
    np.savez(folder / "other.npz", a=np.zeros(3))
    (folder / "plain.png").write_bytes((folder / "shot.png").read_bytes())
    write_landmarks(folder / "marks.fcsv", MARKS)
    (folder / "pictures").mkdir()
    (folder / "pictures" / "a.png").write_bytes((folder / "shot.png").read_bytes())
    (folder / "settings.json").write_text("{}")
    return SimpleNamespace(folder=folder, volume=made.volume, shot=shot)


OURS = {
    "ct.nii.gz": get_volume_reader,
    "series": get_volume_reader,
    "series/slice1": get_volume_reader,
    "shot.npz": get_radiograph_reader,
    "shot.png": get_radiograph_reader,
    "shot.png.json": get_radiograph_reader,
    "shot.dcm": get_radiograph_reader,
    "marks.fcsv": get_landmarks_reader,
}
NOT_OURS = ["plain.png", "pictures", "settings.json", "nowhere.nii", "nowhere.dcm"]


@pytest.mark.parametrize("name", OURS)
def test_what_is_ours_is_offered(files, name):
    path = str(files.folder / name)
    assert OURS[name](path) is not None
    assert get_reader(path) is OURS[name](path)
    assert get_reader([path]) is OURS[name](path)


@pytest.mark.parametrize("name", NOT_OURS)
def test_what_is_not_ours_is_left_alone(files, name):
    path = str(files.folder / name)
    for get in (get_reader, get_volume_reader, get_radiograph_reader, get_landmarks_reader):
        assert get(path) is None
    assert get_reader([str(files.folder / "ct.nii.gz"), path]) is None


def read(files, name):
    path = str(files.folder / name)
    (data,) = get_reader(path)(path)
    return Layer.create(*data), data[1]["metadata"]["xreg"]


def test_a_ct_lies_in_the_world(files):
    layer, carry = read(files, "ct.nii.gz")
    world = files.volume.world_from_index @ torch.tensor([7.0, 5.0, 3.0, 1.0]).double()
    # Within the single precision of a NIfTI header; (x, y, z) = (7, 5, 3) is data[3, 5, 7].
    assert _world_of_value(layer, carry, files) == pytest.approx(world[:3].tolist(), abs=1e-3)
    assert [str(unit) for unit in layer.units] == ["millimeter"] * 3
    assert isinstance(carry.value, Volume)
    assert carry.source.path == str(files.folder / "ct.nii.gz")
    assert len(carry.source.sha256) == 64


def _world_of_value(layer, carry, files):
    """Where the layer shows the voxel that the phantom has at (x, y, z) = (7, 5, 3)."""
    index = torch.linalg.inv(carry.value.world_from_index) @ files.volume.world_from_index
    x, y, z, _ = (index @ torch.tensor([7.0, 5.0, 3.0, 1.0]).double()).round().int().tolist()
    assert layer.data[z, y, x] == files.volume.hu[3, 5, 7]
    return layer.data_to_world((z, y, x))[::-1]


@pytest.mark.parametrize("name", ["series", "series/slice2"])
def test_a_dicom_folder_is_one_ct_in_order(files, name):
    layer, carry = read(files, name)
    assert layer.data[:, 0, 0].tolist() == [100, 200, 300]
    # By hand: slice 1 is at z = 21; column 1 is 3 mm to the left, row 1 is 2 mm to the back.
    assert layer.data_to_world((0, 1, 1)) == pytest.approx((21.0, -11.0, 14.0))
    assert carry.source.path == str(files.folder / name)


@pytest.mark.parametrize("name", ["shot.npz", "shot.png", "shot.png.json", "shot.dcm"])
def test_a_radiograph_lies_flat_in_mm_at_the_detector(files, name):
    layer, carry = read(files, name)
    assert layer.ndim == 2
    assert layer.data_to_world((3, 5)) == pytest.approx((3 * 2.7, 5 * 1.9))
    assert [str(unit) for unit in layer.units] == ["millimeter"] * 2
    expected = torch.where(files.shot.mask, files.shot.line_integrals, 0.0)
    np.testing.assert_allclose(np.asarray(layer.data)[2:], expected[2:], atol=2e-4)
    assert carry.value.simulated
    assert carry.value.carm.detector.center == pytest.approx((5.25, 9.5))
    assert not carry.source.path.endswith(".json")


def test_landmarks_are_points_in_the_world(files):
    layer, carry = read(files, "marks.fcsv")
    assert layer.data.tolist() == [[3.5, -2.5, 1.5], [-60.0, 50.0, 40.0]]
    assert list(layer.features["name"]) == ["asis", "head"]
    assert carry.value == MARKS


def test_what_cannot_be_read_is_one_sentence(files, tmp_path):
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"nonsense")
    with pytest.raises(ReadError, match=r"broken\.nii\.gz"):
        get_reader(str(broken))(str(broken))
    bare = tmp_path / "bare.dcm"
    bare.write_bytes(b"")
    with pytest.raises(ReadError, match=r"bare\.dcm: is empty"):
        get_reader(str(bare))(str(bare))
    write_landmarks(tmp_path / "flat.csv", [Landmark("a", pixel=(1.0, 2.0))])
    assert get_reader(str(tmp_path / "flat.csv")) is None  # napari reads tables


def test_landmarks_without_axes_are_sent_to_where_it_is_asked(tmp_path):
    file = tmp_path / "points.csv"
    file.write_text("name,x,y,z\nASIS,1.5,-2,3\n")
    with pytest.raises(ReadError, match=r"points\.csv.*LPS.*RAS.*on the Data widget, which asks"):
        read_landmarks_layers(str(file))


def test_a_duplicated_layer_shares_what_it_carries(files):
    viewer = ViewerModel()
    data, options, _ = volume_layer(files.volume, name="CT")
    viewer.add_layer(Image(data, **options))
    copy = Layer.create(*viewer.layers[0].as_layer_data_tuple())
    assert carried(copy.metadata).value is files.volume
    assert carried({}) is None
    assert carried({"xreg": "somebody else's"}) is None


# ------------------------------------------------------------------ sessions


@pytest.fixture
def session(files):
    made = Session()
    made.patient.set_volume(files.volume)
    made.landmarks.set(MARKS)
    made.exposures.add(files.shot, name="frontal")
    return made


def test_a_session_file_as_layers_and_back(session, tmp_path):
    path = str(write_session(tmp_path / "case.xreg.json", session)[0])
    assert get_reader(path) is get_session_reader(path)
    layers = [Layer.create(*data) for data in get_reader(path)(path)]
    assert [layer.name for layer in layers] == ["case", "case landmarks", "frontal"]
    opened = carried(layers[0].metadata).session
    assert all(carried(layer.metadata).session is opened for layer in layers)
    assert torch.equal(opened.poses.current.matrix(), session.poses.current.matrix())
    tuples = [layer.as_layer_data_tuple() for layer in layers]
    assert session_of_layers(tuples) is opened
    again = str(tmp_path / "again.xreg.json")
    assert write_session_layers(again, tuples) == [again]
    assert torch.equal(read_session(again).poses.current.matrix(), session.poses.current.matrix())


def test_what_is_gone_is_a_warning(session, tmp_path, monkeypatch):
    written = write_session(tmp_path / "case.xreg.json", session)
    (tmp_path / "case.frontal.npz").unlink()
    said = []
    monkeypatch.setattr("napari_xreg.viewer.files.readers.show_warning", said.append)
    layers = get_reader(str(written[0]))(str(written[0]))
    assert len(layers) == 2
    assert len(said) == 1
    assert "The radiograph frontal could not be opened" in said[0]
    (tmp_path / "case.ct.npz").unlink()
    data = json.loads(written[0].read_text()) | {"landmarks": []}
    written[0].write_text(json.dumps(data))
    with pytest.raises(ReadError, match="nothing of this session could be found"):
        get_reader(str(written[0]))(str(written[0]))


def test_a_session_of_layers_that_have_none(files, tmp_path):
    layers = [
        radiograph_layer(files.shot, name="xray"),
        volume_layer(files.volume, name="CT", carry=Carried(files.volume)),
        (np.array([[3.0, 2.0, 1.0]]), {"name": "p", "units": ("mm",) * 3}, "points"),
    ]
    made = session_of_layers(layers)
    assert made.patient.volume is files.volume
    assert made.exposures.active.name == "xray"
    assert made.landmarks.all == ()  # somebody's points are no landmarks of ours
    with pytest.raises(ValueError, match="opened with napari-xreg"):
        session_of_layers(layers[2:])


# ------------------------------------------------------------------ writers


@pytest.mark.parametrize("ending", [".dcm", ".npz"])
def test_a_radiograph_layer_is_written_with_its_geometry(files, tmp_path, ending):
    data, options, _ = radiograph_layer(files.shot, name="xray")
    path = str(tmp_path / f"x{ending}")
    assert write_radiograph_layer(path, data, options) == [path]
    again = read_radiograph(path)
    assert again.carm.detector.spacing == pytest.approx((2.7, 1.9))
    assert again.nominal.primary_deg == pytest.approx(4.0)
    expected = files.shot.line_integrals[2:]
    torch.testing.assert_close(again.line_integrals[2:], expected, atol=1e-4, rtol=0)


def test_a_picture_is_no_radiograph(tmp_path):
    layer = Image(np.zeros((3, 4)), name="cat")
    with pytest.raises(LayerRefused, match="'cat' does not carry the geometry"):
        write_radiograph_layer(str(tmp_path / "x.dcm"), *layer.as_layer_data_tuple()[:2])
    assert not (tmp_path / "x.dcm").exists()


@pytest.mark.parametrize("ending", [".fcsv", ".mrk.json", ".csv"])
def test_points_are_written_where_they_are_seen(tmp_path, ending):
    # Data (z, y, x) = (1, 2, 3), scaled by (5, 3, 2) and moved by (17, -13, 11).
    layer = Points(
        [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]],
        scale=(5, 3, 2),
        translate=(17, -13, 11),
        units="mm",
        features={"name": ["asis", "origin"]},
    )
    path = str(tmp_path / f"p{ending}")
    assert write_landmarks_layer(path, *layer.as_layer_data_tuple()[:2]) == [path]
    first, second = read_landmarks(path)
    assert (first.name, first.position) == ("asis", pytest.approx((17.0, -7.0, 22.0)))
    assert (second.name, second.position) == ("origin", pytest.approx((11.0, -13.0, 17.0)))


def test_points_without_names_are_numbered(tmp_path):
    layer = Points([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], units="mm")
    path = str(tmp_path / "p.fcsv")
    write_landmarks_layer(path, *layer.as_layer_data_tuple()[:2])
    assert [mark.name for mark in read_landmarks(path)] == ["point 1", "point 2"]


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Points([[1.0, 2.0]], units="mm"), "this layer has 2"),
        (Points([[1.0, 2.0, 3.0]]), "units are pixel"),
        (
            Points([[1.0, 2, 3], [4.0, 5, 6]], units="mm", features={"name": ["a", "a"]}),
            "same name",
        ),
    ],
)
def test_points_that_are_no_landmarks(tmp_path, layer, said):
    with pytest.raises(LayerRefused, match=said):
        write_landmarks_layer(str(tmp_path / "p.fcsv"), *layer.as_layer_data_tuple()[:2])
    assert not (tmp_path / "p.fcsv").exists()
