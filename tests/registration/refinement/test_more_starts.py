"""Rounds of starts: only while no result is trusted, each wider, numbered through."""

from dataclasses import replace

import pytest
import torch

from napari_xreg.geometry import Pose
from napari_xreg.progress import Control, run
from napari_xreg.registration import (
    SOLVERS,
    Candidate,
    Iterate,
    RefineSettings,
    Registration,
    Spread,
    Status,
    Wanted,
)
from napari_xreg.registration.refinement.more_starts import WIDER, until_trusted

POSE = Pose(torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
SETTINGS = RefineSettings(further=(3, 5), spread=Spread(2.0, 4.0, 6.0), seed=7)


class Rounds:
    """Stands for a refinement: ends in turn as told, remembers what it was asked."""

    def __init__(self, *ends: tuple[Status, float | None]) -> None:
        self.ends, self.asked = list(ends), []

    def __call__(self, settings):
        self.asked.append(settings)
        status, probability = self.ends[len(self.asked) - 1]
        for start in range(settings.starts):
            yield Iterate(start, start, 0, POSE, {"loss": 0.5}, seconds=0.25 * (start + 1))
        return Registration(
            POSE, status, {"loss": 0.5}, (), torch.zeros(3, dtype=torch.float64),
            candidates=(Candidate(settings.starts - 1, POSE, POSE, 0, 0.5),),
            probability=probability, notes=(f"round {len(self.asked)}",),
        )  # fmt: skip


SURE, UNSURE = (Status.CONVERGED, 0.95), (Status.NOT_TRUSTED, 0.2)


def test_a_result_that_is_trusted_is_enough():
    once = Rounds(SURE)
    found = run(until_trusted(once, SETTINGS, None))
    assert once.asked == [replace(SETTINGS, starts=1, further=())]
    assert found.status is Status.CONVERGED
    assert found.notes == ("round 1",)


def test_one_that_is_not_brings_more_starts_spread_wider():
    once, events = Rounds(UNSURE, SURE), []
    found = run(until_trusted(once, SETTINGS, None), events.append)
    assert [asked.starts for asked in once.asked] == [1, 3]
    assert once.asked[1].spread == Spread(2.0 * WIDER, 4.0 * WIDER, 6.0 * WIDER)
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


def test_without_a_trusted_one_the_most_likely_is_kept():
    once = Rounds((Status.NOT_TRUSTED, 0.2), (Status.NOT_TRUSTED, 0.6), (Status.NO_OVERLAP, None))
    found = run(until_trusted(once, SETTINGS, None))
    assert len(once.asked) == 3
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


def test_none_further_is_one_refinement_untouched():
    once = Rounds(UNSURE)
    found = run(until_trusted(once, replace(SETTINGS, further=()), None))
    assert found.notes == ("round 1",)


def test_auto_is_one_start_and_two_further_rounds():
    solver = SOLVERS["lm"]
    made = solver.settings_for(Wanted(starts=0))
    assert (made.starts, made.further) == (1, (16, 128))
    assert solver.settings_for(Wanted(starts=4)).further == ()
    rounds = [replace(made, starts=n, further=()) for n in (1, 16, 128)]
    assert solver.most_iterates(made) == sum(map(solver.most_iterates, rounds))
    with pytest.raises(ValueError, match="from one start: got auto"):
        SOLVERS["adam"].settings_for(Wanted(starts=0))
    with pytest.raises(ValueError, match="every further round"):
        RefineSettings(further=(16, 0))
