"""The antipode: by hand, and where it saves a start that looks at the patient from behind."""

import math
from dataclasses import replace

import pytest
import torch
from backends import BACKENDS, refined
from blobs import CENTER, blob_radiograph, blob_volume, carm

from napari_xreg.geometry import Pose
from napari_xreg.progress import run
from napari_xreg.registration import (
    SOLVERS,
    Candidate,
    Hypothesis,
    Level,
    RefineSettings,
    Registration,
    SagittalPlane,
    Spread,
    Status,
    View,
    Wanted,
    antipode,
    perturbed,
    refine,
    refine_many,
    sagittal_plane,
)
from napari_xreg.registration.refinement.hypotheses import antipodes
from napari_xreg.registration.refinement.starts_in_turn import rounds_of

ISOCENTER = torch.tensor([12.0, -7.0, 30.0], dtype=torch.float64)
LOOKING_LEFT = Pose(
    torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64),
    torch.tensor([-88.0, -3.0, 35.0], dtype=torch.float64),
)
"""From 100 mm right of the isocenter, 4 and 5 mm beside it."""
OBLIQUE = SagittalPlane(
    torch.tensor([5.0, 0.0, 7.0], dtype=torch.float64),
    torch.tensor([1.5, 2.0, 0.0], dtype=torch.float64),
)


def test_by_hand():
    found = antipode(LOOKING_LEFT, ISOCENTER, OBLIQUE)
    # The source goes 200 mm along the line of sight, to (112, -3, 35); the plane's mirror is
    # [[0.28, -0.96, 0], [-0.96, -0.28, 0], [0, 0, 1]] and then (3.6, 4.8, 0).
    assert found.translation.tolist() == pytest.approx([37.84, -101.88, 35.0])
    columns = [[-0.96, -0.28, 0.0], [0.0, 0.0, 1.0], [-0.28, 0.96, 0.0]]
    for column, wanted in zip(found.rotation.T.tolist(), columns, strict=True):
        assert column == pytest.approx(wanted)
    Pose.from_matrix(found.matrix())  # a proper rotation
    # From the side, a patient mirrored left to right is seen as before.
    same = antipode(LOOKING_LEFT, ISOCENTER)
    assert torch.allclose(same.matrix(), LOOKING_LEFT.matrix())


def test_the_sagittal_plane_lies_between_landmarks_of_both_sides():
    marks = {
        "ASIS left": (60.0, 10.0, 5.0),
        "ASIS right": (-40.0, 30.0, 5.0),
        "femur_L": (70.0, 8.0, -90.0),
        "femur_R": (-50.0, 32.0, -90.0),
        "Left ear": (500.0, 0.0, 0.0),  # alone
        "sacrum": (9.0, 100.0, 0.0),
        "lower rim": (0.0, 0.0, 900.0),  # l and r are words here only
    }
    plane = sagittal_plane(marks)
    assert plane is not None
    assert plane.point.tolist() == pytest.approx([10.0, 20.0, -42.5])
    unit = plane.normal / plane.normal.norm()
    assert unit.tolist() == pytest.approx([220 / 224.3568, -44 / 224.3568, 0.0], abs=1e-5)
    assert sagittal_plane({"ASIS left": (1.0, 2.0, 3.0), "sacrum": (0.0, 0.0, 0.0)}) is None
    assert sagittal_plane({}) is None


def test_the_plane_that_is_said_is_taken():
    start = carm().world_from_camera(24.0, -13.0, isocenter=CENTER)
    settings = RefineSettings(
        levels=(Level(32, 6.0, 1), Level(40, 6.0, 1)), starts=1, sagittal=OBLIQUE, keep_images=False
    )
    view = View(blob_radiograph(carm(), start), start)
    found = run(refine(blob_volume(5.4), view, settings=settings, isocenter=CENTER))
    (mirrored,) = (each for each in found.candidates if each.antipode)
    assert torch.allclose(mirrored.initial.matrix(), antipode(start, CENTER, OBLIQUE).matrix())


def test_the_mirrored_patient_is_seen_as_before_but_for_depth():
    pose = carm().world_from_camera(
        24.0, -13.0, 5.0, isocenter=ISOCENTER, offset_mm=(4.0, -6.0, 9.0)
    )
    depth = float(pose.inverse().apply(ISOCENTER)[2])
    assert depth == pytest.approx(740.0 - 9.0)
    for point in ([31.0, 4.0, -11.0], [-7.0, 52.0, 18.0]):
        here = torch.tensor(point, dtype=torch.float64)
        other = here.clone()
        other[0] = 2 * 12.0 - other[0]
        x, y, z = pose.inverse().apply(here).tolist()
        mirrored = antipode(pose, ISOCENTER).inverse().apply(other)
        assert mirrored.tolist() == pytest.approx([x, y, 2 * depth - z])
    # Twice is where it was.
    twice = antipode(antipode(pose, ISOCENTER), ISOCENTER)
    assert torch.allclose(twice.matrix(), pose.matrix(), atol=1e-9)


def test_which_starts_have_one():
    starts = [
        carm().world_from_camera(a, 0.0, isocenter=ISOCENTER) for a in (3.0, 5.0, 7.0, 8.0, 9.0)
    ]
    found = antipodes(starts, ISOCENTER)
    wanted = [antipode(starts[0], ISOCENTER), antipode(starts[4], ISOCENTER)]
    assert [f.matrix().tolist() for f in found] == [w.matrix().tolist() for w in wanted]


ARM = carm()
TRUE = ARM.world_from_camera(24.0, -13.0, 5.0, isocenter=CENTER, offset_mm=(4.0, -6.0, 9.0))
SETTINGS = RefineSettings(
    levels=(Level(24, 8.0), Level(48, 4.0), Level(96, None)), threads=1, keep_images=False
)


@pytest.fixture(scope="module")
def volume():
    return blob_volume()


def near(pose):
    normals = torch.tensor([[0.3, -0.5, 0.2, 0.4, -0.3, 0.5]], dtype=torch.float64)
    return perturbed(pose, CENTER, normals, Spread())[0]


def error(pose):
    points = CENTER + 40.0 * torch.eye(3).double()
    return float((pose.inverse().apply(points) - TRUE.inverse().apply(points)).norm(dim=1).mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKENDS)
def test_a_start_from_behind_is_put_right(volume, name):
    start = antipode(near(TRUE), CENTER)
    views = [View(blob_radiograph(ARM, TRUE), start)]
    alone = refined(name, volume, views, replace(SETTINGS, antipode=False), CENTER)
    assert error(alone.world_from_camera) > 20.0
    assert alone.runner_up is None
    found = refined(name, volume, views, SETTINGS, CENTER)
    assert error(found.world_from_camera) < 0.4
    winner, other = found.candidates
    assert (winner.antipode, winner.start, winner.level) == (True, 1, 2)
    assert winner.winner_loss == winner.loss
    # The start's own was left before the last level, and is the runner-up.
    assert (other.antipode, other.start, other.level) == (False, 0, 1)
    assert found.runner_up.candidate is other
    assert found.runner_up.margin > 2.0
    assert found.runner_up.words in found.notes
    assert found.runner_up.words.startswith("Next best elsewhere: another start ended")


@pytest.mark.slow
def test_what_is_followed_is_the_start_until_it_has_lost(volume):
    picture = blob_radiograph(ARM, TRUE)
    right = refined("host", volume, [View(picture, near(TRUE))], SETTINGS, CENTER)
    assert {i.start for i in right.trajectory} == {0}
    assert [c.antipode for c in right.candidates] == [False, True]
    start = antipode(near(TRUE), CENTER)
    wrong = refined("host", volume, [View(picture, start)], SETTINGS, CENTER)
    assert [{i.start for i in wrong.trajectory if i.level == level} for level in (0, 1, 2)] == [
        {0}, {0}, {1},
    ]  # fmt: skip


def test_where_there_is_none(volume):
    picture = blob_radiograph(ARM, TRUE)
    start = near(TRUE)
    quick = replace(SETTINGS, levels=(Level(24, 8.0, 1), Level(32, 8.0, 1)))
    lateral = ARM.world_from_camera(-70.0, 8.0, isocenter=CENTER)
    two = [
        View(picture, start),
        View(blob_radiograph(ARM, lateral), start @ TRUE.inverse() @ lateral),
    ]
    for views, settings in (
        (two, quick),
        ([two[0]], replace(quick, locked=("depth",))),
        ([two[0]], replace(quick, levels=quick.levels[1:])),
    ):
        assert len(refined("host", volume, views, settings, CENTER).candidates) == 1
    assert len(refined("host", volume, [two[0]], quick, CENTER).candidates) == 2


def registration(*candidates):
    return Registration(
        TRUE, Status.CONVERGED, {"loss": 0.1}, (), CENTER, candidates=candidates, views=(TRUE,)
    )


def moved(degrees=0.0, x=0.0, depth=0.0):
    camera = TRUE.rotation
    twist = torch.cat(
        [camera[:, 1] * math.radians(degrees), camera @ torch.tensor([x, 0.0, depth]).double()]
    )
    return TRUE.left_perturb(twist, CENTER)


def test_the_runner_up_is_of_another_basin():
    winner = Candidate(0, TRUE, TRUE, 3, 0.1, False, 0.1)
    near_by = Candidate(1, TRUE, moved(10.0, 15.0, 300.0), 1, 0.05, False, 0.04)  # 17.5 and 15 mm
    worse = Candidate(2, TRUE, moved(90.0), 1, 0.08, True, 0.04)
    dropped = Candidate(3, TRUE, moved(0.0, 26.0), 0, 0.3, False, 0.1)
    broken = Candidate(4, TRUE, moved(0.0, 90.0), 0, math.inf, False, 0.1)
    unknown = Candidate(5, TRUE, moved(0.0, 90.0), 0, 0.01)
    found = registration(winner, near_by, worse, dropped, broken, unknown).runner_up
    assert found.candidate is worse  # twice the loss, the other three times
    assert found.apart_mm == pytest.approx(50 * math.pi, abs=0.01)
    assert found.words == (
        "Next best elsewhere: the mirrored pose ended 157 mm away with 2.0 times the loss of this pose "
        "(level 2)."
    )
    close = replace(worse, loss=0.044)
    assert registration(winner, close).runner_up.words.endswith("Nearly as good: compare both.")
    assert registration(winner, near_by).runner_up is None


OFF = TRUE.left_perturb(
    torch.tensor([0.0, 0.0, 0.0, 90.0, 40.0, -60.0], dtype=torch.float64), CENTER
)
"""So far away that nothing leads back."""


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKENDS)
def test_what_others_propose_is_refined_beside_the_start(volume, name):
    views = [View(blob_radiograph(ARM, TRUE), OFF)]
    alone = refined(name, volume, views, replace(SETTINGS, origin="a hand"), CENTER)
    assert error(alone.world_from_camera) > 20.0
    beside = (
        Hypothesis(moved(70.0, -60.0), "a guess", 2, Spread(1.0, 2.0, 3.0)),
        Hypothesis(near(TRUE), "a network", 3, Spread(1.0, 2.0, 30.0)),
    )
    settings = replace(SETTINGS, origin="a hand", beside=beside)
    found = refined(name, volume, views, settings, CENTER)
    assert error(found.world_from_camera) < 0.4
    begun = {c.start: (c.origin, c.antipode) for c in found.candidates}
    assert [begun[start] for start in range(9)] == [
        ("a hand", False), ("a guess", False), ("a guess", False), ("a network", False),
        ("a network", False), ("a network", False), ("a hand", True), ("a guess", True),
        ("a network", True),
    ]  # fmt: skip
    # Every proposed pose goes on to the second level, whatever the first says of it.
    level = {c.start: c.level for c in found.candidates}
    assert min(level[start] for start in (0, 1, 3)) >= 1
    first, *others = found.ranking
    assert (first.origin, {each.origin for each in others}) == ("a network", {"a guess", "a hand"})
    assert first is found.candidates[0]
    assert found.runner_up.candidate.origin in found.runner_up.words
    # A start of the wide spread may end far in depth: the bound is of the widest.
    assert not any("depth ran" in note for note in found.notes)


def test_where_nothing_may_be_proposed():
    beside = (Hypothesis(TRUE),)
    with pytest.raises(ValueError, match="what is locked is known"):
        RefineSettings(locked=("depth",), beside=beside)
    with pytest.raises(ValueError, match="refines from one start: got 0 and 1 others"):
        SOLVERS["adam"].settings_for(Wanted(starts=0, beside=(Hypothesis(TRUE, starts=1),)))
    with pytest.raises(ValueError, match="at least one start: got 0"):
        Hypothesis(TRUE, starts=0)
    picture = blob_radiograph(ARM, TRUE)
    with pytest.raises(ValueError, match="belongs to one case"):
        next(
            refine_many(
                blob_volume(), [View(picture, TRUE)], settings=replace(SETTINGS, beside=beside)
            )
        )


def test_later_rounds_are_about_the_start_alone():
    settings = replace(SETTINGS, starts=0, beside=(Hypothesis(TRUE, "a network", 16),))
    assert [len(each.beside) for each in rounds_of(settings)] == [1, 0, 0, 0]
