"""What DICOM has no attribute for and our own files keep: a private block with one JSON text."""

import json
from typing import Any

from pydicom.dataset import Dataset

from napari_xreg.images.dicom_header import FrameHeader
from napari_xreg.images.errors import ReadError
from napari_xreg.images.xray_geometry import given_geometry

GROUP = 0x0099
CREATOR = "NAPARI-XREG RADIOGRAPH 1"
_GEOMETRIC = ("roll_deg", "offset_mm", "isocenter")


def write_private(dataset: Dataset, values: dict[str, Any]) -> None:
    """Store roll, offset, isocenter, i0 and whether the image is simulated."""
    text = json.dumps({key: value for key, value in values.items() if value is not None})
    dataset.private_block(GROUP, CREATOR, create=True).add_new(0x01, "UT", text)


def read_private(header: FrameHeader) -> dict[str, Any]:
    """Everything `write_private` stored; empty for files of others."""
    try:
        block = header.levels[-1].private_block(GROUP, CREATOR)
    except KeyError:
        return {}
    try:
        found = json.loads(block[0x01].value)
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError(f"{header.file}: the private block of napari-xreg is damaged") from error
    return found if isinstance(found, dict) else {}


def private_values(header: FrameHeader) -> dict[str, Any]:
    """The geometric part of it, checked."""
    found = read_private(header)
    try:
        record = given_geometry(**{key: found[key] for key in _GEOMETRIC if key in found})
    except ValueError as error:
        raise ReadError(f"{header.file}: in the private block of napari-xreg, {error}") from error
    return record.known()
