"""Refine several bodies together: every one of them explains its part of the same radiographs."""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, without_saturated
from napari_xreg.progress import Control
from napari_xreg.registration.bodies.answering import End, answered
from napari_xreg.registration.bodies.body import Body
from napari_xreg.registration.bodies.looking import BodiesLook, near_bodies
from napari_xreg.registration.bodies.priors import (
    Expected,
    ExpectedBetween,
    Prior,
    PriorPull,
    check_priors,
    in_depth,
)
from napari_xreg.registration.bodies.result import (
    BodiesIterate,
    BodiesRegistration,
    BodyIterate,
)
from napari_xreg.registration.bodies.tied import Tied
from napari_xreg.registration.near_bone.refining import NearBone, level_alone, refine_near_bone
from napari_xreg.registration.near_bone.showing import radiographs_that_show
from napari_xreg.registration.refinement.host.problem import HostProblem
from napari_xreg.registration.refinement.result import Iterate, Registration
from napari_xreg.registration.refinement.second_order.damped_steps import (
    Round,
    begin,
    levenberg_marquardt,
)
from napari_xreg.registration.refinement.second_order.levels import Level
from napari_xreg.registration.refinement.second_order.usable_levels import levels_that_show
from napari_xreg.registration.refinement.settings import SAME_GAIN, RefineSettings
from napari_xreg.registration.refinement.starts import Spread
from napari_xreg.registration.refinement.views import View, saturated_words
from napari_xreg.rendering import with_one_blas_thread

BESIDE_THE_REST = Spread(5.0, 4.0, 5.0)
"""How far a bone may lie from where the CT has it beside the rest, standard deviations: joints turn, and hardly
shift."""


@with_one_blas_thread
def refine_bodies(
    bodies: Sequence[Body],
    radiographs: Sequence[Radiograph],
    *,
    settings: RefineSettings | None = None,
    near: NearBone | None = None,
    priors: Sequence[Prior] = (),
    near_start: bool = False,
    judge: bool = True,
    control: Control | None = None,
) -> Generator[BodyIterate | BodiesIterate, None, BodiesRegistration]:
    """Find the poses of several bodies under which their DRRs, added up, explain the radiographs.

    First the whole CT as it lies, coarse to fine (where there is soft tissue); then every bone by itself, near
    where it is thought, what the others show taken off; then all together, by Levenberg-Marquardt with six columns
    a body: bones that overlap explain each other's edges, which one after the other they take for their own.
    Each is judged with what the others show taken off. On the processor.

    Parameters
    ----------
    bodies
        Bones alone above water, or what `cut_bodies` makes of a CT, what is left of it first (`Body.rest`). With
        their starts: in a CT as they lie there.
    radiographs
        What every body is seen in.
    settings
        Levels, tolerance, threads, pictures; None: ``RefineSettings()``. Starts and their spread are those of
        every bone as it is looked for; locks and what others propose are not looked at.
    near
        Of bones alone: look for each by itself and compare what is near their shadows, as of `refine_near_bone`.
        None: the whole radiographs, all bodies together at every level.
    priors
        What is known beforehand.
    near_start
        The starts are so near, as in the next frame of a sequence, that all are refined together at every level, and
        none is looked for.
    judge
        False: leave out the verdicts.
    control
        Cancel, pause, step.

    Yields
    ------
    BodyIterate, BodiesIterate
        Every step tried, of one bone as it is looked for, and of all together.

    Raises
    ------
    ValueError
        If there is no body or no radiograph, names are not unique, a body has not as many cameras as there are
        radiographs, a body other than the first is a rest, `near` is given beside one, a prior says nothing, or a
        radiograph has no usable content.
    """
    settings = RefineSettings() if settings is None else settings
    names = [body.name for body in bodies]
    if not bodies or not radiographs or len(set(names)) < len(names):
        raise ValueError(
            f"bodies have names of their own, and are seen in a radiograph: got {', '.join(names) or 'none'} "
            f"in {len(radiographs)} radiographs"
        )
    for body in bodies:
        if len(body.world_from_camera) != len(radiographs):
            raise ValueError(
                f"{body.name}: a camera is wanted for each radiograph: got {len(body.world_from_camera)} for "
                f"{len(radiographs)}"
            )
    rest = bodies[0].rest and len(bodies) > 1
    if any(body.rest for body in bodies[1:]) or (bodies[0].rest and near is not None):
        raise ValueError(
            "the rest of a CT is the first of its bodies, and is compared in the whole radiographs"
        )
    check_priors(priors, len(bodies))
    course = _Course(tuple(bodies), tuple(radiographs), settings, near, tuple(priors), control)
    finest = max(course.levels)
    coarse = [number for number in course.levels if number < finest]
    if near_start:
        for number in coarse:
            yield from course.through(number)
        yield from course.through(finest)
        return course.answer(judge=judge)
    if rest:
        for number in coarse or [finest]:
            yield from course.through(number, tied=True)
    elif near is None:
        for number in coarse:
            yield from course.through(number)
    if rest or near is not None:
        yield from course.each_in_turn()
    yield from course.through(finest)
    return course.answer(judge=judge)


class _Course:
    """Mutable, private to a refinement; parameters as of `refine_bodies`."""

    def __init__(
        self,
        bodies: tuple[Body, ...],
        radiographs: tuple[Radiograph, ...],
        settings: RefineSettings,
        near: NearBone | None,
        priors: tuple[Prior, ...],
        control: Control | None,
    ) -> None:
        self._bodies, self._settings, self._near = bodies, settings, near
        self._priors, self._control = priors, control
        self._radiographs = tuple(without_saturated(each) for each in radiographs)
        first = bodies[0].world_from_camera
        views = [View(image, pose) for image, pose in zip(radiographs, first, strict=True)]
        self._notes = saturated_words(views)
        self._simulated = any(each.simulated for each in radiographs)
        self._began, self._trajectory = time.perf_counter(), list[BodiesIterate]()
        self._gain: float | None = None
        self._end: End | None = None
        self.poses = tuple(
            pose.to(dtype=torch.float64).orthonormal()
            for body in bodies
            for pose in body.world_from_camera
        )
        if near is None:
            shown, left_out = levels_that_show(bodies[0].volume, [views], settings.levels)
            self.levels: dict[int, Level] = dict(shown)
            self._notes = (*self._notes, *left_out)
        else:
            # Cropped to a few bones, coarse levels are as fine as the bones are small.
            self.levels = dict(enumerate(settings.levels))

    def through(self, number: int, *, tied: bool = False) -> Generator[BodiesIterate, None, None]:
        """A level, from where the bodies are; `tied`, they stay as they lie to the first."""
        if self._control is not None and self._control.cancelled and self._end is not None:
            return
        level = self.levels[number]
        settings, near, last = self._settings, self._near, self._settings.is_last(number)
        radiographs = self._radiographs
        if near is not None:
            radiographs = near_bodies(
                self._bodies, radiographs, self.poses, near.at(number), level.pixels
            )
        alone = level_alone(
            settings, level, self._bodies[0].volume, View(radiographs[0], self.poses[0]), last=last
        )
        level = alone.levels[0] if near is not None else level
        look = BodiesLook(level, self._bodies, radiographs, settings.threads)
        if level.channels.tone and (self._gain is None or last):
            self._gain = look.brighter(self.poses, settings.bone_pixels)
            if settings.bone_gain is not None and abs(self._gain - settings.bone_gain) < SAME_GAIN:
                self._gain = settings.bone_gain
        gain = self._gain if self._gain is not None and level.channels.tone else 0.0
        untried_mm = settings.untried_at(number, look.pixel_at_pivot_mm)
        problem = look.problem(gain)
        state = begin(problem, tuple(_batch(pose) for pose in self.poses))
        pull = PriorPull(self._priors, look.pivots, state.model.loss) if self._priors else None
        steps = levenberg_marquardt(
            problem, state, iterations=level.iterations * (1 if tied else len(self._bodies)),
            tolerance_mm=alone.tolerance_mm, untried_mm=untried_mm,
            stride=settings.stride_at(number, level), pull=pull, control=self._control,
            locks=Tied(look.pivots) if tied else None,
        )  # fmt: skip
        for tried, state in steps:
            self._end = End(look, gain, problem, state, pull, alone.tolerance_mm, untried_mm)
            self.poses = tuple(pose[0] for pose in state.poses)
            yield self._iterate(number, tried, problem.names)
            if not bool(state.active.any()):
                return

    def each_in_turn(self) -> Generator[BodyIterate, None, None]:
        """Look for every body by itself, near where it is thought.

        As xReg does (pelvis, femurs, then all): among all pixels a small bone that is off looks like an outlier.
        Bones within the rest of a CT that has been found are looked for with what the others show taken off.
        """
        views = len(self._radiographs)
        near = NearBone() if self._near is None else self._near
        spread = self._settings.spread if self._end is None else BESIDE_THE_REST
        if spread.depth_mm > 0:
            self._priors += tuple(self._known_depths(spread.depth_mm))
        how = replace(self._settings, keep_images=False, spread=spread)
        end, apart = self._end, None
        if end is not None:
            apart = end.apart(self.poses, max(self._radiographs[0].carm.detector.shape))
        for number, body in enumerate(self._bodies):
            if self._control is not None and self._control.cancelled:
                return
            if apart is not None and number == 0:
                continue
            pictures = self._radiographs if apart is None else apart.alone(number)
            own = slice(number * views, (number + 1) * views)
            start = [View(p, at) for p, at in zip(pictures, self.poses[own], strict=True)]
            steps = refine_near_bone(
                body.volume, start, near=near, settings=how, isocenter=body.pivot,
                control=self._control,
            )  # fmt: skip
            found = yield from _named(steps, body.name)
            tried = list(self.poses)
            tried[own] = [pose.to(dtype=torch.float64) for pose in found.views]
            if end is None or self._loss(end.problem, tried) < self._loss(end.problem, self.poses):
                self.poses = tuple(tried)
                if apart is not None:
                    apart.moved(number, self.poses[own])

    def _known_depths(self, sigma_mm: float) -> Iterator[Prior]:
        """Of every body that one radiograph alone shows: how far away it is that one hardly says; the rest of a CT
        says it, or the start."""
        views = len(self._radiographs)
        for number, body in enumerate(self._bodies):
            if self._end is not None and not number:
                continue  # the rest, from which the depth of others is told
            poses = self.poses[number * views : (number + 1) * views]
            seen = [View(each, at) for each, at in zip(self._radiographs, poses, strict=True)]
            some = radiographs_that_show(body.volume, seen)
            if len(some) > 1:
                continue
            known = in_depth(poses[some[0]], sigma_mm)
            if self._end is None:
                yield Expected(number, poses[0], known)
            else:
                yield ExpectedBetween(number, 0, poses[0] @ self.poses[0].inverse(), known)

    def _loss(self, problem: HostProblem, poses: Sequence[Pose]) -> float:
        return float(problem.begin(tuple(_batch(pose) for pose in poses))[1].loss[0])

    def _iterate(self, level: int, tried: Round, names: Sequence[str]) -> BodiesIterate:
        views = len(self._radiographs)
        terms = dict(zip(names, tried.model.terms[0].tolist(), strict=True))
        iterate = BodiesIterate(
            index=len(self._trajectory),
            level=level,
            world_from_camera=tuple(pose[0] for pose in tried.poses[::views]),
            losses={"loss": float(tried.model.loss[0]), **terms},
            accepted=bool(tried.accepted[0]),
            damping=float(tried.damping[0]),
            step=float(tried.step_mm[0]),
            seconds=time.perf_counter() - self._began,
            image=tried.drrs[0] if self._settings.keep_images else None,
        )
        self._trajectory.append(iterate)
        return iterate

    def answer(self, *, judge: bool) -> BodiesRegistration:
        """What is known at the end."""
        assert self._end is not None
        return answered(
            self._end, self.poses, self._trajectory, near=self._near,
            finished=max(self.levels) == max((i.level for i in self._trajectory), default=-1),
            judge=judge, simulated=self._simulated, notes=self._notes, control=self._control,
        )  # fmt: skip


def _named(
    steps: Generator[Iterate, None, Registration], name: str
) -> Generator[BodyIterate, None, Registration]:
    while True:
        try:
            yield BodyIterate(name, next(steps))
        except StopIteration as end:
            found: Registration = end.value
            return found


def _batch(pose: Pose) -> Pose:
    return Pose(pose.rotation[None], pose.translation[None])
