"""Several bodies refined together: balls whose line integrals are known, two views, an odd detector."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from blobs import CENTER, blob_radiograph, blob_volume, carm
from torch.nn.functional import max_pool2d

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.progress import Control, run
from napari_xreg.registration import (
    ROBUST,
    BodiesIterate,
    Body,
    Expected,
    ExpectedBetween,
    Level,
    NearBone,
    RefineSettings,
    Status,
    View,
    refine,
    refine_bodies,
)
from napari_xreg.registration.bodies import refining
from napari_xreg.registration.bodies.apart import Apart
from napari_xreg.registration.bodies.looking import BodiesLook
from napari_xreg.registration.bodies.priors import PriorPull, in_depth
from napari_xreg.registration.bodies.tied import Tied
from napari_xreg.registration.refinement.second_order.damped_steps import begin
from napari_xreg.registration.refinement.second_order.depth import SAYS_LITTLE
from napari_xreg.rendering import render_drr

CARM = carm()
VIEWS = tuple(
    CARM.world_from_camera(*angles, isocenter=CENTER)
    for angles in ((20.0, -8.0, 3.0), (-65.0, 5.0, 0.0))
)
PIVOTS = (CENTER + 3.0, CENTER + torch.tensor([-20.0, 5.0, 14.0], dtype=torch.float64))
MOVED = torch.tensor([0.05, -0.03, 0.04, 3.0, -4.0, 2.5], dtype=torch.float64)
"""How the second body has moved about its pivot since the CT."""
LEVELS = (Level(64, None), Level(104, None))
SETTINGS = RefineSettings(levels=LEVELS, starts=1, antipode=False, keep_images=False, threads=1)


@pytest.fixture(scope="module")
def halves():
    """The balls in two volumes: voxels of the first are empty in the second."""
    whole = blob_volume()
    first = torch.zeros_like(whole.lac, dtype=torch.bool)
    first[:, : whole.shape[1] // 2] = True
    return whole.restrict(first), whole.restrict(~first)


@pytest.fixture(scope="module")
def scene(halves):
    """Radiographs of both, the second moved; and the cameras as each body has them."""
    truth = [list(VIEWS), [pose.left_perturb(MOVED, PIVOTS[1]) for pose in VIEWS]]
    radiographs = tuple(
        Radiograph(
            sum(render_drr(half, CARM, poses[number], method="trilinear") for half, poses in zip(halves, truth, strict=True)),
            CARM, simulated=True,
        )
        for number in range(len(VIEWS))
    )  # fmt: skip
    return truth, radiographs


def bodies_at(halves, poses, *, rest: bool = False) -> list[Body]:
    return [
        Body(name, half, tuple(at), pivot, rest=rest and name == "thigh")
        for name, half, at, pivot in zip(("thigh", "shank"), halves, poses, PIVOTS, strict=True)
    ]


def off(poses, *twists):
    return [
        [
            pose.left_perturb(torch.tensor(twist, dtype=torch.float64), pivot).orthonormal()
            for pose in at
        ]
        for at, twist, pivot in zip(poses, twists, PIVOTS, strict=True)
    ]


STARTS = ((0.02, -0.03, 0.02, 2.0, -2.5, 3.0), (-0.03, 0.01, 0.03, -2.0, 1.5, 2.0))


def farthest_mm(found: Pose, truth: Pose) -> float:
    points = CENTER + 40.0 * torch.eye(3, dtype=torch.float64)
    found = found.to(dtype=torch.float64)
    return float((found.inverse().apply(points) - truth.inverse().apply(points)).norm(dim=1).max())


def test_one_body_is_refined_as_any_patient():
    volume, poses = blob_volume(), off([list(VIEWS), []], *STARTS)[0]
    radiographs = [blob_radiograph(CARM, pose) for pose in VIEWS]
    alone = run(
        refine(volume, [View(r, p) for r, p in zip(radiographs, poses, strict=True)], settings=SETTINGS, isocenter=PIVOTS[0])
    )  # fmt: skip
    found = run(
        refine_bodies(
            [Body("all", volume, tuple(poses), PIVOTS[0])], radiographs, settings=SETTINGS
        )
    )
    # The second camera is carried along with the first there: that rounds in the last digits.
    assert torch.allclose(
        found["all"].world_from_camera.matrix(), alone.world_from_camera.matrix(), atol=1e-5
    )
    losses = [iterate.loss for iterate in alone.trajectory]
    assert [iterate.losses["loss"] for iterate in found.trajectory] == pytest.approx(
        losses, rel=1e-4, abs=1e-6
    )
    # Of the pose before the last step, which ended where it is to a few hundred nanometres only.
    deviations = alone.covariance.diagonal().sqrt()
    apart = (found.covariance - alone.covariance) / deviations.outer(deviations)
    assert apart.abs().max() < 3e-4
    assert torch.allclose(found.scale, alone.scale, rtol=1e-4, atol=1e-9)
    assert found["all"].status is alone.status
    assert found["all"].probability == pytest.approx(alone.probability, abs=0.02)


@pytest.mark.parametrize(
    ("rest", "levels"),
    [(True, LEVELS), (True, LEVELS[1:]), (False, LEVELS)],
    ids=["rest", "one level", "bones"],
)
def test_two_bodies_are_found_where_each_of_them_is(halves, scene, rest, levels):
    truth, radiographs = scene
    starts = off(truth, *STARTS)
    settings = replace(SETTINGS, levels=levels)
    found = run(refine_bodies(bodies_at(halves, starts, rest=rest), radiographs, settings=settings))
    for name, at, start in zip(("thigh", "shank"), truth, starts, strict=True):
        assert farthest_mm(start[0], at[0]) > 3.0
        assert farthest_mm(found[name].world_from_camera, at[0]) < 0.1
        assert farthest_mm(found[name].views[1], at[1]) < 0.1
        assert found[name].ended_at is not None
    assert found.bodies[0].simulated


def test_cut_off_on_the_way_is_said_of_each_body(halves, scene):
    truth, radiographs = scene
    far = [[4 * v for v in twist] for twist in STARTS]
    settings = replace(SETTINGS, levels=(Level(104, None, 1),))
    found = run(refine_bodies(bodies_at(halves, off(truth, *far)), radiographs, settings=settings))
    for body in found.bodies:
        assert Status.ITERATION_LIMIT.value in (body.status.value, *body.notes)
        assert Status.STALLED.value not in (body.status.value, *body.notes)


def test_slopes_of_all_bodies_against_central_differences(halves, scene):
    truth, radiographs = scene
    poses = tuple(
        Pose(p.rotation[None], p.translation[None]) for at in off(truth, *STARTS) for p in at
    )
    level = Level(64, None, method="trilinear")
    look = BodiesLook(level, tuple(bodies_at(halves, truth)), tuple(radiographs), 1)
    problem = look.problem(0.0)
    state = begin(problem, poses)
    gradient = state.model.gradient[0]
    assert gradient.shape == (12,)
    yes = torch.ones(1, dtype=torch.bool)
    for axis in (0, 4, 7, 11):
        step = 2e-3 if axis % 6 < 3 else 0.2
        losses = []
        for sign in (1.0, -1.0):
            twist = torch.zeros(2, 6, dtype=torch.float64)
            twist.view(-1)[axis] = sign * step
            moved = tuple(
                p.left_perturb(twist[n // 2], PIVOTS[n // 2]) for n, p in enumerate(poses)
            )
            losses.append(float(problem.attempt(moved, state.seen, yes)[1].loss))
        assert float(gradient[axis]) == pytest.approx(
            (losses[0] - losses[1]) / (2 * step), rel=0.03, abs=2e-6 / step
        )


def test_how_two_bodies_lie_and_how_sure_that_is(halves, scene):
    truth, radiographs = scene
    found = run(
        refine_bodies(bodies_at(halves, off(truth, *STARTS)), radiographs, settings=SETTINGS)
    )
    between, covariance = found.between("shank", "thigh")
    wanted = truth[1][0] @ truth[0][0].inverse()
    assert torch.allclose(between.matrix(), wanted.matrix(), atol=0.1)
    # The same by sampling: poses drawn from the joint covariance, how they lie compared with `between`.
    rng = np.random.default_rng(3)
    root = np.linalg.cholesky(found.covariance.numpy() + 1e-18 * np.eye(12))
    draws = torch.from_numpy(0.05 * rng.standard_normal((4000, 12)) @ root.T)
    first, second = (found[name] for name in ("shank", "thigh"))
    here = first.world_from_camera.to(dtype=torch.float64).left_perturb(draws[:, 6:], first.pivot)
    there = second.world_from_camera.to(dtype=torch.float64).left_perturb(
        draws[:, :6], second.pivot
    )
    moved = here @ there.inverse() @ between.inverse()
    twists = Pose(moved.rotation, moved.apply(first.pivot[None, None])[:, 0] - first.pivot).log()
    sampled = torch.cov(twists.T) / 0.05**2
    deviations = covariance.diagonal().sqrt()
    assert torch.allclose(sampled.diagonal().sqrt(), deviations, rtol=0.06)
    assert torch.allclose(
        sampled / torch.outer(deviations, deviations),
        covariance / torch.outer(deviations, deviations),
        atol=0.08,
    )


def test_a_body_that_hardly_shows_stays_where_it_is_expected(halves, scene):
    truth, radiographs = scene
    faint = replace(halves[1], lac=halves[1].lac * 0.0)
    bodies = bodies_at((halves[0], faint), off(truth, *STARTS))
    start = bodies[1].world_from_camera[0]
    away = start.left_perturb(torch.tensor([0.0, 0.0, 0.01, 1.0, 0.0, 0.0]).double(), PIVOTS[1])
    prior = Expected(1, away, torch.eye(6, dtype=torch.float64) * 1e-2)
    found = run(refine_bodies(bodies, radiographs, settings=SETTINGS, priors=[prior]))
    assert farthest_mm(found["shank"].world_from_camera, away) < 0.02


def test_bodies_that_hang_together_move_together(halves, scene):
    """The second cannot be seen, and follows the first, to which it is expected to lie as in the truth."""
    truth, radiographs = scene
    faint = replace(halves[1], lac=halves[1].lac * 0.0)
    between = truth[1][0] @ truth[0][0].inverse()
    bodies = bodies_at((halves[0], faint), off(truth, *STARTS))
    prior = ExpectedBetween(1, 0, between, torch.eye(6, dtype=torch.float64) * 1e-4)
    found = run(refine_bodies(bodies, radiographs, settings=SETTINGS, priors=[prior]))
    pose = found["shank"].world_from_camera.to(dtype=torch.float64)
    lies = pose @ found["thigh"].world_from_camera.to(dtype=torch.float64).inverse()
    assert torch.allclose(lies.matrix(), between.matrix(), atol=0.02)


def test_cancelled_it_keeps_what_was_found(halves, scene):
    truth, radiographs = scene
    control = Control()
    bodies = bodies_at(halves, off(truth, *STARTS))
    events = refine_bodies(bodies, radiographs, settings=SETTINGS, control=control)
    seen = [next(events), next(events), next(events)]
    control.cancel()
    try:
        while True:
            seen.append(next(events))
    except StopIteration as end:
        found = end.value
    assert not found
    assert found.covariance is None
    seen = [each for each in seen if isinstance(each, BodiesIterate)]
    best = min(seen, key=lambda each: each.losses["loss"])
    assert torch.equal(
        found["thigh"].world_from_camera.matrix(), best.world_from_camera[0].matrix()
    )


def test_what_cannot_be_is_refused(halves, scene):
    truth, radiographs = scene
    bodies = bodies_at(halves, truth)
    with pytest.raises(ValueError, match="names of their own"):
        run(refine_bodies([bodies[0], bodies[0]], radiographs))
    with pytest.raises(ValueError, match="got 2 for 1"):
        run(refine_bodies(bodies, radiographs[:1]))
    with pytest.raises(ValueError, match="at least one camera"):
        Body("none", Volume(halves[0].lac, halves[0].world_from_index), (), PIVOTS[0])
    with pytest.raises(ValueError, match="must be finite"):
        replace(bodies[0], dense_above=float("nan"))
    with pytest.raises(ValueError, match="must be finite"):
        replace(bodies[0], pivot=PIVOTS[0] * float("inf"))


def test_windows_change_no_sum(halves, scene):
    """Bodies seen in a part of the picture: the sums over their windows are those over the whole."""
    truth, radiographs = scene
    mask = torch.ones(CARM.detector.shape, dtype=torch.bool)
    mask[:, :9] = mask[30:33] = False
    masked = tuple(replace(each, mask=mask) for each in radiographs)
    small = [
        halves[0],
        halves[1].restrict(
            torch.zeros_like(halves[1].lac, dtype=torch.bool).index_fill(
                0, torch.arange(20, 40), True
            )
        ),
    ]
    look = BodiesLook(Level(64, None, channels=ROBUST), tuple(bodies_at(small, truth)), masked, 1)
    (case,) = look.problem(0.0)._cases
    poses = [Pose.stack([pose]) for at in off(truth, *STARTS) for pose in at]
    ((seen,), _) = case.fitted(case.observe(poses))
    assert all(observation.windows for observation in seen.observations)
    rows, columns = seen.observations[0].windows[1]
    assert (rows.stop - rows.start) * (columns.stop - columns.start) < 0.6 * seen.observations[
        0
    ].image.size
    whole = replace(
        seen, observations=tuple(replace(each, windows=()) for each in seen.observations)
    )
    sums, wanted = (case.sums([each])[0] for each in (seen, whole))
    size = np.sqrt(np.abs(wanted.diagonal(axis1=1, axis2=2)))
    assert np.abs((sums - wanted) / (size[:, :, None] * size[:, None])).max() < 2e-4


def test_bodies_that_are_tied_move_by_one_motion_of_the_cameras():
    poses = tuple(
        Pose(p.rotation[None], p.translation[None])
        for at in off([list(VIEWS), list(VIEWS)], *STARTS)
        for p in at
    )
    tied = Tied(torch.stack(PIVOTS))
    (basis,) = tied.free(poses)
    assert basis.shape == (12, 6)
    assert torch.allclose(basis[:6], torch.eye(6, dtype=torch.float64), atol=1e-12)
    # The shank's twist, about its own pivot, is what the same motion of the cameras is to it.
    twist = torch.tensor([0.0, 1e-6, 2e-6, 1e-4, 0.0, -1e-4], dtype=torch.float64)
    moved = poses[0].left_perturb(twist[None], PIVOTS[0])
    motion = poses[0].inverse() @ moved
    wanted = poses[2] @ motion
    found = poses[2].left_perturb((basis @ twist)[None, 6:], PIVOTS[1])
    assert torch.allclose(found.matrix(), wanted.matrix(), atol=1e-9)
    free = tuple(
        p.left_perturb(torch.full((1, 6), 0.01, dtype=torch.float64), PIVOTS[n // 2])
        for n, p in enumerate(poses)
    )
    settled = tied.settle(poses, free)
    assert torch.allclose(settled[0].matrix(), free[0].matrix(), atol=1e-9)
    before = poses[2] @ poses[0].inverse()
    assert torch.allclose((settled[2] @ settled[0].inverse()).matrix(), before.matrix(), atol=1e-9)
    assert torch.allclose(
        (settled[3] @ settled[1].inverse()).matrix(),
        (poses[3] @ poses[1].inverse()).matrix(),
        atol=1e-9,
    )


def test_of_one_view_the_depth_stays_near_what_is_expected():
    pose = VIEWS[0]
    prior = Expected(0, pose, in_depth(pose, 15.0))
    pull = PriorPull([prior], torch.stack(PIVOTS[:1]), torch.ones(1, dtype=torch.float64))
    sight = pose.rotation[:, 2]
    away = Pose(
        pose.rotation[None], (pose.translation + 30.0 * sight + 50.0 * pose.rotation[:, 0])[None]
    )
    # Two standard deviations; that it also lies 50 mm beside costs nothing.
    assert float(pull.loss((away,))) == pytest.approx(SAYS_LITTLE * 0.5 * 4.0, rel=1e-6)


@pytest.mark.parametrize("shown", [0, 1])
def test_of_a_body_that_one_radiograph_alone_shows_the_depth_is_expected_along_its_rays(
    halves, scene, shown
):
    truth, radiographs = scene
    slab = torch.zeros_like(halves[1].lac, dtype=torch.bool)
    slab[20:40] = True
    small = halves[0], halves[1].restrict(slab)
    given = list(radiographs)
    own = render_drr(small[1], CARM, truth[1][1 - shown], method="joseph")
    given[1 - shown] = given[1 - shown].with_mask(own < 0.01 * own.max(), "behind a blade")
    course = refining._Course(
        tuple(bodies_at(small, truth)), tuple(given), SETTINGS, NearBone(), (), None
    )
    (prior,) = course._known_depths(5.0)
    assert prior.body == 1
    assert torch.allclose(prior.world_from_camera.matrix(), truth[1][0].matrix())
    sight = truth[1][shown].rotation[:, 2]
    assert float(sight @ prior.covariance[3:, 3:] @ sight) == pytest.approx(25.0, abs=0.01)
    both = refining._Course(
        tuple(bodies_at(small, truth)), radiographs, SETTINGS, NearBone(), (), None
    )
    assert list(both._known_depths(5.0)) == []


def test_a_body_that_one_radiograph_alone_shows_is_no_surer_in_depth_than_that(halves, scene):
    truth, radiographs = scene
    own = render_drr(halves[1], CARM, truth[1][1], method="joseph")
    shown = own > 0.01 * own.max()
    blade = max_pool2d(shown.float()[None], 25, 1, 12)[0] > 0
    # A sliver of ten rows is left.
    blade[: int(shown.any(1).nonzero()[0, 0]) + 10] = False
    given = [radiographs[0], radiographs[1].with_mask(~blade, "behind a blade")]
    found = run(refine_bodies(bodies_at(halves, off(truth, *STARTS)), given, settings=SETTINGS))
    second = found.bodies[1]
    assert [each.seen_by for each in found.bodies] == [None, 0]
    sight = second.world_from_camera.rotation[:, 2]
    # A hundredth of the way to the source and more.
    depth = float(second.world_from_camera.inverse().apply(second.pivot[None])[0, 2])
    assert float(sight @ second.covariance[3:, 3:] @ sight) > (0.01 * depth) ** 2
    assert float(sight @ found.bodies[0].covariance[3:, 3:] @ sight) < 7.0**2
    # And together, where angles between bodies are told from.
    for n, each in enumerate(found.bodies):
        part = slice(6 * n, 6 * n + 6)
        torch.testing.assert_close(found.covariance[part, part], each.covariance)
        torch.testing.assert_close(found.scale[part], each.scale)


def test_a_body_is_judged_without_what_the_others_show(halves, scene):
    """What is left of the radiographs is what the body alone shows, and its verdict is of that."""
    truth, radiographs = scene
    look = BodiesLook(
        Level(64, None, method="trilinear"), tuple(bodies_at(halves, truth)), radiographs, 1
    )
    (case,) = look.problem(0.0)._cases
    poses = [pose for at in truth for pose in at]
    ((seen,), _) = case.fitted(case.observe([Pose.stack([pose]) for pose in poses]))
    apart = Apart(look, 0.0, seen, poses, max(CARM.detector.shape))
    # The second half was thought elsewhere at first.
    late = Apart(look, 0.0, seen, [*poses[:2], *off(truth, *STARTS)[1]], max(CARM.detector.shape))
    before = late.alone(0)[1].line_integrals
    late.moved(1, poses[2:])
    assert torch.equal(late.alone(0)[1].line_integrals, apart.alone(0)[1].line_integrals)
    assert not torch.equal(late.alone(0)[1].line_integrals, before)
    for body in range(2):
        for view, picture in enumerate(apart.alone(body)):
            own = render_drr(halves[body], CARM, truth[body][view], method="trilinear")
            assert picture.line_integrals.shape == own.shape
            assert float((picture.line_integrals - own).abs().max()) < 0.02 * float(own.max())
            assert float((radiographs[view].line_integrals - own).max()) > 0.3
    found = run(
        refine_bodies(bodies_at(halves, off(truth, *STARTS)), radiographs, settings=SETTINGS)
    )
    assert all(each.probability > 0.9 for each in found.bodies)


def test_of_one_view_what_two_bodies_share_is_not_between_them(halves, scene):
    """A larger patient is farther away with all of its bones: a bone's depth is known by the rest."""
    truth, radiographs = scene
    one = [[pose] for pose, _ in off(truth, *STARTS)]
    found = run(
        refine_bodies(bodies_at(halves, one, rest=True), radiographs[:1], settings=SETTINGS)
    )
    sight = VIEWS[0].rotation[:, 2]
    away = [float(part @ sight) for part in found.scale.reshape(2, 6)[:, 3:]]
    # A hundredth of the way from the source to each: steps back of 7.4 mm and about.
    assert away[0] == pytest.approx(-7.4, rel=0.1)
    assert away[1] == pytest.approx(away[0], rel=0.15)
    _, covariance = found.between("shank", "thigh")
    own = [float(sight @ body.covariance[3:, 3:] @ sight) for body in found.bodies]
    assert float(sight @ covariance[3:, 3:] @ sight) < min(own)


def test_a_body_that_does_not_show_takes_nothing_from_the_others(halves, scene):
    truth, radiographs = scene
    faint = replace(halves[1], lac=halves[1].lac * 0.0)
    bodies = bodies_at((halves[0], faint), off(truth, *STARTS))
    both = run(refine_bodies(bodies, radiographs, settings=SETTINGS))
    alone = run(refine_bodies(bodies[:1], radiographs, settings=SETTINGS))
    assert both["shank"].covariance is None
    assert not both["shank"]
    assert torch.allclose(both["thigh"].covariance, alone["thigh"].covariance, rtol=1e-3)
    assert both.between("shank", "thigh")[1] is None


@pytest.mark.parametrize(
    ("prior", "said"),
    [
        (Expected(2, VIEWS[0], torch.eye(6, dtype=torch.float64)), "numbered 0 to 1"),
        (ExpectedBetween(1, 1, VIEWS[0], torch.eye(6, dtype=torch.float64)), "numbered 0 to 1"),
        (Expected(0, VIEWS[0], torch.zeros(6, 6, dtype=torch.float64)), "positive definite"),
    ],
)
def test_a_prior_that_says_nothing_is_refused(halves, scene, prior, said):
    truth, radiographs = scene
    with pytest.raises(ValueError, match=said):
        run(refine_bodies(bodies_at(halves, truth), radiographs, priors=[prior]))


def test_the_rest_is_the_first_body_in_whole_radiographs(halves, scene):
    truth, radiographs = scene
    first = bodies_at(halves, truth, rest=True)
    for bodies, near in ((first[::-1], None), (first, NearBone())):
        with pytest.raises(ValueError, match="rest of a CT is the first"):
            run(refine_bodies(bodies, radiographs, near=near))
