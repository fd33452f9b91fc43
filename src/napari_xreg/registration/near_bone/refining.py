"""A refinement that looks only near where the bone is rendered, and moves its look with the pose."""

import dataclasses
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Crop, Radiograph, Volume
from napari_xreg.options import Option
from napari_xreg.progress import Control
from napari_xreg.registration.near_bone.mask import box_of, depth_of, near_bone_mask
from napari_xreg.registration.refinement.more_starts import renumbered, until_trusted
from napari_xreg.registration.refinement.refining import refine
from napari_xreg.registration.refinement.result import Candidate, Iterate, Registration
from napari_xreg.registration.refinement.second_order.levels import Level
from napari_xreg.registration.refinement.settings import RefineSettings
from napari_xreg.registration.refinement.solvers import solver_of
from napari_xreg.registration.refinement.starts import (
    Hypothesis,
    Spread,
    going_on,
    spread_starts,
)
from napari_xreg.registration.refinement.views import (
    View,
    at_pixels,
    pivot_of,
    saturated_words,
    unsaturated,
)

VOXEL_PER_PIXEL = 0.9
"""Voxels of a coarse level over its pixels, where the bone is: 6 mm to 32 pixels of 300 mm, as in
the levels of whole images."""

FRAME_PIXELS = 256
"""Longer side of the image of an iteration."""

MARGIN_PIXELS = 4
"""Of the coarsest level, about the mask: what filters reach."""

BONE_ROUNDS = (1, 16)
"""So many starts in turn where their number is left to the program: each has its own mask."""

FEWEST = 64
"""Usable pixels near the bone, at the level's resolution; with fewer the whole image is compared."""

COARSEST = 32
"""Longer side of the first level of a solver whose levels are not known here."""


@dataclass(frozen=True)
class NearBone:
    """How near the rendered bone pixels are compared.

    Parameters
    ----------
    reach_mm
        Distance from the rendered bone, measured in the patient.
    first_mm
        The same at the first level, as far as the start may be off; halved from level to level.
    """

    reach_mm: Annotated[
        float,
        Option("Reach", "Pixels this near the rendered bone are compared.", "mm", 0.5, 100.0),
    ] = 5.0
    first_mm: Annotated[
        float,
        Option(
            "Reach at first", "The same at the coarsest level: how far the start may be off.",
            "mm", 0.5, 200.0,
        ),
    ] = 12.0  # fmt: skip

    def at(self, level: int) -> float:
        """The reach at a level, 0 = coarsest."""
        return max(self.reach_mm, self.first_mm / 2.0**level)


def near_bone_view(volume: Volume, view: View, poses: Pose, reach_mm: float) -> View | None:
    """The view masked and cropped to what is near the bone at some poses; None if that is too little.

    Parameters
    ----------
    poses
        Of this view's camera: one, or a batch.
    """
    radiograph = view.radiograph
    near = near_bone_mask(volume, radiograph.carm, poses, reach_mm)
    box = box_of(near & radiograph.usable.cpu(), 0)
    if box is None or int((near & radiograph.usable.cpu()).sum()) < FEWEST:
        return None
    margin = round(MARGIN_PIXELS * max(box[2:]) / 32)
    first_row, first_column, rows, columns = box_of(near & radiograph.usable.cpu(), margin) or box
    masked = radiograph.with_mask(near, f"within {reach_mm:g} mm of the rendered bone")
    return replace(view, radiograph=masked.crop(first_row, first_column, rows, columns))


def refine_near_bone(
    volume: Volume,
    views: View | Sequence[View],
    *,
    near: NearBone | None = None,
    settings: Any = None,
    isocenter: Float[Tensor, "3"] | None = None,
    control: Control | None = None,
) -> Generator[Iterate, None, Registration]:
    """`refine`, level by level, each on the pixels near the bone as it is rendered there.

    A bone is a small part of a radiograph, and other bones and instruments lie beside it: only what
    is near it is compared, and the image is cropped to that before the levels are made, so that a
    level is as fine as the bone is small. Every start has its own mask, made anew at every level;
    many starts begin at the second level, and are spread less widely than in whole images. A
    solver without levels of this kind looks near the starting pose.

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
        looked = _looked(host, views, near.first_mm, COARSEST)
        return (
            yield from refine(
                volume, looked or views, settings=settings, isocenter=pivot, control=control
            )
        )

    def once(how: RefineSettings) -> Generator[Iterate, None, Registration]:
        return _refined(volume, host, views, near, how, pivot, control)

    rounds = _in_rounds(settings, near, len(views))
    found = yield from until_trusted(once, rounds, control)
    return replace(found, notes=(*left_out, *found.notes))


def _in_rounds(settings: RefineSettings, near: NearBone, views: int) -> RefineSettings:
    """Where the number of starts is left to the program: rounds of a bone that lies beside its like."""
    if settings.starts:
        return settings
    if settings.spread != Spread():  # the user knows better
        return replace(settings, rounds=BONE_ROUNDS)
    said, close = settings.spread, near.first_mm / 4
    # Seen from the side, the depth of one view lies in the plane of another.
    depth_mm = min(said.depth_mm, close) if views > 1 else said.depth_mm
    spread = Spread(min(said.rotation_deg, 1.5), min(said.in_plane_mm, close), depth_mm)
    return replace(settings, rounds=BONE_ROUNDS, spread=spread)


def _left_out(settings: RefineSettings) -> int:
    """How many levels many starts do without: a coarse first one, where a thin bone is drawn to its
    neighbour.
    """
    levels = settings.levels
    few = (
        (settings.starts == 1 and not settings.beside)
        or len(levels) < 3
        or levels[0].pixels > COARSEST
    )
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
    first = Hypothesis(
        views[0].world_from_camera, settings.origin, settings.starts, settings.spread
    )
    drawn = [
        (pose, pose is each.world_from_camera, each.origin)
        for each in (first, *settings.beside)
        for pose in spread_starts(
            each.world_from_camera, pivot, each.starts, each.spread, settings.seed
        )
    ]
    given = [number for number, (_, as_proposed, _) in enumerate(drawn) if as_proposed]
    trajectory: list[Iterate] = []
    skipped = _left_out(settings)
    settings = replace(settings, levels=settings.levels[skipped:])
    tracks = {
        number: Candidate(number, pose, pose, 0, 0.0, origin=origin)
        for number, (pose, _, origin) in enumerate(drawn)
    }
    alive, result = list(tracks), None
    for number, level in enumerate(settings.levels):
        if number > 0:
            keep = settings.entering(number)
            alive = going_on({start: tracks[start].loss for start in alive}, keep, given)
        last = settings.is_last(number)
        ended: dict[int, Registration] = {}
        for start in alive:
            pose = tracks[start].final
            moved = _moved(views, pose)
            looked = _looked(host, moved, near.at(number), level.pixels) or moved
            sub = _level_alone(settings, level, host, looked[0], last=last)
            # Judged at the end alone; with the views of the last level, which show the bone alone.
            events = (
                refine(volume, looked, settings=sub, isocenter=pivot, control=control)
                if last
                else solver_of(sub).solve(
                    volume, looked, settings=sub, pivot=pivot, control=control
                )
            )

            def of_all(
                event: Iterate,
                start: int = start,
                level: int = number + skipped,
                view: View = looked[0],
            ) -> Iterate:
                seconds, image = time.perf_counter() - began, event.image
                if image is not None:
                    image = in_whole_frame(image, view.radiograph)
                return replace(event, start=start, level=level, seconds=seconds, image=image)

            ended[start] = yield from renumbered(events, trajectory, of_all)
            done = ended[start]
            tracks[start] = replace(
                tracks[start],
                final=done.world_from_camera,
                level=number + skipped,
                loss=done.losses["loss"],
            )
            if control is not None and control.cancelled:
                break
        best = min(ended, key=lambda start: tracks[start].loss)
        result = ended[best]
        if control is not None and control.cancelled:
            break
    assert result is not None  # there is at least one level
    reached = max(track.level for track in tracks.values())
    complete = reached == skipped + len(settings.levels) - 1
    found = dataclasses.replace(
        result,
        trajectory=tuple(trajectory),
        covariance=result.covariance if complete else None,
        candidates=tuple(sorted(tracks.values(), key=lambda t: (-t.level, t.loss))),
    )
    told = found.ranking_words
    return replace(found, notes=(*found.notes, told)) if told else found


def near_bone_words(near: NearBone) -> str:
    """What a user reads about it."""
    return f"compared within {near.reach_mm:g} mm of the rendered bone"


def _looked(
    volume: Volume, views: Sequence[View], reach_mm: float, pixels: int
) -> tuple[View, ...] | None:
    """Every view near the bone at its pose; None where one would show nothing at so many pixels."""
    found = [near_bone_view(volume, view, view.world_from_camera, reach_mm) for view in views]
    kept = tuple(view for view in found if view is not None and _shows(view, pixels))
    return kept if len(kept) == len(found) else None


def _shows(view: View, pixels: int) -> bool:
    """Whether a level of so many pixels has something to compare: slivers of a mask vanish."""
    return int(at_pixels(view.radiograph, pixels).usable.sum()) >= FEWEST


def _moved(views: Sequence[View], first: Pose) -> tuple[View, ...]:
    """The rig with its first camera at a pose."""
    back = views[0].world_from_camera.inverse()
    return tuple(
        replace(view, world_from_camera=first @ (back @ view.world_from_camera)) for view in views
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


def in_whole_frame(
    image: Float[Tensor, "rows columns"], radiograph: Radiograph
) -> Float[Tensor, "frame_rows frame_columns"]:
    """The image of a cropped radiograph where it belongs in the whole one, zero around it."""
    done = radiograph.operations[-1] if radiograph.operations else None
    if not isinstance(done, Crop):
        return image
    share = min(1.0, FRAME_PIXELS / max(done.of))
    frame = torch.zeros(tuple(max(1, round(n * share)) for n in done.of), dtype=image.dtype)
    top, left = round(done.row * share), round(done.column * share)
    rows = max(1, min(round(done.rows * share), frame.shape[0] - top))
    columns = max(1, min(round(done.columns * share), frame.shape[1] - left))
    small = torch.nn.functional.interpolate(
        image.detach().cpu()[None, None], (rows, columns), mode="bilinear", antialias=True
    )
    frame[top : top + rows, left : left + columns] = small[0, 0]
    return frame
