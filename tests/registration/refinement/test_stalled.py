"""Converged or stuck: an optimiser that cannot go on says which, on the CPU, a device and by Adam."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from backends import refined
from blobs import CENTER, blob_radiograph, blob_volume, carm

from napari_xreg.geometry import Pose
from napari_xreg.progress import run
from napari_xreg.registration import (
    AdamSettings,
    Level,
    RefineSettings,
    Status,
    View,
    refine,
    refine_many,
)
from napari_xreg.registration.refinement.second_order.damped_steps import stopping_status
from napari_xreg.rendering import render_drr, render_with_jacobian

CARM = carm()
TRUE = CARM.world_from_camera(24.0, -13.0, 5.0, isocenter=CENTER, offset_mm=(4.0, -6.0, 9.0))
SETTINGS = RefineSettings(starts=1, levels=(Level(104, None, 25),), threads=1, keep_images=False)
AWAY = torch.tensor([0.004, -0.003, 0.002, 0.9, -1.3, 0.7], dtype=torch.float64)


@pytest.fixture(scope="module")
def volume():
    return blob_volume(4.0)


@pytest.fixture(scope="module")
def own(volume):
    """The volume's own DRR: at the true pose nothing is left to gain."""
    radiograph = blob_radiograph(CARM, TRUE)
    drr = render_drr(volume, CARM, TRUE, method="joseph")
    return replace(radiograph, line_integrals=drr)


# A step of s mm along x has the gradient -2 s where the curvature is 2 per mm^2, and promises
# (2 s)^2 / (2 * 2) = s^2. One of r rad about y counts 100 r mm.
CURVATURE = torch.diag(torch.tensor([3e4, 3e4, 3e4, 2.0, 2.0, 2.0], dtype=torch.float64))


@pytest.mark.parametrize(
    ("gradient", "loss", "status"),
    [
        ((0, 0, 0, 0, 0, 0), 0.2, Status.CONVERGED),
        ((0, 0, 0, -2 * 0.19, 0, 0), 0.2, Status.CONVERGED),  # 10 tolerances of 0.02 mm are 0.2
        ((0, 0, 0, -2 * 0.21, 0, 0), 0.2, Status.STALLED),
        ((0, 3e4 * 0.0019, 0, 0, 0, 0), 0.2, Status.CONVERGED),  # 0.0019 rad are 0.19 mm
        ((0, 3e4 * 0.0021, 0, 0, 0, 0), 0.2, Status.STALLED),
        ((0, 0, 0, -2 * 0.21, 0, 0), 0.0441e5 * 1.01, Status.CONVERGED),  # promises 1e-5 of it
        ((0, 0, 0, float("nan"), 0, 0), 0.2, Status.STALLED),
        ((0, 0, 0, 0, 0, 0), float("inf"), Status.STALLED),
    ],
)
def test_the_undamped_step_tells(gradient, loss, status):
    assert (
        stopping_status(loss, CURVATURE, torch.tensor(gradient, dtype=torch.float64), 0.02)
        is status
    )


@pytest.mark.parametrize(
    ("along_x", "loss", "status"),
    [
        (0.19, 0.2, Status.CONVERGED),
        (0.21, 0.2, Status.ITERATION_LIMIT),
        (0.21, 0.0441e5 * 1.01, Status.CONVERGED),
        (float("nan"), 0.2, Status.ITERATION_LIMIT),
    ],
)
def test_at_the_last_iteration_it_tells_too(along_x, loss, status):
    gradient = torch.tensor([0, 0, 0, -2 * along_x, 0, 0], dtype=torch.float64)
    assert stopping_status(loss, CURVATURE, gradient, 0.02, cut_off=True) is status


@pytest.mark.parametrize("path", ["host", "batched"])
def test_cut_off_on_the_way_is_the_iteration_limit_and_cut_off_at_the_end_is_not(volume, path):
    view = blob_radiograph(CARM, TRUE)
    start = View(view, TRUE.left_perturb(8 * AWAY, CENTER))
    endless = replace(SETTINGS, tolerance_mm=1e-9)  # no step is so short
    status = []
    for iterations in (2, 14):
        short = replace(endless, levels=(Level(104, None, iterations),))
        status.append(refined(path, volume, [start], short, CENTER).status)
    assert status == [Status.ITERATION_LIMIT, Status.CONVERGED]


def test_what_is_locked_does_not_count():
    gradient = torch.tensor([0.0, 0, 0, -2 * 5.0, 0, 0], dtype=torch.float64)
    free = torch.eye(6, dtype=torch.float64)[:, [0, 1, 2, 4, 5]]
    assert stopping_status(0.2, CURVATURE, gradient, 0.02) is Status.STALLED
    assert stopping_status(0.2, CURVATURE, gradient, 0.02, free) is Status.CONVERGED


def _uphill(monkeypatch):
    """A renderer whose Jacobian has the wrong sign: every step leads away."""
    problem = sys.modules["napari_xreg.registration.refinement.host.view_problem"]
    device = sys.modules["napari_xreg.registration.refinement.batched.problem"]
    march = problem.march_views

    def march_views(*args, **kwargs):
        return [(image, -jacobian) for image, jacobian in march(*args, **kwargs)]

    def with_jacobian(*args, **kwargs):
        image, jacobian = render_with_jacobian(*args, **kwargs)
        return image, -jacobian

    monkeypatch.setattr(problem, "march_views", march_views)
    monkeypatch.setattr(device, "render_with_jacobian", with_jacobian)


def _ways(volume):
    """The same refinement on the CPU, of a study, and on the device path (here: plain torch)."""
    how = {"settings": SETTINGS, "isocenter": CENTER}
    return {
        "cpu": lambda view: run(refine(volume, view, **how)),
        "many": lambda view: run(refine_many(volume, [view], **how))[0],
        "device": lambda view: refined("batched", volume, [view], SETTINGS, CENTER),
    }


@pytest.mark.parametrize("way", ["cpu", "many", "device"])
def test_stuck_is_not_converged(volume, own, monkeypatch, way):
    _uphill(monkeypatch)
    start = TRUE.left_perturb(AWAY, CENTER)
    result = _ways(volume)[way](View(own, start))
    assert result.status is Status.STALLED
    assert not result
    torch.testing.assert_close(result.world_from_camera.matrix(), start.matrix())


@pytest.mark.parametrize("way", ["cpu", "many", "device"])
def test_at_the_optimum_it_is_converged(volume, own, way):
    for pose in (TRUE, TRUE.left_perturb(AWAY, CENTER)):
        result = _ways(volume)[way](View(own, pose))
        assert result.status is Status.CONVERGED
        moved = result.world_from_camera.translation - TRUE.translation
        assert float(moved.norm()) < 0.3


def test_a_refinement_that_meets_no_numbers_keeps_its_start(volume, own, monkeypatch):
    problem = sys.modules["napari_xreg.registration.refinement.host.view_problem"]
    march = problem.march_views

    def march_views(*args, **kwargs):
        nothing = np.float32("nan")
        return [(image, jacobian * nothing) for image, jacobian in march(*args, **kwargs)]

    monkeypatch.setattr(problem, "march_views", march_views)
    start = TRUE.left_perturb(AWAY, CENTER)
    result = run(refine(volume, View(own, start), settings=SETTINGS, isocenter=CENTER))
    assert result.status is Status.STALLED
    torch.testing.assert_close(result.world_from_camera.matrix(), start.matrix(), atol=1e-9, rtol=0)


def test_adam_that_meets_no_numbers_keeps_its_best(volume, own):
    called = []

    def similarity(target, image, mask=None):
        called.append(1)
        value = 0.5 - 1e-3 * ((image - target) ** 2).mean((1, 2))
        return value * (float("nan") if len(called) > 2 else 1.0)

    settings = AdamSettings(pixels=(32,), similarity=similarity, method="joseph")
    view = View(own, TRUE.left_perturb(AWAY, CENTER))
    result = run(refine(volume, view, settings=settings, isocenter=CENTER))
    assert result.status is Status.STALLED
    assert len(result.trajectory) == 3
    best = min(result.trajectory[:2], key=lambda i: i.loss)
    assert result.losses["loss"] == best.loss
    torch.testing.assert_close(best.world_from_camera.matrix(), result.world_from_camera.matrix())


def test_adam_whose_slopes_are_no_numbers_is_stuck(volume, own):
    def similarity(target, image, mask=None):
        flat = (image * 0).sum((1, 2))
        return 0.5 + flat.clamp_min(0).sqrt() * 0  # sqrt has no slope at 0

    settings = AdamSettings(pixels=(32,), similarity=similarity, method="joseph")
    view = View(own, TRUE.left_perturb(AWAY, CENTER))
    result = run(refine(volume, view, settings=settings, isocenter=CENTER))
    assert result.status is Status.STALLED
    assert len(result.trajectory) == 1


def test_adam_on_a_plateau_of_air_has_not_converged(volume, own):
    far = Pose(TRUE.rotation, TRUE.translation + 3000.0 * TRUE.rotation[:, 0])
    settings = AdamSettings(pixels=(32,), patience=0, method="joseph")
    result = run(refine(volume, View(own, far), settings=settings, isocenter=CENTER))
    assert result.status is Status.NO_OVERLAP


@pytest.mark.parametrize("part", ["rotation", "translation"])
def test_a_start_that_is_no_pose_is_refused(own, part):
    rotation, translation = TRUE.rotation.clone(), TRUE.translation.clone()
    (rotation[2] if part == "rotation" else translation)[1] = float("nan")
    with pytest.raises(ValueError, match=f"starting pose of a view must be finite: its {part}"):
        View(own, Pose(rotation, translation))


def test_an_isocenter_that_is_nowhere_is_refused(volume, own):
    nowhere = torch.tensor([0.0, float("nan"), 0.0], dtype=torch.float64)
    for events in (
        refine(volume, View(own, TRUE), isocenter=nowhere),
        refine(volume, View(own, TRUE), isocenter=nowhere),
        refine_many(volume, [View(own, TRUE)], isocenter=nowhere),
    ):
        with pytest.raises(ValueError, match="isocenter must be finite"):
            run(events)
