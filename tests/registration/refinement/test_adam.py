"""The Adam recipe: it keeps its best and stops by its own rule."""

import pytest
import torch
from blobs import CENTER, blob_radiograph, blob_volume, carm

from napari_xreg.progress import Control, run
from napari_xreg.registration import (
    AdamSettings,
    Spread,
    Status,
    View,
    perturbed,
    refine,
    solver_of,
)

CARM = carm()
TRUE = CARM.world_from_camera(24.0, -13.0, 5.0, isocenter=CENTER)


def _start():
    generator = torch.Generator().manual_seed(2)
    normals = torch.randn(1, 6, generator=generator, dtype=torch.float64)
    return perturbed(TRUE, CENTER, normals, Spread().scaled(0.5))[0]


@pytest.fixture(scope="module")
def view():
    return View(blob_radiograph(CARM, TRUE), _start())


def test_the_best_is_kept_and_not_the_last(view):
    """A rate so high that it runs past; that it climbs, `test_solver_matrix` shows."""
    settings = AdamSettings(
        pixels=(26,), iterations=7, translation_rate=5.0, method="joseph", keep_images=False
    )
    result = run(refine(blob_volume(8.0), view, settings=settings, isocenter=CENTER))
    best = min(result.trajectory, key=lambda i: i.loss)
    assert best is not result.trajectory[-1]
    assert result.losses["loss"] == best.loss
    torch.testing.assert_close(best.world_from_camera.matrix(), result.world_from_camera.matrix())


def test_first_step_is_as_long_as_the_learning_rates(view):
    # Adam's first step is the rate in every coordinate, whatever the gradient.
    settings = AdamSettings(pixels=(52,), iterations=2, method="joseph", keep_images=False)
    result = run(refine(blob_volume(8.0), view, settings=settings, isocenter=CENTER))
    first, second = (i.world_from_camera for i in result.trajectory)
    turn = (second.rotation @ first.rotation.mT).trace()
    angle = float(torch.arccos((turn - 1) / 2))
    assert angle == pytest.approx(1e-2 * 3**0.5, rel=1e-3)
    moved = second.inverse().apply(CENTER[None]) - first.inverse().apply(CENTER[None])
    assert float(moved.norm()) == pytest.approx(3**0.5, rel=1e-2)


def test_plateaus_end_a_scale(view):
    settings = AdamSettings(
        pixels=(26,), patience=0, threshold=1.0, plateaus=3, method="joseph", keep_images=False
    )
    # The solver alone: what it ends at after three iterations no radiograph supports.
    solve = solver_of(settings).solve
    result = run(solve(blob_volume(8.0), [view], settings=settings, pivot=CENTER, control=None))
    # No gain is ever enough: the rate falls at the 2nd and 3rd iteration, the third plateau ends it
    assert len(result.trajectory) == 3
    assert result.status is Status.CONVERGED


def test_cancel_before_the_first_iteration_gives_the_start_back(view):
    control = Control()
    control.cancel()
    result = run(refine(blob_volume(8.0), view, isocenter=CENTER, control=control))
    assert result.status is Status.CANCELLED
    torch.testing.assert_close(result.world_from_camera.matrix(), view.world_from_camera.matrix())
