"""What a learned similarity learns from, its losses by hand, and the recipe from a request to a start."""

import math

import pytest
import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.progress import run
from napari_xreg.similarity import (
    DescentValidator,
    PairPool,
    PairSettings,
    SimilarityNetwork,
    SimilarityRecipe,
    SimilaritySettings,
    SimilarityTask,
    descent_cases,
    evaluate,
    load_similarity,
    squared_pose_distance,
)
from napari_xreg.similarity.task import relative_error, slope_error
from napari_xreg.similarity.view_pool import whole
from napari_xreg.simulation import phantom
from napari_xreg.training import (
    CLEAN,
    FixedCamera,
    OneCT,
    Phantoms,
    PoseRange,
    TrainSettings,
    train,
)

NARROW = PoseRange((-20.0, 20.0), (-10.0, 10.0), (-5.0, 5.0), 15.0)
CAMERA = FixedCamera(1020.0, 32, 300 / 32)
SMALL = CArm(1020.0, 750.0, Detector((32, 40), (9.0, 7.5), (14.0, 20.5)))
PAIRS = PairSettings(SMALL, NARROW, views=3, kept=3, renew_every=2, first=2)


@pytest.fixture(scope="module")
def patient():
    made = phantom(spacing_mm=8.0, seed=3)
    return OneCT("phantom 3", made.volume, made.labels)


def new_network(space="sphere"):
    torch.manual_seed(0)
    return SimilarityNetwork(space, 8, CAMERA, (8, 16, 16), 1, 2)


def task_of(patient, network, **changes):
    settings = SimilaritySettings(PAIRS, batch=4, appearance=CLEAN, **changes)
    return SimilarityTask(
        network, patient.population(), lambda network: ({"score": 0.0}, None), settings
    )


def test_pairs_are_of_the_poses_they_say_and_not_too_far_apart(patient):
    pool = PairPool(patient.population(), CAMERA, PAIRS, 5)
    pairs = pool.draw(4, torch.Generator().manual_seed(1))
    assert pairs.images.shape == (4, 32, 32)
    center = pairs.patient.isocenter.double()
    torch.testing.assert_close(
        pairs.patient.render(pool.carm, pairs.fixed), pairs.kinds, atol=1e-5, rtol=1e-5
    )
    # A step along each twist: what the slopes say, up to the second order.
    from napari_xreg.rendering import render_drr

    for k, step in ((1, 1e-3), (4, 0.5)):
        twist = torch.zeros(6, dtype=torch.float64)
        twist[k] = step
        ends = [
            render_drr(
                whole(pairs.patient),
                pool.carm,
                pairs.moving.left_perturb(sign * twist, center),
                method="joseph",
            )
            for sign in (1, -1)
        ]
        difference = (ends[0] - ends[1]) / (2 * step)
        slopes = pairs.slopes[:, k]
        assert float((difference - slopes).norm()) < 0.1 * float(slopes.norm())
    apart = squared_pose_distance(pairs.fixed, pairs.moving, center).sqrt()
    # Six times (3 degrees; 10, 10 and 15 mm), each at most two standard deviations.
    most = 12 * math.hypot(math.radians(3.0) * 3**0.5, math.hypot(10, 10, 15) / 510)
    assert bool((apart < 1.1 * most).all())
    assert bool((apart > 0).all())


def test_an_error_of_a_distance_by_hand():
    # 0.1 rad said where it is 0.15: a quarter of 0.15 + 0.05; far too long: at most 25.
    found = relative_error(torch.tensor([0.1, 9.0]), torch.tensor([0.15, 0.05]))
    torch.testing.assert_close(found, torch.tensor([0.0625, 25.0]))


class Said(SimilarityNetwork):
    """Says the same whatever it sees."""

    def forward(self, inputs):
        return super().forward(inputs * 0)


def test_losses_of_a_network_that_says_nothing_by_hand(patient):
    torch.manual_seed(0)
    blind = Said("sphere", 8, CAMERA, (8, 16, 16), 1, 2)
    torch.nn.init.zeros_(blind.readout.weight)
    torch.nn.init.zeros_(blind.readout.bias)
    task = task_of(patient, blind, slopes=2.0, anchor=3.0)
    with torch.no_grad():
        losses = task.losses(torch.Generator().manual_seed(2))
    pairs = PairPool(patient.population(), CAMERA, PAIRS, 0).draw(
        4, torch.Generator().manual_seed(2)
    )
    center = pairs.patient.isocenter.double()

    def each(a, b):
        return torch.stack(
            [torch.stack([squared_pose_distance(x, y, center).sqrt() for y in b]) for x in a]
        )

    fixed, moving = ([p[i] for i in range(4)] for p in (pairs.fixed, pairs.moving))
    true, among = each(fixed, moving), each(fixed, fixed)
    # Everything is said to be 1e-4 apart, where the kink is rounded.
    wrong = ((true - 1e-4) / (true + 0.05)).square().mean()
    other = ~torch.eye(4, dtype=torch.bool)
    wrong = wrong + 0.5 * ((among - 1e-4) / (among + 0.05))[other].square().mean()
    assert float(losses["distances"]) == pytest.approx(float(wrong), rel=1e-3)
    # Nothing grows along a random direction: of a slope of length 1 a sixth of the square, times 6, in the mean 1.
    assert 2 * 0.1 < float(losses["slopes"]) < 2 * 2.5
    # Of the pose nothing is read: what is wrong is how far it lies from the middle of the range, C-arm angles 0.
    middle = SMALL.world_from_camera(0.0, 0.0, 0.0, isocenter=center)
    away = [squared_pose_distance(middle, pose, center, "se3") for pose in fixed + moving]
    assert float(losses["anchor"]) == pytest.approx(3 * float(sum(away)) / 8, rel=1e-4)
    assert float(losses["loss"]) == pytest.approx(
        float(losses["distances"] + losses["slopes"] + losses["anchor"]), rel=1e-6
    )
    assert float(losses["median_error_mm"]) == pytest.approx(510 * float(true.median()), rel=0.2)


def test_renderings_are_seen_behind_and_before_along_their_directions(patient):
    network = new_network("euclidean").eval()
    task = task_of(patient, network)
    pairs = task.pool.draw(4, torch.Generator().manual_seed(2))
    directions = torch.nn.functional.normalize(torch.randn(4, 6), dim=1)
    with torch.no_grad():
        found = task._around(pairs, directions)
        for i in range(4):
            along = directions[i] * torch.tensor([1, 1, 1, 510.0, 510.0, 510.0])
            step = 0.01 * (pairs.slopes[i] * along[:, None, None]).sum(0)
            for points, sign in zip(found, (1, -1), strict=True):
                seen = network.of_rendering((pairs.images[i] + sign * step)[None], task.pool.carm)[
                    0
                ]
                torch.testing.assert_close(points[i], seen, atol=1e-5, rtol=1e-4)
    assert float((found[0] - found[1]).norm()) > 1e-3


def test_an_error_of_a_slope_by_hand():
    # A distance of 0.2 that shall grow by 0.5: its square by 0.2; said 0.3, so off by 0.1 of 0.4 + 0.025.
    found = slope_error(torch.tensor(0.3), torch.tensor(0.5), torch.tensor(0.2))
    assert float(found) == pytest.approx(6 * (0.1 / 0.425) ** 2)
    assert float(slope_error(torch.tensor(90.0), torch.tensor(0.5), torch.tensor(0.2))) == 150.0


@pytest.mark.slow
def test_a_short_training_learns_of_the_pose_and_goes_on_where_it_was(patient):
    network = new_network()
    task = task_of(patient, network)
    first, last = [], []
    settings = TrainSettings(steps=60, learning_rate=3e-3, warm_up=5, validate_every=60)
    for event in train(task, settings):
        if hasattr(event, "losses"):
            (first if event.index <= 10 else last).append(event.losses["anchor"])
    assert sum(last[-10:]) < 0.6 * sum(first)
    again = task_of(patient, new_network())
    again.restore({"steps": 5})
    assert again.state()["steps"] == 5
    assert task.state()["steps"] == 60
    a, b = (
        made.pool.draw(2, torch.Generator().manual_seed(1)) for made in (again, _at(patient, 5))
    )
    torch.testing.assert_close(a.images, b.images)


def _at(patient, steps):
    made = task_of(patient, new_network())
    for seed in range(steps):
        made.pool.draw(2, torch.Generator().manual_seed(seed))
    return made


def test_scores_are_of_where_descents_end(patient):
    center = patient.population().patient.isocenter.double()
    cases = descent_cases(
        patient.volume,
        patient.labels,
        seeds=range(800, 804),
        poses=NARROW,
        carm=SMALL,
        isocenter=center,
    )
    assert [case.factor for case in cases] == [1.0, 3.0, 6.0, 1.0]
    scores, results = DescentValidator(cases)(new_network().eval())
    assert len(results) == 4
    assert scores["score"] == pytest.approx(sum(min(r.mtre_mm, 100.0) for r in results) / 4)
    assert scores["home_share_3x"] == float(results[1].mtre_mm < 20)
    starts = sorted(r.start_mm for r in results)
    assert scores["start_mtre_mm"] == pytest.approx(starts[1])
    assert {"home_share_1x", "home_share_6x"} <= set(scores)
    words = SimilarityRecipe().words(scores)
    assert f"a descent from {starts[1]:.0f} mm off ends" in words
    shares = [
        f"{100 * scores[f'home_share_{times}x']:.0f} % of starts spread" for times in (1, 3, 6)
    ]
    assert (
        f"within 20 mm end {shares[0]} as usual, {shares[1]} 3 times as widely, {shares[2]} 6 times as widely. "
        in words
    )
    with pytest.raises(ValueError, match="at least one case"):
        DescentValidator([])


def test_phantoms_are_validated_at_every_spread():
    recipe = SimilarityRecipe()
    task = recipe.task(
        recipe.network(Phantoms(), "scratch"), Phantoms(), carm=SMALL, poses=NARROW, seed=0
    )
    assert [case.factor for case in task._validate.cases] == [
        1.0,
        3.0,
        6.0,
        1.0,
        3.0,
        6.0,
        1.0,
        3.0,
    ]


@pytest.mark.slow
def test_a_training_of_the_workflow_leaves_a_file_that_finds_a_start(patient, tmp_path):
    from napari_xreg.workflows import (
        InitialiseRequest,
        StartingPose,
        TrainRequest,
        initialise,
        train as train_workflow,
        weights_entry,
        weights_use,
    )

    recipe = SimilarityRecipe(validation_images=2)
    request = TrainRequest(
        recipe, patient, tmp_path / "one.safetensors", poses=NARROW, carm=SMALL, minutes=0.01
    )
    outcome = run(train_workflow(request))
    assert outcome.card["task"] == "similarity"
    assert "a descent from" in outcome.card["words"]
    network, about = load_similarity(outcome.file)
    assert about["measured_on"] == "simulated radiographs"
    assert weights_use(weights_entry(outcome.file)) == "similarity"
    center = patient.population().patient.isocenter.double()
    (case,) = descent_cases(
        patient.volume, patient.labels, seeds=(801,), poses=NARROW, carm=SMALL, isocenter=center
    )
    given = StartingPose(case.start, center, "a file")
    start = run(
        initialise(
            InitialiseRequest(
                "similarity", patient.volume, case.radiograph, weights=outcome.file, given=given
            )
        )
    )
    (expected,) = evaluate(network, (case,))
    torch.testing.assert_close(start.pose.translation, expected.found.translation)
    assert start.extra["init"]["method"] == "similarity"
    assert start.extra["init"]["distance_rad"] <= start.extra["init"]["began_rad"]
    assert "the pose that was given looks" in start.said
    finetuned = recipe.network(Phantoms(), outcome.file)
    assert finetuned.space == "sphere"
    assert isinstance(start.pose, Pose)
