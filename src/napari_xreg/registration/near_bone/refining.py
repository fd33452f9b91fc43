"""A refinement that looks only near where the bone is rendered, and moves its look with the pose."""

import functools
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Radiograph, Volume
from napari_xreg.options import Option
from napari_xreg.progress import Control
from napari_xreg.registration.near_bone.mask import depth_of
from napari_xreg.registration.near_bone.showing import Judge, Rig, radiographs_that_show
from napari_xreg.registration.near_bone.starting import (
    COARSEST,
    hypotheses,
    levels_left_out,
    moved_to,
    searched_words,
    starts_of,
)
from napari_xreg.registration.near_bone.view import in_whole_frame, looked
from napari_xreg.registration.refinement.refining import refine
from napari_xreg.registration.refinement.result import Iterate, Registration
from napari_xreg.registration.refinement.second_order.levels import Level
from napari_xreg.registration.refinement.second_order.tracks import (
    Track,
    candidates_of,
    through_levels,
)
from napari_xreg.registration.refinement.settings import RefineSettings
from napari_xreg.registration.refinement.solvers import solver_of
from napari_xreg.registration.refinement.starts_in_turn import renumbered, until_trusted
from napari_xreg.registration.refinement.views import (
    View,
    pivot_of,
    saturated_words,
    unsaturated,
)
from napari_xreg.registration.verdict.verdict import judged
from napari_xreg.rendering import with_one_blas_thread

VOXEL_PER_PIXEL = 0.9
"""Voxels of a coarse level over its pixels, where the bone is: 6 mm to 32 pixels of 300 mm, as in
the levels of whole images."""

BONE_ROUNDS = (1, 16)
"""So many orientations, beside those one standard deviation from the given one, in turn where the number
of starts is left to the program."""


@dataclass(frozen=True)
class NearBone:
    """How near the rendered bone pixels are compared.

    Parameters
    ----------
    reach_mm
        Distance from the rendered bone, measured in the patient.
    first_mm
        The same at the first level where the bone is not looked for, as far as the start may be off;
        halved from level to level.
    """

    reach_mm: Annotated[
        float,
        Option("Reach", "Pixels this near the rendered bone are compared.", "mm", 0.5, 100.0),
    ] = 5.0
    first_mm: Annotated[
        float,
        Option(
            "Reach at first", "The same at the coarsest level, where the bone is not looked for.",
            "mm", 0.5, 200.0,
        ),
    ] = 12.0  # fmt: skip

    def at(self, level: int) -> float:
        """The reach at a level, 0 = coarsest, where the bone is not looked for."""
        return max(self.reach_mm, self.first_mm / 2.0**level)


@with_one_blas_thread
def refine_near_bone(
    volume: Volume,
    views: View | Sequence[View],
    *,
    near: NearBone | None = None,
    settings: Any = None,
    isocenter: Float[Tensor, "3"] | None = None,
    control: Control | None = None,
    judge: bool = True,
) -> Generator[Iterate, None, Registration]:
    """`refine`, on the pixels near the bone as it is rendered, after it was looked for around the start.

    A bone is a small part of a radiograph, and other bones and instruments lie beside it: only what
    is near it is compared, and the image is cropped to that before the levels are made, so that a
    level is as fine as the bone is small. First it is looked for at every shift within twice the spread,
    turned by nothing and by the spread about each axis (`search`), or turned in as many ways as there
    are starts; the likeliest places, and the given pose, are refined, each with its own mask, made anew at
    every level. Nothing is looked for where something is locked or the spread is none, nor by the
    solvers that are there for comparison: they begin at the given pose, and compare what is near the
    bone as it is rendered there.

    Parameters
    ----------
    volume
        Bones alone, as attenuation above water.
    views, settings, isocenter, control, judge
        As of `refine`.
    near
        How near; None: ``NearBone()``.

    Yields
    ------
    Iterate
        As `refine`; images lie in the frame of the whole radiograph.

    Raises
    ------
    ValueError
        As `refine`.
    """
    # Before anything is cropped: a plateau is a share of the whole picture.
    whole = (views,) if isinstance(views, View) else tuple(views)
    views, left_out = unsaturated(whole), saturated_words(whole)
    settings = RefineSettings() if settings is None else settings
    near = NearBone() if near is None else near
    pivot = pivot_of(volume, isocenter)
    host = volume.to(device="cpu")
    if not views or not isinstance(settings, RefineSettings):
        seen = looked(host, views, near.at(0), COARSEST)
        return (
            yield from refine(
                volume,
                seen or views,
                settings=settings,
                isocenter=pivot,
                control=control,
                judge=judge,
            )
        )

    rounds = settings if settings.starts else replace(settings, rounds=BONE_ROUNDS)
    verdict = functools.partial(judged, locked=settings.locked) if judge else None
    # What is locked is said of the first radiograph.
    some = range(len(views)) if settings.locked else radiographs_that_show(host, views)
    rig = Rig(views, some)

    def once(how: RefineSettings) -> Generator[Iterate, None, Registration]:
        by = verdict and rig.judge(verdict)
        return _refined(volume, host, rig.views, near, rig.settings(how), pivot, control, by)

    found = yield from rig.told(until_trusted(once, rounds, control))
    return replace(found, notes=(*left_out, *found.notes))


def _refined(
    volume: Volume,
    host: Volume,
    views: tuple[View, ...],
    near: NearBone,
    settings: RefineSettings,
    pivot: Float[Tensor, "3"],
    control: Control | None,
    judge: Judge | None,
) -> Generator[Iterate, None, Registration]:
    """From the starts of `settings`, level by level; `host` is the volume on the processor."""
    began = time.perf_counter()
    starts = starts_of(host, views, settings)
    tracks = []
    for number, start in enumerate(starts):
        pose = start.pose.to(dtype=torch.float64)
        tracks.append(Track(number, pose, pose, given=start.given, origin=start.about.origin))
    untold = len(views) == 1 and not settings.locked  # how far away the patient is
    trajectory: list[Iterate] = []
    skipped = levels_left_out(hypotheses(views, settings), settings)
    for number, (alive,) in through_levels(
        range(skipped, len(settings.levels)), [tracks], settings, control
    ):
        level, last = settings.levels[number], settings.is_last(number)
        ended: dict[int, Registration] = {}
        for track in alive:
            moved = moved_to(views, track.pose)
            began_at = starts[track.start]
            reach_mm = near.reach_mm if began_at.searched_mm else near.at(number - skipped)
            seen = looked(host, moved, reach_mm, level.pixels) or moved
            sub = level_alone(settings, level, host, seen[0], last=last)
            sub = replace(
                sub, spread=began_at.about.spread,
                depth=(began_at.expected(pivot) if untold else None) or settings.depth,
            )  # fmt: skip
            events = solver_of(sub).solve(volume, seen, settings=sub, pivot=pivot, control=control)

            def of_all(
                event: Iterate,
                start: int = track.start,
                level: int = number,
                part: Radiograph = seen[0].radiograph,
            ) -> Iterate:
                seconds, image = time.perf_counter() - began, event.image
                if image is not None:
                    image = in_whole_frame(image, part, views[0].radiograph)
                return replace(event, start=start, level=level, seconds=seconds, image=image)

            done = yield from renumbered(events, trajectory, of_all)
            if last and judge is not None:
                # With the views of the last level, which show the bone alone.
                done = judge(done, volume, seen)
            ended[track.start] = done
            track.reached(number, done.losses["loss"], done.world_from_camera)
            if control is not None and control.cancelled:
                break
        result = ended[min(ended, key=lambda start: tracks[start].loss)]
    complete = max(track.level for track in tracks) == len(settings.levels) - 1
    registration = replace(
        result,
        notes=(*searched_words(starts), *result.notes),
        trajectory=tuple(trajectory),
        covariance=result.covariance if complete else None,
        scale=result.scale if complete else None,
        candidates=candidates_of(tracks),
    )
    told = registration.ranking_words
    return replace(registration, notes=(*registration.notes, told)) if told else registration


def near_bone_words(near: NearBone, settings: Any = None) -> str:
    """What a user reads about it; `settings` of a solver, None: ``RefineSettings()``."""
    if settings is None or isinstance(settings, RefineSettings):
        return f"compared within {near.reach_mm:g} mm of the rendered bone"
    return f"compared within {near.at(0):g} mm of the bone as rendered at the start"


def level_alone(
    settings: RefineSettings, level: Level, volume: Volume, view: View, *, last: bool
) -> RefineSettings:
    """The settings of one level of several; its voxels suit the pixels of the cropped image."""
    carm = view.radiograph.carm
    shown = max(n * s for n, s in zip(carm.detector.shape, carm.detector.spacing, strict=True))
    depth = abs(depth_of(volume, view.world_from_camera))
    pixel_mm = shown * depth / carm.source_to_detector / level.pixels
    if level.voxel_mm is not None:
        level = replace(level, voxel_mm=min(level.voxel_mm, VOXEL_PER_PIXEL * pixel_mm))
    tolerance = settings.tolerance_mm if last else max(settings.tolerance_mm, 0.1 * pixel_mm)
    return replace(
        settings, levels=(level,), starts=1, beside=(), tolerance_mm=tolerance,
        untried=settings.untried if last else 0.0,
    )  # fmt: skip
