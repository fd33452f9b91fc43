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
