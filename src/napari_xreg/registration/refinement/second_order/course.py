"""All starts of one or many cases on their way through the levels of a refinement.

A case is one patient's radiographs with their starting poses. The starts of all cases advance
together; what they showed stays where the sums are made, and after each iteration one table of a
few numbers a start is read.
"""

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.progress import Control
from napari_xreg.registration.refinement.confidence import sandwich, scale_twist
from napari_xreg.registration.refinement.problem import Backend, Problem
from napari_xreg.registration.refinement.result import Registration, Status
from napari_xreg.registration.refinement.second_order.damped_steps import (
    Starts,
    begin,
    better_of,
    levenberg_marquardt,
    quadratic,
    stopping_status,
)
from napari_xreg.registration.refinement.second_order.depth import (
    DepthBounds,
    DepthPull,
    furthest_mm,
)
from napari_xreg.registration.refinement.second_order.levels import Level
from napari_xreg.registration.refinement.second_order.locks import Locks
from napari_xreg.registration.refinement.second_order.look import Look, look_at
from napari_xreg.registration.refinement.second_order.tracks import (
    Track,
    candidates_of,
    through_levels,
    tracks_of,
)
from napari_xreg.registration.refinement.second_order.turn import Turn, copied, turn_of
from napari_xreg.registration.refinement.second_order.usable_levels import levels_that_show
from napari_xreg.registration.refinement.settings import SAME_GAIN, RefineSettings, status_of
from napari_xreg.registration.refinement.views import View, saturated_words, unsaturated
from napari_xreg.registration.verdict.evidence import evidence_of
from napari_xreg.registration.verdict.verdict import verdict_on


def refine_cases(
    volume: Volume,
    cases: Sequence[Sequence[View]],
    *,
    settings: RefineSettings,
    pivot: Float[Tensor, "3"],
    backend: Backend,
    control: Control | None = None,
) -> Generator[Turn, None, list[Registration]]:
    """Refine every case from all its starts; results without a trajectory, in order.

    Parameters
    ----------
    volume
        Where the backend wants it.
    cases
        Views of each case; the first views of all cases share one `CArm`, and so on.
    settings, pivot, control
        As for `refine`.
    backend
        What makes the sums.
    """
    course = _Course(volume, cases, settings, pivot, backend)
    for number, alive in through_levels(course.levels, course.tracks, settings, control):
        if course.astray(number, alive):
            break
        course.enter(number, alive)
        yield from course.advance(control)
    return course.registrations(control)


class _Course:
    """Mutable, private to a refinement; parameters as `refine_cases`."""

    levels: Mapping[int, Level]
    """Those that show enough of what is looked for, by their number in the settings."""
    tracks: Sequence[Sequence[Track]]
    """Of every case."""

    _problem: Problem[Any]
    _bounds: DepthBounds
    _pull: DepthPull | None
    _state: Starts[Any]

    def __init__(
        self,
        volume: Volume,
        cases: Sequence[Sequence[View]],
        settings: RefineSettings,
        pivot: Float[Tensor, "3"],
        backend: Backend,
    ) -> None:
        self._volume, self._cases, self._settings = volume, cases, settings
        self._pivot, self._backend = pivot, backend
        self._rigs = [
            [
                (case[0].world_from_camera.inverse() @ view.world_from_camera).to(
                    dtype=torch.float64
                )
                for view in case
            ]
            for case in cases
        ]
        self._compared = [unsaturated(case) for case in cases]
        self.levels, left_out = levels_that_show(volume, self._compared, settings.levels)
        self._notes = [(*saturated_words(case), *left_out) for case in cases]
        carm = cases[0][0].radiograph.carm
        locks = Locks(settings.locked, carm, pivot.to(backend.device))
        self._locks = locks or None
        self.tracks = [tracks_of(case, settings, pivot, levels=len(self.levels)) for case in cases]
        self._alive: list[Sequence[Track]] = []
        self._gains: Float[Tensor, "cases"] | None = None
        self._number, self._tolerance_mm, self._untried_mm = 0, math.nan, 0.0
        spreads = [settings.spread, *(each.spread for each in settings.beside)]
        self._depth_spread_mm = max(spread.depth_mm for spread in spreads)

    def astray(self, number: int, alive: Sequence[Sequence[Track]]) -> bool:
        """Whether it is given up before this level (`RefineSettings.given_up`)."""
        settings = self._settings
        late = settings.is_last(number) and number > min(self.levels)
        if not (settings.given_up and late and len(self._cases) == 1):
            return False
        best = min(alive[0], key=lambda track: track.loss).pose
        views = [
            View(view.radiograph, best @ relative)
            for view, relative in zip(self._cases[0], self._rigs[0], strict=True)
        ]
        found = evidence_of(self._volume, views)
        return found is not None and verdict_on(found).probability < settings.given_up

    def enter(self, number: int, alive: list[Sequence[Track]]) -> None:
        """Begin a level with the starts of every case that go on."""
        settings, level = self._settings, self.levels[number]
        self._number, self._alive, first = number, alive, number == min(self.levels)
        # Of several levels the first sees saturated air too: far from the answer the outline of the
        # body says most, and what is biased by the air is put right at the levels that follow.
        cases = self._cases if first and not settings.is_last(number) else self._compared
        look = look_at(self._volume, cases, level, self._pivot)
        toned = level.channels.tone
        if toned and (self._gains is None or settings.is_last(number)):
            # Judged at the first level that needs it and again at the last. Judging at the levels
            # between brought nothing, and each time a CT is rescaled.
            best = [min(left, key=lambda track: track.loss).pose for left in self._alive]
            at = self._of_views(best, range(len(best)))
            gains, look = self._beam(look, cases, at)
            if (before := settings.bone_gain) is not None:
                gains = torch.where((gains - before).abs() < SAME_GAIN, before, gains)
            self._gains = gains
        tracks = [track for left in self._alive for track in left]
        of = [case for case, left in enumerate(self._alive) for _ in left]
        self._problem = self._backend.problem(
            look, torch.tensor(of), self._gains if toned else None
        )
        self._tolerance_mm = settings.tolerance_at(number, look.pixel_at_pivot_mm)
        self._untried_mm = settings.untried_at(number, look.pixel_at_pivot_mm)
        given = self._of_views([track.initial for track in tracks], of)
        self._bounds = DepthBounds(
            given[0], self._problem.pivot, furthest_mm(self._depth_spread_mm)
        )
        self._state = begin(self._problem, self._of_views([track.pose for track in tracks], of))
        expected = settings.depth
        self._pull = (
            DepthPull(expected, self._problem.pivot, self._state.model.loss) if expected else None
        )
        if sorted(self.levels).index(number) == 1:
            # The given starts go on from where they were given, if this level shows that to be
            # better than where the coarsest one led, which sees least. (Asked once more at the next,
            # it changed none of eight simulated cases.)
            starts = torch.tensor([track.given for track in tracks])
            self._state = better_of(
                self._problem, self._state, given, starts.to(self._backend.device)
            )

    def _beam(
        self, look: Look, cases: Sequence[Sequence[View]], at: tuple[Pose, ...]
    ) -> tuple[Float[Tensor, "cases"], Look]:
        """Brightness of bone at a pose of every case, and the look with its scatter where that can be told."""
        level, found = look.level, look
        gains = torch.full((len(look.cases),), torch.nan, dtype=torch.float64)
        coarser = self._settings.bone_look(level)
        seen = look if coarser == level else look_at(self._volume, cases, coarser, self._pivot)
        near = self._settings.begun_near or self._gains is not None
        if near and level.channels.edges:
            # Within a millimetre by now; farther off, what does not fit looks like scatter.
            whole = look_at(self._volume, self._cases, coarser, self._pivot).cases
            beams = self._backend.beams(seen, at, whole)
            gains, found = beams.gains, look.below(beams.scatter)
        untold = gains.isnan()
        if bool(untold.any()):
            gains = torch.where(untold, self._backend.bone_gains(seen, at).cpu(), gains)
        return gains, found

    def _of_views(self, poses: Sequence[Pose], of: Sequence[int]) -> tuple[Pose, ...]:
        """A batch of poses for every view, from those of the first."""
        first = Pose.stack(list(poses))
        rigs = [self._rigs[case] for case in of]
        return tuple(
            (first @ Pose.stack(list(view))).to(device=self._backend.device)
            for view in zip(*rigs, strict=True)
        )

    def advance(self, control: Control | None) -> Generator[Turn, None, None]:
        """To the end of the level, whose first state is shown too."""
        level = self.levels[self._number]
        steps = levenberg_marquardt(
            self._problem, self._state, iterations=level.iterations,
            tolerance_mm=self._tolerance_mm, untried_mm=self._untried_mm,
            stride=self._settings.stride_at(self._number, level), locks=self._locks, bounds=self._bounds, pull=self._pull,
            control=control, recorder=self._backend.recorder,
        )  # fmt: skip
        for tried, self._state in steps:
            turn = turn_of(
                tried, self._state, level=self._number,
                tracks=[track for left in self._alive for track in left],
                names=self._problem.names, keep_images=self._settings.keep_images,
            )  # fmt: skip
            # Kept at once: a consumer that closes the generator loses nothing.
            for row, track in enumerate(turn.tracks):
                track.reached(self._number, turn.losses[row], copied(turn.poses, row))
            yield turn
            if not any(turn.active):
                return

    def registrations(self, control: Control | None) -> list[Registration]:
        """What the best start of every case says."""
        winners = _best_rows(self._alive)
        state, settings, names = self._state, self._settings, self._problem.names
        model = state.model
        # Nothing but the winners' comes from the device.
        losses, terms = model.loss[winners].tolist(), model.terms[winners].tolist()
        hessians = model.hessians(names, len(state.poses))[winners].cpu()
        minimised = [part[winners].cpu() for part in quadratic(model, state.poses, self._pull)]
        ended = state.ended[winners].tolist()
        ran_away = self._bounds.reached(state.poses[0])[winners].tolist()
        flat = self._problem.flat(state.seen, winners)
        free = None if self._locks is None else self._locks.free(state.poses)[winners].cpu()
        meat = None
        if settings.is_last(self._number):
            meat = self._problem.correlated_sums(state.seen, winners)
        views = [Pose(p.rotation[winners].cpu(), p.translation[winners].cpu()) for p in state.poses]
        results = []
        for case, tracks in enumerate(self.tracks):
            basis = None if free is None else free[case]
            end = stopping_status(
                losses[case], minimised[0][case], minimised[1][case],
                self._tolerance_mm, basis, untried_mm=self._untried_mm, cut_off=not ended[case],
            )  # fmt: skip
            if ran_away[case]:
                end = Status.STALLED
            status = status_of(flat[case], end, control)
            poses = tuple(copied(view, case) for view in views)
            covariance = scale = None
            if meat is not None and status is not Status.NO_OVERLAP:
                covariance = sandwich(hessians[case].sum(0).numpy(), meat[case], basis)
            if covariance is not None:
                sources = torch.stack([pose.translation for pose in poses]).double()
                scale = scale_twist(hessians[case], sources, self._pivot.double(), basis)
                covariance = covariance + scale.outer(scale)
            notes = (*self._notes[case], *([self._ran_away()] if ran_away[case] else []))
            found = Registration(
                world_from_camera=poses[0],
                status=status,
                losses={"loss": losses[case], **dict(zip(names, terms[case], strict=True))},
                trajectory=(),
                pivot=self._pivot,
                covariance=covariance,
                scale=scale,
                views=poses,
                candidates=candidates_of(tracks),
                simulated=any(view.radiograph.simulated for view in self._cases[case]),
                notes=notes,
                bone_gain=None if self._gains is None else float(self._gains[case]),
            )
            told = [found.ranking_words, "" if (other := found.runner_up) is None else other.words]
            found = replace(found, notes=(*found.notes, *filter(None, told)))
            results.append(found)
        return results

    def _ran_away(self) -> str:
        furthest = furthest_mm(self._depth_spread_mm)
        return (
            f"The depth ran {furthest:.0f} mm from the start and was stopped there: this radiograph "
            "does not say how far away the patient is. Lock the depth, add a second view, or start "
            "nearer."
        )


def _best_rows(alive: Sequence[Sequence[Track]]) -> list[int]:
    """Where the best start of every case stands, when all stand one below the other."""
    found, before = [], 0
    for left in alive:
        losses = [track.loss for track in left]
        found.append(before + losses.index(min(losses)))
        before += len(left)
    return found
