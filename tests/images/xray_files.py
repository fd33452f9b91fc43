"""DICOM X-ray files built by hand, attribute by attribute, without our own writer."""

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

XA = "1.2.840.10008.5.1.4.1.1.12.1"
CLASSES = {
    "XA": XA,
    "RF": "1.2.840.10008.5.1.4.1.1.12.2",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "OT": "1.2.840.10008.5.1.4.1.1.7",
}
ROWS, COLUMNS = 30, 44


def line_integrals(rows=ROWS, columns=COLUMNS):
    """Smooth, off centre, with air at the borders; at most 2.4."""
    y = np.linspace(-1.2, 0.9, rows)[:, None]
    x = np.linspace(-0.8, 1.3, columns)
    return 2.4 * np.sqrt(np.clip(1 - (x / 0.6) ** 2 - (y / 0.7) ** 2, 0, None))


def stored_intensity(rows=ROWS, columns=COLUMNS, *, i0=3000.0):
    """12-bit readings, linear in intensity."""
    return np.rint(i0 * np.exp(-line_integrals(rows, columns))).astype(np.uint16)


def dicom(pixels=None, *, modality="XA", **attributes):
    """A complete angiogram; attributes replace or, with None, remove its own.

    SDD 1050 mm, isocenter at 690 mm, rows 0.31 and columns 0.27 mm apart, LAO 30, CRA 12.
    """
    if pixels is None:
        pixels = stored_intensity()
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CLASSES[modality]
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = CLASSES[modality]
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.Modality = modality
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    if pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored = 12 if pixels.dtype.itemsize == 2 else 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = pixels.tobytes()
    dataset.PixelIntensityRelationship = "LIN"
    dataset.DistanceSourceToDetector = "1050"
    dataset.DistanceSourceToPatient = "690"
    dataset.ImagerPixelSpacing = ["0.31", "0.27"]
    dataset.PositionerPrimaryAngle = "30"
    dataset.PositionerSecondaryAngle = "12"
    for name, value in attributes.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return dataset


def save(path, dataset):
    """Write it and hand the path back."""
    dataset.save_as(path, enforce_file_format=True)
    return path


def item(**attributes):
    """A data set for a sequence."""
    dataset = Dataset()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset
