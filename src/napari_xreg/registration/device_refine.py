"""`refine` where the CT lies on a CUDA device: all starts of a level advance together.

Poses, images, residuals and steps stay on the device; after each iteration one table of a few
numbers a start is read, for the iterates. Between levels the bone's brightness is fitted on the
CPU, and so is the covariance of the end.
"""

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.registration.confidence import covariance_of
from napari_xreg.registration.control import Control
from napari_xreg.registration.device_graph import Capture, RecordedStep
from napari_xreg.registration.device_lm import Round, Starts, begin, levenberg_marquardt
from napari_xreg.registration.device_locks import DeviceLocks
from napari_xreg.registration.device_problem import DeviceProblem
from napari_xreg.registration.hardening import fit_gain, water_lac
from napari_xreg.registration.levels import Level
from napari_xreg.registration.lm import State
from napari_xreg.registration.locks import Locks
from napari_xreg.registration.problem import Observation
from napari_xreg.registration.refine import RefineSettings, status_of
from napari_xreg.registration.result import Candidate, Iterate, Registration, Status
from napari_xreg.registration.starts import going_on, spread_starts
from napari_xreg.registration.views import JointProblem, View, at_pixels
from napari_xreg.rendering import at_voxel_size, render_drr


@dataclass(eq=False)
class _Reached:
    """How far each start came, read from the device."""

    start: int
    initial: Pose
    pose: Pose
    level: int = 0
    loss: float = float("inf")


def refine_on_device(
    volume: Volume,
    views: tuple[View, ...],
    *,
    settings: RefineSettings,
    pivot: Float[Tensor, "3"],
    control: Control | None = None,
    graphs: Capture | None = None,
) -> Generator[Iterate, None, Registration]:
    """Parameters, yields and result as `refine`, whose device path this is.

    Parameters
    ----------
    graphs
        Records iterations (`device_graph.cuda_graph`); None: operation by operation.
    """
    began = time.perf_counter()
    device = volume.lac.device
    first = views[0]
    rig = [
        (first.world_from_camera.inverse() @ view.world_from_camera).to(
            device=device, dtype=torch.float64
        )
        for view in views
    ]
    given = spread_starts(
        first.world_from_camera, pivot, settings.starts, settings.spread, settings.seed
    )
    reached = [_Reached(i, pose, pose) for i, pose in enumerate(given)]
    poses = Pose.stack([pose.to(dtype=torch.float64) for pose in given]).to(device=device)
    alive = list(range(len(given)))
    held = Locks(settings.locked, first.radiograph.carm, pivot)
    locks = DeviceLocks(held, first.radiograph.carm, pivot.to(device)) if held else None
    recorded = None if graphs is None else partial(RecordedStep, capture=graphs)
    brightness = _Brightness(volume, views)
    trajectory: list[Iterate] = []
    problem, state = None, None
    for number, level in enumerate(settings.levels):
        if number > 0:
            keep = settings.carried[min(number, len(settings.carried)) - 1]
            alive = going_on({i: reached[i].loss for i in alive}, keep)
            poses = Pose.stack([reached[i].pose for i in alive]).to(device=device)
        last = number == len(settings.levels) - 1
        best = min(alive, key=lambda i: reached[i].loss)
        ready = brightness.at(level, reached[best].pose, rig, last=last)
        problem = DeviceProblem(ready, views, level, pivot)
        tolerance = settings.tolerance_mm if last else 0.1 * _pixel_at_pivot_mm(views[0], level)
        state = begin(problem, tuple(poses @ camera for camera in rig))
        zero = torch.zeros_like(state.damping)
        opening = Round(
            state.poses, state.seen[0].image, state.model, state.active, state.active, zero, zero
        )
        solver = levenberg_marquardt(
            problem,
            state,
            iterations=level.iterations,
            tolerance_mm=tolerance,
            locks=locks,
            control=control,
            recorded=recorded,
        )
        tried: Round | None = opening
        while tried is not None:
            table = _read(tried, state)
            images = tried.image.cpu() if settings.keep_images else None
            for row, i in enumerate(alive):
                entry = reached[i]
                entry.level = number
                entry.pose, entry.loss = table.poses[row], table.losses[row]
                if not table.tried[row]:
                    continue
                iterate = Iterate(
                    index=len(trajectory),
                    start=i,
                    level=number,
                    world_from_camera=table.trial_poses[row],
                    losses={
                        "loss": table.trial_losses[row],
                        **dict(zip(problem.names, table.terms[row], strict=True)),
                    },
                    accepted=table.accepted[row],
                    damping=table.damping[row],
                    step=table.step_mm[row],
                    seconds=time.perf_counter() - began,
                    image=None if images is None else images[row],
                )
                trajectory.append(iterate)
                yield iterate
            try:
                if tried is opening:
                    tried, state = next(solver)
                else:
                    tried, state = solver.send(not any(table.active))
            except StopIteration as end:
                state, tried = end.value, None
        if control is not None and control.cancelled:
            break
    assert problem is not None and state is not None  # there is at least one level
    finest = max(entry.level for entry in reached)
    winner = min((r for r in reached if r.level == finest), key=lambda r: r.loss)
    host, end_state = _on_cpu(problem, state, alive.index(winner.start), views, settings, finest)
    status = status_of(
        [seen.image for seen in end_state.observations],
        winner.loss,
        bool(state.converged[alive.index(winner.start)]),
        settings,
        control,
    )
    complete = finest == len(settings.levels) - 1
    covariance = None
    if complete and status is not Status.NO_OVERLAP:
        covariance = covariance_of(host, end_state)
    return Registration(
        world_from_camera=end_state.poses[0],
        status=status,
        losses={"loss": winner.loss, **end_state.model.terms},
        trajectory=tuple(trajectory),
        pivot=pivot,
        covariance=covariance,
        views=end_state.poses,
        candidates=tuple(
            Candidate(r.start, r.initial, r.pose, r.level, r.loss)
            for r in sorted(reached, key=lambda r: (-r.level, r.loss))
        ),
        simulated=any(view.radiograph.simulated for view in views),
    )


@dataclass(frozen=True, eq=False)
class _Table:
    """What is read after an iteration; a row a start."""

    tried: list[bool]
    accepted: list[bool]
    active: list[bool]
    damping: list[float]
    step_mm: list[float]
    trial_losses: list[float]
    losses: list[float]
    terms: list[list[float]]
    trial_poses: list[Pose]
    poses: list[Pose]


def _read(tried: Round, state: Starts) -> _Table:
    """One transfer."""
    columns = torch.stack(
        [
            tried.tried.double(), tried.accepted.double(), state.active.double(), tried.damping,
            tried.step_mm, tried.model.loss, state.model.loss,
        ],
        1,
    )  # fmt: skip
    here = torch.cat(
        [columns, _flat(tried.poses[0]), _flat(state.poses[0]), tried.model.terms], 1
    ).cpu()
    was_tried, accepted, active, damping, step_mm, trial_losses, losses = here[:, :7].T.tolist()
    return _Table(
        tried=[flag > 0 for flag in was_tried],
        accepted=[flag > 0 for flag in accepted],
        active=[flag > 0 for flag in active],
        damping=damping,
        step_mm=step_mm,
        trial_losses=trial_losses,
        losses=losses,
        terms=here[:, 31:].tolist(),
        trial_poses=_poses(here[:, 7:19]),
        poses=_poses(here[:, 19:31]),
    )


def _flat(pose: Pose) -> Tensor:
    return torch.cat([pose.rotation.flatten(1), pose.translation], 1)


def _poses(rows: Tensor) -> list[Pose]:
    return [Pose(row[:9].reshape(3, 3).clone(), row[9:].clone()) for row in rows]


def _pixel_at_pivot_mm(view: View, level: Level) -> float:
    carm = at_pixels(view.radiograph, level.pixels).carm
    return max(carm.detector.spacing) * carm.source_to_isocenter / carm.source_to_detector


def _on_cpu(
    problem: DeviceProblem,
    state: Starts,
    row: int,
    views: Sequence[View],
    settings: RefineSettings,
    number: int,
) -> tuple[JointProblem, State]:
    """The best start's end as the CPU's code knows it, from what the device rendered."""
    host = JointProblem(None, views, settings.levels[number], problem.pivot.cpu())
    observations = tuple(
        Observation(seen.image[row].cpu().numpy(), seen.jacobian[row].cpu().numpy())
        for seen in state.seen
    )
    poses = tuple(
        Pose(pose.rotation[row].cpu(), pose.translation[row].cpu()) for pose in state.poses
    )
    nuisances = host.nuisances(observations)
    return host, State(poses, observations, nuisances, host.linearise(observations, nuisances))


_excess: "WeakKeyDictionary[Volume, Volume]" = WeakKeyDictionary()


class _Brightness:
    """The CT of every level, its bone as bright as the radiographs say: `hardening` on a device."""

    def __init__(self, volume: Volume, views: Sequence[View]) -> None:
        self._volume, self._views = volume, views
        self._gain: float | None = None
        self._scaled: dict[Volume, Volume] = {}

    def at(self, level: Level, pose: Pose, rig: Sequence[Pose], *, last: bool) -> Volume:
        volume = self._volume
        if level.voxel_mm is not None:
            volume = at_voxel_size(volume, level.voxel_mm)
        if not level.channels.tone:
            return volume
        if self._gain is None or last:
            self._gain = self._judged(volume, level, pose.to(device=volume.lac.device), rig)
            self._scaled.clear()
        if self._gain == 0.0:
            return volume
        if volume not in self._scaled:
            lac = volume.lac + self._gain * _bone(volume).lac
            self._scaled[volume] = Volume(lac, volume.world_from_index)
        return self._scaled[volume]

    def _judged(self, volume: Volume, level: Level, pose: Pose, rig: Sequence[Pose]) -> float:
        gains = []
        for view, camera in zip(self._views, rig, strict=True):
            radiograph = at_pixels(view.radiograph, level.pixels)
            image, bone = (
                render_drr(part, radiograph.carm, pose @ camera, method="joseph")
                for part in (volume, _bone(volume))
            )
            gain = fit_gain(
                image.float().cpu().numpy(),
                bone.float().cpu().numpy(),
                radiograph.line_integrals.detach().cpu().numpy().astype(np.float32),
                np.flatnonzero(radiograph.usable.numpy().ravel()),
            )
            if gain is not None:
                gains.append(gain)
        return float(np.mean(gains)) if gains else 0.0


def _bone(volume: Volume) -> Volume:
    """What exceeds the attenuation of water."""
    if volume not in _excess:
        excess = (volume.lac - water_lac()).clamp_min(0.0)
        _excess[volume] = Volume(excess, volume.world_from_index)
    return _excess[volume]
