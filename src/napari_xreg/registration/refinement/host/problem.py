"""A `Problem` on the processor: only the poses that are asked for, a few at a time."""

from collections.abc import Iterable, Iterator, Sequence
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
from napari_xreg.registration.refinement.host.seen import Nuisance, Observation
from napari_xreg.registration.refinement.host.view_problem import ViewProblem
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
        self._bodies, self._threads = tuple(bodies), threads
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

    def observe(self, poses: Sequence[Pose]) -> list[tuple[Observation, ...]]:
        """Render every view at a batch of poses; `poses` of all views of the first body, then of the next."""
        views = len(self.parts)
        shown = [
            [
                _together(bodies)
                for bodies in zip(
                    *(
                        part.observe(body, pose, pivot)
                        for body, pose, pivot in zip(
                            self._bodies, poses[number::views], self._pivots, strict=True
                        )
                    ),
                    strict=True,
                )
            ]
            for number, part in enumerate(self.parts)
        ]
        return list(zip(*shown, strict=True))

    def fitted(
        self, observations: Sequence[tuple[Observation, ...]]
    ) -> tuple[list[SeenOnce], npt.NDArray[np.float64]]:
        """With the tone and the robust weights that belong to them, and rows of `Model.sums` under these."""
        of_views = [
            part.fitted([views[number] for views in observations])
            for number, part in enumerate(self.parts)
        ]
        nuisances = zip(*(found for found, _ in of_views), strict=True)
        seen = [SeenOnce(*each) for each in zip(observations, nuisances, strict=True)]
        return seen, np.concatenate([sums for _, sums in of_views], 1)

    def sums(self, seen: Sequence[SeenOnce], *, slopes: bool = True) -> npt.NDArray[np.float64]:
        """Rows of `Model.sums`; without slopes enough to judge a step by."""
        sums = [
            part.sums_of(
                [each.observations[number] for each in seen],
                [each.nuisances[number] for each in seen],
                slopes=slopes,
            )
            for number, part in enumerate(self.parts)
        ]
        return np.concatenate(sums, 1)

    def correlated_sum(self, seen: SeenOnce) -> npt.NDArray[np.float64]:
        """See `Problem.correlated_sums`."""
        sums = [
            correlated_sum(part.scores(observation, nuisance).astype(np.float64), self._threads)
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
        seen: dict[int, SeenOnce] = {}
        sums = self._no_sums()
        for joint, some, place in self._by_case(range(len(self._of))):
            found, sums[place] = joint.fitted(joint.observe(_at(poses, some)))
            seen.update(zip(some, found, strict=True))
        return tuple(seen[row] for row in range(len(self._of))), self._model(sums)

    def attempt(
        self, poses: tuple[Pose, ...], held: tuple[SeenOnce, ...], rows: Bool[Tensor, "s"]
    ) -> tuple[tuple[SeenOnce, ...], Model]:
        """Under the tone and the weights of `held`; the other rows are left as they are."""
        seen, sums = list(held), self._no_sums()
        for joint, some, place in self._by_case(_which(rows)):
            for row, observations in zip(some, joint.observe(_at(poses, some)), strict=True):
                seen[row] = SeenOnce(observations, held[row].nuisances)
            # Of a step that is taken `renew` makes the slopes, of one that is not nobody asks.
            sums[place] = joint.sums([seen[row] for row in some], slopes=False)
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
        for joint, some, place in self._by_case(_which(taken)):
            found, sums[place] = joint.fitted([seen[row].observations for row in some])
            for row, each in zip(some, found, strict=True):
                renewed[row] = each
        return tuple(renewed), self._model(sums)

    def _by_case(
        self, rows: Iterable[int]
    ) -> Iterator[tuple[JointProblem, list[int], tuple[npt.NDArray[np.intp], ...]]]:
        """Of some poses those of each case, and where they stand in `Model.sums`."""
        of_case: dict[int, list[int]] = {}
        for row in rows:
            of_case.setdefault(self._of[row], []).append(row)
        for case, some in of_case.items():
            yield self._cases[case], some, np.ix_(some, self._columns[case])

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


def _at(poses: Sequence[Pose], rows: Sequence[int]) -> list[Pose]:
    return [pose[list(rows)] for pose in poses]


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
