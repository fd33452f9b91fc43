"""Another geometry for an image that was already read: what was done to it since is done again."""

import re
from collections.abc import Callable
from dataclasses import replace

import torch

from napari_xreg.images.radiograph import Radiograph
from napari_xreg.images.xray_geometry import GeometryRecord, geometry_of

_CROP = re.compile(r"crop rows (\d+)\+(\d+), columns (\d+)\+(\d+) of (\d+)x(\d+)")
_RESIZE = re.compile(r"resize (\d+)x(\d+) to (\d+)x(\d+)")
_TURN = re.compile(r"rotate (90|180|270) degrees clockwise")
_FLIP = "flip left and right"
# These change values or the mask, never where a pixel lies.
_IN_PLACE = re.compile(r"mask: .*|invert .*|\d+ of \d+ pixels masked: .*|i0 was not known: .*")

_Step = Callable[[Radiograph], Radiograph]


def geometry_record(radiograph: Radiograph) -> GeometryRecord:
    """The geometry value by value, each with its origin.

    As read, and so of the image before its operations; where the radiograph carries no record
    (a simulated one), that of the image as it is.
    """
    if radiograph.geometry is not None:
        return radiograph.geometry
    origin = "the simulation" if radiograph.simulated else "the image"
    return geometry_of(radiograph.carm, radiograph.nominal, origin)


def with_geometry(radiograph: Radiograph, record: GeometryRecord) -> Radiograph:
    """The same pixels with another geometry.

    Crops, resizes, turns and flips made since the image was read are made again on the new
    detector, so the record goes on describing the image as stored.

    Parameters
    ----------
    radiograph
        As read, or after operations.
    record
        Complete; usually ``geometry_record(radiograph).override(...)``.

    Raises
    ------
    ValueError
        If the record is incomplete or contradicts itself, or if the image went through something
        that a new geometry cannot follow.
    """
    if radiograph.geometry is None:
        radiograph = _restarted(radiograph)
    stored, steps = _history(radiograph)
    old = geometry_record(radiograph).field_diameter
    if old not in (None, record.field_diameter) and any(cut for cut, _ in steps):
        raise ValueError(
            "the circular field of view became part of the mask when the image was cropped or "
            "resized: load the file again with another field_diameter"
        )
    blank = Radiograph(torch.zeros(stored), record.carm(stored), nominal=record.nominal())
    for _, step in steps:
        blank = step(blank)
    mask = radiograph.mask
    if blank.mask is not None:
        mask = blank.mask if mask is None else mask & blank.mask
    return replace(radiograph, carm=blank.carm, nominal=blank.nominal, mask=mask, geometry=record)


def _restarted(radiograph: Radiograph) -> Radiograph:
    """The image as if it had been stored as it is now; what moved its pixels becomes a note."""
    kept = tuple(text for text in radiograph.operations if _IN_PLACE.fullmatch(text))
    moved = tuple(text for text in radiograph.operations if text not in kept)
    notes = ("before its geometry was given: " + "; ".join(moved),) if moved else ()
    return replace(radiograph, operations=kept, notes=(*radiograph.notes, *notes))


def _history(radiograph: Radiograph) -> tuple[tuple[int, int], list[tuple[bool, _Step]]]:
    """Rows and columns as stored, and what was done since; True where that made the field a mask."""
    rows, columns = radiograph.carm.detector.shape
    steps: list[tuple[bool, _Step]] = []
    for text in reversed(radiograph.operations):
        crop, resize, turn = (p.fullmatch(text) for p in (_CROP, _RESIZE, _TURN))
        if crop:
            row, height, column, width, rows, columns = (int(v) for v in crop.groups())
            steps.append((True, _cropping(row, column, height, width)))
        elif resize:
            rows, columns, new_rows, new_columns = (int(v) for v in resize.groups())
            steps.append((True, _resizing(new_rows, new_columns)))
        elif turn:
            turns = int(turn.group(1)) // 90
            if turns % 2:
                rows, columns = columns, rows
            steps.append((False, _turning(turns)))
        elif text == _FLIP:
            steps.append((False, Radiograph.flip_columns))
        elif not _IN_PLACE.fullmatch(text):
            raise ValueError(
                f"the geometry of this image cannot be changed: it went through {text!r}, which "
                "a new geometry cannot follow; load the file again with the geometry wanted"
            )
    return (rows, columns), steps[::-1]


def _cropping(row: int, column: int, rows: int, columns: int) -> _Step:
    return lambda image: image.crop(row, column, rows, columns)


def _resizing(rows: int, columns: int) -> _Step:
    return lambda image: image.resize(rows, columns)


def _turning(turns: int) -> _Step:
    return lambda image: image.rotate90(turns)
