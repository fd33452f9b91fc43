"""Starts on their way through the levels: which go on, and what is said of them at the end."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.progress import Control
from napari_xreg.registration.refinement.hypotheses import antipodes
from napari_xreg.registration.refinement.result import Candidate
from napari_xreg.registration.refinement.second_order.locks import Locks
from napari_xreg.registration.refinement.settings import RefineSettings
from napari_xreg.registration.refinement.starts import Hypothesis, going_on, spread_starts
from napari_xreg.registration.refinement.views import View


@dataclass(eq=False)
class Track:
    """One start, and how far it came: mutable, private to a refinement.

    Parameters
    ----------
    start
        Its number; 0 is the given one.
    initial, pose
        Of the first view: where it began and where it is.
    antipode
        Whether it began at the antipode of a start.
    given
        Whether it was not drawn about another.
    origin
        Who proposed it, or what it was drawn about.
    level, loss
        Reached.
    losses
        At the end of every level so far, by its number.
    """

    start: int
    initial: Pose
    pose: Pose
    antipode: bool = False
    given: bool = False
    origin: str = ""
    level: int = 0
    loss: float = float("inf")
    losses: dict[int, float] = field(default_factory=dict)

    def reached(self, level: int, loss: float, pose: Pose) -> None:
        """Where it is now."""
        self.level, self.loss, self.pose = level, loss, pose
        self.losses[level] = loss


def tracks_of(
    case: Sequence[View], settings: RefineSettings, pivot: Float[Tensor, "3"], *, levels: int
) -> list[Track]:
    """The given start and those that others propose, more spread about each; antipodes.

    Parameters
    ----------
    case
        Views of one patient.
    settings, pivot
        As for `refine`.
    levels
        How many there are.
    """
    s, carm = settings, case[0].radiograph.carm
    start = case[0].world_from_camera
    about = (Hypothesis(start, s.origin, s.starts or 1, s.spread), *s.beside)
    # A second view tells front from back; one level cannot weigh first and go on with the better.
    one_sided = len(case) == 1 and levels > 1 and not s.locked
    drawn: list[tuple[Pose, Hypothesis, bool]] = []
    for each in about:
        pose = each.world_from_camera
        starts = spread_starts(pose, pivot, each.starts, each.spread, s.seed)
        if s.locked and len(starts) > 1:  # what is locked is not spread
            locks, further = Locks(s.locked, carm, pivot), Pose.stack(starts[1:])
            (settled,) = locks.settle((Pose.stack([pose] * len(starts[1:])),), (further,))
            starts = [pose, *(settled[row] for row in range(len(starts) - 1))]
        drawn += [(at, each, False) for at in starts]
    if s.antipode and one_sided:
        for each in about:
            starts = [at for at, of, turned in drawn if of is each and not turned]
            drawn += [(at, each, True) for at in antipodes(starts, pivot, s.sagittal)]
    tracks = []
    for number, (at, each, mirrored) in enumerate(drawn):
        pose, given = at.to(dtype=torch.float64), at is each.world_from_camera
        tracks.append(Track(number, pose, pose, mirrored, given, each.origin))
    return tracks


def through_levels(
    numbers: Iterable[int],
    tracks: Sequence[Sequence[Track]],
    settings: RefineSettings,
    control: Control | None,
) -> Iterator[tuple[int, list[Sequence[Track]]]]:
    """Level by level, those of every case that go on; no further once it is cancelled.

    Parameters
    ----------
    numbers
        Of the levels in the settings, the first that is refined first.
    tracks
        Of every case, all of them.
    settings
        How many go on.
    control
        Asked after each level.
    """
    alive = list(tracks)
    for place, number in enumerate(numbers):
        if place > 0:
            alive = [entering(left, number, settings) for left in alive]
        yield number, alive
        if control is not None and control.cancelled:
            return


def entering(tracks: Sequence[Track], number: int, settings: RefineSettings) -> Sequence[Track]:
    """Those that enter a level, of those that ended the one before."""
    by_start = {track.start: track for track in tracks}
    losses = {start: track.loss for start, track in by_start.items()}
    given = [track.start for track in tracks if track.given]
    return [by_start[start] for start in going_on(losses, settings.entering(number), given)]


def candidates_of(tracks: Sequence[Track]) -> tuple[Candidate, ...]:
    """All of them, the one that came furthest with the least loss first."""
    ranked = sorted(tracks, key=lambda track: (-track.level, track.loss))
    return tuple(
        Candidate(
            t.start,
            t.initial,
            t.pose,
            t.level,
            t.loss,
            t.antipode,
            ranked[0].losses.get(t.level),
            t.origin,
        )
        for t in ranked
    )
