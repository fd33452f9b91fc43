"""A layer edited in napari is what is saved; what its geometry no longer fits is refused."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from napari.layers import Image, Labels, Layer, Points

import napari_xreg
from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import LabelMap, Landmark, Radiograph, Volume, lac_from_hu, read_radiograph
from napari_xreg.session import Session, read_session, write_session
from napari_xreg.viewer.adoption import capture
from napari_xreg.viewer.edits import EDITED, as_edited, landmarks_of
from napari_xreg.viewer.files.readers import get_reader
from napari_xreg.viewer.files.writers import (
    LayerRefused,
    session_of_layers,
    write_landmarks_layer,
    write_radiograph_layer,
    write_session_layers,
)
from napari_xreg.viewer.layer_data import (
    Carried,
    carried,
    labels_layer,
    landmarks_layer,
    radiograph_layer,
    volume_layer,
)

# napari shows oblique grids, and says each time that it cuts them along their own axes.
pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")

CARM = CArm(1010.0, 620.0, Detector((5, 7), (0.9, 1.3), (1.75, 4.5)))
WORLD = torch.tensor(
    [
        [1.1, 0.2, -0.1, 13.0],
        [-0.15, 1.7, 0.3, -17.0],
        [0.1, -0.25, 2.3, 19.0],
        [0.0, 0.0, 0.0, 1.0],
    ],
    dtype=torch.float64,
)
"""Oblique and anisotropic."""
MARKS = (Landmark("asis", (1.5, -2.5, 3.5)), Landmark("head", (40.0, 50.0, -60.0)))


def shot(seed=3):
    """Its top row is outside the collimator, one pixel of it infinite."""
    image = 1.0 + torch.rand(5, 7, generator=torch.Generator().manual_seed(seed))
    image[0, 6] = torch.inf
    mask = torch.ones(5, 7, dtype=torch.bool)
    mask[0] = False
    return Radiograph(image, CARM, mask, nominal=CArmPose(4.0, -7.0, 2.0))


def ct():
    hu = torch.arange(2 * 3 * 4, dtype=torch.float32).reshape(2, 3, 4) * 30.0 - 100.0
    return Volume(lac_from_hu(hu), WORLD, hu)


def label_map():
    ids = torch.tensor([0, 1, 2, 1] * 6, dtype=torch.int16).reshape(2, 3, 4)
    return LabelMap(ids, WORLD, {1: "hip_left", 2: "hip_right"})


def layer_of(layer_data):
    return Layer.create(*layer_data)


def tuples(*layers):
    return [layer.as_layer_data_tuple() for layer in layers]


# ------------------------------------------------------------------ radiographs


@pytest.fixture
def xray():
    return layer_of(radiograph_layer(shot(), name="frontal"))


@pytest.mark.parametrize("ending", [".npz", ".dcm"])
def test_retouched_pixels_are_written(xray, tmp_path, ending):
    xray.data[2, 3] = 4.5
    path = str(tmp_path / f"x{ending}")
    write_radiograph_layer(path, *xray.as_layer_data_tuple()[:2])
    again = read_radiograph(path)
    assert float(again.line_integrals[2, 3]) == pytest.approx(4.5, abs=1e-3)
    original = shot().line_integrals[2, 4]  # its neighbour stays
    assert float(again.line_integrals[2, 4]) == pytest.approx(float(original), abs=1e-3)
    assert not again.mask[0].any()


def test_a_flipped_array_is_written_flipped(xray, tmp_path):
    xray.data = np.ascontiguousarray(xray.data[:, ::-1])
    path = str(tmp_path / "x.npz")
    write_radiograph_layer(path, *xray.as_layer_data_tuple()[:2])
    expected = shot().line_integrals[3].flip(0)
    torch.testing.assert_close(read_radiograph(path).line_integrals[3], expected)


SQUARE = CArm(1010.0, 620.0, Detector((5, 5), (0.9, 1.3), (1.75, 3.5)))
TURNS = {
    "upside down": lambda image: image[::-1],
    "left and right": lambda image: image[:, ::-1],
    "half a turn": lambda image: image[::-1, ::-1],
    "a quarter": np.rot90,
    "three quarters": lambda image: np.rot90(image, 3),
    "over the diagonal": np.transpose,
    "over the other": lambda image: image[::-1, ::-1].T,
}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_a_mask_goes_with_the_pixels_of_an_image_flipped_or_turned_in_napari(turn, tmp_path):
    """Else the infinite pixel of the top row would be used, and a good row would not."""
    old = shot()
    old = Radiograph(old.line_integrals[:, 2:], SQUARE, old.mask[:, 2:])
    layer = layer_of(radiograph_layer(old, name="frontal"))
    layer.data = np.ascontiguousarray(turn(layer.data))
    path = str(tmp_path / "x.npz")
    write_radiograph_layer(path, *layer.as_layer_data_tuple()[:2])
    again = read_radiograph(path)
    assert np.array_equal(again.mask, turn(old.mask.numpy()))
    assert int(again.mask.sum()) == 20
    used = turn(old.line_integrals.numpy())[again.mask.numpy()]
    assert np.array_equal(again.line_integrals.numpy()[again.mask.numpy()], used)
    assert again.carm == SQUARE


def test_an_edit_is_noted_and_what_was_not_edited_stays(xray):
    value = as_edited(carried(xray.metadata), *xray.as_layer_data_tuple()[:2])
    assert value is carried(xray.metadata).value  # nothing was edited
    xray.data[4, 1] = 0.25
    edited = as_edited(carried(xray.metadata), *xray.as_layer_data_tuple()[:2])
    assert EDITED in edited.notes
    assert edited.carm is CARM
    assert torch.isinf(edited.line_integrals[0, 6])  # shown as a number, still not known
    assert float(edited.line_integrals[4, 1]) == 0.25


def _crop(layer):
    layer.data = layer.data[1:]


def _move(layer):
    layer.translate = (0.0, 1.3)


def _mirror(layer):
    layer.scale = (0.9, -1.3)


def _turn(layer):
    layer.rotate = 90


def _shear(layer):
    layer.affine = [[1, 0.1, 0], [0, 1, 0], [0, 0, 1]]


def _finer(layer):
    layer.units = ("um", "um")


def _undefined(layer):
    layer.data[3, 3] = np.nan


def test_napari_hands_the_sentence_on(xray, tmp_path, npe2pm):
    xray.data = xray.data[:4]
    path = tmp_path / "x.npz"
    with npe2pm.tmp_plugin(Path(napari_xreg.__file__).with_name("napari.yaml")):
        for one in ({"plugin": "napari-xreg"}, {}):
            with pytest.raises(LayerRefused, match="'frontal' is 4 x 7 pixels now"):
                xray.save(str(path), **one)
    assert not path.exists()


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (_crop, "is 4 x 7 pixels now and was 5 x 7"),
        (_move, "was moved, scaled or turned"),
        (_mirror, "was moved, scaled or turned"),
        (_turn, "was moved, scaled or turned"),
        (_shear, "was moved, scaled or turned"),
        (_finer, "was moved, scaled or turned"),
        (_undefined, "NaN or infinite"),
    ],
)
def test_what_the_geometry_does_not_fit_is_refused(xray, tmp_path, edit, said):
    edit(xray)
    path = tmp_path / "x.npz"
    with pytest.raises(LayerRefused, match=f"'frontal'.*{said}"):
        write_radiograph_layer(str(path), *xray.as_layer_data_tuple()[:2])
    assert not path.exists()
    with pytest.raises(ValueError, match=said):
        session_of_layers(tuples(xray))


# ------------------------------------------------------------------ CT, labels, landmarks


def test_edited_hu_change_the_attenuation_there_alone():
    layer = layer_of(volume_layer(ct(), name="CT"))
    edited_hu = np.array(layer.data)
    edited_hu[1, 2, 3] = 1200.0
    layer.data = edited_hu
    volume = session_of_layers(tuples(layer)).patient.volume
    assert float(volume.hu[1, 2, 3]) == 1200.0
    assert float(volume.lac[1, 2, 3]) == pytest.approx(float(lac_from_hu(torch.tensor(1200.0))))
    assert torch.equal(volume.lac[0], ct().lac[0])
    assert torch.equal(volume.world_from_index, WORLD)


def test_a_ct_that_was_not_edited_is_the_very_same():
    layer = layer_of(volume_layer(ct(), name="CT"))
    assert session_of_layers(tuples(layer)).patient.volume is carried(layer.metadata).value


def test_attenuation_of_unusual_making_cannot_follow_an_edit():
    usual = ct()
    volume = Volume(2.0 * usual.lac, WORLD, usual.hu)
    layer = layer_of(volume_layer(volume, name="CT"))
    layer.data = np.array(layer.data) + 10.0
    with pytest.raises(ValueError, match="'CT' was not made from its values in the usual way"):
        session_of_layers(tuples(layer))


def test_a_painted_label_is_in_the_session():
    layers = [
        layer_of(volume_layer(ct(), name="CT")),
        layer_of(labels_layer(label_map(), name="L")),
    ]
    layers[1].paint((1, 1, 1), 2)
    layers[1].data_setitem((np.array([0]), np.array([2]), np.array([0])), 5)
    labels = session_of_layers(tuples(*layers)).patient.labels
    assert int(labels.ids[0, 2, 0]) == 5
    assert labels.ids.dtype == torch.int16
    assert labels.names == {1: "hip_left", 2: "hip_right"}
    assert session_of_layers(tuples(*layers)).patient.labels_source is None


def test_moved_labels_are_refused():
    layers = [
        layer_of(volume_layer(ct(), name="CT")),
        layer_of(labels_layer(label_map(), name="L")),
    ]
    layers[1].translate = np.array(layers[1].translate) + [0.0, 0.0, 3.0]
    with pytest.raises(ValueError, match="'L' was moved"):
        session_of_layers(tuples(*layers))


def test_a_moved_landmark_keeps_what_else_is_known_of_it(tmp_path):
    marks = (Landmark("asis", (1.5, -2.5, 3.5), visible=False), MARKS[1])
    layer = layer_of(landmarks_layer(marks, name="marks"))
    carry = carried(layer.metadata)
    assert as_edited(carry, *layer.as_layer_data_tuple()[:2]) is carry.value
    layer.data[0] = (30.0, 20.0, 10.0)  # (z, y, x)
    first, second = as_edited(carry, *layer.as_layer_data_tuple()[:2])
    assert first == Landmark("asis", (10.0, 20.0, 30.0), visible=False)
    assert second is marks[1]
    path = tmp_path / "m.fcsv"
    write_landmarks_layer(str(path), *layer.as_layer_data_tuple()[:2])
    assert "10" in path.read_text()


# ------------------------------------------------------------------ sessions


@pytest.fixture
def opened(tmp_path):
    """The layers of a session file with everything in it."""
    session = Session()
    session.patient.set_volume(ct())
    session.patient.set_labels(label_map())
    session.landmarks.set(MARKS)
    session.exposures.add(shot(), name="frontal")
    session.exposures.add(shot(seed=5), name="lateral")
    session.landmarks.set_picked(
        session.exposures.named("lateral").id, [Landmark("asis", pixel=(2.0, 3.0))]
    )
    (path, *_) = write_session(tmp_path / "case.xreg.json", session)
    layers = [layer_of(data) for data in get_reader(str(path))(str(path))]
    return SimpleNamespace(layers={layer.name: layer for layer in layers}, folder=tmp_path)


def saved(opened):
    path = str(opened.folder / "again.xreg.json")
    write_session_layers(path, tuples(*opened.layers.values()))
    return read_session(path)


def test_a_session_is_saved_with_what_was_edited_in_its_layers(opened):
    layers = opened.layers
    layers["lateral"].data[3, 5] = 4.25
    layers["case labels"].data_setitem((np.array([1]), np.array([0]), np.array([0])), 2)
    layers["case landmarks"].data = np.array([[9.0, 8.0, 7.0], [-60.0, 50.0, 40.0]])
    hu = np.array(layers["case"].data)
    hu[0, 0, 0] = 700.0
    layers["case"].data = hu
    again = saved(opened)
    assert float(again.exposures.named("lateral").radiograph.line_integrals[3, 5]) == 4.25
    assert [mark.pixel for mark in again.exposures.named("lateral").landmarks] == [(2.0, 3.0)]
    first = again.exposures.named("frontal").radiograph.line_integrals
    assert float(first[3, 5]) == pytest.approx(float(shot().line_integrals[3, 5]))
    assert int(again.patient.labels.ids[1, 0, 0]) == 2
    assert again.landmarks.all[0].position == (7.0, 8.0, 9.0)
    assert float(again.patient.volume.hu[0, 0, 0]) == 700.0
    assert again.problems == ()


def test_the_session_that_layers_carry_is_not_changed_by_saving_them(opened):
    opened.layers["frontal"].data[3, 5] = 4.25
    session = carried(opened.layers["case"].metadata).session
    saved(opened)
    assert float(session.exposures.named("frontal").radiograph.line_integrals[3, 5]) != 4.25


def test_a_radiograph_opened_beside_a_session_is_saved_with_it(opened):
    opened.layers["third"] = layer_of(radiograph_layer(shot(seed=7), name="third"))
    assert [entry.name for entry in saved(opened).exposures.all] == ["frontal", "lateral", "third"]


def test_the_canvass_layer_of_a_radiograph_of_the_session_adds_none(opened):
    session = carried(opened.layers["case"].metadata).session
    there = session.exposures.named("lateral").radiograph
    del opened.layers["lateral"]  # as the Data widget does, whose canvas shows it
    opened.layers["on canvas"] = layer_of(radiograph_layer(there, name="lateral"))
    assert session_of_layers(tuples(*opened.layers.values())) is session
    opened.layers["on canvas"].data[3, 5] = 4.25
    again = saved(opened)
    assert [entry.name for entry in again.exposures.all] == ["frontal", "lateral"]
    assert float(again.exposures.named("lateral").radiograph.line_integrals[3, 5]) == 4.25


def test_layers_of_two_patients_are_not_one_session(opened):
    other = layer_of(volume_layer(ct(), name="another"))
    with pytest.raises(ValueError, match=r"one patient: select one of the CTs \('another'\)"):
        session_of_layers(tuples(*opened.layers.values(), other))
    twin = layer_of(volume_layer(ct(), name="twin"))
    with pytest.raises(ValueError, match="'another', 'twin'"):
        session_of_layers(tuples(other, twin))
    stranger = Session()
    stranger.patient.set_volume(ct())
    carry = Carried(stranger.patient.volume, session=stranger)
    two = layer_of(volume_layer(stranger.patient.volume, name="B", carry=carry))
    with pytest.raises(ValueError, match="several sessions"):
        session_of_layers(tuples(*opened.layers.values(), two))


# ------------------------------------------------------------------ nothing is shared


def test_a_layer_shares_no_memory_that_can_be_written_to():
    volume, labels, radiograph = ct(), label_map(), shot()
    layer = layer_of(volume_layer(volume, name="CT"))
    with pytest.raises(ValueError, match="read-only"):
        layer.data[0, 0, 0] = 7.0
    painted = layer_of(labels_layer(labels, name="L"))
    painted.data_setitem((np.array([0]), np.array([0]), np.array([0])), 2)
    assert int(painted.data[0, 0, 0]) == 2
    assert int(labels.ids[0, 0, 0]) == 0
    retouched = layer_of(radiograph_layer(radiograph, name="x"))
    retouched.data[2, 2] = 9.0
    assert float(radiograph.line_integrals[2, 2]) < 2.0


@pytest.mark.parametrize(
    ("make", "array"),
    [
        (lambda c: c.volume("hu").hu, np.full((2, 3, 4), 40.0, np.float32)),
        (lambda c: c.volume("attenuation").lac, np.full((2, 3, 4), 0.02, np.float32)),
        (lambda c: c.labels().ids, np.full((2, 3, 4), 3, np.int32)),
        (lambda c: c.image().pixels, np.full((3, 4), 3.5, np.float64)),
    ],
)
def test_what_is_adopted_does_not_change_with_its_layer(make, array):
    before = array.flat[5]
    layer = Labels(array) if array.dtype == np.int32 else Image(array)
    adopted = make(capture(layer))
    layer.data[...] = 0
    assert float(adopted.flatten()[5]) == pytest.approx(float(before))


def test_adopted_landmarks_do_not_change_with_their_layer():
    layer = Points([[3.0, 2.0, 1.0]], units="mm", features={"name": ["a"]})
    (mark,) = landmarks_of(*layer.as_layer_data_tuple()[:2])
    layer.data[0] = 0.0
    assert mark.position == (1.0, 2.0, 3.0)
