"""Starts on their way through the levels: which go on, and what is said of them at the end."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from napari_xreg.geometry import Pose
from napari_xreg.registration.refinement.result import Candidate
from napari_xreg.registration.refinement.settings import RefineSettings
from napari_xreg.registration.refinement.starts import going_on


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
