"""What a registration is: its answer, how sure it is, and every step it took."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose


class Status(Enum):
    """How a registration ended; the value is what to tell the user."""

    CONVERGED = "The optimiser converged."
    ITERATION_LIMIT = (
        "The iteration limit was reached before convergence; continue from this pose or raise it."
    )
    STALLED = (
        "The optimiser is stuck: no step makes the match better, though the best one is not reached. "
        "Compare the overlay; move the start a little and refine again."
    )
    CANCELLED = "Cancelled; this is the best pose found so far."
    NO_OVERLAP = (
        "The rendered CT does not appear in the radiograph at the starting pose; move the start so "
        "that the anatomy lies in the image."
    )
    NOT_TRUSTED = (
        "The optimiser stopped, but the rendered CT does not explain the radiograph well; check "
        "the overlay before using this pose."
    )
    AMBIGUOUS = (
        "Two poses explain the landmarks about equally well; compare both with the radiograph before "
        "using this one."
    )

    @property
    def ok(self) -> bool:
        """True where the pose may be used without a second look."""
        return self is Status.CONVERGED


@dataclass(frozen=True, eq=False)
class Iterate:
    """One accepted or rejected step of a refinement.

    Parameters
    ----------
    index
        Running number over the whole refinement.
    start
        Which start of a multi-start refinement it belongs to.
    level
        Which level of the pyramid, 0 = coarsest.
    world_from_camera
        The pose evaluated, of the first radiograph.
    losses
        Every term by name; ``"loss"`` is what was minimised. Lower is better.
    accepted
        False for a trial step that was taken back.
    damping
        Levenberg-Marquardt damping (0 for first-order methods).
    step
        Length of the step that led here: millimetres at the arm's length that the settings name.
    seconds
        Wall time since the refinement began.
    image
        The DRR at this pose, at the size of the level; None where frames were not asked for.
    """

    index: int
    start: int
    level: int
    world_from_camera: Pose
    losses: Mapping[str, float]
    accepted: bool = True
    damping: float = 0.0
    step: float = 0.0
    seconds: float = 0.0
    image: Float[Tensor, "rows columns"] | None = field(default=None, repr=False)

    @property
    def loss(self) -> float:
        """The minimised value."""
        return self.losses["loss"]


@dataclass(frozen=True, eq=False)
class Candidate:
    """One start of a multi-start refinement and how far it was carried.

    Parameters
    ----------
    start
        Its number; 0 is the user's own start.
    initial, final
        Pose of the first radiograph before and after.
    level
        Finest level it was refined at.
    loss
        At that level.
    antipode
        Whether it began at the antipode of a start (`hypotheses`).
    winner_loss
        Of the one that won, at that level; None where that is not known.
    origin
        Who proposed it, or the pose it was drawn about (`Hypothesis`); empty where nobody asked.
    """

    start: int
    initial: Pose
    final: Pose
    level: int
    loss: float
    antipode: bool = False
    winner_loss: float | None = None
    origin: str = ""


ELSEWHERE_MM = 25.0
"""Two poses this far apart lie in different basins: in the plane of the detector, rotations as the way
of a point 100 mm from the isocenter. How deep is not well known at a coarse level."""


@dataclass(frozen=True, eq=False)
class RunnerUp:
    """The best candidate of another basin than the winner's.

    Parameters
    ----------
    candidate
        What was found there.
    apart_mm
        From the winner, as for `ELSEWHERE_MM`.
    """

    candidate: Candidate
    apart_mm: float

    @property
    def margin(self) -> float:
        """How many times the winner's its loss is, at the finest level that saw both."""
        winner = self.candidate.winner_loss
        return math.inf if not winner else self.candidate.loss / winner

    @property
    def words(self) -> str:
        """What a user reads."""
        origin = self.candidate.origin
        what = "the mirrored pose" if self.candidate.antipode else "another start"
        what += f" of {origin}" if origin else ""
        near = " Nearly as good: compare both." if self.margin < NEARLY else ""
        return (
            f"Next best elsewhere: {what} ended {self.apart_mm:.0f} mm away with {self.margin:.1f} "
            f"times the loss of this pose (level {self.candidate.level + 1}).{near}"
        )


NEARLY = 1.2
"""A runner-up with fewer times the loss is nearly as good."""


@dataclass(frozen=True, eq=False)
class Registration:
    """The answer to *which pose explains this radiograph*; false where it should not be used.

    Parameters
    ----------
    world_from_camera
        Best pose of the first radiograph.
    status
        How it ended, with words for the user.
    losses
        Terms of the best pose at the finest level.
    trajectory
        Every iterate, in order.
    pivot
        Point about which the twists of `covariance` rotate (the isocenter), world mm.
    covariance
        6 x 6, of the left twist (omega, v) about `pivot` in world axes, rad and mm; None where it
        could not be estimated. What is not known of the CT's scale is in it.
    views
        Best poses of all radiographs, the first included.
    candidates
        All starts of a multi-start refinement.
    simulated
        True if any radiograph was simulated.
    notes
        What the user should know, in sentences.
    probability
        Of the pose being right, as the radiographs support it (`Verdict`); None where nothing was
        judged.
    scale
        The part of `covariance` that the CT's scale has: how far the same twist goes if the CT is one
        standard deviation larger than the patient (`scale_twist`). It is the same for every picture of the
        patient.
    bone_gain
        How much brighter bone was compared than the CT has it (`hardening`); None: it was not judged.
    shown
        Of several radiographs, the share of what is registered that each shows, 0 to 1 (`share_shown`); empty: one
        radiograph, or nothing was judged.
    seen_by
        Of several radiographs the one, from 0, that alone shows enough to judge by: the pose is judged as seen in
        it, its depth along that one's rays is another matter. None: not one alone.
    """

    world_from_camera: Pose
    status: Status
    losses: Mapping[str, float]
    trajectory: tuple[Iterate, ...] = field(repr=False)
    pivot: Float[Tensor, "3"]
    covariance: Float[Tensor, "6 6"] | None = None
    views: tuple[Pose, ...] = field(default=(), repr=False)
    candidates: tuple[Candidate, ...] = field(default=(), repr=False)
    simulated: bool = False
    notes: tuple[str, ...] = ()
    probability: float | None = None
    scale: Float[Tensor, "6"] | None = None
    bone_gain: float | None = None
    shown: tuple[float, ...] = ()
    seen_by: int | None = None

    @property
    def runner_up(self) -> RunnerUp | None:
        """The best candidate of another basin; None where every start led here, or there was one."""
        elsewhere = [
            RunnerUp(candidate, apart)
            for candidate in self.candidates
            if math.isfinite(candidate.loss) and candidate.winner_loss is not None
            if (apart := apart_mm(candidate.final, self.world_from_camera, self.pivot))
            > ELSEWHERE_MM
        ]
        return min(elsewhere, key=lambda each: each.margin, default=None)

    @property
    def ranking(self) -> tuple[Candidate, ...]:
        """The best candidate of everyone who proposed a pose, the winner's first."""
        best: dict[str, Candidate] = {}
        for candidate in self.candidates:  # the one that came furthest with the least loss first
            best.setdefault(candidate.origin, candidate)
        return tuple(best.values())

    @property
    def ranking_words(self) -> str:
        """What a user reads of the ranking; empty where nobody proposed anything beside the start."""
        first, *others = self.ranking or (None,)
        if first is None or not others:
            return ""
        said = [
            f"{each.origin} (level {each.level + 1}: {each.loss / each.winner_loss:.1f} times the loss)"
            if each.winner_loss
            else each.origin
            for each in others
        ]
        return f"Of the proposed poses the best is from {first.origin}; then {'; '.join(said)}."

    @property
    def words(self) -> str:
        """How it ended and its notes, as sentences: some notes are lines of a log, without a full stop."""
        said = [one for one in (self.status.value, *self.notes) if one]
        stops = ("" if one.endswith(tuple(".?!…")) else "." for one in said)
        return " ".join(
            f"{one[:1].upper()}{one[1:]}{stop}" for one, stop in zip(said, stops, strict=True)
        )

    @property
    def ended_at(self) -> int | None:
        """Which of its iterates is the pose it ended with; None: none of them."""
        best = self.world_from_camera.matrix()
        for place in range(len(self.trajectory) - 1, -1, -1):
            tried = self.trajectory[place].world_from_camera.matrix().to(best)
            if torch.allclose(tried, best, rtol=0.0, atol=1e-9):
                return place
        return None

    def __bool__(self) -> bool:
        return self.status.ok

    @property
    def as_seen_in(self) -> int | None:
        """The radiograph, from 0, as seen in which the pose was judged; None: in space."""
        return 0 if len(self.views) == 1 else self.seen_by

    @property
    def covariance_at_scale(self) -> Float[Tensor, "6 6"] | None:
        """`covariance` if the CT is as large as it says: by this, poses of one patient differ from
        picture to picture."""
        if self.covariance is None or self.scale is None:
            return self.covariance
        return self.covariance - self.scale.outer(self.scale)


def apart_mm(one: Pose, other: Pose, pivot: Float[Tensor, "3"]) -> float:
    """See `ELSEWHERE_MM`."""
    one, other = one.to(dtype=torch.float64), other.to(dtype=torch.float64)
    center = pivot.double()
    shift = one.inverse().apply(center) - other.inverse().apply(center)
    turn = (one.rotation.mT @ other.rotation).diagonal().sum()
    angle = float(((turn - 1) / 2).clamp(-1, 1).arccos())
    return math.hypot(angle * 100.0, float(shift[:2].norm()))
