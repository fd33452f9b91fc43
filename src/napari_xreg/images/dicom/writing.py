"""Write a radiograph as DICOM X-ray angiography (XA) or digital X-ray (DX), geometry included."""

import datetime as dt
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import format_number_as_ds

from napari_xreg.files import written
from napari_xreg.images.dicom.orientation import patient_orientation
from napari_xreg.images.dicom.private import MANUFACTURER, write_private
from napari_xreg.images.radiograph import Radiograph

_CLASSES = {
    "XA": "1.2.840.10008.5.1.4.1.1.12.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
}


def write_dicom_radiograph(
    path: Path | str,
    radiograph: Radiograph,
    *,
    modality: Literal["XA", "DX"] = "XA",
    i0: float = 50000.0,
    patient_name: str = "Anonymous",
) -> Path:
    """Write what `dicom_radiograph` makes.

    Raises
    ------
    WriteError
        If the file cannot be written; an older one is then untouched.
    """
    path = Path(path)
    dataset = dicom_radiograph(radiograph, modality=modality, i0=i0, patient_name=patient_name)
    with written(path) as beside:
        dataset.save_as(beside, enforce_file_format=True)
    return path


def dicom_radiograph(
    radiograph: Radiograph,
    *,
    modality: Literal["XA", "DX"] = "XA",
    i0: float = 50000.0,
    patient_name: str = "Anonymous",
) -> FileDataset:
    """A radiograph as a DICOM data set: 16-bit intensity ``i0 exp(-line integral)``.

    Intensity is linear (Pixel Intensity Relationship LIN, sign +1), so a line integral p comes back
    to within ``exp(p) / (2 i0)``. A masked pixel is stored as 0. Standard attributes hold SDD,
    source to isocenter, imager pixel spacing, principal point (single precision), mirror, round
    field, and the angles. DICOM has no place for roll, offset, isocenter, i0 and "simulated": they
    go into a private block that `read_radiograph` reads; others ignore it. Decimal strings keep 16
    characters. The set describes the image and its geometry; it holds no real patient and is not
    meant to enter a hospital archive.

    Parameters
    ----------
    i0
        Stored value of an unattenuated pixel, 1..65535. Pixels beyond 65534 are clipped there.

    Raises
    ------
    ValueError
        If `i0` or `modality` is another.
    """
    if not 1 <= i0 <= 65535:
        raise ValueError(f"i0 must lie in 1..65535, the range of 16-bit pixels: got {i0}")
    if modality not in _CLASSES:
        raise ValueError(f"modality is XA or DX: got {modality!r}")
    dataset = _identity(modality, patient_name, simulated=radiograph.simulated)
    _write_pixels(dataset, radiograph, i0)
    _write_geometry(dataset, radiograph)
    private: dict[str, Any] = {"i0": i0, "simulated": radiograph.simulated}
    if radiograph.subtracted:
        private["subtracted"] = True
    if radiograph.nominal is not None:
        pose = radiograph.nominal
        private |= {
            "roll_deg": pose.roll_deg,
            "offset_mm": pose.offset_mm,
            "isocenter": pose.isocenter,
        }
    write_private(dataset, private)
    return dataset


def _identity(modality: str, patient_name: str, *, simulated: bool) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(_CLASSES[modality])
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    now = dt.datetime.now()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.Modality = modality
    dataset.Manufacturer = MANUFACTURER
    dataset.PatientName = patient_name
    dataset.PatientID = ""
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.StudyDate = now.strftime("%Y%m%d")
    dataset.StudyTime = now.strftime("%H%M%S")
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = ""
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = 1
    dataset.ImageType = ["DERIVED" if simulated else "ORIGINAL", "PRIMARY"]
    dataset.ImageType.append("SINGLE PLANE" if modality == "XA" else "")
    if simulated:
        dataset.DerivationDescription = "Simulated from a CT by napari-xreg"
    if modality == "DX":
        dataset.PresentationIntentType = "FOR PROCESSING"
        dataset.PositionerType = "CARM"
    return dataset


def _write_pixels(dataset: Dataset, radiograph: Radiograph, i0: float) -> None:
    values = radiograph.line_integrals.detach().cpu().double().numpy()
    stored = np.rint(i0 * np.exp(-values)).clip(1, 65534)
    if radiograph.mask is not None:
        stored = np.where(radiograph.mask.detach().cpu().numpy(), stored, 0)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = values.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.PixelIntensityRelationship = "LIN"
    dataset.PixelIntensityRelationshipSign = 1
    dataset.PixelData = stored.astype("<u2").tobytes()


def _write_geometry(dataset: Dataset, radiograph: Radiograph) -> None:
    carm, detector = radiograph.carm, radiograph.carm.detector
    dataset.DistanceSourceToDetector = _decimal(carm.source_to_detector)
    # The first is the isocenter in XA only; the second always is.
    dataset.DistanceSourceToPatient = _decimal(carm.source_to_isocenter)
    dataset.DistanceSourceToIsocenter = carm.source_to_isocenter
    dataset.ImagerPixelSpacing = [_decimal(s) for s in detector.spacing]
    dataset.DetectorElementSpacing = [_decimal(s) for s in detector.spacing]
    # A detector whose own rows and columns are the stored ones, or their mirror image.
    dataset.FieldOfViewOrigin = ["0", "0"]
    dataset.FieldOfViewRotation = "0"
    dataset.FieldOfViewHorizontalFlip = "NO" if detector.mirrored else "YES"
    row, column = (detector if detector.mirrored else detector.flip_columns()).center
    dataset.PositionOfIsocenterProjection = [row, column]
    if detector.field_diameter is not None:
        dataset.FieldOfViewShape = "ROUND"
        dataset.FieldOfViewDimensionsInFloat = [detector.field_diameter]
    else:
        dataset.FieldOfViewShape = "RECTANGLE"
        dataset.FieldOfViewDimensionsInFloat = list(detector.size_mm)
    pose = radiograph.nominal
    if pose is None:
        dataset.PositionerPrimaryAngle = dataset.PositionerSecondaryAngle = None
        return
    dataset.PatientPosition = "HFS"
    dataset.PositionerPrimaryAngle = _decimal(pose.primary_deg)
    dataset.PositionerSecondaryAngle = _decimal(pose.secondary_deg)
    rotation = carm.pose_from(pose).rotation
    dataset.PatientOrientation = list(patient_orientation(rotation, mirrored=detector.mirrored))


def _decimal(value: float) -> str:
    """The 16 characters of a decimal string."""
    return format_number_as_ds(float(value))
