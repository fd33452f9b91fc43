"""Error ellipses: their axes, their size, their place."""

import math

import numpy as np
import pytest
import torch
from detector_scene import CARM, OTHER_CARM, POSE, landmarks, radiograph, session
from napari.components import ViewerModel

from napari_xreg.geometry import Pose
from napari_xreg.registration import Registration, Status
from napari_xreg.session import Result
from napari_xreg.viewer.detector.canvas import DetectorCanvas
from napari_xreg.viewer.detector.uncertainty import CHORDS, ellipse_chords

R95 = 2.4477468  # square root of the 95th percentile of chi-squared with two degrees of freedom
PIVOT = torch.tensor([3.0, -5.0, 790.0], dtype=torch.float64)


def result(covariance, pose=POSE, radiographs=("first",), views=(), scale=None):
    registration = Registration(
        pose, Status.CONVERGED, {"loss": 0.1}, (), PIVOT, covariance, views or (pose,), scale=scale
    )
    return Result("result 1", radiographs, registration, {})


def show(canvas, some, *more, **settings):
    """A result whose radiographs are said by their names."""
    ids = {entry.name: entry.id for entry in canvas.session.exposures.all}
    canvas.show_uncertainty(some and some.keyed(ids), *more, **settings)


def translations(x, y, z):
    """Covariance of standard deviations (mm) along the world's axes, no rotation."""
    return torch.diag(torch.tensor([0.0, 0.0, 0.0, x, y, z], dtype=torch.float64) ** 2)


@pytest.fixture
def canvas():
    work = session(with_volume=False)
    work.landmarks.set(landmarks((9.0, 12.5), (33.25, 61.0)))
    made = DetectorCanvas(ViewerModel(), work)
    yield made
    made.close()


def test_the_axes_are_row_and_column_in_that_order():
    chords = ellipse_chords(np.array([[10.0, 20.0]]), np.array([[[4.0, 0], [0, 0.25]]]), 0.95)
    starts = chords[:, 0]
    assert np.ptp(starts[:, 0]) == pytest.approx(2 * 2.0 * R95, rel=5e-3)
    assert np.ptp(starts[:, 1]) == pytest.approx(2 * 0.5 * R95, rel=5e-3)
    np.testing.assert_allclose(starts.mean(0), (10.0, 20.0), atol=1e-9)


def test_the_chords_close_and_lie_on_the_contour():
    covariance = np.array([[3.0, 1.2], [1.2, 0.9]])
    chords = ellipse_chords(np.array([[1.0, 2.0]]), covariance[None], 0.5)
    assert chords.shape == (CHORDS, 2, 2)
    ends = chords.sum(1)
    np.testing.assert_allclose(ends, np.roll(chords[:, 0], -1, 0), atol=1e-12)
    off = chords[:, 0] - (1.0, 2.0)
    squared = np.einsum("ni,ij,nj->n", off, np.linalg.inv(covariance), off)
    np.testing.assert_allclose(squared, -2 * math.log(0.5))


def test_a_positive_correlation_leans_down_and_right():
    chords = ellipse_chords(np.zeros((1, 2)), np.array([[[2.0, 1.5], [1.5, 2.0]]]), 0.9)
    starts = chords[:, 0]
    assert (starts[:, 0] * starts[:, 1]).mean() > 0


def test_the_ellipse_holds_its_share():
    covariance = np.array([[3.0, -1.0], [-1.0, 1.5]])
    draws = np.random.default_rng(5).multivariate_normal((0, 0), covariance, 20000)
    starts = ellipse_chords(np.zeros((1, 2)), covariance[None], 0.8)[:, 0]
    angle = np.argsort(np.arctan2(starts[:, 1], starts[:, 0]))
    radius = np.interp(
        np.arctan2(draws[:, 1], draws[:, 0]),
        np.arctan2(starts[angle, 1], starts[angle, 0]),
        np.linalg.norm(starts[angle], axis=1),
        period=2 * np.pi,
    )
    assert (np.linalg.norm(draws, axis=1) < radius).mean() == pytest.approx(0.8, abs=0.015)


def test_an_uncertain_x_makes_wide_ellipses_at_the_projections(canvas):
    show(canvas, result(translations(2.0, 0.5, 0.0)))
    layer = canvas.viewer.layers["ellipses"]
    assert layer.data.shape == (2 * CHORDS, 2, 2)
    np.testing.assert_allclose(layer.scale, (4.2, 3.1))
    for chords, place in zip(
        (layer.data[:CHORDS], layer.data[CHORDS:]), ((9.0, 12.5), (33.25, 61.0)), strict=True
    ):
        np.testing.assert_allclose(chords[:, 0].mean(0), place, atol=1e-6)
        # 2 mm at depth 800 are 2.5 mm on the detector; 3.1 mm a column.
        assert np.ptp(chords[:, 0, 1]) == pytest.approx(2 * R95 * 2.5 / 3.1, rel=5e-3)
        assert np.ptp(chords[:, 0, 0]) == pytest.approx(2 * R95 * 0.625 / 4.2, rel=5e-3)


def test_depth_alone_points_at_the_central_ray(canvas):
    show(canvas, result(translations(0.0, 0.0, 5.0)))
    chords = canvas.viewer.layers["ellipses"].data[:CHORDS, 0]
    long = chords[np.linalg.norm(chords - (9.0, 12.5), axis=1).argmax()] - (9.0, 12.5)
    to_center = np.subtract(CARM.detector.center, (9.0, 12.5))
    long_mm, center_mm = long * (4.2, 3.1), to_center * (4.2, 3.1)
    across = long_mm[0] * center_mm[1] - long_mm[1] * center_mm[0]
    assert abs(across) < 1e-6 * np.linalg.norm(long_mm) * np.linalg.norm(center_mm) + 1e-6


def test_what_a_larger_ct_does_to_pose_and_landmarks_alike_is_not_drawn(canvas):
    pose = translations(2.0, 0.5, 0.1)
    show(canvas, result(pose))
    drawn = np.array(canvas.viewer.layers["ellipses"].data)
    back = 0.01 * (POSE.translation - PIVOT)  # from the source, a larger CT is a farther one
    scale = torch.cat([torch.zeros(3).double(), back])
    show(canvas, result(pose + scale.outer(scale), scale=scale))
    np.testing.assert_allclose(canvas.viewer.layers["ellipses"].data, drawn, atol=1e-6)


def test_a_higher_probability_makes_larger_ellipses(canvas):
    some = result(translations(2.0, 0.5, 0.1))
    show(canvas, some, level=0.5)
    small = np.ptp(canvas.viewer.layers["ellipses"].data[:CHORDS, 0, 1])
    show(canvas, some, level=0.99)
    large = np.ptp(canvas.viewer.layers["ellipses"].data[:CHORDS, 0, 1])
    assert large / small == pytest.approx(math.sqrt(math.log(0.01) / math.log(0.5)), rel=1e-6)
    with pytest.raises(ValueError, match="between 0 and 1"):
        show(canvas, some, level=95.0)


def test_magnified_ellipses_are_larger_in_both_axes_and_their_layer_says_so(canvas):
    some = result(translations(2.0, 0.5, 0.1))
    show(canvas, some)
    layer = canvas.viewer.layers["ellipses"]
    true = np.ptp(layer.data[CHORDS:, 0], axis=0)
    center = layer.data[CHORDS:, 0].mean(0)
    show(canvas, some, magnified=10.0)
    assert layer.name == "ellipses × 10"
    np.testing.assert_allclose(np.ptp(layer.data[CHORDS:, 0], axis=0), 10 * true)
    np.testing.assert_allclose(layer.data[CHORDS:, 0].mean(0), center, atol=1e-6)
    show(canvas, some)
    assert layer.name == "ellipses"
    np.testing.assert_allclose(np.ptp(layer.data[CHORDS:, 0], axis=0), true)
    layer.name = "my ellipses"  # a name that the user gave stays
    show(canvas, some, 0.5)
    assert layer.name == "my ellipses"
    canvas.viewer.layers.remove(layer)
    show(canvas, some, magnified=3.0)
    assert canvas.viewer.layers["ellipses × 3"].visible
    with pytest.raises(ValueError, match="positive"):
        show(canvas, some, magnified=0.0)


def test_without_covariance_radiograph_or_landmarks_there_are_none(canvas):
    show(canvas, result(None))
    show(canvas, None)
    assert "ellipses" not in canvas.viewer.layers
    show(canvas, result(translations(1.0, 2.0, 3.0)))
    layer = canvas.viewer.layers["ellipses"]
    assert layer.visible
    canvas.session.landmarks.set([])
    assert not layer.visible
    canvas.session.landmarks.set(landmarks((9.0, 12.5)))
    assert layer.visible
    assert len(layer.data) == CHORDS
    canvas.session.exposures.add(radiograph(OTHER_CARM), name="second", start=POSE)
    assert not layer.visible  # the result did not use it
    canvas.session.exposures.activate(canvas.session.exposures.named("first").id)
    assert layer.visible
    show(canvas, None)
    assert not layer.visible


def test_each_view_of_a_joint_result_has_its_own_pose(canvas):
    moved = Pose(torch.eye(3, dtype=torch.float64), torch.tensor([0.0, -8.0, 0.0]).double())
    canvas.session.exposures.add(radiograph(), name="second", start=POSE)
    joint = result(
        translations(1.0, 2.0, 3.0), radiographs=("first", "second"), views=(POSE, moved)
    )
    show(canvas, joint)
    center = canvas.viewer.layers["ellipses"].data[:CHORDS, 0].mean(0)
    np.testing.assert_allclose(center, (9.0 + 10 / 4.2, 12.5), atol=1e-6)
    canvas.session.exposures.activate(canvas.session.exposures.named("first").id)
    center = canvas.viewer.layers["ellipses"].data[:CHORDS, 0].mean(0)
    np.testing.assert_allclose(center, (9.0, 12.5), atol=1e-6)
