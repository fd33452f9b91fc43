"""What DICOM has no attribute for and our own files keep: a private block with one JSON text."""

import json
from typing import Any

from pydicom.dataset import Dataset

from napari_xreg.files import ReadError, is_number, json_of_text
from napari_xreg.images.dicom.header import FrameHeader
from napari_xreg.images.known_geometry.sidecar import given_geometry

GROUP = 0x0099
MANUFACTURER = "napari-xreg"
CREATOR = "NAPARI-XREG RADIOGRAPH 1"
_GEOMETRIC = ("roll_deg", "offset_mm", "isocenter")


def write_private(dataset: Dataset, values: dict[str, Any]) -> None:
    """Store roll, offset, isocenter, i0 and whether the image is simulated."""
    text = json.dumps({key: value for key, value in values.items() if value is not None})
    dataset.private_block(GROUP, CREATOR, create=True).add_new(0x01, "UT", text)


def read_private(header: FrameHeader, notes: list[str]) -> dict[str, Any]:
    """What `write_private` stored, checked; empty for files of others.

    What is damaged is left out, with a note.
    """
    try:
        block = header.levels[-1].private_block(GROUP, CREATOR)
    except KeyError:
        return {}
    try:
        stored = json_of_text(block[0x01].value, "it")
        if not isinstance(stored, dict):
            raise TypeError
    except (KeyError, TypeError, ReadError):
        notes.append("the private block of napari-xreg is damaged: not used")
        return {}
    found: dict[str, Any] = {
        name: bool(stored.get(name, False)) for name in ("simulated", "subtracted")
    }
    for key in (*_GEOMETRIC, "i0"):
        if stored.get(key) is None:
            continue
        try:
            if key == "i0":
                if not is_number(stored[key]) or stored[key] <= 0:
                    raise ValueError(f"i0 must be a positive number: got {stored[key]!r}")
                found[key] = float(stored[key])
            else:
                found |= given_geometry(**{key: stored[key]}).known()
        except ValueError as error:
            notes.append(f"in the private block of napari-xreg, {error}: not used")
    return found


def private_geometry(header: FrameHeader, notes: list[str]) -> dict[str, Any]:
    """The geometric part of it."""
    return {key: value for key, value in read_private(header, notes).items() if key in _GEOMETRIC}
