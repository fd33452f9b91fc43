"""The mask: what is painted is left out, and only that."""

import numpy as np
import pytest
import torch
from detector_scene import COLUMNS, OTHER_CARM, ROWS, SPACING, radiograph, session
from napari.components import ViewerModel

from napari_xreg.viewer.detector.canvas import DetectorCanvas
from napari_xreg.viewer.detector.mask import OUTSIDE, PAINTED


@pytest.fixture
def work():
    usable = torch.ones(ROWS, COLUMNS, dtype=torch.bool)
    usable[:, :6] = False  # a collimator on the left
    return session(with_volume=False, mask=usable)


@pytest.fixture
def canvas(work):
    made = DetectorCanvas(ViewerModel(), work)
    yield made
    made.close()


@pytest.fixture
def heard(work):
    calls = []
    work.exposures.mask_changed.connect(lambda: calls.append(1))
    return calls


def paint(layer, row, column, label=PAINTED, size=3):
    layer.brush_size = size
    layer.paint((row, column), label)


def test_there_is_no_layer_until_it_is_asked_for(canvas):
    assert "mask" not in canvas.viewer.layers
    layer = canvas.edit_mask()
    assert layer.mode == "paint"
    assert layer.selected_label == PAINTED
    assert canvas.viewer.layers.selection.active is layer
    np.testing.assert_allclose(layer.scale, SPACING)


def test_the_radiographs_own_mask_is_shown_apart(canvas):
    labels = canvas.edit_mask().data
    assert (labels[:, :6] == OUTSIDE).all()
    assert (labels[:, 6:] == 0).all()


def test_painted_pixels_are_not_usable(canvas, work, heard):
    layer = canvas.edit_mask()
    paint(layer, 30, 50)
    painted = work.exposures.active.painted
    assert painted.dtype == torch.bool
    assert not painted[30, 50]
    assert not painted[29, 50]
    assert painted[30, 55]
    assert painted[30, 3]  # the collimator is the radiograph's, not the user's
    assert len(heard) == 1
    assert not work.exposures.active.masked.mask[30, 50]
    assert not work.exposures.active.masked.mask[30, 3]
    assert work.exposures.active.masked.mask[30, 55]


def test_erasing_everything_leaves_nothing_painted(canvas, work):
    layer = canvas.edit_mask()
    paint(layer, 30, 50)
    paint(layer, 30, 50, label=0, size=9)
    assert work.exposures.active.painted is None


def test_undo_and_redo_in_the_layer_reach_the_session(canvas, work):
    layer = canvas.edit_mask()
    paint(layer, 30, 50)
    layer.undo()
    assert work.exposures.active.painted is None
    layer.redo()
    assert not work.exposures.active.painted[30, 50]


def test_the_radiographs_own_mask_cannot_be_erased_nor_extended(canvas, work):
    layer = canvas.edit_mask()
    paint(layer, 20, 3, label=0)
    assert layer.data[20, 3] == OUTSIDE
    assert work.exposures.active.painted is None
    paint(layer, 20, 40, label=OUTSIDE)  # any label excludes
    assert layer.data[20, 40] == PAINTED
    assert not work.exposures.active.painted[20, 40]
    paint(layer, 25, 60, label=3)
    assert layer.data[25, 60] == PAINTED


def test_a_mask_of_the_session_is_shown(canvas, work, heard):
    painted = torch.ones(ROWS, COLUMNS, dtype=torch.bool)
    painted[11, 70] = False
    work.exposures.set_painted(work.exposures.named("first").id, painted)
    layer = canvas.viewer.layers["mask"]
    assert layer.data[11, 70] == PAINTED
    assert (layer.data == PAINTED).sum() == 1
    assert len(heard) == 1
    np.testing.assert_allclose(layer.data_to_world((11, 70)), (11 * 4.2, 70 * 3.1))


def test_each_radiograph_has_its_own_and_undo_does_not_cross(canvas, work):
    layer = canvas.edit_mask()
    paint(layer, 30, 50)
    work.exposures.add(radiograph(), name="second")
    assert (layer.data == 0).all()
    layer.undo()
    assert (layer.data == 0).all()
    assert work.exposures.named("second").painted is None
    assert not work.exposures.named("first").painted[30, 50]
    work.exposures.add(radiograph(OTHER_CARM), name="third")
    assert layer.data.shape == (36, 24)
    paint(layer, 5, 20)
    assert work.exposures.named("third").painted.shape == (36, 24)
    work.exposures.activate(work.exposures.named("first").id)
    assert layer.data[30, 50] == PAINTED


def test_without_a_radiograph_the_mask_is_hidden(canvas, work):
    layer = canvas.edit_mask()
    work.exposures.remove(work.exposures.named("first").id)
    assert not layer.visible
    paint(layer, 5, 20)  # reaches nobody
    work.exposures.add(radiograph(OTHER_CARM), name="again")
    assert layer.visible
    assert (layer.data == 0).all()


def test_removing_the_layer_keeps_the_mask(canvas, work):
    layer = canvas.edit_mask()
    paint(layer, 30, 50)
    canvas.viewer.layers.remove(layer)
    assert not work.exposures.active.painted[30, 50]
    assert canvas.edit_mask().data[30, 50] == PAINTED


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: setattr(layer, "translate", (8.4, 0.0)),
        lambda layer: setattr(layer, "scale", (4.2, 3.0)),
        lambda layer: setattr(layer, "rotate", 90),
        lambda layer: setattr(layer, "data", np.zeros((ROWS, COLUMNS - 3), np.uint8)),
    ],
)
def test_what_is_painted_beside_the_radiograph_is_refused_in_a_sentence(
    canvas, work, heard, monkeypatch, change
):
    said = []
    monkeypatch.setattr("napari_xreg.viewer.detector.mask.show_warning", said.append)
    layer = canvas.edit_mask()
    paint(layer, 30, 50)
    before = work.exposures.active.painted
    change(layer)
    paint(layer, 20, 40)
    paint(layer, 22, 42)
    assert work.exposures.active.painted is before
    assert len(heard) == 1
    assert len(said) == 1
    assert "what is painted on it is not used" in said[0]
    # As the sentence says: a new one takes up where the last good stroke ended.
    canvas.viewer.layers.remove(layer)
    fresh = canvas.edit_mask()
    assert fresh.data[30, 50] == PAINTED
    assert fresh.data[20, 40] == 0
    paint(fresh, 20, 40)
    assert not work.exposures.active.painted[20, 40]
    assert len(said) == 1
