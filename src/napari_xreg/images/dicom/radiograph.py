"""Read the pixels of a DICOM X-ray image: XA, RF, DX, CR, digitised film, secondary capture.

Sections are those of DICOM PS3.3. VOI LUT, window and presentation LUT shape grey for the eye and
are not applied: registration wants what the detector measured. An image stored "for presentation"
has such a curve burnt into its values; it is read with a note.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import torch
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from napari_xreg.files import check_file, claim
from napari_xreg.images.dicom.ct import VOLUME_CLASSES
from napari_xreg.images.dicom.decoding import stored_frame
from napari_xreg.images.dicom.geometry import geometry_from_dicom
from napari_xreg.images.dicom.header import FrameHeader, frame_header, name
from napari_xreg.images.dicom.header_mask import header_mask
from napari_xreg.images.dicom.meaning import with_meaning
from napari_xreg.images.dicom.private import read_private
from napari_xreg.images.errors import ReadError
from napari_xreg.images.frames import Frame, chosen_frames
from napari_xreg.images.stored_image import BYTES_PER_PIXEL, StoredImage

_XRAY = ("XA", "RF", "DX", "CR", "RG")
# Computed radiography; digital X-ray, and XA and RF in all their forms.
_CR = "1.2.840.10008.5.1.4.1.1.1"
_XRAY_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.12.1",
    "1.2.840.10008.5.1.4.1.1.12.2",
)
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
# Larger values than these bytes stay in the file until they are asked for: the pixels, in short.
_DEFERRED = 65536


def read_dicom_image(path: Path, *, frame: Frame = None) -> StoredImage:
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
    try:
        return _read(path, frame)
    except (ReadError, MemoryError):
        raise
    except Exception as error:  # an attribute of another kind than its name promises
        raise ReadError(f"{path.name}: is damaged ({error})") from error


def _read(path: Path, frame: Frame) -> StoredImage:
    file = path.name
    dataset = _open(path)
    _check_kind(dataset, file)
    chosen = _chosen(dataset, frame, file)
    header = frame_header(dataset, chosen[0], file)
    notes: list[str] = []
    pixels = _pixels(path, dataset, chosen)
    rows, columns = pixels.shape
    geometry = geometry_from_dicom(header, (rows, columns), chosen[0])
    mask, mask_notes = header_mask(header, (rows, columns), geometry.pixel_spacing or (1.0, 1.0))
    notes.extend(mask_notes)
    padding = _padding(header, pixels, notes)
    if padding is not None:
        mask = padding if mask is None else mask & padding
        notes.append(f"padding masked: {name('PixelPaddingValue')}")
    private = read_private(header, notes)
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
        simulated=private.get("simulated", False),
        subtracted=private.get("subtracted", False),
        mask_frames=_mask_frames(dataset),
    )
    stored = with_meaning(stored, header)
    return replace(stored, notes=(*notes, *stored.notes))


def _open(path: Path) -> Dataset:
    file = path.name
    check_file(path)
    try:
        dataset = pydicom.dcmread(path, force=True, defer_size=_DEFERRED)
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
    # Converters of data sets write the class into the head of the file alone, and no modality.
    head = getattr(dataset, "file_meta", None) or {}
    sop_class = str(dataset.get("SOPClassUID") or head.get("MediaStorageSOPClassUID") or "")
    if sop_class in VOLUME_CLASSES and modality != "CT":
        raise ReadError(
            f"{file}: is a cone-beam CT ({UID(sop_class).name}), not a radiograph: give it as the CT"
        )
    of_its_class = not modality and (sop_class == _CR or sop_class.startswith(_XRAY_CLASSES))
    if not (modality in _XRAY or of_its_class or sop_class.startswith(_SECONDARY_CAPTURE)):
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


def _chosen(dataset: Dataset, frame: Frame, file: str) -> Sequence[int]:
    frames = max(1, int(dataset.get("NumberOfFrames") or 1))
    moving = str(dataset.get("PositionerMotion") or "").upper() == "DYNAMIC"
    chosen = chosen_frames(file, frames, frame)
    if len(chosen) > 1 and moving:
        raise ReadError(
            f"{file}: the C-arm moves from frame to frame, so their mean has no geometry: "
            f"choose one of the frames 1..{frames}"
        )
    return chosen


def _mask_frames(dataset: Dataset) -> tuple[int, ...]:
    """Of the first average that the Mask Subtraction Sequence (C.7.6.10) says to subtract."""
    for item in dataset.get("MaskSubtractionSequence") or ():
        numbers = item.get("MaskFrameNumbers")
        if str(item.get("MaskOperation") or "") == "AVG_SUB" and numbers:
            return tuple(int(number) for number in np.atleast_1d(numbers))
    return ()


def _pixels(path: Path, dataset: Dataset, frames: Sequence[int]) -> NDArray[Any]:
    """The stored values of a frame or the mean of several, float64 (rows, columns)."""
    file = path.name
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    claim(BYTES_PER_PIXEL * rows * columns, f"{file}: an image of {rows} x {columns} pixels")
    syntax = _transfer_syntax(dataset)
    _check_whole(path, dataset, file)
    try:
        total = np.zeros((rows, columns))
        for frame in frames:
            total += stored_frame(path, dataset, frame).reshape(rows, columns)
    except MemoryError as error:
        raise ReadError(f"{file}: is too large for the memory of this computer") from error
    except Exception as error:  # decoders raise what they like
        if syntax.is_compressed:
            raise ReadError(
                f"{file}: is compressed as {syntax.name} ({syntax}), which cannot be decoded here: "
                "decompress the file (dcmdjpeg of DCMTK, gdcmconv --raw), or see that it is whole"
            ) from error
        raise ReadError(f"{file}: its pixel data cannot be read ({error})") from error
    return total / len(frames)


def _transfer_syntax(dataset: Dataset) -> UID:
    """How the file is encoded; one without its file meta information is told by how it was read."""
    meta = getattr(dataset, "file_meta", None)
    if meta is None:
        meta = dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in meta:
        implicit = dataset.original_encoding[0]
        meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    return UID(meta.TransferSyntaxUID)


def _check_whole(path: Path, dataset: Dataset, file: str) -> None:
    """That all bytes of uncompressed pixels are there."""
    held = [k for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData") if k in dataset]
    if not held:
        raise ReadError(f"{file}: has no {name('PixelData')}: only a header, or cut off before it")
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_compressed:
        return
    element = dataset.get_item(held[0], keep_deferred=True)
    if isinstance(element, RawDataElement) and element.value is None:
        there = min(element.length, path.stat().st_size - element.value_tell)
    else:
        there = len(dataset[held[0]].value)
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    frames = max(1, int(dataset.get("NumberOfFrames") or 1))
    expected = rows * columns * frames * int(dataset.get("BitsAllocated") or 16) // 8
    if there < expected:
        raise ReadError(
            f"{file}: is cut off: {there} of {expected} bytes of pixel data for {frames} frame(s) of "
            f"{rows} x {columns}"
        )


def _padding(header: FrameHeader, pixels: NDArray[Any], notes: list[str]) -> torch.Tensor | None:
    """True where a pixel is not padding (0028,0120), (0028,0121); None where nothing or all is."""
    value = header.usable_number("PixelPaddingValue", notes)
    if value is None:
        return None
    limit = header.usable_number("PixelPaddingRangeLimit", notes)
    low, high = sorted((value, value if limit is None else limit))
    valid = (pixels < low) | (pixels > high)
    return torch.from_numpy(valid) if valid.any() and not valid.all() else None
