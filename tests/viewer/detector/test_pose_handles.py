"""The cross and the ring: where they are drawn, and what is under the mouse."""

import numpy as np
import pytest
import torch
from detector_scene import CARM, POSE, point_at, preview, session
from napari.components import ViewerModel

from napari_xreg.geometry import Pose
from napari_xreg.viewer.detector.canvas import DetectorCanvas
from napari_xreg.viewer.detector.pose_handles import CHORDS, ROLE

# The detector is 50 x 4.2 = 210 mm high and 80 x 3.1 = 248 mm wide.
RADIUS, BAR = 0.24 * 210, 0.06 * 210
PIVOT = torch.tensor(point_at(20.0, 44.0))  # 84 mm down, 136.4 mm to the right
DRR = np.ones((50, 80), np.float32)


@pytest.fixture
def canvas():
    made = DetectorCanvas(ViewerModel(), session())
    made.handles.turn_on(lambda: PIVOT)
    yield made
    made.close()


def test_drawn_about_the_pivot_in_millimetres(canvas):
    layer = canvas.viewer.layers[ROLE]
    assert canvas.handles.centre == pytest.approx((84.0, 136.4))
    starts, ways = layer.data[:, 0], layer.data[:, 1]
    assert len(starts) == CHORDS + 2
    ring = starts[:CHORDS] - (84.0, 136.4)
    np.testing.assert_allclose(np.linalg.norm(ring, axis=1), RADIUS, rtol=1e-5)
    np.testing.assert_allclose(
        starts[:CHORDS] + ways[:CHORDS], np.roll(starts[:CHORDS], -1, 0), atol=1e-3
    )
    np.testing.assert_allclose(starts[CHORDS:], [(84 - BAR, 136.4), (84, 136.4 - BAR)], rtol=1e-5)
    np.testing.assert_allclose(ways[CHORDS:], [(2 * BAR, 0), (0, 2 * BAR)], atol=1e-5)
    np.testing.assert_allclose(layer.scale, 1.0)


@pytest.mark.parametrize(
    ("down", "right", "handle"),
    [
        (0, 0, "shift"),
        (-BAR, 0, "shift"),
        (0, BAR + 1, "shift"),
        (9, 9, None),
        (BAR + 9, 0, None),
        (RADIUS, 0, "roll"),
        (0, -RADIUS - 3, "roll"),
        (0.6 * RADIUS, 0.8 * RADIUS, "roll"),
        (0, RADIUS + 5, None),
        (RADIUS - 5, 0, None),
    ],
)
def test_what_is_under_the_mouse(canvas, down, right, handle):
    assert canvas.handles.under(84.0 + down, 136.4 + right, zoom=2.0) == handle  # 4 mm of reach


def test_a_hidden_one_is_not_taken(canvas):
    canvas.viewer.layers[ROLE].visible = False
    assert canvas.handles.under(84.0, 136.4, zoom=2.0) is None
    canvas.show_preview(preview(DRR))
    assert not canvas.viewer.layers[ROLE].visible  # it is the user's eye
    canvas.viewer.layers[ROLE].visible = True
    canvas.handles.turn_off()
    assert ROLE not in [layer.name for layer in canvas.viewer.layers]
    assert canvas.handles.under(84.0, 136.4, zoom=2.0) is None
    canvas.show_preview(preview(DRR))
    assert ROLE not in [layer.name for layer in canvas.viewer.layers]


def test_they_move_with_the_drr_that_is_drawn(canvas):
    # The camera 8 mm further along its own y, at depth 800 of 1000: 10 mm up on the detector.
    pose = Pose(POSE.rotation, torch.tensor([0.0, 8.0, 0.0]).double())
    canvas.session.poses.set(pose, "moved")
    assert canvas.handles.centre == pytest.approx((84.0, 136.4))
    canvas.show_preview(preview(DRR, CARM, pose))
    assert canvas.handles.centre == pytest.approx((74.0, 136.4))


def test_a_pivot_outside_leaves_them_inside_the_detector(canvas):
    canvas.handles.turn_on(lambda: torch.tensor(point_at(-40.0, 300.0)))
    assert canvas.handles.centre == pytest.approx((RADIUS, 248 - RADIUS))
    canvas.handles.turn_on(lambda: torch.zeros(3, dtype=torch.float64))  # the source itself
    assert np.isfinite(canvas.handles.centre).all()


def test_without_a_radiograph_there_are_none(canvas):
    canvas.session.exposures.remove(canvas.session.exposures.active.id)
    assert canvas.handles.centre is None
    assert not canvas.viewer.layers[ROLE].visible
