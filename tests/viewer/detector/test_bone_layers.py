"""Bones in their colours, as layers on the detector canvas."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_xreg.geometry import Detector
from napari_xreg.viewer import BoneLayers

DETECTOR = Detector((6, 8), (1.5, 2.5))
NAMES = ("patient", "rib_left 1", "rib left_1")


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def layers(viewer):
    made = BoneLayers(viewer, NAMES, "patient")
    pictures = {name: np.full((6, 8), n / 4, np.float32) for n, name in enumerate(NAMES)}
    made.show(pictures, DETECTOR, DETECTOR)
    return made


def test_two_bones_that_read_alike_have_a_layer_each(viewer, layers):
    assert [(layer.name, layer.data[0, 0]) for layer in viewer.layers] == [
        ("rib left 1 (bone) 2", 0.5), ("rib left 1 (bone)", 0.25), ("patient (rest of the CT)", 0.0),
    ]  # fmt: skip
    layers.switch("rib_left 1", False)
    assert [layer.visible for layer in viewer.layers] == [True, False, True]


def test_a_picture_of_another_radiograph_is_not_switched_on(viewer, layers):
    heard = []
    layers.on_switched(lambda *news: heard.append(news))
    layers.hide()
    rib = viewer.layers["rib left 1 (bone)"]
    rib.visible = True  # the eye in napari's list
    assert not rib.visible
    assert heard == []


def test_layers_of_bones_that_are_there_again_stay_in_the_list(viewer):
    """Taken out and put in again before they are drawn, they can end napari."""
    before = BoneLayers(viewer, ("rad", "uln"))
    picture = np.ones((6, 8), np.float32)
    before.show({"rad": picture, "uln": picture}, DETECTOR, DETECTOR)
    radius, ulna = viewer.layers["rad (bone)"], viewer.layers["uln (bone)"]
    gone, heard, old = [], [], []
    before.on_switched(lambda *news: old.append(news))
    viewer.layers.events.removed.connect(lambda event: gone.append(event.value.name))
    after = BoneLayers(viewer, ("mc3", "uln"), before=before)
    after.on_switched(lambda *news: heard.append(news))
    assert gone == ["rad (bone)"]
    assert list(viewer.layers) == [ulna]
    assert not ulna.visible
    after.show({"mc3": picture, "uln": picture}, DETECTOR, DETECTOR)
    assert [layer.name for layer in viewer.layers] == ["uln (bone)", "mc3 (bone)"]
    assert ulna.visible
    # The second bone has the second colour, as in the list of bones; its eye is heard by the new ones alone.
    assert ulna.colormap.name == f"black to {after.colours['uln']}"
    ulna.visible = False
    assert (heard, old) == ([("uln", False)], [])
    assert radius not in viewer.layers
