"""Solve: one pose from landmarks, and what became of each of them."""

import math
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import Landmark, Volume
from napari_xreg.registration import (
    Correspondences,
    PnPSettings,
    PnPSolution,
    Registration,
    Weighting,
    pair_landmarks,
    solve_pnp,
    weighted,
)

Fate = Literal["used", "outlier", "dropped", "unticked", "invisible", "one side", "open"]
FATES: dict[Fate, str] = {
    "used": "The pose was fitted to it.",
    "outlier": "It does not agree with the others, so the pose was not fitted to it.",
    "dropped": "Among the K most uncertain, or of weight 0: the pose was not fitted to it.",
    "unticked": "You left it out.",
    "invisible": "Marked as not visible on this radiograph.",
    "one side": "It needs a place in the CT and one on the radiograph.",
    "open": "There is no pose.",
}
"""What became of a landmark, and the same in a sentence."""

HAND_SIGMA_PX = 2.0
"""Of a landmark picked by hand, along rows and along columns."""

_USUAL = (
    "has no point on the radiograph and was left out",
    "has no position in the patient and was left out",
)


@dataclass(frozen=True)
class LandmarkVerdict:
    """What the table says about a landmark.

    Parameters
    ----------
    fate
        One of `FATES`.
    weight
        How much it counted, of 1 for the one that counted most; None where it had no say.
    error_px, error_mm
        From its projection to where it was picked: pixels, and mm on the detector; None without a
        pose.
    """

    fate: Fate
    weight: float | None = None
    error_px: float | None = None
    error_mm: float | None = None


@dataclass(frozen=True, eq=False)
class SolveRequest:
    """Everything a pose from landmarks needs.

    Parameters
    ----------
    patient, picked
        Landmarks with positions, and with pixels of the radiograph.
    carm
        Of the radiograph.
    left_out
        Names that are not to be used.
    isocenter
        Pivot of the covariance, world mm; None: the middle of the landmarks.
    weighting, settings
        How much each counts; how to solve.
    hand_sigma_px
        Standard deviation along rows and along columns of a pixel without a covariance.
    start
        Which of two poses that explain the points equally well is to be taken: the nearer one.
    volume
        To name what lies outside it.
    radiograph
        `Exposure.id` of it in a session.
    """

    patient: tuple[Landmark, ...]
    picked: tuple[Landmark, ...]
    carm: CArm
    left_out: frozenset[str] = frozenset()
    isocenter: Float[Tensor, "3"] | None = None
    weighting: Weighting = field(default_factory=Weighting)
    settings: PnPSettings = field(default_factory=PnPSettings)
    hand_sigma_px: float = HAND_SIGMA_PX
    start: Pose | None = None
    volume: Volume | None = None
    radiograph: str = ""


def solve(request: SolveRequest) -> "Solved":
    """Pair by name, weigh, solve: milliseconds; what fails is a `PnPSolution` that is false."""
    began = time.perf_counter()
    covariances = {m.name: covariance_of(m, request.hand_sigma_px) for m in request.picked}
    pairs = pair_landmarks(
        request.patient, request.picked, covariances=covariances, volume=request.volume
    )
    names = pairs.names or ()
    kept = pairs.without(*(name for name in names if name in request.left_out))
    counted = weighted(kept, request.weighting)
    solution = solve_pnp(
        counted, request.carm, start=request.start, pivot=request.isocenter,
        settings=request.settings,
    )  # fmt: skip
    return Solved(request, counted, solution, time.perf_counter() - began)


@dataclass(frozen=True, eq=False)
class Solved:
    """A pose from landmarks, or why there is none.

    Parameters
    ----------
    request
        What was asked.
    counted
        The pairs as they were weighed.
    solution
        Of the library.
    seconds
        It took.
    """

    request: SolveRequest
    counted: Correspondences
    solution: PnPSolution
    seconds: float

    @property
    def pose(self) -> Pose | None:
        """The best, or the nearer to the start of two that are as good."""
        return self.solution.world_from_camera

    @property
    def other(self) -> Pose | None:
        """Another pose that explains the landmarks about equally well."""
        return next(iter(self.solution.alternatives), None)

    @property
    def reason(self) -> str:
        """Status and notes in sentences, without what the table says anyway."""
        notes = [note for note in self.solution.notes if not note.endswith(_USUAL)]
        said = [note if note.endswith((".", "?")) else note + "." for note in notes]
        return " ".join([self.solution.status.value, *said])

    def registration(self) -> Registration:
        """To keep in the session; raises ValueError where there is no pose."""
        return self.solution.registration()

    @cached_property
    def verdicts(self) -> dict[str, LandmarkVerdict]:
        """On every landmark of either side, by name."""
        request = self.request
        marks = {mark.name: mark for mark in (*request.patient, *request.picked)}
        found = {name: LandmarkVerdict("one side") for name in marks}
        sides = ({m.name: m for m in request.patient}, {m.name: m for m in request.picked})
        for name in sides[0].keys() & sides[1].keys():
            if not all(side[name].visible for side in sides):
                found[name] = LandmarkVerdict("invisible")
        weights = self._weights()
        errors = self._errors()
        for i, name in enumerate(self.counted.names or ()):
            px, mm = (None, None) if errors is None else errors[i]
            fate = self._fate(i, name)
            found[name] = LandmarkVerdict(fate, weights[i] if fate == "used" else None, px, mm)
        return found

    def _fate(self, i: int, name: str) -> Fate:
        solution = self.solution
        if name in self.request.left_out:
            return "unticked"
        if not bool(solution.considered[i]):
            return "dropped"
        if self.pose is None:
            return "open"
        return "used" if bool(solution.used[i]) else "outlier"

    def _weights(self) -> list[float]:
        """Of every pair: 1 for the one that counts most."""
        counted = self.counted
        if counted.weights is not None:
            weights = counted.weights
        elif counted.covariances is not None:
            # A covariance says more than a number; this is the inverse of its mean variance.
            weights = 2 / torch.diagonal(counted.covariances, dim1=-2, dim2=-1).sum(-1)
        else:
            weights = torch.ones(len(counted), dtype=torch.float64)
        used = weights[self.solution.used]
        top = float(used.max()) if len(used) else 1.0
        return [float(w) for w in weights / (top or 1.0)]

    def _errors(self) -> list[tuple[float | None, float | None]] | None:
        if self.pose is None:
            return None
        spacing = torch.tensor(self.request.carm.detector.spacing, dtype=torch.float64)
        away = self.request.carm.project(self.counted.points, self.pose) - self.counted.pixels
        rows = zip(away.norm(dim=-1).tolist(), (away * spacing).norm(dim=-1).tolist(), strict=True)
        return [(px, mm) if math.isfinite(px) else (None, None) for px, mm in rows]


def covariance_of(mark: Landmark, hand_sigma_px: float) -> Float[Tensor, "2 2"]:
    """Of a picked landmark's pixel, (row, column), pixels squared."""
    rows, both, columns = mark.covariance or (hand_sigma_px**2, 0.0, hand_sigma_px**2)
    return torch.tensor([[rows, both], [both, columns]], dtype=torch.float64)


def sigma_px(mark: Landmark, hand_sigma_px: float) -> float:
    """Root mean square standard deviation of a pixel over its two axes, pixels."""
    return math.sqrt(float(covariance_of(mark, hand_sigma_px).trace()) / 2)
