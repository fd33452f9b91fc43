"""Rounds of starts: only while no result is trusted, each wider, numbered through."""

from dataclasses import replace

import pytest
import torch
from blobs import CENTER, blob_radiograph, blob_volume, carm

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.progress import Control, run
from napari_xreg.registration import (
    SOLVERS,
    Candidate,
    Iterate,
    RefineSettings,
    Registration,
    Spread,
    Status,
    View,
    Wanted,
    levels_at,
    refine,
)
from napari_xreg.registration.refinement import refine_many
from napari_xreg.registration.refinement.second_order.channels import (
    FAR_OFF,
    FAR_OFF_OTHERWISE,
    ROBUST,
)
from napari_xreg.registration.refinement.second_order.levels import COARSE_TO_FINE
from napari_xreg.registration.refinement.starts_in_turn import (
    GIVEN_UP,
    rounds_of,
    until_trusted,
    width_of,
)
from napari_xreg.rendering import OutOfMemory

POSE = Pose(torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
LAST = 3
SETTINGS = RefineSettings(rounds=(1, 3, 5), spread=Spread(2.0, 4.0, 6.0), seed=7)


class Rounds:
    """Stands for a refinement: ends in turn as told, remembers what it was asked."""

    def __init__(self, *ends: tuple[Status, float | None]) -> None:
        self.ends, self.asked = list(ends), []
        self.reached = [LAST] * len(self.ends)

    def __call__(self, settings):
        self.asked.append(settings)
        status, probability = self.ends[len(self.asked) - 1]
        for start in range(settings.starts):
            yield Iterate(start, start, 0, POSE, {"loss": 0.5}, seconds=0.25 * (start + 1))
        return Registration(
            POSE, status, {"loss": 0.5}, (), torch.zeros(3, dtype=torch.float64),
            candidates=(Candidate(settings.starts - 1, POSE, POSE, self.reached[len(self.asked) - 1], 0.5),),
            probability=probability, notes=(f"round {len(self.asked)}",),
        )  # fmt: skip


SURE, UNSURE = (Status.CONVERGED, 0.95), (Status.NOT_TRUSTED, 0.2)


def test_a_result_that_is_trusted_is_enough():
    once = Rounds(SURE)
    found = run(until_trusted(once, SETTINGS, None))
    assert once.asked == [replace(SETTINGS, starts=1, given_up=GIVEN_UP)]
    assert found.status is Status.CONVERGED
    assert found.notes == ("round 1",)


def test_one_that_is_not_brings_more_starts_spread_wider():
    once, events = Rounds(UNSURE, SURE), []
    found = run(until_trusted(once, SETTINGS, None), events.append)
    assert [asked.starts for asked in once.asked] == [1, 3]
    assert once.asked[1].spread == Spread(4.0, 8.0, 12.0)
    assert [event.index for event in events] == [0, 1, 2, 3]
    assert [event.start for event in events] == [0, 1, 2, 3]
    # The second round goes on where the clock of the first stopped.
    assert [event.seconds for event in events] == [0.25, 0.5, 0.75, 1.0]
    assert found.trajectory == tuple(events)
    assert [each.start for each in found.candidates] == [3]
    assert found.notes == (
        "round 2",
        "Refined from 4 starting poses: the first result was not sure.",
    )


def test_rounds_of_few_starts_may_be_given_up_but_for_the_last():
    def given_up(settings):
        return [asked.given_up for asked in rounds_of(settings)]

    usual = RefineSettings()
    assert [asked.starts for asked in rounds_of(usual)] == [1, 16, 128, 256]
    assert given_up(usual) == [0.05, 0.05, 0.0, 0.0]
    assert given_up(replace(usual, rounds=(1, 16))) == [0.05, 0.0]
    assert given_up(replace(usual, locked=("depth",))) == [0.0]
    assert given_up(replace(usual, starts=16)) == [0.0]


def test_every_other_round_looks_otherwise_at_first():
    levels = [asked.levels for asked in rounds_of(RefineSettings())]
    firsts = [each[0].channels for each in levels]
    assert firsts == [FAR_OFF, FAR_OFF_OTHERWISE, FAR_OFF, FAR_OFF_OTHERWISE]
    assert all(each[1:] == COARSE_TO_FINE[1:] for each in levels)
    # What a user chose to compare stays.
    chosen = tuple(replace(level, channels=ROBUST) for level in COARSE_TO_FINE)
    assert {asked.levels for asked in rounds_of(RefineSettings(levels=chosen))} == {chosen}


def test_what_was_given_up_is_worth_less_than_what_came_to_the_end():
    once = Rounds((Status.NOT_TRUSTED, 0.049), (Status.NOT_TRUSTED, 0.001), UNSURE[:1] + (0.0005,))
    once.reached = [LAST - 1, LAST, LAST]
    found = run(until_trusted(once, SETTINGS, None))
    assert found.probability == 0.001


def test_a_round_that_was_cancelled_early_takes_nothing_from_one_that_was_given_up():
    once, control = Rounds((Status.NOT_TRUSTED, 0.04), (Status.CANCELLED, None)), Control()
    once.reached = [LAST - 1, 0]

    def cancelling(settings):
        if once.asked:
            control.cancel()
        return (yield from once(settings))

    found = run(until_trusted(cancelling, SETTINGS, control))
    assert found.status is Status.CANCELLED
    assert found.probability == 0.04
    assert found.notes[0] == "round 1"


def test_nothing_is_given_up_where_nothing_is_judged():
    """The first round is the last there, whatever it ends at."""
    volume, arm = blob_volume(5.0), carm(52, 60)
    true = arm.world_from_camera(24.0, -13.0, 5.0, isocenter=CENTER)
    astray = arm.world_from_camera(95.0, 40.0, 5.0, isocenter=CENTER)
    settings = RefineSettings(levels_at((16, 24, 48)), keep_images=False)
    view = View(blob_radiograph(arm, true), astray)
    found = run(refine(volume, view, settings=settings, isocenter=CENTER, judge=False))
    assert {each.level for each in found.trajectory} == {0, 1, 2}


@pytest.mark.parametrize(("given_up", "levels"), [(0.0, {0, 1, 2}), (0.9, {0, 1})])
def test_a_start_that_has_gone_astray_does_not_see_the_last_level(given_up, levels):
    volume, arm = blob_volume(5.0), carm(52, 60)
    true = arm.world_from_camera(24.0, -13.0, 5.0, isocenter=CENTER)
    astray = arm.world_from_camera(95.0, 40.0, 5.0, isocenter=CENTER)
    settings = RefineSettings(
        levels_at((16, 24, 48)), starts=1, given_up=given_up, keep_images=False
    )
    view = View(blob_radiograph(arm, true), astray)
    found = run(refine(volume, view, settings=settings, isocenter=CENTER))
    assert {each.level for each in found.trajectory} == levels
    assert max(each.level for each in found.candidates) == max(levels)
    assert not found
    if given_up:  # a right one is not given up
        near = replace(view, world_from_camera=true)
        found = run(refine(volume, near, settings=settings, isocenter=CENTER))
        assert {each.level for each in found.trajectory} == {0, 1, 2}


def test_without_a_trusted_one_the_most_likely_is_kept():
    once = Rounds((Status.NOT_TRUSTED, 0.2), (Status.NOT_TRUSTED, 0.6), (Status.NO_OVERLAP, None))
    found = run(until_trusted(once, SETTINGS, None))
    assert [asked.spread.depth_mm for asked in once.asked] == [6.0, 12.0, 15.0]
    assert (found.probability, found.notes[0]) == (0.6, "round 2")
    assert len(found.trajectory) == 9


def test_a_trusted_one_is_taken_before_a_likelier_one_that_contradicts_its_header():
    once = Rounds((Status.NOT_TRUSTED, 0.99), (Status.CONVERGED, 0.92))
    found = run(until_trusted(once, SETTINGS, None))
    assert len(once.asked) == 2
    assert (found.status, found.probability) == (Status.CONVERGED, 0.92)


def test_cancelling_ends_the_rounds():
    control = Control()
    control.cancel()
    once = Rounds((Status.CANCELLED, None))
    assert run(until_trusted(once, SETTINGS, control)).status is Status.CANCELLED
    assert len(once.asked) == 1


def test_cancelled_in_a_later_round_it_is_cancelled_and_keeps_the_best():
    control = Control()

    class Stopped(Rounds):
        def __call__(self, settings):
            if self.asked:
                control.cancel()
            return (yield from super().__call__(settings))

    once = Stopped(UNSURE, (Status.CANCELLED, None), SURE)
    found = run(until_trusted(once, SETTINGS, control))
    assert [asked.starts for asked in once.asked] == [1, 3]
    assert (found.status, found.probability) == (Status.CANCELLED, 0.2)
    assert found.notes == ("round 1", "Cancelled while 3 starting poses were refined.")
    assert len(found.trajectory) == 4


def test_a_round_without_memory_loses_nothing():
    class Short(Rounds):
        def __call__(self, settings):
            if self.asked:
                raise OutOfMemory("3 starts")
            return (yield from super().__call__(settings))

    found = run(until_trusted(Short(UNSURE), SETTINGS, None))
    assert (found.status, found.probability) == UNSURE
    assert found.notes[1:] == ("There is too little memory for 3 starting poses at once.",)

    def never(settings):
        yield from ()
        raise OutOfMemory("one start")

    with pytest.raises(OutOfMemory):
        run(until_trusted(never, SETTINGS, None))


@pytest.mark.parametrize("status", [Status.ITERATION_LIMIT, Status.STALLED])
def test_starts_in_turn_do_not_help_where_the_optimiser_stopped_at_a_likely_pose(status):
    once = Rounds((status, 0.95))
    assert run(until_trusted(once, SETTINGS, None)).notes == ("round 1",)
    once = Rounds((Status.NOT_TRUSTED, 0.5), SURE)
    run(until_trusted(once, SETTINGS, None))
    assert len(once.asked) == 2


def test_at_one_level_alone_there_is_one_round():
    once = Rounds(UNSURE)
    run(until_trusted(once, replace(SETTINGS, levels=SETTINGS.levels[-1:]), None))
    assert [asked.starts for asked in once.asked] == [1]


def test_a_number_of_starts_is_one_refinement_untouched():
    once = Rounds(UNSURE)
    found = run(until_trusted(once, replace(SETTINGS, starts=1), None))
    assert found.notes == ("round 1",)


def test_as_many_as_it_takes_is_the_default():
    solver = SOLVERS["lm"]
    made = solver.settings_for(Wanted())
    assert made == RefineSettings()
    assert (made.starts, made.rounds) == (0, (1, 16, 128, 256))
    rounds = [replace(made, starts=n) for n in (1, 16, 128, 256)]
    assert solver.most_iterates(made) == sum(map(solver.most_iterates, rounds))
    assert solver.settings_for(Wanted(starts=4)).starts == 4
    # From one start, whatever it takes.
    SOLVERS["adam"].settings_for(Wanted(starts=0))
    with pytest.raises(ValueError, match="each of a start or more"):
        RefineSettings(rounds=(16, 0))
    with pytest.raises(ValueError, match="at least 1"):
        RefineSettings(starts=-1)


def test_what_is_locked_is_not_spread():
    once = Rounds(UNSURE)
    run(until_trusted(once, replace(SETTINGS, locked=("depth",)), None))
    assert [asked.starts for asked in once.asked] == [1]


def test_how_wide_a_round_is():
    assert [width_of(number) for number in range(4)] == [1.0, 2.0, 2.5, 3.125]


def test_a_wide_spread_is_widened_no_further_than_four_times_the_usual_one():
    """Usual: 3 degrees, 10 and 15 mm; so at most 12, 40 and 60, but for what was given wider."""
    usual = [asked.spread for asked in rounds_of(RefineSettings())]
    assert usual == [Spread().scaled(width) for width in (1.0, 2.0, 2.5, 3.125)]
    wide = rounds_of(RefineSettings(spread=Spread(5.0, 30.0, 80.0)))
    assert [asked.spread for asked in wide] == [
        Spread(5.0, 30.0, 80.0), Spread(10.0, 40.0, 80.0), Spread(12.0, 40.0, 80.0),
        Spread(12.0, 40.0, 80.0),
    ]  # fmt: skip


@pytest.mark.parametrize(("apart_mm", "asked"), [(1.5, 3), (2.5, 4)])
def test_many_starts_that_end_where_fewer_did_are_the_last(apart_mm, asked):
    """16 and 128 starts a little apart; of 1 and 16 at one place more are tried."""
    places = iter([0.0, 0.0, apart_mm, 50.0])
    rounds = Rounds(UNSURE, UNSURE, UNSURE, UNSURE)

    def once(settings):
        found = yield from rounds(settings)
        there = POSE.translation + torch.tensor([next(places), 0.0, 0.0])
        return replace(found, world_from_camera=Pose(POSE.rotation, there))

    found = run(until_trusted(once, replace(SETTINGS, rounds=(1, 16, 128, 256)), None))
    assert len(rounds.asked) == asked
    said = "128 starting poses ended where fewer had: no more were tried."
    assert (said in found.notes) == (asked == 3)


def test_of_a_number_of_starts_what_is_locked_is_not_spread():
    start = carm().world_from_camera(12.0, -7.0, isocenter=CENTER)
    settings = RefineSettings(
        levels=(replace(SETTINGS.levels[0], iterations=1),), starts=5, keep_images=False,
        locked=("primary", "depth"),
    )  # fmt: skip
    view = View(blob_radiograph(carm(), start), start)
    found = run(refine(blob_volume(5.4), view, settings=settings, isocenter=CENTER))
    terms = [carm().carm_pose(each.initial, CENTER) for each in found.candidates]
    assert len(terms) == 5
    for term in terms:
        assert term.primary_deg == pytest.approx(12.0, abs=1e-6)
        assert term.offset_mm[2] == pytest.approx(0.0, abs=1e-6)
    assert len({round(term.secondary_deg, 3) for term in terms}) == 5


def test_antipodes_are_numbered_on():
    """A round of one start has two candidates: the next begins with number 2."""

    class Mirrored(Rounds):
        def __call__(self, settings):
            done = yield from super().__call__(settings)
            candidates = [Candidate(n, POSE, POSE, 0, 0.5) for n in range(settings.starts + 1)]
            return replace(done, candidates=tuple(candidates))

    events = []
    found = run(until_trusted(Mirrored(UNSURE, SURE), SETTINGS, None), events.append)
    assert [event.start for event in events] == [0, 2, 3, 4]
    assert [each.start for each in found.candidates] == [2, 3, 4, 5]
    assert found.notes[-1] == "Refined from 4 starting poses: the first result was not sure."


VOLUME = Volume(torch.zeros(2, 2, 2), torch.eye(4, dtype=torch.float64))
CASES = [(View(blob_radiograph(carm(12, 13), POSE), POSE),) for _ in range(3)]


@pytest.fixture
def together(monkeypatch):
    """Cases on a card: a function that says how each round ends, and remembers what was asked."""
    monkeypatch.setattr(refine_many, "judged", lambda registration, *_: registration)

    def rounds(ends, at=lambda starts: None, **given):
        asked = []

        def refined(volume, cases, *, settings, pivot, control):
            numbers = [n for case in cases for n, one in enumerate(CASES) if one is case]
            asked.append((settings.starts, settings.spread.depth_mm, numbers))
            at(settings.starts)
            return [
                Registration(POSE, status, {"loss": 0.5}, (), pivot, probability=likely)
                for status, likely in ends[settings.starts]
            ]

        monkeypatch.setattr(refine_many, "_refine_together", refined)
        found = refine_many._rounds_together(
            VOLUME, CASES, **{"settings": SETTINGS, "pivot": torch.zeros(3).double(), **given}
        )
        return found, asked

    return rounds


def test_cases_together_go_on_where_they_are_not_trusted(together):
    ends = {1: [UNSURE, SURE, UNSURE], 3: [UNSURE, UNSURE], 5: [(Status.NOT_TRUSTED, 0.1)] * 2}
    found, asked = together(ends)
    assert asked == [(1, 6.0, [0, 1, 2]), (3, 12.0, [0, 2]), (5, 15.0, [0, 2])]
    assert [each.probability for each in found] == [0.2, 0.95, 0.2]
    said = ("Refined from 9 starting poses: the first result was not sure.",)
    assert [each.notes for each in found] == [said, (), said]
    # Not where the optimiser stopped at a likely pose, nor where a number was given.
    _, asked = together({1: [SURE, (Status.STALLED, 0.95), (Status.ITERATION_LIMIT, 0.95)]})
    assert [starts for starts, _, _ in asked] == [1]
    found, _ = together({4: [UNSURE, SURE, UNSURE]}, settings=replace(SETTINGS, starts=4))
    assert [each.notes for each in found] == [(), (), ()]


def test_cases_together_lose_nothing_by_memory_or_cancelling(together):
    control, ends = Control(), {1: [UNSURE, SURE, UNSURE], 3: [(Status.CANCELLED, None)]}

    def short(starts):
        if starts == 3:
            raise OutOfMemory("3 starts")

    found, asked = together(ends, short)
    assert [starts for starts, _, _ in asked] == [1, 3]
    said = ("There is too little memory for 3 starting poses at once.",)
    assert [each.notes for each in found] == [said, (), said]
    with pytest.raises(OutOfMemory):
        together({}, lambda starts: short(3))

    found, asked = together(ends, lambda starts: starts == 3 and control.cancel(), control=control)
    assert [starts for starts, _, _ in asked] == [1, 3]
    assert [each.status for each in found] == [
        Status.CANCELLED, Status.CONVERGED, Status.CANCELLED,
    ]  # fmt: skip
    assert found[0].notes == ("Cancelled while 3 starting poses were refined.",)
