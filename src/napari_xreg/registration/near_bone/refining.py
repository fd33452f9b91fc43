"""A refinement that looks only near where the bone is rendered, and moves its look with the pose."""

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.options import Option
from napari_xreg.progress import Control
from napari_xreg.registration.near_bone.mask import box_corners, depth_of
from napari_xreg.registration.near_bone.search import places_of
from napari_xreg.registration.near_bone.view import in_whole_frame, looked
from napari_xreg.registration.refinement.more_starts import renumbered, until_trusted
from napari_xreg.registration.refinement.refining import refine
from napari_xreg.registration.refinement.result import Iterate, Registration
from napari_xreg.registration.refinement.second_order.depth import ExpectedDepth
from napari_xreg.registration.refinement.second_order.levels import Level
from napari_xreg.registration.refinement.second_order.tracks import Track, candidates_of, entering
from napari_xreg.registration.refinement.settings import RefineSettings
from napari_xreg.registration.refinement.solvers import solver_of
from napari_xreg.registration.refinement.starts import (
    Hypothesis,
    Spread,
    perturbed,
    spread_starts,
)
from napari_xreg.registration.refinement.views import (
    View,
    pivot_of,
    saturated_words,
    unsaturated,
)
from napari_xreg.rendering import prepare

VOXEL_PER_PIXEL = 0.9
"""Voxels of a coarse level over its pixels, where the bone is: 6 mm to 32 pixels of 300 mm, as in
the levels of whole images."""

BONE_ROUNDS = (1, 16)
"""So many orientations, beside those one standard deviation from the given one, in turn where the number
of starts is left to the program."""

SIGMAS, FARTHEST_MM = 2.0, 30.0
"""A bone is looked for so many standard deviations of the spread around, at most so far: within that are
its neighbours."""

PLACES = 4
"""So many of the places found are refined."""

COARSEST = 32
"""Longer side of a first level that a search stands in for, and of the first of a solver whose levels
are not known here."""


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


def refine_near_bone(
    volume: Volume,
    views: View | Sequence[View],
    *,
    near: NearBone | None = None,
    settings: Any = None,
    isocenter: Float[Tensor, "3"] | None = None,
    control: Control | None = None,
) -> Generator[Iterate, None, Registration]:
    """`refine`, on the pixels near the bone as it is rendered, after it was looked for around the start.

    A bone is a small part of a radiograph, and other bones and instruments lie beside it: only what
    is near it is compared, and the image is cropped to that before the levels are made, so that a
    level is as fine as the bone is small. First it is looked for at every shift within twice the spread,
    turned by nothing and by the spread about each axis (`search`), or turned in as many ways as there
    are starts; the likeliest places, and the given pose, are refined, each with its own mask, made anew at
    every level. Nothing is looked for where something is
    locked or the spread is none.

    Parameters
    ----------
    volume
        Bones alone, as attenuation above water.
    views, settings, isocenter, control
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
        if views:
            around = Hypothesis(views[0].world_from_camera)
            places = _places(host, views, around, RefineSettings())
            views = _moved(views, places[0]) if places else views
        seen = looked(host, views, near.reach_mm, COARSEST)
        return (
            yield from refine(
                volume, seen or views, settings=settings, isocenter=pivot, control=control
            )
        )

    def once(how: RefineSettings) -> Generator[Iterate, None, Registration]:
        return _refined(volume, host, views, near, how, pivot, control)

    rounds = settings if settings.starts else replace(settings, rounds=BONE_ROUNDS)
    found = yield from until_trusted(once, rounds, control)
    return replace(found, notes=(*left_out, *found.notes))


def _hypotheses(volume: Volume, views: Sequence[View], settings: RefineSettings) -> list[Track]:
    """The given pose of the first view and those that others propose, then the likeliest places of the
    bone around each.
    """
    first = Hypothesis(
        views[0].world_from_camera, settings.origin, settings.starts or 1, settings.spread
    )
    about = (first, *settings.beside)
    found = [(each.world_from_camera, each, True) for each in about]
    for each in about:
        found += [(pose, each, False) for pose in _places(volume, views, each, settings)]
    tracks = []
    for number, (at, each, given) in enumerate(found):
        pose = at.to(dtype=torch.float64)
        tracks.append(Track(number, pose, pose, given=given, origin=each.origin))
    return tracks


def _places(
    volume: Volume, views: Sequence[View], about: Hypothesis, settings: RefineSettings
) -> list[Pose]:
    """Where the bone is found around a pose of the first view."""
    reach_mm = _searched_mm(settings)
    if not reach_mm:
        return []
    middle = box_corners(prepare(volume, packed=True)).mean(0)
    given = about.world_from_camera.to(dtype=torch.float64)
    turned = [given, *_turned(about, middle, settings.seed)]
    places = places_of(volume, _moved(views, given), turned, reach_mm, most=PLACES)
    return [place.pose for place in places]


def _searched_mm(settings: RefineSettings) -> float:
    """How far around the start; 0 where nothing is looked for."""
    return 0.0 if settings.locked else min(SIGMAS * settings.spread.in_plane_mm, FARTHEST_MM)


def _turned(about: Hypothesis, middle: Float[Tensor, "3"], seed: int) -> list[Pose]:
    """Turned about the middle of the bone: once each way about each axis, or spread as starts are."""
    given, spread = about.world_from_camera, Spread(about.spread.rotation_deg, 0.0, 0.0)
    if not spread.rotation_deg:
        return []
    if about.starts > 1:
        return spread_starts(given, middle, about.starts, spread, seed)[1:]
    axes = torch.eye(6, dtype=torch.float64)[:3]
    poses = perturbed(given.to(dtype=torch.float64), middle, torch.cat([axes, -axes]), spread)
    return [poses[row] for row in range(6)]


def _left_out(settings: RefineSettings) -> int:
    """How many levels a search stands in for: a coarse first one, where a thin bone is drawn to its
    neighbour.
    """
    levels = settings.levels
    few = not _searched_mm(settings) or len(levels) < 3 or levels[0].pixels > COARSEST
    return 0 if few else 1


def _refined(
    volume: Volume,
    host: Volume,
    views: tuple[View, ...],
    near: NearBone,
    settings: RefineSettings,
    pivot: Float[Tensor, "3"],
    control: Control | None,
) -> Generator[Iterate, None, Registration]:
    """From the starts of `settings`, level by level; `host` is the volume on the processor."""
    began = time.perf_counter()
    if len(views) == 1 and not settings.locked and settings.spread.depth_mm > 0:
        depth = float(
            views[0].world_from_camera.to(dtype=torch.float64).inverse().apply(pivot[None])[0, 2]
        )
        settings = replace(settings, depth=ExpectedDepth(depth, settings.spread.depth_mm))
    tracks = _hypotheses(host, views, settings)
    found = not all(track.given for track in tracks)
    trajectory: list[Iterate] = []
    skipped = _left_out(settings)
    settings = replace(settings, levels=settings.levels[skipped:])
    alive: Sequence[Track] = tracks
    result: Registration | None = None
    for number, level in enumerate(settings.levels):
        if number > 0:
            alive = entering(alive, number + skipped, settings)
        last = settings.is_last(number)
        ended: dict[int, Registration] = {}
        for track in alive:
            moved = _moved(views, track.pose)
            reach_mm = near.reach_mm if found else near.at(number)
            seen = looked(host, moved, reach_mm, level.pixels) or moved
            sub = _level_alone(settings, level, host, seen[0], last=last)
            # Judged at the end alone; with the views of the last level, which show the bone alone.
            events = (
                refine(volume, seen, settings=sub, isocenter=pivot, control=control)
                if last
                else solver_of(sub).solve(volume, seen, settings=sub, pivot=pivot, control=control)
            )

            def of_all(
                event: Iterate,
                start: int = track.start,
                level: int = number + skipped,
                part: Radiograph = seen[0].radiograph,
            ) -> Iterate:
                seconds, image = time.perf_counter() - began, event.image
                if image is not None:
                    image = in_whole_frame(image, part, views[0].radiograph)
                return replace(event, start=start, level=level, seconds=seconds, image=image)

            done = yield from renumbered(events, trajectory, of_all)
            ended[track.start] = done
            track.reached(number + skipped, done.losses["loss"], done.world_from_camera)
            if control is not None and control.cancelled:
                break
        result = ended[min(ended, key=lambda start: tracks[start].loss)]
        if control is not None and control.cancelled:
            break
    assert result is not None  # there is at least one level
    complete = max(track.level for track in tracks) == skipped + len(settings.levels) - 1
    searched = f"The bone was looked for within {_searched_mm(settings):g} mm of the start."
    registration = replace(
        result,
        notes=(searched, *result.notes) if found else result.notes,
        trajectory=tuple(trajectory),
        covariance=result.covariance if complete else None,
        candidates=candidates_of(tracks),
    )
    told = registration.ranking_words
    return replace(registration, notes=(*registration.notes, told)) if told else registration


def near_bone_words(near: NearBone) -> str:
    """What a user reads about it."""
    return f"compared within {near.reach_mm:g} mm of the rendered bone"


def _moved(views: Sequence[View], first: Pose) -> tuple[View, ...]:
    """The rig with its first camera at a pose."""
    back = views[0].world_from_camera.inverse().to(dtype=torch.float64)
    first = first.to(dtype=torch.float64)
    return tuple(
        replace(
            view, world_from_camera=first @ (back @ view.world_from_camera.to(dtype=torch.float64))
        )
        for view in views
    )


def _level_alone(
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
    return replace(settings, levels=(level,), starts=1, beside=(), tolerance_mm=tolerance)
