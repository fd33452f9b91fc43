"""Another geometry for an image that was already read: what was done to it since is done again."""

from dataclasses import replace

import torch

from napari_xreg.images.known_geometry.record import GeometryRecord
from napari_xreg.images.known_geometry.sidecar import geometry_of
from napari_xreg.images.operations import (
    Crop,
    Flip,
    Invert,
    Mask,
    Note,
    Operation,
    Other,
    Resize,
    Turn,
)
from napari_xreg.images.radiograph import Radiograph

# These change values or the mask, never where a pixel lies.
_IN_PLACE = (Invert, Mask, Note)


def geometry_record(radiograph: Radiograph) -> GeometryRecord:
    """The geometry value by value, each with its origin.

    As read, and so of the image before its operations; where the radiograph carries no record
    (a simulated one), that of the image as it is.
    """
    if radiograph.geometry is not None:
        return radiograph.geometry.complete()
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
    cut = any(isinstance(done, Crop | Resize) for done in radiograph.operations)
    stored = _stored_shape(radiograph)
    old = geometry_record(radiograph).field_diameter
    if cut and old not in (None, record.field_diameter):
        raise ValueError(
            "the circular field of view became part of the mask when the image was cropped or "
            "resized: load the file again with another field_diameter"
        )
    blank = Radiograph(torch.zeros(stored), record.carm(stored), nominal=record.nominal())
    for done in radiograph.operations:
        blank = _again(blank, done)
    mask = radiograph.mask
    if blank.mask is not None:
        mask = blank.mask if mask is None else mask & blank.mask
    return replace(
        radiograph, carm=blank.carm, nominal=blank.nominal, mask=mask, geometry=record.complete()
    )


def _restarted(radiograph: Radiograph) -> Radiograph:
    """The image as if it had been stored as it is now; what moved its pixels becomes a note."""
    kept = tuple(done for done in radiograph.operations if isinstance(done, _IN_PLACE))
    moved = [str(done) for done in radiograph.operations if not isinstance(done, _IN_PLACE)]
    notes = ("before its geometry was given: " + "; ".join(moved),) if moved else ()
    return replace(radiograph, operations=kept, notes=(*radiograph.notes, *notes))


def _stored_shape(radiograph: Radiograph) -> tuple[int, int]:
    """Rows and columns before all operations."""
    rows, columns = radiograph.carm.detector.shape
    for done in reversed(radiograph.operations):
        match done:
            case Crop() | Resize():
                rows, columns = done.of
            case Turn(turns) if turns % 2:
                rows, columns = columns, rows
            case Other():
                raise ValueError(
                    f"the geometry of this image cannot be changed: it went through {str(done)!r}, "
                    "which a new geometry cannot follow; load the file again with the geometry wanted"
                )
    return rows, columns


def _again(image: Radiograph, done: Operation) -> Radiograph:
    """The same done to another image; nothing where no pixel moved."""
    match done:
        case Crop(row, column, rows, columns):
            return image.crop(row, column, rows, columns)
        case Resize(rows, columns):
            return image.resize(rows, columns)
        case Turn(turns):
            return image.rotate90(turns)
        case Flip():
            return image.flip_columns()
    return image
