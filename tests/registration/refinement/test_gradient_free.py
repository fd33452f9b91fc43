"""Solvers without derivatives: the search itself on functions with a known minimum."""

import dataclasses

import numpy as np
import pytest
import torch
from blobs import CENTER, blob_radiograph, blob_volume, carm

from napari_xreg.progress import Control, run
from napari_xreg.registration import SOLVERS, Registration, Status, View, Wanted, refine
from napari_xreg.registration.refinement.gradient_free import xreg
from napari_xreg.registration.refinement.gradient_free.asking import questions
from napari_xreg.registration.refinement.gradient_free.cma_es import cma_es
from napari_xreg.registration.refinement.gradient_free.objective import Objective


def minimised(function, search):
    """Answer until it ends: where (as a course keeps it), whether by itself, and how many it asked for."""
    asked, seen = next(search), []
    while True:
        losses = [function(row) for row in asked]
        seen += zip(losses, asked, strict=True)
        try:
            asked = search.send(losses)
        except StopIteration as end:
            ended, settled = end.value
            best = min(seen, key=lambda pair: pair[0])[1]
            return best if ended is None else ended, settled, len(seen)


def cloud(start, sigma, **how):
    how = {"generations": 300, "tolerance_x": 1e-7, "tolerance_loss": 0.0, "seed": 3} | how
    return cma_es(np.array(start, float), np.array(sigma, float), population=16, **how)


def test_a_cloud_learns_a_narrow_tilted_valley():
    # 1e4 times steeper across than along: cigar-shaped, off all axes.
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    scale = np.array([1.0, 100.0, 100.0, 100.0, 100.0, 100.0])
    valley = np.arange(6.0)

    def function(x):
        return float((scale * (turn.T @ (x - valley)) ** 2).sum())

    found, settled, count = minimised(function, cloud(np.zeros(6), np.full(6, 2.0)))
    assert settled
    np.testing.assert_allclose(found, valley, atol=1e-4)
    assert count < 4000  # without learning the shape it takes several times that


def test_a_cloud_finds_its_way_round_a_bend():
    def rosenbrock(x):
        return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())

    found, settled, _ = minimised(rosenbrock, cloud([-1.0, 1.5, -0.5], np.full(3, 0.5)))
    assert settled
    np.testing.assert_allclose(found, 1.0, atol=1e-4)


def test_a_cloud_is_as_wide_as_it_was_told_and_ends_when_told():
    search = cma_es(
        np.array([5.0, -5.0]), np.array([0.1, 10.0]), population=4000, generations=1,
        tolerance_x=0.0, tolerance_loss=0.0, seed=1,
    )  # fmt: skip
    first = next(search)
    np.testing.assert_allclose(first.std(0), [0.1, 10.0], rtol=0.05)
    np.testing.assert_allclose(first.mean(0), [5.0, -5.0], atol=0.5)
    with pytest.raises(StopIteration) as end:
        search.send([0.0] * 4000)
    assert end.value.value[1] is False
    # Losses that are alike end it; so does a cloud that has shrunk.
    _, settled, count = minimised(lambda x: 1.0, cloud([0.0], [1.0], tolerance_loss=1e-3))
    assert (settled, count) == (True, 160)
    same = [minimised(lambda x: float(x @ x), cloud([1.0, 2.0], [1.0, 1.0]))[0] for _ in range(2)]
    np.testing.assert_array_equal(*same)


def test_an_optimiser_asks_and_is_ended():
    search = questions(lambda function: function(np.array([1.0])) + function(np.array([2.0])))
    assert next(search) == 1.0
    assert search.send(10.0) == 2.0
    with pytest.raises(StopIteration) as end:
        search.send(20.0)
    assert end.value.value == 30.0
    ended = questions(lambda function: function(np.zeros(1)))
    next(ended)
    ended.close()  # its thread ends too: `close` waits for it

    def fails(function):
        raise ValueError("no such method")

    with pytest.raises(ValueError, match="no such method"):
        next(questions(fails))


@pytest.mark.parametrize("package", ["nlopt", "scipy"])
def test_the_box_is_kept(package, monkeypatch):
    if package == "nlopt":
        pytest.importorskip("nlopt")
    else:
        monkeypatch.setattr(xreg.importlib.util, "find_spec", lambda name: None)
    start = np.array([0.1, 0.0, 0.0, 20.0, 0.0, 0.0])
    wall = start.copy()
    wall[3] = 30.0  # beyond 5 mm from the start
    seen = []

    def function(x):
        seen.append(x)
        return float((((x - wall) / xreg.BOUNDS) ** 2).sum())

    found, settled, _ = minimised(function, xreg._box(start, settings=xreg.XregSettings()))
    assert settled
    np.testing.assert_allclose(found, start + [0, 0, 0, 5.0, 0, 0], atol=0.05)
    assert (np.abs(np.array(seen) - start) <= xreg.BOUNDS * (1 + 1e-9)).all()


def test_the_penalty_of_one_standard_deviation_everywhere():
    # 0.1 * sum of (x / s)^2 / 2 over six variables.
    assert xreg.penalty(xreg.PENALTY_SIGMA[None]) == pytest.approx(0.3)
    assert xreg.patches_of(8) is not None
    arm = carm(1536, 1200)
    # 300 mm of 6 mm pixels or so: never more pixels than the detector has.
    sizes = xreg._sizes(View(blob_radiograph(carm(40, 36), pose_of(carm(40, 36))), pose_of(arm)))
    assert sizes == (40, 40)


def pose_of(arm):
    return arm.world_from_camera(10.0, 5.0, isocenter=CENTER)


@pytest.mark.parametrize("name", ["powell", "nelder-mead", "xreg"])
def test_cancelled_between_two_poses(name):
    arm, control = carm(36, 40), Control()
    true = pose_of(arm)
    view = View(
        blob_radiograph(arm, true),
        true.left_perturb(torch.tensor([0, 0, 0, 3.0, 0, 0]).double(), CENTER),
    )
    settings = SOLVERS[name].settings_for(Wanted(pixels=(40,), keep_images=False))

    def seen(iterate):
        if iterate.index == 3:
            control.cancel()

    found = run(
        refine(blob_volume(5.0), view, settings=settings, isocenter=CENTER, control=control), seen
    )
    assert found.status is Status.CANCELLED
    assert len(found.trajectory) <= (100 if name == "xreg" else 4)
    assert found.losses["loss"] == min(i.loss for i in found.trajectory)


@pytest.mark.parametrize("name", ["powell", "nelder-mead", "xreg"])
def test_the_loss_is_that_of_the_pose_also_where_the_losses_ran_out(name):
    arm = carm(36, 40)
    true = pose_of(arm)
    off = torch.tensor([0.03, 0.0, 0.02, 3.0, -2.0, 0.0], dtype=torch.float64)
    view = View(blob_radiograph(arm, true), true.left_perturb(off, CENTER))
    settings = SOLVERS[name].settings_for(Wanted(pixels=(40,), iterations=5, keep_images=False))
    if name == "nelder-mead":  # stopped within a shrinking of the simplex
        settings = dataclasses.replace(settings, iterations=10)
    found = run(refine(blob_volume(5.0), view, settings=settings, isocenter=CENTER))
    assert found.ended_at is not None
    best = found.trajectory[found.ended_at]
    assert found.losses["loss"] == best.loss == min(each.loss for each in found.trajectory)


def test_a_cloud_is_followed_at_its_mean_with_the_loss_of_that():
    """Cancelled at the very first pose of the next level: nothing better is known."""
    arm, control = carm(36, 40), Control()
    true = pose_of(arm)
    off = torch.tensor([0, 0, 0, 3.0, 0, 0], dtype=torch.float64)
    view = View(blob_radiograph(arm, true), true.left_perturb(off, CENTER))
    settings = xreg.XregSettings((40, 40), population=8, generations=1, keep_images=False)
    events = refine(blob_volume(5.0), view, settings=settings, isocenter=CENTER, control=control)
    for _ in range(8):
        next(events)
    control.cancel()
    found = run(events)
    assert found.status is Status.CANCELLED
    start = np.zeros(6)
    objective = Objective(blob_volume(5.0), (view,), 40, CENTER, xreg.patches_of(8))
    search = xreg._cloud(start, settings=settings)
    next(search)
    with pytest.raises(StopIteration) as end:
        search.send([each.loss for each in found.trajectory])
    mean = end.value.value[0][None]
    plain = objective.losses(mean)[0]
    loss = 0.9 * plain + xreg.penalty(mean)
    assert found.losses["loss"] == pytest.approx(float(loss[0]))
    assert found.notes == ()


@pytest.mark.parametrize(
    ("package", "name"), [(True, "BOBYQA of nlopt"), (False, "COBYQA of scipy")]
)
def test_which_package_searched_is_said(package, name, monkeypatch):
    def search_levels(volume, views, levels, *, pivot, control, keep_images):
        yield from ()
        pose = views[0].world_from_camera
        return Registration(pose, Status.CONVERGED, {"loss": 0.5}, (), pivot, views=(pose,))

    monkeypatch.setattr(xreg.importlib.util, "find_spec", lambda name: package or None)
    monkeypatch.setattr(xreg, "search_levels", search_levels)
    arm = carm(36, 40)
    view = View(blob_radiograph(arm, pose_of(arm)), pose_of(arm))
    events = xreg.refine_xreg(
        blob_volume(5.0), (view,), settings=xreg.XregSettings(), pivot=CENTER, control=None
    )
    assert run(events).notes == (f"The finer level was searched by {name}.",)
    assert "COBYQA" in SOLVERS["xreg"].about


def test_settings_are_one_sentence():
    for name in ("powell", "xreg"):
        with pytest.raises(ValueError, match="pixels"):
            SOLVERS[name].settings_for(Wanted(pixels=(8,)))
    with pytest.raises(ValueError, match="one start"):
        SOLVERS["xreg"].settings_for(Wanted(starts=4))
