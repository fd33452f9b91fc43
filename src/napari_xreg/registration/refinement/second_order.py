"""Levenberg-Marquardt: second order, coarse to fine, from one or many starts."""

import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.metrics import is_flat
from napari_xreg.progress import Control
from napari_xreg.registration.refinement.batched.refining import refine_on_device
from napari_xreg.registration.refinement.channels import COMPARISONS
from napari_xreg.registration.refinement.confidence import covariance_of
from napari_xreg.registration.refinement.hardening import bone_gain, with_bone_gain
from napari_xreg.registration.refinement.levels import COARSE_TO_FINE, Level, levels_at
from napari_xreg.registration.refinement.lm import State, evaluate, levenberg_marquardt
from napari_xreg.registration.refinement.locks import Locks
from napari_xreg.registration.refinement.result import Candidate, Iterate, Registration, Status
from napari_xreg.registration.refinement.settings import RefineSettings, status_of
from napari_xreg.registration.refinement.solver import Solver, Wanted
from napari_xreg.registration.refinement.starts import going_on, spread_starts
from napari_xreg.registration.refinement.views import JointProblem, View, at_pixels
from napari_xreg.rendering import Prepared, at_voxel_size, choose_backend, out_of_memory, prepare


@dataclass(eq=False)
class _Track:
    """One start on its way: mutable, private to a refinement."""

    start: int
    initial: tuple[Pose, ...]
    poses: tuple[Pose, ...]
    level: int = 0
    loss: float = float("inf")
    state: State | None = None
    ended: Status = Status.ITERATION_LIMIT


def refine_second_order(
    volume: Volume,
    views: Sequence[View],
    *,
    settings: RefineSettings,
    pivot: Float[Tensor, "3"],
    control: Control | None,
) -> Generator[Iterate, None, Registration]:
    """`Solver.solve` of Levenberg-Marquardt.

    On z-scored images and their filtered versions, with the Jacobian from the march that renders
    the DRR, over the levels of a pyramid. Where the CT is on a CUDA device with Triton, all starts
    of a level at once; anywhere else on the CPU.
    """
    views = tuple(views)
    if choose_backend(volume, "joseph") == "triton":
        try:
            return (
                yield from refine_on_device(
                    volume, views, settings=settings, pivot=pivot, control=control
                )
            )
        except torch.OutOfMemoryError as error:
            raise out_of_memory(f"a refinement from {settings.starts} starts", error) from error
    began = time.perf_counter()
    first = views[0]
    locks = Locks(settings.locked, first.radiograph.carm, pivot)
    rig = [first.world_from_camera.inverse() @ view.world_from_camera for view in views]
    tracks = [
        _Track(i, poses, poses)
        for i, pose in enumerate(
            spread_starts(
                first.world_from_camera, pivot, settings.starts, settings.spread, settings.seed
            )
        )
        for poses in [tuple(pose @ camera for camera in rig)]
    ]
    adapter = _Adapter(volume, views, settings.threads)
    trajectory: list[Iterate] = []
    alive, problem = tracks, None
    for number, level in enumerate(settings.levels):
        if number > 0:
            keep = settings.carried[min(number, len(settings.carried)) - 1]
            left = {track.start: track for track in alive}
            losses = {start: track.loss for start, track in left.items()}
            alive = [left[start] for start in going_on(losses, keep)]
        last = number == len(settings.levels) - 1
        ready = adapter.ready(level, alive, last=last)
        problem = JointProblem(ready, views, level, pivot, threads=settings.threads)
        tolerance = settings.tolerance_mm if last else 0.1 * problem.pixel_at_pivot_mm
        for track in alive:
            events = _refine_track(problem, track, level, number, tolerance, locks, control)
            while True:
                try:
                    state, accepted, damping, step = next(events)
                except StopIteration:
                    break
                image = state.observations[0].image if settings.keep_images else None
                iterate = Iterate(
                    index=len(trajectory),
                    start=track.start,
                    level=number,
                    world_from_camera=state.poses[0],
                    losses={"loss": state.loss, **state.model.terms},
                    accepted=accepted,
                    damping=damping,
                    step=step,
                    seconds=time.perf_counter() - began,
                    image=None if image is None else torch.from_numpy(image),
                )
                trajectory.append(iterate)
                yield iterate
            if control is not None and control.cancelled:
                break
        if control is not None and control.cancelled:
            break
    assert problem is not None  # there is at least one level
    finest = max(track.level for track in tracks if track.state is not None)
    best = min(
        (track for track in tracks if track.state is not None and track.level == finest),
        key=lambda track: track.loss,
    )
    assert best.state is not None
    flat = all(is_flat(torch.from_numpy(seen.image.ravel())) for seen in best.state.observations)
    status = status_of(flat, best.loss, best.ended, settings, control)
    complete = best.level == len(settings.levels) - 1
    covariance = None
    if complete and status is not Status.NO_OVERLAP:
        covariance = covariance_of(problem, best.state)
    return Registration(
        world_from_camera=best.poses[0],
        status=status,
        losses={"loss": best.loss, **best.state.model.terms},
        trajectory=tuple(trajectory),
        pivot=pivot,
        covariance=covariance,
        views=best.poses,
        candidates=tuple(
            Candidate(t.start, t.initial[0], t.poses[0], t.level, t.loss)
            for t in sorted(tracks, key=lambda track: (-track.level, track.loss))
        ),
        simulated=any(view.radiograph.simulated for view in views),
    )


class _Adapter:
    """The CT of every level, its bone as bright as the radiographs say at the best pose so far.

    Judged at the first level that needs it and again at the last. Judging at the levels between
    would cost two renders of the full CT before the pose is first within a millimetre.
    """

    def __init__(self, volume: Volume, views: Sequence[View], threads: int | None) -> None:
        self._volume, self._views, self._threads = volume, views, threads
        self._gain: float | None = None
        self._scaled: dict[Volume, Prepared] = {}

    def ready(self, level: Level, alive: Sequence[_Track], *, last: bool) -> Prepared:
        volume = self._volume
        if level.voxel_mm is not None:
            volume = at_voxel_size(volume, level.voxel_mm)
        if not level.channels.tone:
            return prepare(volume, packed=True)
        if self._gain is None or last:
            best = min(alive, key=lambda track: track.loss)
            radiographs = [at_pixels(view.radiograph, level.pixels) for view in self._views]
            self._gain = bone_gain(volume, radiographs, best.poses, threads=self._threads)
            self._scaled.clear()
        if volume not in self._scaled:
            self._scaled[volume] = with_bone_gain(volume, self._gain)
        return self._scaled[volume]


def _refine_track(
    problem: JointProblem,
    track: _Track,
    level: Level,
    number: int,
    tolerance_mm: float,
    locks: Locks,
    control: Control | None,
) -> Generator[tuple[State, bool, float, float], None, None]:
    """Carry one start through one level; what was reached is written to the track."""
    state = evaluate(problem, track.poses)
    track.level, track.loss, track.state = number, state.loss, state
    if not math.isfinite(track.loss):
        track.loss = math.inf  # what is not a number is never the best
    yield state, True, 0.0, 0.0
    solver = levenberg_marquardt(
        problem,
        state,
        iterations=level.iterations,
        tolerance_mm=tolerance_mm,
        free=locks.free if locks else None,
        settle=locks.settle if locks else None,
        control=control,
    )
    while True:
        try:
            trial = next(solver)
        except StopIteration as end:
            track.state, track.ended = end.value
            break
        if trial.accepted:
            # Kept at once: a consumer that closes the generator loses nothing.
            track.poses, track.loss, track.state = trial.state.poses, trial.state.loss, trial.state
        yield trial.state, trial.accepted, trial.damping, trial.step_mm
    assert track.state is not None
    track.poses = track.state.poses
    if math.isfinite(track.state.loss):
        track.loss = track.state.loss


def _configured(wanted: Wanted) -> RefineSettings:
    levels: tuple[Level, ...] = COARSE_TO_FINE
    if wanted.pixels is not None:
        levels = levels_at(wanted.pixels)
    elif wanted.finest_only:
        levels = COARSE_TO_FINE[-1:]
    channels = COMPARISONS[wanted.compare].channels if wanted.compare is not None else None
    return RefineSettings(
        levels=tuple(
            replace(
                level,
                iterations=level.iterations if wanted.iterations is None else wanted.iterations,
                channels=channels or level.channels,
            )
            for level in levels
        ),
        starts=wanted.starts,
        spread=wanted.spread,
        locked=wanted.locked,
        seed=wanted.seed,
        keep_images=wanted.keep_images,
        threads=wanted.threads,
    )


def _most_iterates(settings: RefineSettings) -> int:
    total, tracks = 0, settings.starts
    for number, level in enumerate(settings.levels):
        if number > 0:
            keep = settings.carried[min(number, len(settings.carried)) - 1]
            tracks = min(settings.starts, keep + 1 if keep > 1 else 1)  # the given start goes along
        total += tracks * (level.iterations + 1)
    return total


LEVENBERG_MARQUARDT = Solver(
    name="lm",
    title="Levenberg–Marquardt",
    about="Second order: the Jacobian comes with every DRR. Seconds; gives a covariance.",
    settings=RefineSettings,
    compares=lambda: {name: choice.about for name, choice in COMPARISONS.items()},
    iterations=COARSE_TO_FINE[0].iterations,
    several_starts=True,
    locks=True,
    covariance=True,
    configure=_configured,
    level_pixels=lambda settings: tuple(level.pixels for level in settings.levels),
    most_iterates=_most_iterates,
    solve=refine_second_order,
)
