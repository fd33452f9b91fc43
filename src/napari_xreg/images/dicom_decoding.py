"""Pixels of a compressed DICOM file: by pydicom's decoders, else by those that SimpleITK brings.

Angiography systems often write JPEG Lossless, for which pydicom needs a plugin that most
installations lack. GDCM, inside SimpleITK, decodes it, and JPEG Extended and JPEG-LS as well.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

# What says how the pixels are coded. Without the rest no one scales, inverts or reorients them.
_CODING = (
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData",
)  # fmt: skip


def stored_pixels(dataset: Dataset) -> NDArray[Any]:
    """``dataset.pixel_array``, also where pydicom alone cannot decompress it.

    Raises
    ------
    Exception
        Whatever pydicom's decoder raised, where nobody can read them.
    """
    try:
        return np.asarray(dataset.pixel_array)
    except MemoryError:
        raise
    except Exception:
        syntax = dataset.file_meta.TransferSyntaxUID
        if not syntax.is_encapsulated or int(dataset.get("SamplesPerPixel") or 1) != 1:
            raise
        try:
            return _by_itk(dataset)
        except RuntimeError:
            pass
        raise


def _by_itk(dataset: Dataset) -> NDArray[Any]:
    """Frames (if several), rows, columns."""
    bare = Dataset()
    for keyword in _CODING:
        if keyword in dataset:
            bare[keyword] = dataset[keyword]
    # MONOCHROME1 says how to show values, not what they are.
    bare.PhotometricInterpretation = "MONOCHROME2"
    bare.SOPClassUID, bare.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    bare.file_meta.MediaStorageSOPClassUID = bare.SOPClassUID
    bare.file_meta.MediaStorageSOPInstanceUID = bare.SOPInstanceUID
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pixels.dcm"
        bare.save_as(file, enforce_file_format=True)
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(file))
        found = np.asarray(sitk.GetArrayFromImage(reader.Execute()))
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    frames = int(dataset.get("NumberOfFrames") or 1)
    if found.size != frames * rows * columns:
        raise RuntimeError(f"decoded to {found.shape}, expected {frames} x {rows} x {columns}")
    return found.reshape(rows, columns) if frames == 1 else found.reshape(frames, rows, columns)
