"""Refinement on a device: every start of every case of a level advances in the same launches.

A case is one patient's radiographs with their starting poses. Poses, images, residuals and steps
stay on the device; after each iteration one table of a few numbers a pose is read.
"""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.metrics import is_flat
from napari_xreg.progress import Control
from napari_xreg.registration.refinement.batched.confidence import correlated_sums
from napari_xreg.registration.refinement.batched.graph import Capture, RecordedStep
from napari_xreg.registration.refinement.batched.hardening import bone_gains
from napari_xreg.registration.refinement.batched.lm import Round, Starts, begin, levenberg_marquardt
from napari_xreg.registration.refinement.batched.locks import DeviceLocks
from napari_xreg.registration.refinement.batched.problem import DeviceProblem, hosts_of
from napari_xreg.registration.refinement.confidence import sandwich
from napari_xreg.registration.refinement.lm import ended_at
from napari_xreg.registration.refinement.locks import Locks
from napari_xreg.registration.refinement.result import Candidate, Iterate, Registration, Status
from napari_xreg.registration.refinement.settings import RefineSettings, status_of
from napari_xreg.registration.refinement.starts import going_on, spread_starts
from napari_xreg.registration.refinement.views import View
from napari_xreg.rendering import at_voxel_size


@dataclass(eq=False)
class Track:
    """One start of a case, and how far it came; losses and poses are read when a level ends."""

    start: int
    initial: Pose
    pose: Pose
    level: int = 0
    loss: float = float("inf")


@dataclass(frozen=True, eq=False)
class Turn:
    """What one iteration did to the starts that are left.

    Parameters
    ----------
    tracks
        The starts, one a row.
    names
        Of the terms of the loss.
    table
        A row a start, on the CPU; see `_read`.
    images
        First view's DRRs [s rows columns], where they are kept.
    """

    level: int
    tracks: Sequence[Track]
    names: tuple[str, ...]
    table: Float[Tensor, "s n"]
    images: Tensor | None

    @property
    def tried(self) -> list[bool]:
        """Which starts took a step."""
        return [flag > 0 for flag in self.table[:, 0].tolist()]

    @property
    def active(self) -> list[bool]:
        """Which have not ended."""
        return [flag > 0 for flag in self.table[:, 2].tolist()]

    @property
    def losses(self) -> list[float]:
        """Where each start is."""
        # What is not a number is never the best.
        return [
            float(loss) if math.isfinite(loss) else math.inf for loss in self.table[:, 6].tolist()
        ]

    def pose(self, row: int) -> Pose:
        """Where a start is."""
        return _pose(self.table[row, 19:31])

    def iterate(self, row: int, *, index: int, seconds: float) -> Iterate:
        """The step of a start, as tried."""
        _, accepted, _, damping, step_mm, loss, _ = self.table[row, :7].tolist()
        terms = self.table[row, 31:].tolist()
        return Iterate(
            index=index,
            start=self.tracks[row].start,
            level=self.level,
            world_from_camera=_pose(self.table[row, 7:19]),
            losses={"loss": loss, **dict(zip(self.names, terms, strict=True))},
            accepted=accepted > 0,
            damping=damping,
            step=step_mm,
            seconds=seconds,
            image=None if self.images is None else self.images[row],
        )


def refine_cases(
    volume: Volume,
    cases: Sequence[Sequence[View]],
    *,
    settings: RefineSettings,
    pivot: Float[Tensor, "3"],
    control: Control | None = None,
    graphs: Capture | None = None,
) -> Generator[Turn, None, list[Registration]]:
    """Refine every case from all its starts; results without a trajectory, in order.

    Parameters
    ----------
    volume
        On the device.
    cases
        Views of each case; the first views of all cases share one `CArm`, and so on.
    settings, pivot, control
        As for `refine`.
    graphs
        Records iterations (`device_graph.cuda_graph`); None: operation by operation.
    """
    device = volume.lac.device
    firsts = [case[0] for case in cases]
    carm = firsts[0].radiograph.carm
    rigs = [
        [
            (case[0].world_from_camera.inverse() @ view.world_from_camera).to(dtype=torch.float64)
            for view in case
        ]
        for case in cases
    ]
    tracks = [
        [
            Track(start, pose, pose)
            for start, pose in enumerate(
                pose.to(dtype=torch.float64)
                for pose in spread_starts(
                    view.world_from_camera, pivot, settings.starts, settings.spread, settings.seed
                )
            )
        ]
        for view in firsts
    ]
    alive = tracks
    held = Locks(settings.locked, carm, pivot)
    locks = DeviceLocks(held, carm, pivot.to(device)) if held else None
    recorded = None if graphs is None else partial(RecordedStep, capture=graphs)
    problem = state = turn = gains = None
    for number, level in enumerate(settings.levels):
        if number > 0:
            keep = settings.carried[min(number, len(settings.carried)) - 1]
            alive = [_survivors(left, keep) for left in alive]
        last = number == len(settings.levels) - 1
        coarse = volume if level.voxel_mm is None else at_voxel_size(volume, level.voxel_mm)
        hosts = hosts_of(cases, level)
        if level.channels.tone and (gains is None or last):
            # Judged at the first level that needs it and again at the last, as on the CPU.
            best = [min(left, key=lambda t: t.loss).pose for left in alive]
            each = DeviceProblem(coarse, hosts, level, pivot, of=torch.arange(len(cases)))
            gains = bone_gains(each, _of_views(best, rigs, device))
        rows = [(case, track) for case, left in enumerate(alive) for track in left]
        problem = DeviceProblem(
            coarse, hosts, level, pivot, of=torch.tensor([case for case, _ in rows]),
            gains=gains if level.channels.tone else None,
        )  # fmt: skip
        tolerance = settings.tolerance_mm if last else 0.1 * hosts[0][0].pixel_at_pivot_mm
        here = [rigs[case] for case, _ in rows]
        state = begin(problem, _of_views([track.pose for _, track in rows], here, device))
        zero = torch.zeros_like(state.damping)
        opening = Round(
            state.poses, state.seen[0].image, state.model, state.active, state.active, zero, zero
        )
        solver = levenberg_marquardt(
            problem, state, iterations=level.iterations, tolerance_mm=tolerance, locks=locks,
            control=control, recorded=recorded,
        )  # fmt: skip
        tried: Round | None = opening
        while tried is not None:
            images = tried.image.cpu() if settings.keep_images else None
            turn = Turn(number, [t for _, t in rows], problem.names, _read(tried, state), images)
            yield turn
            try:
                if tried is opening:
                    tried, state = next(solver)
                else:
                    tried, state = solver.send(not any(turn.active))
            except StopIteration as end:
                state, tried = end.value, None
        assert turn is not None
        for row, ((_, track), loss) in enumerate(zip(rows, turn.losses, strict=True)):
            track.level, track.loss, track.pose = number, loss, turn.pose(row)
        if control is not None and control.cancelled:
            break
    assert problem is not None and state is not None and turn is not None  # there is a level
    ends = _Ends(problem, state, _best_rows(alive), tolerance, held)
    complete = turn.level == len(settings.levels) - 1
    results = []
    for case, (views, started) in enumerate(zip(cases, tracks, strict=True)):
        loss = ends.losses[case]
        status = status_of(ends.flat[case], loss, ends.ended[case], settings, control)
        covariance = None
        if complete and status is not Status.NO_OVERLAP:
            covariance = ends.covariance(case)
        results.append(
            Registration(
                world_from_camera=ends.poses[case][0],
                status=status,
                losses={"loss": loss, **dict(zip(problem.names, ends.terms[case], strict=True))},
                trajectory=(),
                pivot=pivot,
                covariance=covariance,
                views=ends.poses[case],
                candidates=tuple(
                    Candidate(t.start, t.initial, t.pose, t.level, t.loss)
                    for t in sorted(started, key=lambda t: (-t.level, t.loss))
                ),
                simulated=any(view.radiograph.simulated for view in views),
            )
        )
    return results


def _survivors(tracks: Sequence[Track], keep: int) -> list[Track]:
    """Of one case, those that enter the next level."""
    by_start = {track.start: track for track in tracks}
    losses = {start: track.loss for start, track in by_start.items()}
    return [by_start[start] for start in going_on(losses, keep)]


def _best_rows(alive: Sequence[Sequence[Track]]) -> list[int]:
    """Where the best start of every case stands, when all stand one below the other."""
    found, before = [], 0
    for left in alive:
        losses = [track.loss for track in left]
        found.append(before + losses.index(min(losses)))
        before += len(left)
    return found


class _Ends:
    """The best pose of every case, read from the device.

    Parameters
    ----------
    winners
        Their rows in the state.
    tolerance_mm, locks
        Of the level.
    """

    def __init__(
        self,
        problem: DeviceProblem,
        state: Starts,
        winners: list[int],
        tolerance_mm: float,
        locks: Locks,
    ) -> None:
        rows = torch.tensor(winners, device=state.damping.device)
        self.losses: list[float] = state.model.loss[rows].tolist()
        flat = torch.stack([is_flat(seen.image[rows].flatten(1)) for seen in state.seen])
        self.flat: list[bool] = flat.all(0).tolist()
        self.terms: list[list[float]] = state.model.terms[rows].tolist()
        views = [(pose.rotation[rows].cpu(), pose.translation[rows].cpu()) for pose in state.poses]
        self.poses = [
            tuple(Pose(rotation[case], translation[case]) for rotation, translation in views)
            for case in range(len(winners))
        ]
        self._hessians = state.model.hessian[rows].cpu().numpy()
        gradients = state.model.gradient[rows].cpu().numpy()
        self.ended = [
            ended_at(
                loss, hessian, gradient, tolerance_mm, locks.free(poses[0]) if locks else None
            )
            if ended
            else Status.ITERATION_LIMIT
            for loss, hessian, gradient, poses, ended in zip(
                self.losses, self._hessians, gradients, self.poses, state.ended[rows].tolist(),
                strict=True,
            )
        ]  # fmt: skip
        self._meat = correlated_sums(problem, state, rows).cpu().numpy()

    def covariance(self, case: int) -> Float[Tensor, "6 6"] | None:
        """Of a case's pose."""
        return sandwich(self._hessians[case], self._meat[case])


def _read(tried: Round, state: Starts) -> Float[Tensor, "s n"]:
    """One transfer: tried, accepted, active, damping, step, loss tried, loss; poses; terms."""
    columns = torch.stack(
        [
            tried.tried.double(), tried.accepted.double(), state.active.double(), tried.damping,
            tried.step_mm, tried.model.loss, state.model.loss,
        ],
        1,
    )  # fmt: skip
    return torch.cat(
        [columns, _flat(tried.poses[0]), _flat(state.poses[0]), tried.model.terms], 1
    ).cpu()


def _flat(pose: Pose) -> Tensor:
    return torch.cat([pose.rotation.flatten(1), pose.translation], 1)


def _pose(row: Tensor) -> Pose:
    return Pose(row[:9].reshape(3, 3).clone(), row[9:].clone())


def _of_views(
    poses: Sequence[Pose], rigs: Sequence[Sequence[Pose]], device: torch.device
) -> tuple[Pose, ...]:
    """A batch of poses for every view, from those of the first."""
    first = Pose.stack(list(poses))
    return tuple(
        (first @ Pose.stack([rig[view] for rig in rigs])).to(device=device)
        for view in range(len(rigs[0]))
    )
