"""What a registration looks like: before, after, edges over the radiograph, and a film of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from napari_xreg.files import written
from napari_xreg.geometry import CArm, CArmPose, Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.records import drawing as canvas
from napari_xreg.records.drawing import AFTER, BEFORE, INK, WARNING, Mask, Picture, Plane
from napari_xreg.registration import Iterate, Registration, at_pixels
from napari_xreg.rendering import at_voxel_size, render_drr

FILM_VOXELS = 2.0
"""Voxels of the CT that a film renders, in pixels of the film: finer ones took three times as long, and
what they show moves by."""
STILL_PIXELS = 0.1
"""A step that moves nothing in the film further than this shows the picture before it."""

SIMULATED = "SIMULATED radiograph: no accuracy on real images follows"


@dataclass(frozen=True, eq=False)
class Comparison:
    """A radiograph and the CT rendered at two poses, at one display size.

    Parameters
    ----------
    radiograph
        Line integrals.
    usable
        Pixels that were compared.
    before, after
        DRRs at the start and at the result.
    carm
        Of these images.
    """

    radiograph: Plane
    usable: Mask
    before: Plane
    after: Plane
    carm: CArm


def compare(
    volume: Volume, radiograph: Radiograph, before: Pose, after: Pose, *, pixels: int = 448
) -> Comparison:
    """Render what `overlay_picture` shows; the longer side is `pixels`, also for small images."""
    shown = at_display_size(radiograph, pixels)
    poses = Pose.stack([before.to(dtype=torch.float64), after.to(dtype=torch.float64)])
    drrs = render_drr(volume, shown.carm, poses, method="joseph").cpu().float().numpy()
    return Comparison(
        shown.line_integrals.cpu().float().numpy(),
        shown.usable.cpu().numpy(),
        drrs[0],
        drrs[1],
        shown.carm,
    )


def overlay_picture(
    comparison: Comparison,
    registration: Registration,
    *,
    caption: Sequence[str] = (),
) -> Picture:
    """Six panels: radiograph, DRR before and after; edges before and after over it; the losses.

    Parameters
    ----------
    comparison
        What `compare` rendered.
    registration
        Its trajectory gives the loss curve.
    caption
        Lines below. That a radiograph was simulated is said without being asked.
    """
    base, lined = _lined(comparison)
    drrs = [canvas.grey(drr) for drr in (comparison.before, comparison.after)]
    shape = (base.shape[0], base.shape[1])
    best = _best_track(registration)
    losses = canvas.curve(
        [iterate.loss for iterate in best], [iterate.level for iterate in best], shape
    )
    kind = "radiograph (simulated)" if registration.simulated else "radiograph"
    rows = [
        [
            canvas.titled(base, kind),
            canvas.titled(drrs[0], "CT rendered at the start", color=BEFORE),
            canvas.titled(drrs[1], "CT rendered at the result", color=AFTER),
        ],
        [
            canvas.titled(losses, "loss of the accepted steps (levels differ in scale)"),
            canvas.titled(lined[0], "edges at the start, over the radiograph", color=BEFORE),
            canvas.titled(lined[1], "edges at the result, over the radiograph", color=AFTER),
        ],
    ]
    picture = canvas.grid(rows)
    lines = [(text, INK) for text in caption]
    if registration.simulated:
        lines.append((SIMULATED, WARNING))
    if not lines:
        return picture
    strip = np.full((10 + 20 * len(lines), picture.shape[1], 3), canvas.BACKGROUND, np.uint8)
    return np.vstack([picture, canvas.write(strip, lines, (10, 2))])


def edges_picture(comparison: Comparison, *, simulated: bool) -> Picture:
    """Three panels in a row: the radiograph; edges at the start and at the result over it."""
    base, (before, after) = _lined(comparison)
    kind = "radiograph (simulated)" if simulated else "radiograph"
    panels = [
        canvas.titled(base, kind),
        canvas.titled(before, "edges at the start", color=BEFORE),
        canvas.titled(after, "edges at the result", color=AFTER),
    ]
    return canvas.grid([panels])


def _lined(comparison: Comparison) -> tuple[Picture, list[Picture]]:
    """The radiograph in grey, and with the edges of the CT before and after."""
    base = canvas.grey(comparison.radiograph, comparison.usable)
    lined = [
        canvas.with_edges(base, canvas.edges(drr) & comparison.usable, color)
        for drr, color in ((comparison.before, BEFORE), (comparison.after, AFTER))
    ]
    return base, lined


def refinement_frames(
    volume: Volume,
    radiograph: Radiograph,
    registration: Registration,
    *,
    pixels: int = 288,
    most: int = 40,
) -> Iterator[Picture]:
    """Frames of the refinement: edges of the CT at each accepted step over the radiograph, the
    DRR beside it, and the loss so far.

    The steps are those of the start that won; beyond `most` they are thinned evenly. The first and
    the last are always there.
    """
    shown = at_display_size(radiograph, pixels)
    usable = shown.usable.cpu().numpy()
    base = canvas.grey(shown.line_integrals.cpu().float().numpy(), usable)
    track = _best_track(registration)
    if not track:
        return
    carm = shown.carm
    pixel_mm = max(carm.detector.spacing) * carm.source_to_isocenter / carm.source_to_detector
    coarse = at_voxel_size(volume, FILM_VOXELS * pixel_mm)
    even = np.linspace(0, len(track) - 1, min(most, len(track)))
    chosen = sorted({round(float(place)) for place in even})
    losses, levels = [step.loss for step in track], [step.level for step in track]
    width = 2 * base.shape[1] + 6
    corners = coarse.corners.cpu().double()
    drr, drawn_at = None, torch.empty(0)
    for i in chosen:
        step = track[i]
        pose = step.world_from_camera.to(dtype=torch.float64)
        places = carm.project(corners, pose)
        if drr is None or not bool(((places - drawn_at).abs() < STILL_PIXELS).all()):
            drr = render_drr(coarse, carm, pose, method="joseph").cpu().float().numpy()
            drawn_at = places
        last = i == len(track) - 1
        color = AFTER if last else BEFORE
        panels = [
            canvas.titled(
                canvas.with_edges(base, canvas.edges(drr) & usable, color),
                "radiograph, edges of the CT",
            ),
            canvas.titled(canvas.grey(drr), "rendered CT"),
        ]
        terms = carm.carm_pose(pose, registration.pivot)
        words = [
            (
                f"iteration {step.index}   level {step.level + 1}   loss {step.loss:.4f}",
                AFTER if last else INK,
            ),
            (carm_words(terms), INK),
            (SIMULATED if registration.simulated else "", WARNING),
        ]
        strip = np.full((66, width, 3), canvas.BACKGROUND, np.uint8)
        plot = canvas.curve(losses, levels, (110, width), until=i + 1)
        yield canvas.grid([panels, [plot], [canvas.write(strip, words, (6, 2), size=14)]])


def write_picture(path: Path | str, picture: Picture) -> None:
    """Write a PNG.

    Raises
    ------
    WriteError
        If the file cannot be written; an older one is then untouched. So do the films below.
    """
    with written(path) as beside:
        # Smallest (`optimize`) costs eight times as long and saves a tenth.
        Image.fromarray(picture).save(beside, format="PNG")


def write_gif(path: Path | str, frames: Sequence[Picture], *, frame_ms: int = 180) -> None:
    """Write an animated GIF that stays on its last frame for two seconds, then begins again."""
    if not frames:
        raise ValueError("a film needs at least one frame")
    palette = _film_palette()
    images = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    durations = [frame_ms] * (len(images) - 1) + [2000]
    with written(path) as beside:
        images[0].save(
            beside,
            format="GIF",
            save_all=True,
            append_images=images[1:],
            duration=durations,
            loop=0,
            optimize=False,
        )


def _film_palette() -> Image.Image:
    """One palette for all frames, or colours flicker: greys, and every line colour faded to dark."""
    colors = [(v, v, v) for v in np.linspace(12, 255, 120).round().astype(int).tolist()]
    for color in (BEFORE, AFTER, WARNING, canvas.BACKGROUND):
        r, g, b = color
        colors += [(r * k // 12, g * k // 12, b * k // 12) for k in range(3, 13)]
    flat = [int(v) for color in colors for v in color]
    palette = Image.new("P", (1, 1))
    palette.putpalette(flat + flat[:3] * (256 - len(colors)))
    return palette


def write_mp4(path: Path | str, frames: Sequence[Picture], *, frame_ms: int = 180) -> None:
    """Write an MP4 (H.264); needs the package ``imageio-ffmpeg``.

    Raises
    ------
    ImportError
        If that package is absent.
    """
    import imageio_ffmpeg

    rows, columns = (size // 2 * 2 for size in frames[0].shape[:2])  # H.264 wants even sizes
    cut = [frame[:rows, :columns] for frame in frames]
    # The encoder is a program of its own: what it says of a full disk is no OSError.
    with written(path, failures=(RuntimeError,)) as beside:
        film = imageio_ffmpeg.write_frames(
            str(beside), (columns, rows), fps=1000 / frame_ms, macro_block_size=2, quality=7
        )
        film.send(None)
        for frame in [*cut, *[cut[-1]] * round(2000 / frame_ms)]:
            film.send(np.ascontiguousarray(frame))
        film.close()


def carm_words(pose: CArmPose) -> str:
    """C-arm angles and offsets in one line for a caption."""
    side = "LAO" if pose.primary_deg >= 0 else "RAO"
    tilt = "CRA" if pose.secondary_deg >= 0 else "CAU"
    # Adding 0 after rounding turns -0.0 into 0.0.
    roll, x, y, z = (round(v, 1) + 0.0 for v in (pose.roll_deg, *pose.offset_mm))
    return (
        f"{side} {abs(pose.primary_deg):.1f}°  {tilt} {abs(pose.secondary_deg):.1f}°  "
        f"roll {roll:.1f}°  x {x:.1f}  y {y:.1f}  depth {z:.1f} mm"
    )


def _best_track(registration: Registration) -> list[Iterate]:
    """Accepted iterates of the start that ended at the result.

    Which has not the lowest loss of all: of several rounds the most likely wins.
    """
    at = registration.ended_at
    if at is not None:
        start = registration.trajectory[at].start
    elif registration.candidates:
        start = registration.candidates[0].start
    else:
        start = 0
    return [i for i in registration.trajectory if i.accepted and i.start == start]


def at_display_size(radiograph: Radiograph, pixels: int) -> Radiograph:
    """The radiograph with its longer side exactly `pixels`."""
    rows, columns = radiograph.carm.detector.shape
    if max(rows, columns) > pixels:
        return at_pixels(radiograph, pixels)
    scale = pixels / max(rows, columns)
    return radiograph.resize(round(rows * scale), round(columns * scale))
