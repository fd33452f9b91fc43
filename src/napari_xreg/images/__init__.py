"""What was acquired, in physical units: CT volumes, label maps, radiographs."""

from napari_xreg.images.dicom.writing import dicom_radiograph, write_dicom_radiograph
from napari_xreg.images.errors import (
    FrameUnknown,
    ReadError,
    SeveralFrames,
    SeveralSeries,
    TooLarge,
    UnknownValues,
)
from napari_xreg.images.formats.landmark_files import read_landmarks, write_landmarks
from napari_xreg.images.geometry_override import geometry_record, with_geometry
from napari_xreg.images.intensity.attenuation import hu_from_lac, lac_from_hu
from napari_xreg.images.intensity.collimator import CollimatedField, collimator_mask
from napari_xreg.images.intensity.line_integrals import (
    LineIntegrals,
    direct_exposure_mask,
    estimate_i0,
    line_integrals_from_intensity,
)
from napari_xreg.images.intensity.materials import DENSITY, linear_attenuation, mass_attenuation
from napari_xreg.images.intensity.value_scale import ValueScale
from napari_xreg.images.labels import LabelMap
from napari_xreg.images.landmark import Landmark
from napari_xreg.images.radiograph import Radiograph
from napari_xreg.images.read_radiograph import read_radiograph
from napari_xreg.images.read_volume import read_labels, read_volume
from napari_xreg.images.stored_image import IncompleteRadiograph
from napari_xreg.images.totalsegmentator import TOTALSEGMENTATOR_NAMES
from napari_xreg.images.volume import Volume
from napari_xreg.images.write_radiograph import write_radiograph
from napari_xreg.images.xray_geometry import GeometryRecord, read_geometry, write_geometry

__all__ = [
    "Volume",
    "LabelMap",
    "Radiograph",
    "Landmark",
    "FrameUnknown",
    "ReadError",
    "TooLarge",
    "UnknownValues",
    "ValueScale",
    "IncompleteRadiograph",
    "SeveralFrames",
    "SeveralSeries",
    "read_volume",
    "read_labels",
    "read_landmarks",
    "write_landmarks",
    "lac_from_hu",
    "hu_from_lac",
    "mass_attenuation",
    "linear_attenuation",
    "DENSITY",
    "TOTALSEGMENTATOR_NAMES",
    "GeometryRecord",
    "LineIntegrals",
    "CollimatedField",
    "read_radiograph",
    "write_radiograph",
    "write_dicom_radiograph",
    "dicom_radiograph",
    "read_geometry",
    "write_geometry",
    "geometry_record",
    "with_geometry",
    "line_integrals_from_intensity",
    "estimate_i0",
    "direct_exposure_mask",
    "collimator_mask",
]
