"""Pixels of a compressed DICOM file: by pydicom's decoders, else by those that SimpleITK brings.

Angiography systems often write JPEG Lossless, for which pydicom needs a plugin that most
installations lack. GDCM, inside SimpleITK, decodes it, and JPEG Extended and JPEG-LS as well.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.utils import pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

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


def stored_frame(path: Path, dataset: Dataset, frame: int) -> NDArray[Any]:
    """One frame, (rows, columns), without decoding the others: of hundred, the hundredth part.

    Bits that a value does not use are left as the file holds them (they may be padding), but for
    the sign.

    Parameters
    ----------
    path
        The file. Only the bytes of this frame are read from it.
    dataset
        Its header; the pixel data may be deferred.
    frame
        From 1.

    Raises
    ------
    Exception
        Whatever pydicom's decoder raised, where nobody can read it.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    # Where the file does not say its own syntax, or is deflated as a whole, it is read as a whole.
    whole = syntax == DeflatedExplicitVRLittleEndian or dataset.preamble is None
    source = dataset if whole else path
    signed = bool(dataset.get("PixelRepresentation"))
    try:
        return np.asarray(pixel_array(source, index=frame - 1, correct_unused_bits=signed))
    except MemoryError:
        raise
    except Exception:
        if not syntax.is_encapsulated or int(dataset.get("SamplesPerPixel") or 1) != 1:
            raise
        try:
            return _by_itk(_alone(dataset, frame))
        except (RuntimeError, ValueError):
            pass
        raise


def _alone(dataset: Dataset, frame: int) -> Dataset:
    """The data set with this frame alone."""
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames == 1:
        return dataset
    alone = Dataset()
    for keyword in _CODING:
        if keyword in dataset and keyword not in ("PixelData", "NumberOfFrames"):
            alone[keyword] = dataset[keyword]
    code = get_frame(dataset.PixelData, frame - 1, number_of_frames=frames)
    alone.PixelData = encapsulate([code])
    alone["PixelData"].is_undefined_length = True
    alone.file_meta = dataset.file_meta
    return alone


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
        import SimpleITK as sitk  # a quarter of a second: only for what pydicom does not decode

        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(file))
        found = np.asarray(sitk.GetArrayFromImage(reader.Execute()))
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    frames = int(dataset.get("NumberOfFrames") or 1)
    if found.size != frames * rows * columns:
        raise RuntimeError(f"decoded to {found.shape}, expected {frames} x {rows} x {columns}")
    return found.reshape(rows, columns) if frames == 1 else found.reshape(frames, rows, columns)
