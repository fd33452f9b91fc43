"""Read the pixels of a DICOM X-ray image: XA, RF, DX, CR, digitised film, secondary capture.

Sections are those of DICOM PS3.3. VOI LUT, window and presentation LUT shape grey for the eye and
are not applied: registration wants what the detector measured. An image stored "for presentation"
has such a curve burnt into its values; it is read with a note.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydicom
import torch
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from napari_xreg.images.dicom_collimator import header_mask
from napari_xreg.images.dicom_decoding import stored_pixels
from napari_xreg.images.dicom_geometry import geometry_from_dicom
from napari_xreg.images.dicom_header import FrameHeader, frame_header, name
from napari_xreg.images.dicom_private import read_private
from napari_xreg.images.errors import ReadError, SeveralFrames
from napari_xreg.images.stored_image import Meaning, StoredImage

_XRAY = ("XA", "RF", "DX", "CR", "RG")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
# More pixels than any detector has, in one file: 8 GB as float64.
_MAX_PIXELS = 1_000_000_000


def read_dicom_image(path: Path, *, frame: int | Literal["mean"] | None = None) -> StoredImage:
    """Pixels, meaning, mask and geometry of one frame.

    Parameters
    ----------
    frame
        Counted from 1; "mean" averages all frames of a C-arm at rest. May be omitted where there
        is only one.

    Raises
    ------
    ReadError
        If it is not DICOM, not an X-ray projection, damaged, or compressed in a way that no
        installed decoder reads; or if the frame must be chosen.
    """
    file = path.name
    dataset = _open(path)
    _check_kind(dataset, file)
    frames = int(dataset.get("NumberOfFrames") or 1)
    chosen = _chosen_frame(dataset, frames, frame, file)
    header = frame_header(dataset, chosen, file)
    pixels = _pixels(dataset, frames, frame, chosen, file)
    rows, columns = pixels.shape
    geometry = geometry_from_dicom(header, (rows, columns), chosen)
    mask, mask_notes = header_mask(header, (rows, columns), geometry.pixel_spacing or (1.0, 1.0))
    padding = _padding(header, pixels)
    if padding is not None:
        mask = padding if mask is None else mask & padding
        mask_notes = (*mask_notes, f"padding masked: {name('PixelPaddingValue')}")
    private = read_private(header)
    notes = list(mask_notes)
    if "PRESENTATION" in (header.text("PresentationIntentType") or ""):
        notes.append(
            f"{name('PresentationIntentType')} is FOR PRESENTATION: processed for the eye, values "
            "are not proportional to what the detector measured"
        )
    stored = StoredImage(
        torch.from_numpy(pixels),
        file,
        geometry,
        photometric=header.text("PhotometricInterpretation"),
        mask=mask,
        i0=private.get("i0"),
        simulated=bool(private.get("simulated", False)),
    )
    stored = _with_meaning(stored, header)
    return replace(stored, notes=(*notes, *stored.notes))


def _open(path: Path) -> Dataset:
    file = path.name
    try:
        dataset = pydicom.dcmread(path, force=True)
        if "SOPClassUID" not in dataset and "Modality" not in dataset and "Rows" not in dataset:
            raise ReadError(f"{file}: is not a DICOM file, or it is cut off in its header")
    except ReadError:
        raise
    except (InvalidDicomError, EOFError) as error:
        raise ReadError(f"{file}: is not a DICOM file, or it is cut off in its header") from error
    except OSError as error:
        raise ReadError(f"{file}: cannot be opened ({error.strerror or error})") from error
    except Exception as error:  # a damaged file makes pydicom raise almost anything
        raise ReadError(f"{file}: is damaged ({error})") from error
    return dataset


def _check_kind(dataset: Dataset, file: str) -> None:
    modality = str(dataset.get("Modality") or "").upper()
    sop_class = str(dataset.get("SOPClassUID") or "")
    if modality not in _XRAY and not sop_class.startswith(_SECONDARY_CAPTURE):
        kind = "a CT slice" if modality == "CT" else f"of modality {modality or '(none)'}"
        hint = (
            "give the folder of its series as the volume"
            if modality == "CT"
            else "an X-ray projection has " + ", ".join(_XRAY)
        )
        raise ReadError(f"{file}: is {kind}, not a radiograph: {hint}")
    if int(dataset.get("SamplesPerPixel") or 1) != 1 or "PALETTE" in str(
        dataset.get("PhotometricInterpretation")
    ):
        raise ReadError(f"{file}: is a colour image; a radiograph has one grey value per pixel")
    for keyword in ("Rows", "Columns"):
        if not dataset.get(keyword):
            raise ReadError(f"{file}: {name(keyword)} is absent or 0")


def _chosen_frame(
    dataset: Dataset, frames: int, frame: int | Literal["mean"] | None, file: str
) -> int:
    if frame is None and frames > 1:
        raise SeveralFrames(
            f"{file}: holds {frames} frames: choose one of 1..{frames} (--frame), or their mean",
            frames,
        )
    if frame == "mean":
        if frames > 1 and str(dataset.get("PositionerMotion") or "").upper() == "DYNAMIC":
            raise ReadError(
                f"{file}: the C-arm moves from frame to frame, so their mean has no geometry: "
                f"choose one of 1..{frames} (--frame)"
            )
        return 1
    number = 1 if frame is None else frame
    if not 1 <= number <= frames:
        raise ReadError(f"{file}: holds {frames} frame(s), there is no frame {number}")
    return number


def _pixels(
    dataset: Dataset,
    frames: int,
    frame: int | Literal["mean"] | None,
    chosen: int,
    file: str,
) -> NDArray[Any]:
    """The stored values of one frame or the mean of all, float64 (rows, columns)."""
    if not any(key in dataset for key in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise ReadError(f"{file}: has no {name('PixelData')}: only a header, or cut off before it")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if rows * columns * frames > _MAX_PIXELS:
        raise ReadError(
            f"{file}: claims {frames} frame(s) of {rows} x {columns} pixels, more than this program "
            "reads at once: the header is wrong, or export fewer frames"
        )
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    if syntax is None:
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        syntax = (
            pydicom.uid.ImplicitVRLittleEndian
            if dataset.original_encoding[0]
            else (pydicom.uid.ExplicitVRLittleEndian)
        )
        dataset.file_meta.TransferSyntaxUID = syntax
    if not syntax.is_compressed and "PixelData" in dataset:
        expected = rows * columns * frames * int(dataset.get("BitsAllocated") or 16) // 8
        if len(dataset.PixelData) < expected:
            raise ReadError(
                f"{file}: is cut off: {len(dataset.PixelData)} of {expected} bytes of pixel data "
                f"for {frames} frame(s) of {rows} x {columns}"
            )
    try:
        array = stored_pixels(dataset)
    except MemoryError as error:
        raise ReadError(f"{file}: is too large for the memory of this computer") from error
    except Exception as error:  # decoders raise what they like
        if syntax.is_compressed:
            raise ReadError(
                f"{file}: is compressed as {syntax.name} ({syntax}), which cannot be decoded here: "
                "decompress the file (dcmdjpeg of DCMTK, gdcmconv --raw), or see that it is whole"
            ) from error
        raise ReadError(f"{file}: its pixel data cannot be read ({error})") from error
    array = array.reshape(-1, rows, columns)
    picked = array.mean(0, dtype=np.float64) if frame == "mean" else array[chosen - 1]
    return np.ascontiguousarray(picked, dtype=np.float64)


def _padding(header: FrameHeader, pixels: NDArray[Any]) -> torch.Tensor | None:
    """True where a pixel is not padding (0028,0120), (0028,0121); None where nothing is."""
    value = header.number("PixelPaddingValue")
    if value is None:
        return None
    limit = header.number("PixelPaddingRangeLimit")
    low, high = sorted((value, value if limit is None else limit))
    valid = (pixels < low) | (pixels > high)
    return None if valid.all() else torch.from_numpy(valid)


def _with_meaning(stored: StoredImage, header: FrameHeader) -> StoredImage:
    """What the values are proportional to (C.8.7.1.1.2 for XA and RF, C.8.11.3.1.2 for DX).

    Pixel Intensity Relationship LIN or LOG, its Sign (+1: lower values are less intensity), and
    in XA and RF a modality LUT that leads from LOG or DISP back to LIN.
    """
    relationship = header.text("PixelIntensityRelationship")
    sign = header.number("PixelIntensityRelationshipSign")
    bits = int(header.number("BitsStored") or 16)
    signed = bool(header.number("PixelRepresentation"))
    full_scale = float(2 ** (bits - 1) - 1 if signed else 2**bits - 1)
    table = _linearising_table(header)
    notes: list[str] = []
    meaning: Meaning | None = None
    why = f"DICOM {name('PixelIntensityRelationship')} is {relationship or 'absent'}"
    pixels = stored.pixels
    bone: Literal["dark", "bright"] | None = None
    if table is not None and relationship != "LIN":
        pixels, full_scale = _looked_up(pixels, table, stored.file)
        meaning, bone = "intensity", "dark"
        notes.append(
            f"{relationship or 'stored'} values made linear in intensity by a lookup table"
        )
    else:
        slope = header.number("RescaleSlope") or 1.0
        intercept = header.number("RescaleIntercept") or 0.0
        pixels = slope * pixels + intercept
        full_scale = slope * full_scale + intercept
        if relationship == "LIN":
            meaning = "intensity"
        elif relationship == "LOG":
            meaning = "log_intensity"
        elif relationship == "DISP":
            meaning = "intensity"
            notes.append(
                f"{name('PixelIntensityRelationship')} is DISP, a grey curve for the eye: read as "
                "intensity all the same"
            )
        if sign is not None:
            bone = "dark" if sign > 0 else "bright"
        elif relationship in ("LIN", "LOG"):
            bone = "dark"
        else:
            bone = _displayed_bone(header)
            notes.append(f"bone taken as {bone} in the stored values, from how they are displayed")
    return replace(
        stored,
        pixels=pixels,
        meaning=meaning,
        bone=bone,
        full_scale=full_scale,
        why_no_meaning=why,
        notes=tuple(notes),
    )


def _displayed_bone(header: FrameHeader) -> Literal["dark", "bright"]:
    """Fluoroscopy is shown with dark bone, radiographs with bright; MONOCHROME1 shows low as white."""
    white_is_low = header.text("PhotometricInterpretation") == "MONOCHROME1"
    shown_bright = header.text("Modality") not in ("XA", "RF")
    return "bright" if shown_bright != white_is_low else "dark"


def _linearising_table(header: FrameHeader) -> Dataset | None:
    """Modality LUT (C.11.1) or a pixel intensity relationship LUT TO_LINEAR (C.7.6.16.2.13)."""
    for item in header.get("PixelIntensityRelationshipLUTSequence") or []:
        if str(item.get("LUTFunction") or "").upper() == "TO_LINEAR":
            return item
    items = header.get("ModalityLUTSequence") or []
    return items[0] if len(items) else None


def _looked_up(pixels: torch.Tensor, table: Dataset, file: str) -> tuple[torch.Tensor, float]:
    """Values through a table, which holds its ends beyond both sides; and the table's full scale."""
    try:
        count, first, bits = (int(v) for v in table.LUTDescriptor)
        data = table.LUTData
        if isinstance(data, bytes):
            entries = np.frombuffer(data, "<u2" if bits > 8 or len(data) >= 2 * count else "u1")
        else:
            entries = np.asarray(data)
        count = count or 65536
        if len(entries) < count:
            raise ValueError(f"{len(entries)} of {count} entries")
    except (AttributeError, TypeError, ValueError) as error:
        raise ReadError(f"{file}: its {name('LUTData')} cannot be read ({error})") from error
    index = np.clip(np.rint(pixels.numpy()) - first, 0, count - 1).astype(np.int64)
    return torch.from_numpy(entries[index].astype(np.float64)), float(2**bits - 1)
