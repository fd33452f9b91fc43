"""What tests of the Sequence widget share: three frames by one camera, and how a person goes through them."""

import torch
from qtpy.QtCore import Qt

from napari_xreg.geometry import CArm, Detector

LEFT = Qt.MouseButton.LeftButton
LONG = 240_000
NUMBERS = (6, 7, 8)
ARM = CArm(1020.0, 750.0, Detector((96, 108), (3.4, 4.9), (45.0, 58.0)))
STEP = torch.tensor([0.02, 0.03, -0.02, 3.0, -2.0, 2.0], dtype=torch.float64)


def tracked(widget, qtbot):
    qtbot.mouseClick(widget.controls.go, LEFT)
    assert widget.controls.go.text() == "Cancel"
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    assert widget.track is not None


def looked_at(widget, number, qtbot):
    widget.go_to(number)
    qtbot.waitUntil(lambda: widget.frames.number == number, timeout=LONG)
