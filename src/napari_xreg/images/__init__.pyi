from .cine import (
    Cine as Cine,
    of_one_picture as of_one_picture,
    open_cine as open_cine,
    times_of as times_of,
)
from .dicom.ct import VOLUME_CLASSES as VOLUME_CLASSES, read_header as read_header
from .dicom.kind import is_ct_file as is_ct_file, is_xray_file as is_xray_file
from .dicom.radiograph import read_dicom_image as read_dicom_image
from .dicom.series import is_dicom as is_dicom
from .dicom.writing import (
    dicom_radiograph as dicom_radiograph,
    write_dicom_radiograph as write_dicom_radiograph,
)
from .errors import (
    FrameUnknown as FrameUnknown,
    ReadError as ReadError,
    SeveralFrames as SeveralFrames,
    SeveralSeries as SeveralSeries,
    TooLarge as TooLarge,
    UnknownSpacing as UnknownSpacing,
    UnknownValues as UnknownValues,
)
from .files_of_input import input_files as input_files
from .formats.autoscoper import (
    TrialCamera as TrialCamera,
    TrialFile as TrialFile,
    TrialVolume as TrialVolume,
    is_trial as is_trial,
    read_trial as read_trial,
)
from .formats.calibrations import (
    is_calibration as is_calibration,
    read_calibration as read_calibration,
)
from .formats.jointtrack import (
    is_jointtrack as is_jointtrack,
    jointtrack_record as jointtrack_record,
)
from .formats.label_table import has_letter as has_letter, read_label_names as read_label_names
from .formats.landmark_files import (
    read_landmarks as read_landmarks,
    write_landmarks as write_landmarks,
)
from .formats.landmark_table import LandmarkFrame as LandmarkFrame
from .formats.mask import read_mask as read_mask
from .formats.numbered import numbered_files as numbered_files
from .formats.raster import (
    has_sidecar as has_sidecar,
    sidecar_path as sidecar_path,
)
from .formats.rig_camera import (
    RigCamera as RigCamera,
    calibration_record as calibration_record,
)
from .formats.table import (
    FORMATS as FORMATS,
    Format as Format,
    Kind as Kind,
    formats_in_words as formats_in_words,
    named as named,
    patterns as patterns,
    suffixes as suffixes,
)
from .formats.tiff import count_tiff_pages as count_tiff_pages
from .frames import Frame as Frame
from .intensity.attenuation import (
    CT_ENERGY_KEV as CT_ENERGY_KEV,
    hu_from_lac as hu_from_lac,
    lac_from_hu as lac_from_hu,
)
from .intensity.bone_only import (
    ABOVE_WATER as ABOVE_WATER,
    ATTENUATIONS as ATTENUATIONS,
    above_water as above_water,
    attenuation_seen as attenuation_seen,
    is_bone_only as is_bone_only,
    rendered_above_water as rendered_above_water,
    water_attenuation as water_attenuation,
)
from .intensity.collimator import (
    CollimatedField as CollimatedField,
    collimator_mask as collimator_mask,
)
from .intensity.line_integrals import (
    LineIntegrals as LineIntegrals,
    estimate_i0 as estimate_i0,
    line_integrals_from_intensity as line_integrals_from_intensity,
)
from .intensity.materials import (
    DENSITY as DENSITY,
    Material as Material,
    linear_attenuation as linear_attenuation,
    mass_attenuation as mass_attenuation,
)
from .intensity.value_range import array_range as array_range
from .intensity.value_scale import ValueScale as ValueScale
from .known_geometry.reading import read_geometry as read_geometry
from .known_geometry.record import GeometryRecord as GeometryRecord
from .known_geometry.replaced import (
    geometry_record as geometry_record,
    with_geometry as with_geometry,
)
from .known_geometry.sidecar import (
    LARGEST_MM as LARGEST_MM,
    geometry_from_json as geometry_from_json,
    geometry_of as geometry_of,
    geometry_to_json as geometry_to_json,
    given_geometry as given_geometry,
    write_geometry as write_geometry,
)
from .label_names import TOTALSEGMENTATOR as TOTALSEGMENTATOR, said_names as said_names
from .labels import LabelMap as LabelMap
from .landmark import Landmark as Landmark
from .operations import (
    Crop as Crop,
    Other as Other,
    operation_from_json as operation_from_json,
    operation_to_json as operation_to_json,
)
from .radiograph import Radiograph as Radiograph
from .reading_radiographs import (
    read_radiograph as read_radiograph,
    read_stored_image as read_stored_image,
)
from .reading_volumes import read_labels as read_labels, read_volume as read_volume
from .saturation import without_saturated as without_saturated
from .stored_grid import (
    StoredGrid as StoredGrid,
    check_place as check_place,
    check_size as check_size,
    volume_from_grid as volume_from_grid,
)
from .stored_image import (
    IncompleteRadiograph as IncompleteRadiograph,
    StoredImage as StoredImage,
    radiograph_from_stored as radiograph_from_stored,
)
from .title import file_title as file_title, image_title as image_title
from .totalsegmentator import TOTALSEGMENTATOR_NAMES as TOTALSEGMENTATOR_NAMES
from .volume import Volume as Volume
from .writing_radiographs import write_radiograph as write_radiograph
