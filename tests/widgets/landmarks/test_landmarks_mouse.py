"""The picking mouse, driven by hand: no window. What is clicked depends on the chosen layer."""

from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from napari.components import ViewerModel
from napari.layers import Image

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import Landmark, Radiograph
from napari_xreg.session import Session
from napari_xreg.viewer.detector.canvas import DetectorCanvas
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.landmarks.picking import PickMouse

CARM = CArm(1000.0, 700.0, Detector((60, 80), (1.7, 1.3)))


class Bench(Workbench):
    """A viewer's model and a session, without a window."""

    def __init__(self, viewer, session, canvas):
        self.viewer, self.session, self.canvas = viewer, session, canvas


@pytest.fixture
def bench():
    session = Session()
    pose = CARM.pose_from(CArmPose(0.0, 0.0))
    session.exposures.add(Radiograph(torch.zeros(60, 80), CARM), name="frontal", start=pose)
    viewer = ViewerModel()
    canvas = DetectorCanvas(viewer, session)
    yield Bench(viewer, session, canvas)
    canvas.close()


def gesture(bench, *places, button=1, modifiers=(), handled=False):
    """Press at the first (pos on the screen, position in the world), move on, release at the last."""
    (pos, position), *moves = places
    event = SimpleNamespace(
        button=button, modifiers=modifiers, pos=pos, position=position, type="mouse_press",
        handled=handled,
    )  # fmt: skip
    run = bench.viewer.mouse_drag_callbacks[-1](bench.viewer, event)
    with suppress(StopIteration):
        next(run)
        for event.pos, event.position in moves:
            event.type = "mouse_move"
            next(run)
        event.type = "mouse_release"
        next(run)


def heard(mouse):
    calls = []
    for name in ("pixel_clicked", "position_clicked", "pressed", "dragged", "dropped"):
        getattr(mouse, name).connect(lambda *a, name=name: calls.append((name, *a)))
    return calls


def test_millimetres_of_the_canvas_are_rows_and_columns(bench):
    mouse = PickMouse(bench, lambda: True)
    calls = heard(mouse)
    gesture(bench, ((9, 9), (17.0, 26.0)))
    ((name, pixel),) = calls
    assert name == "pixel_clicked"
    assert pixel == pytest.approx((10.0, 20.0))
    calls.clear()
    gesture(bench, ((9, 9), (17.0, 26.0)), ((30, 9), (17.0, 47.0)))  # pans
    gesture(bench, ((9, 9), (17.0, 26.0)), button=2)
    gesture(bench, ((9, 9), (17.0, 26.0)), modifiers=("Control",))
    assert calls == []
    mouse.close()
    assert mouse._callback not in bench.viewer.mouse_drag_callbacks


def test_in_a_ct_layer_a_click_is_a_position_of_the_patient(bench):
    mouse = PickMouse(bench, lambda: True)
    calls = heard(mouse)
    ct = bench.viewer.add_layer(
        Image(np.zeros((4, 5, 6)), scale=(3.0, 2.0, 2.0), units=("mm",) * 3)
    )
    bench.viewer.layers.selection.select_only(ct)
    gesture(bench, ((9, 9), (5.0, 6.0, 7.0)))
    assert calls == [("position_clicked", (7.0, 6.0, 5.0))]  # x, y, z
    bench.viewer.dims.ndisplay = 3  # not cut in slices: no place is meant
    gesture(bench, ((9, 9), (5.0, 6.0, 7.0)))
    assert len(calls) == 1
    mouse.close()


def test_a_landmark_is_held_and_let_go_where_nothing_else_has_the_mouse(bench):
    wanted = []
    mouse = PickMouse(bench, lambda: bool(wanted))
    calls = heard(mouse)
    bench.session.landmarks.set_picked(bench.session.exposures.named("frontal").id, [Landmark("near", pixel=(10.0, 20.0)),
                                         Landmark("far", pixel=(50.0, 70.0))])  # fmt: skip
    bench.viewer.scene.camera.zoom = 2.0
    gesture(bench, ((9, 9), (18.0, 27.0)), ((10, 9), (18.5, 27.0)), ((30, 29), (27.2, 36.4)))
    assert [call[0] for call in calls] == ["pressed", "dragged", "dropped"]
    assert calls[0] == ("pressed", "near")
    assert calls[-1] == ("dropped", "near", pytest.approx((16.0, 28.0)))
    assert bench.viewer.scene.camera.mouse_pan
    calls.clear()
    held = ((9, 9), (18.0, 27.0)), ((30, 29), (27.2, 36.4))
    gesture(bench, *held, handled=True)  # a handle of the pose lies there, too
    assert calls == []
    gesture(bench, ((9, 9), (40.0, 27.0)))  # beside it, and nothing is being picked
    assert calls == []
    layer = bench.viewer.layers["landmarks"]
    bench.viewer.layers.selection.select_only(layer)
    layer.mode = "add"  # napari's own tool has the mouse
    gesture(bench, ((9, 9), (18.0, 27.0)), ((30, 29), (27.2, 36.4)))
    assert calls == []
    mouse.close()
