"""Drawing for pictures and films of a registration: grey panels, edges, words, curves. RGB uint8."""

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont

from napari_xreg.metrics import is_flat

Picture = npt.NDArray[np.uint8]  # rows, columns, RGB
Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Color = tuple[int, int, int]

# Told apart by readers with any colour vision, on grey (after Okabe and Ito).
BEFORE: Color = (255, 140, 30)
AFTER: Color = (60, 220, 255)
WARNING: Color = (255, 210, 60)
INK: Color = (235, 235, 235)
FAINT: Color = (150, 150, 150)
BACKGROUND: Color = (18, 18, 22)


def grey(image: Plane, usable: Mask | None = None) -> Picture:
    """Grey levels over the bulk of the usable pixels' values; unusable pixels are darkened.

    The range ends at the 0.5 and 99.5 % quantiles, or 1.2 times the 10-90 % range from the median
    where that is nearer: a metal rod is cut off rather than dim the patient.
    """
    inside = image[usable] if usable is not None and usable.any() else image.ravel()
    inside = inside[np.isfinite(inside)]
    low, high = 0.0, 1.0
    if inside.size:
        q = np.quantile(inside, [0.005, 0.1, 0.5, 0.9, 0.995])
        reach = 1.2 * (q[3] - q[1])
        low, high = float(max(q[0], q[2] - reach)), float(min(q[4], q[2] + reach))
        if not high > low:  # hardly anything but background
            low, high = float(inside.min()), float(inside.max())
    reach = max(high - low, 1e-6 * max(1.0, abs(low), abs(high)))  # less is rounding
    level = np.clip((np.nan_to_num(image, nan=low) - low) / reach, 0, 1)
    if usable is not None:
        level = np.where(usable, level, 0.25 * level)
    shade = (255 * level).astype(np.uint8)
    return np.repeat(shade[..., None], 3, axis=2)


def edges(image: Plane, *, share: float = 0.10) -> Mask:
    """One-pixel-wide edges: the strongest `share` of the gradients, thinned and connected."""
    spread = float(image.std())
    if not np.isfinite(spread) or is_flat(torch.from_numpy(image.ravel())):
        return np.zeros(image.shape, bool)
    scaled = np.clip((image - image.mean()) / spread, -3, 3)
    smooth = cv2.GaussianBlur(scaled.astype(np.float32), (0, 0), max(1.0, min(image.shape) / 220))
    slope_x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0)
    slope_y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    # A CT that ends inside the image has a hard border, which must not set the scale.
    strength = np.abs(slope_x) + np.abs(slope_y)
    most = float(strength.max())
    if not most > 0:
        return np.zeros(image.shape, bool)
    # A single bone in a large image: what shows none of it has no say.
    high = float(np.quantile(strength[strength > 1e-3 * most], 1 - share))
    scale = 30000.0 / most
    found = cv2.Canny(
        np.rint(slope_x * scale).astype(np.int16),
        np.rint(slope_y * scale).astype(np.int16),
        0.5 * high * scale,
        high * scale,
    )
    mask: Mask = np.asarray(found) > 0
    return mask


def with_edges(picture: Picture, lines: Mask, color: Color, *, opacity: float = 0.9) -> Picture:
    """The picture with coloured edge pixels."""
    out = picture.astype(np.float32)
    out[lines] = (1 - opacity) * out[lines] + opacity * np.asarray(color, np.float32)
    return out.astype(np.uint8)


def titled(picture: Picture, title: str, *, color: Color = INK, size: int = 15) -> Picture:
    """The picture below a line of text on its own strip."""
    strip = np.full((size + 12, picture.shape[1], 3), BACKGROUND, np.uint8)
    return np.vstack([write(strip, [(title, color)], (6, 4), size=size), picture])


def write(
    picture: Picture,
    lines: Sequence[tuple[str, Color]],
    corner: tuple[int, int],
    *,
    size: int = 15,
) -> Picture:
    """Lines of text from the corner (x, y) downwards."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size)
    x, y = corner
    for text, color in lines:
        draw.text((x, y), text, fill=color, font=font)
        y += round(1.35 * size)
    return np.asarray(image).copy()


def grid(rows: Sequence[Sequence[Picture]], *, gap: int = 6) -> Picture:
    """Pictures of equal size, side by side and below each other."""
    lines = []
    for row in rows:
        height = row[0].shape[0]
        spacer = np.full((height, gap, 3), BACKGROUND, np.uint8)
        parts: list[Picture] = [spacer]
        for picture in row:
            parts += [picture, spacer]
        lines.append(np.hstack(parts))
    spacer = np.full((gap, lines[0].shape[1], 3), BACKGROUND, np.uint8)
    stacked: list[Picture] = [spacer]
    for line in lines:
        stacked += [line, spacer]
    return np.vstack(stacked)


def curve(
    values: Sequence[float],
    segments: Sequence[int],
    shape: tuple[int, int],
    *,
    until: int | None = None,
    label: str = "loss",
) -> Picture:
    """A curve on a logarithmic axis, its segments (levels) shaded and numbered.

    Parameters
    ----------
    values
        Positive; others leave a gap.
    segments
        One number per value; a change begins a new shade.
    shape
        Rows, columns of the picture.
    until
        Only the first so many are drawn, on the axes of all.
    """
    height, width = shape
    picture = np.full((height, width, 3), (30, 30, 36), np.uint8)
    data = np.asarray(values, dtype=np.float64)
    good = np.isfinite(data) & (data > 0)
    if good.sum() < 2:
        return write(picture, [("no loss to plot", FAINT)], (10, 10))
    low, high = np.log10(data[good].min()), np.log10(data[good].max())
    pad = max(0.08 * (high - low), 0.02)
    low, high = low - pad, high + pad
    left, right, top, bottom = 52, width - 12, 30, height - 26
    n = len(data)

    def x_of(i: float) -> int:
        return round(left + (right - left) * i / max(n - 1, 1))

    def y_of(value: float) -> int:
        return round(bottom - (bottom - top) * (np.log10(value) - low) / (high - low))

    marks: list[tuple[str, tuple[int, int]]] = []
    starts = [0, *(i for i in range(1, n) if segments[i] != segments[i - 1]), n]
    for k, (a, b) in enumerate(itertools.pairwise(starts)):
        if k % 2:
            picture[top:bottom, x_of(a - 0.5) : x_of(b - 0.5)] = (40, 40, 48)
        # Few and wide segments are named; a multi-start has too many to name.
        if x_of(b) - x_of(a) > 52:
            marks.append((f"level {segments[a] + 1}", (x_of(a) + 4, 8)))
    for tick in _ticks(10**low, 10**high):
        y = y_of(tick)
        picture[y, left:right] = (70, 70, 78)
        marks.append((f"{tick:g}", (4, y - 7)))
    shown = n if until is None else until
    for i in range(1, min(shown, n)):
        if good[i] and good[i - 1] and segments[i] == segments[i - 1]:
            ends = (x_of(i - 1), y_of(data[i - 1])), (x_of(i), y_of(data[i]))
            cv2.line(picture, *ends, AFTER, 2, cv2.LINE_AA)
    last = min(shown, n) - 1
    if last >= 0 and good[last]:
        cv2.circle(picture, (x_of(last), y_of(data[last])), 4, WARNING, -1, cv2.LINE_AA)
    picture = write(picture, [(label, INK)], (6, 6), size=14)
    picture = write(picture, [(f"iterations: {n}", FAINT)], (left, height - 21), size=12)
    for text, place in marks:
        picture = write(picture, [(text, FAINT)], place, size=12)
    return picture


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 or 5 times a power of ten within the range; at least two."""
    powers = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        found = [s * 10.0**p for p in powers for s in steps if low <= s * 10.0**p <= high]
        if len(found) >= 2:
            return found[:: max(1, len(found) // 5)]
    return [float(f"{low:.2g}"), float(f"{high:.2g}")] if float(f"{low:.2g}") >= low else []


def resized(image: Plane, shape: tuple[int, int]) -> Plane:
    """The image at another size (rows, columns), for display only."""
    if image.shape == shape:
        return image
    method = cv2.INTER_AREA if image.shape[0] > shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (shape[1], shape[0]), interpolation=method), np.float32)
