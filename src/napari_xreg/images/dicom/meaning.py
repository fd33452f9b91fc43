"""What the stored values of a DICOM X-ray image are proportional to, and between which ends they lie.

Sections are those of DICOM PS3.3.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from pydicom.dataset import Dataset
from torch import Tensor

from napari_xreg.images.dicom.header import FrameHeader, name
from napari_xreg.images.errors import ReadError
from napari_xreg.images.intensity.value_range import ValueRange, integer_range
from napari_xreg.images.stored_image import Meaning, StoredImage


def with_meaning(stored: StoredImage, header: FrameHeader) -> StoredImage:
    """The image with what its values mean (C.8.7.1.1.2 for XA and RF, C.8.11.3.1.2 for DX).

    Pixel Intensity Relationship LIN or LOG, its Sign (+1: lower values are less intensity), and
    in XA and RF a modality LUT that leads from LOG or DISP back to LIN. Relationship and sign speak
    of the values as stored: a negative Rescale Slope turns them round. How an image is displayed is
    said of the values after the rescale.
    """
    notes: list[str] = []
    relationship = header.text("PixelIntensityRelationship")
    why = f"DICOM {name('PixelIntensityRelationship')} is {relationship or 'absent'}"
    table, problem = _linearising_table(header) if relationship != "LIN" else (None, None)
    if table is not None:
        entries, first = table
        stored = replace(
            stored,
            pixels=_looked_up(stored.pixels, entries, first),
            value_range=integer_range(entries, bits=16),
            meaning="intensity",
            bone="dark",
        )
        notes.append(
            f"{relationship or 'stored'} values made linear in intensity by a lookup table"
        )
    else:
        stored, falling = _rescaled(stored, header, notes)
        meanings: dict[str, Meaning] = {
            "LIN": "intensity",
            "LOG": "log_intensity",
            "DISP": "intensity",
        }
        meaning = meanings.get(relationship or "")
        if problem is not None:
            meaning, why = None, problem
        elif relationship == "DISP":
            notes.append(
                f"{name('PixelIntensityRelationship')} is DISP, a grey curve for the eye: read as "
                "intensity all the same"
            )
        stored = replace(stored, meaning=meaning, bone=_bone(header, relationship, falling, notes))
    return replace(stored, why_no_meaning=why, notes=tuple(notes))


def _rescaled(
    stored: StoredImage, header: FrameHeader, notes: list[str]
) -> tuple[StoredImage, bool]:
    """Rescale Slope and Intercept applied; and whether the order of the values is turned round."""
    slope = header.usable_number("RescaleSlope", notes)
    intercept = header.usable_number("RescaleIntercept", notes)
    if slope == 0:
        notes.append(f"{name('RescaleSlope')} is 0: not used")
    slope, intercept = slope or 1.0, intercept or 0.0
    if slope < 0:
        notes.append(
            f"{name('RescaleSlope')} is {slope:g}: the highest stored value has become the lowest"
        )
    ends = _stored_range(stored, header, notes)
    return (
        replace(
            stored,
            pixels=slope * stored.pixels + intercept,
            value_range=None if ends is None else ends.rescaled(slope, intercept),
        ),
        slope < 0,
    )


def _stored_range(stored: StoredImage, header: FrameHeader, notes: list[str]) -> ValueRange | None:
    """By Bits Stored (0028,0101) where they are fewer than Bits Allocated, else by the values."""
    if header.get("FloatPixelData") is not None or header.get("DoubleFloatPixelData") is not None:
        return None
    allocated = int(header.number("BitsAllocated") or 16)
    bits = int(header.number("BitsStored") or allocated)
    usable = stored.pixels if stored.mask is None else stored.pixels[stored.mask]
    signed = bool(header.number("PixelRepresentation"))
    stated = 1 < bits < allocated
    found = integer_range(usable, bits=bits if stated else allocated, signed=signed, stated=stated)
    if stated and found.high > 2**bits:
        notes.append(
            f"{name('BitsStored')} is {bits}, but there are values up to {float(usable.max()):g}"
        )
    return found


def _bone(
    header: FrameHeader, relationship: str | None, falling: bool, notes: list[str]
) -> Literal["dark", "bright"]:
    """Whether bone has the low or the high values, after the rescale."""
    sign = header.usable_number("PixelIntensityRelationshipSign", notes)
    if sign == 0:  # neither of the two that there are
        notes.append(f"{name('PixelIntensityRelationshipSign')} is 0: not used")
        sign = None
    if sign is None and relationship not in ("LIN", "LOG"):
        bone = _displayed_bone(header)
        notes.append(f"bone taken as {bone}, from how the values are displayed")
        return bone
    dark = sign is None or sign > 0
    return "dark" if dark != falling else "bright"


def _displayed_bone(header: FrameHeader) -> Literal["dark", "bright"]:
    """Fluoroscopy is shown with dark bone, radiographs with bright; MONOCHROME1 shows low as white."""
    white_is_low = header.text("PhotometricInterpretation") == "MONOCHROME1"
    shown_bright = header.text("Modality") not in ("XA", "RF")
    return "bright" if shown_bright != white_is_low else "dark"


def _linearising_table(
    header: FrameHeader,
) -> tuple[tuple[Tensor, int] | None, str | None]:
    """Modality LUT (C.11.1) or a pixel intensity relationship LUT TO_LINEAR (C.7.6.16.2.13).

    Entries and the value of the first, or why they cannot be used.
    """
    items = [
        item
        for item in header.items("PixelIntensityRelationshipLUTSequence")
        if str(item.get("LUTFunction") or "").upper() == "TO_LINEAR"
    ] or header.items("ModalityLUTSequence")
    if not items:
        return None, None
    try:
        return _entries(items[0]), None
    except ReadError as error:
        return None, str(error)


def _entries(table: Dataset) -> tuple[Tensor, int]:
    try:
        count, first, bits = (int(v) for v in table.LUTDescriptor)
        data = table.LUTData
        if isinstance(data, bytes):
            entries = np.frombuffer(data, "<u2" if bits > 8 or len(data) >= 2 * count else "u1")
        else:
            entries = np.atleast_1d(np.asarray(data))
        count = count or 65536
        if not 0 < count <= len(entries):
            raise ValueError(f"{len(entries)} of {count} entries")
        return torch.from_numpy(entries[:count].astype(np.float64)), first
    except Exception as error:  # a malformed element raises whatever its conversion raised
        raise ReadError(f"its lookup table {name('LUTData')} cannot be read ({error})") from error


def _looked_up(pixels: Tensor, entries: Tensor, first: int) -> Tensor:
    """Values through a table, which holds its ends beyond both sides."""
    return entries[(pixels.round() - first).clamp(0, len(entries) - 1).long()]
