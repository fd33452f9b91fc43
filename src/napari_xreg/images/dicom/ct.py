"""What one DICOM CT file says: its planes, where they lie, and their Hounsfield units."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from napari_xreg.files import ReadError, check_file, claim
from napari_xreg.images.dicom.decoding import stored_pixels
from napari_xreg.images.dicom.stream import DicomStream

_CT = "1.2.840.10008.5.1.4.1.1.2"
_ENHANCED_CT = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
# A cone-beam CT of a C-arm (X-Ray 3D Angiographic) or of the face (Craniofacial).
_CONE_BEAM = ("1.2.840.10008.5.1.4.1.1.13.1.1", "1.2.840.10008.5.1.4.1.1.13.1.2")
VOLUME_CLASSES = (_CT, *_ENHANCED_CT, *_CONE_BEAM)
"""SOP classes that are read as a CT."""
# What RescaleType may say of Hounsfield units; "hu" is written, though code strings are capitals.
_HOUNSFIELD = "HU"
_DIRECTORY = "1.2.840.10008.1.3.10"
_AIR_HU = -1000


@dataclass(frozen=True, eq=False)
class Header:
    """A DICOM file without its pixels.

    Parameters
    ----------
    file, dataset
        The file and what it says.
    sop_class
        UID of the kind of object.
    kind
        The kind of object in words, with the modality.
    is_localizer
        A scout: a projection that the scan was planned on.
    series_uid
        SeriesInstanceUID; None if it is missing.
    description
        SeriesDescription, or nothing.
    """

    file: Path
    dataset: Any
    sop_class: str
    kind: str
    is_localizer: bool
    series_uid: str | None
    description: str

    @property
    def is_ct(self) -> bool:
        """CT image storage, classic or enhanced, or a cone-beam CT."""
        return self.sop_class in VOLUME_CLASSES

    @property
    def is_directory(self) -> bool:
        """A DICOMDIR under another name."""
        return self.sop_class == _DIRECTORY


@dataclass(frozen=True, eq=False)
class Plane:
    """One slice: a file, or a frame of one.

    Parameters
    ----------
    file, frame
        Where its pixels are; frame 0 in a file of one slice.
    rows, columns
        Size of the slice.
    spacing
        Distance of neighbouring rows and of neighbouring columns, mm.
    position
        Centre of the first pixel, patient LPS mm.
    axes
        Unit directions, LPS, in which the column index and the row index grow.
    slope, intercept
        Stored value times slope plus intercept is what the file means.
    unit
        What it is in: "HU", another RescaleType, or nothing where the file does not say.
    """

    file: Path
    frame: int
    rows: int
    columns: int
    spacing: tuple[float, float]
    position: NDArray[np.float64]
    axes: NDArray[np.float64]
    slope: float
    intercept: float
    unit: str

    @property
    def name(self) -> str:
        """For messages."""
        return self.file.name if self.frame == 0 else f"{self.file.name} frame {self.frame + 1}"


def read_header(file: Path) -> Header:
    """The file without its pixels.

    Raises
    ------
    ReadError
        If it is damaged or does not say what it is.
    """
    with _reading(file):
        check_file(file)
        with DicomStream(file) as stream:
            dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=True)
        # A DICOMDIR names its class in the file's preamble only.
        stored_as = dataset.file_meta.get("MediaStorageSOPClassUID")
        sop_class = str(stored_as or _required(file, dataset, "SOPClassUID"))
        kinds = dataset.get("ImageType") or []
        return Header(
            file=file,
            dataset=dataset,
            sop_class=sop_class,
            kind=f"{dataset.get('Modality', 'no modality')} {pydicom.uid.UID(sop_class).name}",
            is_localizer="LOCALIZER" in ([kinds] if isinstance(kinds, str) else kinds),
            series_uid=str(dataset.get("SeriesInstanceUID") or "") or None,
            description=str(dataset.get("SeriesDescription") or ""),
        )


def planes_of(header: Header) -> list[Plane]:
    """The slices of a file: one, or one per frame of an enhanced (multi-frame) CT.

    Raises
    ------
    ReadError
        If a slice does not say where it lies, how large its pixels are or how to get HU.
    """
    file, dataset = header.file, header.dataset
    with _reading(file):
        if int(dataset.get("SamplesPerPixel", 1)) != 1:
            raise ReadError(f"{file}: expected one value per pixel, got a colour image")
        if header.sop_class == _CT:
            if int(dataset.get("NumberOfFrames") or 1) != 1:
                raise ReadError(f"{file}: a CT image has one frame: export it as enhanced CT")
            return [_plane(file, 0, dataset, [dataset], False)]
        cone_beam = header.sop_class in _CONE_BEAM
        common = dataset.get("SharedFunctionalGroupsSequence")
        shared = common[0] if common else pydicom.Dataset()
        frames = _required(file, dataset, "PerFrameFunctionalGroupsSequence")
        return [
            _plane(file, number, dataset, [*_groups(frame), *_groups(shared), dataset], cone_beam)
            for number, frame in enumerate(frames)
        ]


def hounsfield(planes: list[Plane]) -> NDArray[Any]:
    """What the slices mean, (z, y, x): whole numbers where the file allows, else float32.

    Padding becomes air where the numbers are HU, else the lowest of the others.

    Raises
    ------
    ReadError
        If pixels are missing, truncated or compressed in a way that cannot be read here.
    """
    whole = all(plane.slope == 1 and plane.intercept.is_integer() for plane in planes)
    first = planes[0]
    volume = np.empty(
        (len(planes), first.rows, first.columns), dtype=np.int32 if whole else np.float32
    )
    decoded: dict[Path, tuple[NDArray[Any], NDArray[np.bool_] | None]] = {}
    for slab, plane in zip(volume, planes, strict=True):
        if plane.file not in decoded:
            # Slices of one file follow each other: keep one file at a time.
            decoded = {plane.file: _stored_values(plane.file)}
        stored, padding = decoded[plane.file]
        if stored.shape[1:] != slab.shape or plane.frame >= stored.shape[0]:
            raise ReadError(f"{plane.file}: Rows, Columns or frames do not match the pixel data")
        if whole:
            slab[:] = stored[plane.frame]
            slab += int(plane.intercept)
        else:
            slab[:] = stored[plane.frame] * plane.slope + plane.intercept
        if padding is not None:
            _fill_padding(slab, padding[plane.frame], plane.unit)
    return volume


def _fill_padding(slab: NDArray[Any], padding: NDArray[np.bool_], unit: str) -> None:
    air = _AIR_HU if unit == _HOUNSFIELD or padding.all() else slab[~padding].min()
    slab[padding & (slab > air)] = air


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Damage surfaces anywhere, since pydicom decodes an element when it is looked at."""
    try:
        with warnings.catch_warnings():
            # pydicom warns of every value that breaks a rule of form; what matters is checked here.
            warnings.simplefilter("ignore")
            yield
    except ReadError:
        raise
    except InvalidDicomError as error:
        raise ReadError(f"{file}: this is not a DICOM file") from error
    except (
        AttributeError,
        BytesLengthException,
        EOFError,
        KeyError,
        LookupError,
        NotImplementedError,
        OSError,
        OverflowError,
        TypeError,
        ValueError,
        struct.error,
    ) as error:
        raise ReadError(
            f"{file}: the DICOM file is damaged ({error}): copy or export it again"
        ) from error


def _required(file: Path, dataset: Any, keyword: str) -> Any:
    value = dataset.get(keyword)
    if value is None or value == "":
        tag = pydicom.datadict.tag_for_keyword(keyword) or 0
        raise ReadError(
            f"{file}: {keyword} ({tag >> 16:04X},{tag & 0xFFFF:04X}) is missing: export the series "
            "again with it"
        )
    return value


def _groups(functional: Any) -> list[Any]:
    """The items that hold a frame's attributes in an enhanced object."""
    keywords = (
        "PlanePositionSequence",
        "PlaneOrientationSequence",
        "PixelMeasuresSequence",
        "PixelValueTransformationSequence",
    )
    return [functional[keyword].value[0] for keyword in keywords if functional.get(keyword)]


def _plane(file: Path, frame: int, dataset: Any, sources: list[Any], cone_beam: bool) -> Plane:
    def value(keyword: str) -> Any:
        holders = [source for source in sources if source.get(keyword) not in (None, "")]
        return _required(file, holders[0] if holders else {}, keyword)

    def numbers(keyword: str, count: int) -> NDArray[np.float64]:
        found = np.array(value(keyword), dtype=np.float64).ravel()
        if found.shape != (count,) or not np.isfinite(found).all():
            raise ReadError(f"{file}: {keyword} must hold {count} numbers: got {value(keyword)}")
        return found

    spacing = numbers("PixelSpacing", 2)
    if (spacing <= 0).any():
        raise ReadError(f"{file}: PixelSpacing must be positive, mm: got {spacing.tolist()}")
    axes = numbers("ImageOrientationPatient", 6).reshape(2, 3)
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    if np.abs(lengths - 1).max() > 1e-2 or abs(float(axes[0] @ axes[1])) > 1e-2:
        raise ReadError(
            f"{file}: ImageOrientationPatient must be two perpendicular unit vectors: "
            f"got {axes.ravel().tolist()}"
        )
    # The standard takes HU for a CT that does not say (C.8.2.1); of a cone-beam CT it says nothing.
    said = next((s.RescaleType for s in sources if s.get("RescaleType")), "")
    unit = str(said).strip().upper() or ("" if cone_beam else _HOUNSFIELD)
    if cone_beam and not any("RescaleSlope" in source for source in sources):
        slope, intercept, unit = 1.0, 0.0, ""
    else:
        slope = float(numbers("RescaleSlope", 1)[0])
        intercept = float(numbers("RescaleIntercept", 1)[0])
    if slope == 0:
        raise ReadError(f"{file}: RescaleSlope must not be 0: the file is damaged, export it again")
    return Plane(
        file=file,
        frame=frame,
        rows=int(_required(file, dataset, "Rows")),
        columns=int(_required(file, dataset, "Columns")),
        spacing=(float(spacing[0]), float(spacing[1])),
        position=numbers("ImagePositionPatient", 3),
        axes=axes / lengths,
        slope=slope,
        intercept=intercept,
        unit=unit,
    )


def _stored_values(file: Path) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Pixels (frames, rows, columns) before the rescale, and where they are padding."""
    with _reading(file):
        with DicomStream(file) as stream:
            dataset = pydicom.dcmread(stream, force=True)
        _required(file, dataset, "PixelData")
        frames = int(dataset.get("NumberOfFrames") or 1)
        size = frames * int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated) // 8
        claim(size, f"{file}: {frames} frames of {dataset.Rows} x {dataset.Columns} pixels")
        syntax = _syntax(dataset)
        if not syntax.is_encapsulated:
            # Padding such as 63536 in 12 stored bits is only seen before the upper bits are cut.
            dataset.pixel_array_options(correct_unused_bits=False)
        try:
            stored = stored_pixels(dataset)
        except (RuntimeError, NotImplementedError, ImportError) as error:
            raise ReadError(
                f"{file}: pixels are compressed as {syntax.name} and cannot be decoded here: export "
                "the series uncompressed, or see that its files are whole"
            ) from error
        if stored.ndim == 2:
            stored = stored[None]
        padding = _padding(dataset, stored)
        unused = int(dataset.BitsAllocated) - int(dataset.BitsStored)
        if int(dataset.HighBit) != int(dataset.BitsStored) - 1 or unused < 0:
            raise ReadError(
                f"{file}: HighBit must be BitsStored - 1: got {dataset.HighBit}, {dataset.BitsStored}"
            )
        if unused and not syntax.is_encapsulated:
            # Bits above the stored ones may hold anything (PS3.5 8.1.1); the shift back extends the
            # sign of signed values.
            stored = (stored << unused) >> unused
        return stored, padding


def _syntax(dataset: Any) -> Any:
    """How the pixels are coded; a file without the mark of DICOM does not say, and is plain."""
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit = dataset.original_encoding[0]
        plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = plain
    return dataset.file_meta.TransferSyntaxUID


def _padding(dataset: Any, stored: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Pixels outside the reconstructed field (PS3.3 C.7.5.1.1.2), compared as unsigned bits.

    Files in implicit VR do not say whether the padding value is signed, so -2000 may read 63536.
    """
    low = dataset.get("PixelPaddingValue")
    if low is None:
        return None
    high = dataset.get("PixelPaddingRangeLimit", low)
    bits = 8 * stored.dtype.itemsize
    signed = stored.dtype.kind == "i"

    def as_stored(value: Any) -> int:
        number = int.from_bytes(value, "little") if isinstance(value, bytes) else int(value)
        number &= 2**bits - 1
        return number - 2**bits if signed and number >= 2 ** (bits - 1) else number

    first, last = sorted((as_stored(low), as_stored(high)))
    padding = (stored >= first) & (stored <= last)
    return padding if padding.any() else None
