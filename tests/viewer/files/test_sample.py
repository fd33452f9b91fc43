"""The phantom as napari layers: the world they lie in, checked with napari's own layers."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from napari.components import ViewerModel
from napari.layers import Layer
from trial_maker import write_trial

import napari_xreg
from napari_xreg.geometry.axis_conventions import lps_from_ras
from napari_xreg.images import Landmark, ReadError, write_landmarks
from napari_xreg.simulation import phantom
from napari_xreg.viewer.files.sample import (
    data_folder_layers,
    phantom_case_layers,
    phantom_layers,
    wrist_layers,
)
from napari_xreg.viewer.layer_data import carried, placement
from napari_xreg.workflows import available_samples, read_licences


@pytest.fixture(scope="module")
def layers():
    return [Layer.create(*data) for data in phantom_layers(spacing_mm=6.0)]


@pytest.mark.slow
def test_a_voxel_lies_where_the_phantom_has_it(layers):
    image, labels, _ = layers
    volume = phantom(spacing_mm=6.0).volume
    x, y, z, one = (volume.world_from_index @ torch.tensor([7.0, 5.0, 3.0, 1.0]).double()).tolist()
    assert one == 1.0
    assert image.data_to_world((3, 5, 7)) == pytest.approx((z, y, x))
    assert labels.data_to_world((3, 5, 7)) == pytest.approx((z, y, x))
    assert image.data[3, 5, 7] == volume.hu[3, 5, 7]


def test_landmarks_lie_on_the_bone_they_name(layers):
    # A (x, y, z) left unreversed lands hundreds of mm away, in air.
    _, labels, points = layers
    names = dict(zip(labels.features["index"], labels.features["name"], strict=True))
    seen = 0
    for name, world in zip(points.features["name"], points.data, strict=True):
        index = np.round(labels.world_to_data(points.data_to_world(world))).astype(int)
        near = labels.data[tuple(slice(max(i - 2, 0), i + 3) for i in index)]
        found = {names[i] for i in np.unique(near) if i}
        assert found, name
        side = "left" if name.endswith("-l") else "right"
        seen += any(f.endswith(side) for f in found)
    assert len(points.data) == 14
    assert seen == 14


def test_units_are_millimetres_everywhere(layers):
    for layer in layers:
        assert [str(unit) for unit in layer.units] == ["millimeter"] * 3
        assert layer.axis_labels == ("z", "y", "x")
    assert layers[0].scale == pytest.approx((6.0, 6.0, 6.0))


def test_bone_is_labelled_where_the_image_is_bright(layers):
    image, labels, _ = layers
    assert image.data[labels.data > 0].mean() > 250 + image.data[labels.data == 0].mean()


def test_placement_of_an_oblique_anisotropic_grid():
    # Worked by hand: x index +1 moves (0, 2, 0) mm, y moves (-3, 0, 0), z moves (0, 0, 5).
    matrix = torch.tensor(
        [[0.0, -3.0, 0.0, 11.0], [2.0, 0.0, 0.0, -13.0], [0.0, 0.0, 5.0, 17.0], [0, 0, 0, 1.0]],
        dtype=torch.float64,
    )
    layer = Layer.create(np.zeros((4, 5, 6)), placement(matrix), "image")
    # index (x, y, z) = (1, 2, 3): x = 11 - 6, y = -13 + 2, z = 17 + 15
    assert layer.data_to_world((3, 2, 1)) == pytest.approx((32.0, -11.0, 5.0))


def test_placement_of_a_straight_grid_keeps_scale_apart():
    matrix = torch.diag(torch.tensor([2.0, 3.0, 5.0, 1.0], dtype=torch.float64))
    matrix[:3, 3] = torch.tensor([11.0, -13.0, 17.0])
    placed = placement(matrix)
    assert placed["scale"] == (5.0, 3.0, 2.0)
    assert placed["translate"] == (17.0, -13.0, 11.0)
    assert "affine" not in placed


def test_a_mirrored_grid_is_not_straight():
    matrix = torch.diag(torch.tensor([-2.0, 3.0, 5.0, 1.0], dtype=torch.float64))
    assert "affine" in placement(matrix)


@pytest.mark.slow
def test_napari_opens_the_sample_by_its_name(npe2pm):
    viewer = ViewerModel()
    with npe2pm.tmp_plugin(Path(napari_xreg.__file__).with_name("napari.yaml")):
        viewer.open_sample("napari-xreg", "phantom")
    assert [layer.name for layer in viewer.layers] == [
        "phantom CT",
        "phantom labels",
        "phantom landmarks",
    ]
    assert [str(unit) for unit in viewer.layers.extent.units] == ["millimeter"] * 3


# ------------------------------------------------------------------ the phantom with a radiograph


@pytest.fixture(scope="module")
def case_layers():
    return phantom_case_layers(spacing_mm=6.0, pixels=40)


def test_the_simulated_radiograph_carries_its_case(case_layers):
    names = [options["name"] for _, options, _ in case_layers]
    assert names[-1] == "simulated pelvis"
    carry = carried(case_layers[-1][1]["metadata"])
    session = carry.case.session()
    entry = session.exposures.active
    assert entry.radiograph is carry.value
    assert entry.radiograph.simulated
    # The start is off, but not lost.
    pixels = [
        entry.radiograph.carm.project(torch.tensor([carry.case.landmarks[0].position]).double(), p)
        for p in (entry.truth, entry.world_from_camera)
    ]
    off = float((pixels[0] - pixels[1]).norm()) * 300 / 40
    assert 1.0 < off < 80.0
    assert not any(options["visible"] for _, options, _ in case_layers[:-1])


def test_layers_say_where_they_came_from(layers, case_layers):
    sources = [carried(layer.metadata).source for layer in layers[:2]]
    assert {(s.path, s.built_in, s.options["spacing_mm"]) for s in sources} == {
        ("phantom", True, 6.0)
    }
    assert carried(case_layers[0][1]["metadata"]).source.built_in


# ------------------------------------------------------------------ real CTs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two CTs, one with labels and landmarks; a README that says the licence of both."""
    made = phantom(spacing_mm=9.0)
    affine = lps_from_ras(made.volume.world_from_index.double()).numpy()
    for name, stored in (("ct", made.volume.hu), ("labels", made.labels.ids)):
        values = np.ascontiguousarray(stored.numpy().transpose(2, 1, 0)).astype(np.int16)
        image = nibabel.Nifti1Image(values, affine)
        image.header.set_xyzt_units("mm")
        for place in ("b_hip", "a_knee") if name == "ct" else ("b_hip",):
            (tmp_path / place).mkdir(exist_ok=True)
            nibabel.save(image, tmp_path / place / f"{name}.nii.gz")
    write_landmarks(tmp_path / "b_hip" / "landmarks.fcsv", [Landmark("asis", (1.0, 2.0, 3.0))])
    (tmp_path / "empty").mkdir()
    (tmp_path / "README.md").write_text(
        "| folder | grid | source and licence (give credit) |\n|---|---|---|\n"
        "| `b_hip` | 9 mm | somebody, CC BY 3.0 |\n| `a_knee` | 9 mm | as above |\n"
    )
    monkeypatch.setenv("NAPARI_XREG_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def notified(monkeypatch):
    said = []
    for name in ("show_info", "show_warning"):
        monkeypatch.setattr(f"napari_xreg.viewer.files.sample.{name}", said.append)
    monkeypatch.setattr("napari_xreg.viewer.files.readers.show_warning", said.append)
    return said


def test_only_what_is_there_is_listed(folder, monkeypatch):
    keys = [sample.key for sample in available_samples()]
    assert keys == ["phantom-radiograph", "phantom", "a_knee", "b_hip"]
    assert {sample.licence for sample in available_samples()[2:]} == {"somebody, CC BY 3.0"}
    for unset in ("", str(folder / "nowhere")):
        monkeypatch.setenv("NAPARI_XREG_DATA", unset)
        assert [sample.key for sample in available_samples()] == keys[:2]


def test_a_licence_that_is_not_stated_is_not_made_up(folder):
    (folder / "README.md").write_text("nothing")
    assert "licence not stated" in available_samples()[-1].licence


def test_a_real_ct_is_loaded_with_what_lies_beside_it(folder):
    data = available_samples()[-1].load()
    assert data.labels is not None
    assert [mark.name for mark in data.landmarks] == ["asis"]
    assert data.source.path == str(folder / "b_hip" / "ct.nii.gz")
    assert data.labels_source.path == str(folder / "b_hip" / "labels.nii.gz")
    assert data.licence == "somebody, CC BY 3.0"
    assert available_samples()[2].load().labels is None


@pytest.fixture
def wrist(folder):
    """A trial laid out as the real one."""
    (folder / "wrist_bvr" / "trial").mkdir(parents=True)
    with (folder / "README.md").open("a") as readme:
        readme.write("| `wrist_bvr` | 0.4 mm | somebody else, BSD |\n")
    return write_trial(folder / "wrist_bvr" / "trial", frames=(7, 9))


def test_a_trial_is_listed_with_its_licence_and_whom_to_cite(wrist):
    sample = available_samples()[-1]
    assert (sample.key, sample.title, sample.trial) == ("wrist_bvr", "Biplane wrist, real", wrist)
    assert "somebody else, BSD; cite Akhbari" in sample.licence


def test_the_wrist_as_layers_of_both_views(wrist, notified):
    layers = wrist_layers()
    assert [about["name"] for _, about, _ in layers] == ["rad", "x_cam1.0007", "x_cam2.0007"]
    assert not layers[0][1]["visible"]
    (words,) = [words for words in notified if "cite Akhbari" in words]
    assert "somebody else, BSD" in words
    # It is none of the folder's CTs, and is not tried as one.
    notified.clear()
    data_folder_layers()
    assert notified == ["a_knee: somebody, CC BY 3.0", "b_hip: somebody, CC BY 3.0"]


def test_where_the_wrist_is_not_it_is_said_what_to_get(folder, monkeypatch):
    with pytest.raises(ReadError, match=f"into a folder wrist_bvr in {folder}.$"):
        wrist_layers()
    monkeypatch.delenv("NAPARI_XREG_DATA")
    with pytest.raises(ReadError, match="that the environment variable NAPARI_XREG_DATA names"):
        wrist_layers()


def test_a_damaged_wrist_is_a_sentence(wrist):
    (wrist.parent / "calibration" / "cam2.txt").unlink()
    with pytest.raises(ReadError, match=r"cam2\.txt"):
        wrist_layers()


@pytest.mark.slow
def test_real_cts_as_layers_with_their_licence(folder, notified):
    (folder / "c_bad").mkdir()
    (folder / "c_bad" / "ct.nii.gz").write_bytes(b"nonsense")
    layers = data_folder_layers()
    assert [options["name"] for _, options, _ in layers] == [
        "a_knee CT",
        "b_hip CT",
        "b_hip labels",
        "b_hip landmarks",
    ]
    assert [options["visible"] for _, options, _ in layers] == [True, False, False, False]
    assert notified[:2] == ["a_knee: somebody, CC BY 3.0", "b_hip: somebody, CC BY 3.0"]
    assert "c_bad" in notified[2]
    assert carried(layers[1][1]["metadata"]).notes == ("somebody, CC BY 3.0",)


@pytest.mark.parametrize("named", ["", "/nowhere/at/all"])
def test_without_a_folder_it_is_said_how_to_name_one(named, monkeypatch):
    monkeypatch.setenv("NAPARI_XREG_DATA", named)
    with pytest.raises(ReadError, match="NAPARI_XREG_DATA names the folder"):
        data_folder_layers()


def test_the_folder_of_real_cts(data_dir):
    licences = read_licences(data_dir / "README.md")
    for folder in data_dir.iterdir():
        if (folder / "ct.nii.gz").is_file():
            assert any(word in licences[folder.name] for word in ("Apache", "CC BY", "BSD"))
