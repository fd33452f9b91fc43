"""A `Problem` on the processor: one pose after the other, and only those that are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.metrics import is_flat
from napari_xreg.registration.refinement.host.correlated import correlated_sum
from napari_xreg.registration.refinement.host.hardening import (
    bone_gain,
    image_and_bone,
    water_lac,
    with_bone_gain,
)
from napari_xreg.registration.refinement.host.scatter import beams_of
from napari_xreg.registration.refinement.host.view_problem import (
    Linearisation,
    Nuisance,
    Observation,
    ViewProblem,
)
from napari_xreg.registration.refinement.host.windows import window_of
from napari_xreg.registration.refinement.problem import Beams, Model, Whole
from napari_xreg.registration.refinement.second_order.levels import Level
from napari_xreg.registration.refinement.second_order.look import Field, Look
from napari_xreg.rendering import Prepared, prepare


@dataclass(frozen=True, eq=False)
class SeenOnce:
    """What every view of a case showed at one pose, and what was fitted there."""

    observations: tuple[Observation, ...]
    nuisances: tuple[Nuisance, ...]


class JointProblem:
    """The mean of `ViewProblem` over the radiographs of one case, for a pose of each.

    Parameters
    ----------
    bodies
        What is rendered, ready: a CT, or several bodies whose line integrals add up.
    radiographs, level, threads
        As of `ViewProblem`.
    pivot
        Of every body.
    scatter
        Of every radiograph; none: not known of any.
    """

    def __init__(
        self,
        bodies: Sequence[Prepared],
        radiographs: Sequence[Radiograph],
        level: Level,
        pivot: Float[Tensor, "*bodies 3"],
        *,
        scatter: Sequence[Field | None] = (),
        threads: int | None = None,
    ) -> None:
        self.parts = [
            ViewProblem(
                radiograph, level.channels, scatter=over, method=level.method, threads=threads
            )
            for radiograph, over in zip(
                radiographs, scatter or [None] * len(radiographs), strict=True
            )
        ]
        self._bodies = tuple(bodies)
        self._pivots = pivot.detach().cpu().double().numpy().reshape(-1, 3)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the terms."""
        if len(self.parts) == 1:
            return tuple(channel.name for channel in self.parts[0].compared)
        return tuple(
            f"{channel.name}[{number}]"
            for number, part in enumerate(self.parts, 1)
            for channel in part.compared
        )

    @property
    def shares(self) -> list[float]:
        """What each of them weighs."""
        weights = [channel.weight for part in self.parts for channel in part.compared]
        return [weight / len(self.parts) for weight in weights]

    def observe(self, poses: Sequence[Pose]) -> tuple[Observation, ...]:
        """Render every view; `poses` of all views of the first body, then of the next."""
        views = len(self.parts)
        return tuple(
            _together(
                [
                    part.observe(body, pose, pivot)
                    for body, pose, pivot in zip(
                        self._bodies, poses[number::views], self._pivots, strict=True
                    )
                ]
            )
            for number, part in enumerate(self.parts)
        )

    def fitted(self, observations: tuple[Observation, ...]) -> SeenOnce:
        """With the tone and the robust weights that belong to it."""
        nuisances = [
            part.nuisance(seen) for part, seen in zip(self.parts, observations, strict=True)
        ]
        return SeenOnce(observations, tuple(nuisances))

    def sums(self, seen: SeenOnce) -> npt.NDArray[np.float64]:
        """A row of `Model.sums`."""
        return np.concatenate([each.sums for each in self._linearised(seen, slopes=True)])

    def losses(self, seen: SeenOnce) -> npt.NDArray[np.float64]:
        """`sums` without slopes: enough to judge a step by."""
        return np.concatenate([each.sums for each in self._linearised(seen, slopes=False)])

    def _linearised(self, seen: SeenOnce, *, slopes: bool) -> list[Linearisation]:
        return [
            part.linearise(observation, nuisance, slopes=slopes)
            for part, observation, nuisance in zip(
                self.parts, seen.observations, seen.nuisances, strict=True
            )
        ]

    def correlated_sum(self, seen: SeenOnce) -> npt.NDArray[np.float64]:
        """See `Problem.correlated_sums`."""
        sums = [
            correlated_sum(part.scores(observation, nuisance).astype(np.float64))
            for part, observation, nuisance in zip(
                self.parts, seen.observations, seen.nuisances, strict=True
            )
        ]
        total: npt.NDArray[np.float64] = np.sum(sums, axis=0) / len(self.parts) ** 2
        return total


def _together(bodies: Sequence[Observation]) -> Observation:
    """What bodies show at once: line integrals add up, and each moves by its own twist."""
    if len(bodies) == 1:
        return bodies[0]
    image = np.add.reduce([each.image for each in bodies])
    jacobian = np.concatenate([each.jacobian for each in bodies])
    return Observation(image, jacobian, tuple(window_of(each.jacobian) for each in bodies))


class HostProblem:
    """See `Problem`. What is seen is a tuple, an item a pose.

    Parameters
    ----------
    cases
        The problem of each.
    of
        Which of them each pose belongs to.
    pivot
        Point that twists are taken about; of several bodies each about its own.
    """

    def __init__(
        self, cases: Sequence[JointProblem], of: Sequence[int], pivot: Float[Tensor, "*bodies 3"]
    ) -> None:
        self._cases, self._of = cases, of
        self.pivot = pivot.double()
        # A mask may take a channel away from one case and not from another.
        shares = {
            name: share
            for case in cases
            for name, share in zip(case.names, case.shares, strict=True)
        }
        self.names = tuple(shares)
        self._shares = torch.tensor(list(shares.values()), dtype=torch.float64)
        self._columns = [[self.names.index(name) for name in case.names] for case in cases]

    def begin(self, poses: tuple[Pose, ...]) -> tuple[tuple[SeenOnce, ...], Model]:
        """Under the tone and the weights that belong to these very poses."""
        seen, sums = [], self._no_sums()
        for row, case in enumerate(self._of):
            joint = self._cases[case]
            seen.append(joint.fitted(joint.observe([pose[row] for pose in poses])))
            sums[row, self._columns[case]] = joint.sums(seen[row])
        return tuple(seen), self._model(sums)

    def attempt(
        self, poses: tuple[Pose, ...], held: tuple[SeenOnce, ...], rows: Bool[Tensor, "s"]
    ) -> tuple[tuple[SeenOnce, ...], Model]:
        """Under the tone and the weights of `held`; the other rows are left as they are."""
        seen, sums = list(held), self._no_sums()
        for row in _which(rows):
            case = self._of[row]
            joint = self._cases[case]
            observations = joint.observe([pose[row] for pose in poses])
            seen[row] = SeenOnce(observations, held[row].nuisances)
            # Of a step that is taken `renew` makes the slopes, of one that is not nobody asks.
            sums[row, self._columns[case]] = joint.losses(seen[row])
        return tuple(seen), self._model(sums)

    def renew(
        self,
        seen: tuple[SeenOnce, ...],
        before: tuple[SeenOnce, ...],
        model: Model,
        taken: Bool[Tensor, "s"],
    ) -> tuple[tuple[SeenOnce, ...], Model]:
        """Where `taken`, `seen` under its own tone and weights; elsewhere as before."""
        renewed, sums = list(before), model.sums.numpy().copy()
        for row in _which(taken):
            case = self._of[row]
            renewed[row] = self._cases[case].fitted(seen[row].observations)
            sums[row, self._columns[case]] = self._cases[case].sums(renewed[row])
        return tuple(renewed), self._model(sums)

    def drrs(self, seen: tuple[SeenOnce, ...]) -> tuple[Tensor, ...]:
        """Of the first view."""
        return tuple(torch.from_numpy(each.observations[0].image) for each in seen)

    def flat(self, seen: tuple[SeenOnce, ...], rows: Sequence[int]) -> list[bool]:
        """Whether no view shows anything."""
        return [
            all(bool(is_flat(torch.from_numpy(o.image.ravel()))) for o in seen[row].observations)
            for row in rows
        ]

    def correlated_sums(
        self, seen: tuple[SeenOnce, ...], rows: Sequence[int]
    ) -> npt.NDArray[np.float64]:
        """See `Problem`."""
        return np.stack([self._cases[self._of[row]].correlated_sum(seen[row]) for row in rows])

    def _no_sums(self) -> npt.NDArray[np.float64]:
        size = 2 * self.pivot.numel() + 1
        return np.zeros((len(self._of), len(self.names), size, size))

    def _model(self, sums: npt.NDArray[np.float64]) -> Model:
        return Model(torch.from_numpy(sums), self._shares)


def _which(rows: Bool[Tensor, "s"]) -> list[int]:
    return [row for row, yes in enumerate(rows.tolist()) if yes]


class Host:
    """A `Backend`: NumPy and the compiled renderer, on `threads` threads (None: all processors)."""

    device = torch.device("cpu")
    recorder = None

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads
        self._scaled: dict[tuple[Volume, float], Prepared] = {}

    def bone_gains(self, look: Look, poses: Sequence[Pose]) -> Float[Tensor, "cases"]:
        """See `Backend`."""
        # Scaled CTs of another gain are not needed again.
        self._scaled.clear()
        gains = [
            bone_gain(
                [(look.volume, water_lac())],
                radiographs,
                [[pose[case]] for pose in poses],
                threads=self._threads,
            )
            for case, radiographs in enumerate(look.cases)
        ]
        return torch.tensor(gains, dtype=torch.float64)

    def beams(self, look: Look, poses: Sequence[Pose], whole: Whole) -> Beams:
        """See `Backend`."""
        self._scaled.clear()

        def seen(case: int, view: int) -> tuple[Field, Field]:
            radiograph, at = look.cases[case][view], [poses[view][case]]
            return image_and_bone(
                [(look.volume, water_lac())], radiograph, at, threads=self._threads
            )

        return beams_of(look, whole, seen)

    def problem(
        self, look: Look, of: Int[Tensor, "s"], gains: Float[Tensor, "cases"] | None
    ) -> HostProblem:
        """See `Backend`."""
        brighter = [0.0] * len(look.cases) if gains is None else gains.tolist()
        joint = [
            JointProblem(
                [self._ready(look.volume, gain)], radiographs, look.level, look.pivot,
                scatter=scatter, threads=self._threads,
            )
            for radiographs, gain, scatter in zip(
                look.cases, brighter, look.scattered, strict=True
            )
        ]  # fmt: skip
        return HostProblem(joint, of.tolist(), look.pivot)

    def _ready(self, volume: Volume, gain: float) -> Prepared:
        if gain == 0.0:
            return prepare(volume, packed=True)
        if (volume, gain) not in self._scaled:
            self._scaled[volume, gain] = with_bone_gain(volume, gain)
        return self._scaled[volume, gain]
