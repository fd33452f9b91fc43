"""An X-ray camera in the axes of a calibration that all cameras of a rig share: what calibrations say."""

from dataclasses import dataclass

from napari_xreg.images.known_geometry.record import GeometryRecord, Rows
from napari_xreg.images.known_geometry.sidecar import camera_values

# No source is nearer to the middle of what it shows than 30 cm; in cm the same is 30.
NEAREST_MM = 300.0


@dataclass(frozen=True)
class RigCamera:
    """One camera of a calibration.

    Parameters
    ----------
    pixels
        Rows, columns of its images. (XMALab writes them in either order.)
    camera_matrix
        K, pixels; whole numbers are pixel centres, rows from the top.
    rotation, translation_mm
        Camera from the calibration's axes, in OpenCV's sense: ``x_camera = R x_rig + t``, y down, z from the source.
    layout
        Of its file: "MayaCam 2.0".
    in_cm
        Whether the file's lengths were centimetres.
    """

    pixels: tuple[int, int]
    camera_matrix: Rows
    rotation: Rows
    translation_mm: tuple[float, float, float]
    layout: str
    in_cm: bool = False


def calibration_record(camera: RigCamera, source: str) -> GeometryRecord:
    """What a calibration says of the geometry of its images."""
    values = camera_values(camera.camera_matrix, camera.rotation, camera.translation_mm)
    in_cm = (
        f"{source}: its lengths are taken for centimetres: in mm its source would be nearer than "
        f"{NEAREST_MM:g} mm to the calibration object"
    )
    notes = (in_cm,) if camera.in_cm else ()
    return GeometryRecord(**values, provenance=dict.fromkeys(values, source), notes=notes)
