"""Writes small CTs in the formats we read, right by default and wrong on request."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
SERIES_UID = "1.2.826.0.1.3680043.8.498.1"

# A gantry tilted by asin(0.28) about the patient's x axis.
TILTED = (1.0, 0.0, 0.0, 0.0, 0.96, -0.28)
# In each slice 0.8 mm from row to row and 0.6 mm from column to column.
SPACING = (0.8, 0.6)


def hounsfield(shape: tuple[int, int, int] = (5, 4, 3)) -> np.ndarray:
    """Distinct values (z, y, x) from -1000 in steps of 37 HU."""
    return (np.arange(np.prod(shape)).reshape(shape) * 37 - 1000).astype(np.int16)


def positions(count: int = 5) -> list[tuple[float, float, float]]:
    """Corners of the slices: 4.5 mm apart along the table, upwards."""
    return [(-12.5, 7.25, 100.0 + 4.5 * k) for k in range(count)]


def write_nifti(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """Values (x, y, z), placed by an sform in RAS."""
    matrix = nifti_affine() if affine is None else affine
    nibabel.save(nibabel.Nifti1Image(values, matrix), path)
    return path


def nifti_affine() -> np.ndarray:
    """0.7, 0.9 and 1.3 mm; x runs to the left, y to the back, z up: RAS of an LPS grid."""
    return np.array(
        [[-0.7, 0, 0, 10.0], [0, -0.9, 0, 20.0], [0, 0, 1.3, 30.0], [0, 0, 0, 1.0]], dtype=float
    )


def dicom_slice(
    stored: np.ndarray,
    position: tuple[float, float, float],
    *,
    orientation: tuple[float, ...] = TILTED,
    slope: float = 1.0,
    intercept: float = -1024.0,
    number: int = 1,
    series_uid: str = SERIES_UID,
) -> FileDataset:
    """One classic CT image of unsigned 16-bit stored values (rows, columns)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CT_IMAGE
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[series_uid, str(number)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID = CT_IMAGE
    image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    image.Modality = "CT"
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.SeriesInstanceUID = series_uid
    image.SeriesDescription = "bone"
    image.InstanceNumber = number
    image.ImagePositionPatient = list(position)
    image.ImageOrientationPatient = list(orientation)
    image.PixelSpacing = list(SPACING)
    image.RescaleSlope = slope
    image.RescaleIntercept = intercept
    image.RescaleType = "HU"
    set_pixels(image, stored)
    return image


def set_pixels(image: Dataset, stored: np.ndarray, bits: int = 16) -> None:
    """Pixels with the attributes that describe them."""
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = stored.shape[-2:]
    image.BitsAllocated = 8 * stored.dtype.itemsize
    image.BitsStored = bits
    image.HighBit = bits - 1
    image.PixelRepresentation = int(stored.dtype.kind == "i")
    image.PixelData = stored.tobytes()


def write_series(
    folder: Path,
    hu: np.ndarray | None = None,
    *,
    change: Callable[[int, FileDataset], FileDataset | None] | None = None,
    **settings: object,
) -> Path:
    """A tilted series whose file names and instance numbers say nothing about the order.

    ``change`` may alter slice k (from the bottom), or leave it out by returning None.
    """
    hu = hounsfield() if hu is None else hu
    folder.mkdir(parents=True, exist_ok=True)
    count = len(hu)
    for k, (plane, position) in enumerate(zip(hu, positions(count), strict=True)):
        shuffled = (7 * k + 3) % 11
        stored = (plane.astype(np.int32) + 1024).astype(np.uint16)
        image = dicom_slice(stored, position, number=shuffled, **settings)
        changed = image if change is None else change(k, image)
        if changed is not None:
            save(changed, folder / f"IM{shuffled:04d}.dcm")
    return folder


def save(image: FileDataset, path: Path) -> Path:
    """Write as a DICOM file."""
    pydicom.dcmwrite(path, image, enforce_file_format=True)
    return path


def write_nrrd(path: Path, values: np.ndarray, fields: dict[str, str]) -> Path:
    """Values (z, y, x) with the header fields given."""
    kinds = {"i": "int", "u": "uint", "f": "float"}
    kind = f"{kinds[values.dtype.kind]}{8 * values.dtype.itemsize}"
    header = {
        "type": {"float32": "float", "float64": "double"}.get(kind, kind),
        "dimension": "3",
        "sizes": " ".join(str(n) for n in reversed(values.shape)),
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
        **fields,
    }
    # "key:=value" is a remark, "field: value" part of the format.
    lines = (f"{k}:{v}\n" if v.startswith("=") else f"{k}: {v}\n" for k, v in header.items() if v)
    text = "NRRD0005\n" + "".join(lines)
    path.write_bytes(text.encode() + b"\n" + values.tobytes())
    return path


def write_mha(path: Path, values: np.ndarray, fields: dict[str, str]) -> Path:
    """Values (z, y, x) of int16 with the header fields given."""
    header = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        **fields,
        "DimSize": " ".join(str(n) for n in reversed(values.shape)),
        "ElementType": "MET_SHORT",
        "ElementDataFile": "LOCAL",
    }
    text = "".join(f"{key} = {value}\n" for key, value in header.items())
    path.write_bytes(text.encode() + values.astype("<i2").tobytes())
    return path
