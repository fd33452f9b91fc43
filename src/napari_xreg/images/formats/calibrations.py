"""One door for calibrations of a rig of X-ray cameras: MayaCam 1.0 and 2.0, VTKCam 1.0."""

from pathlib import Path

from napari_xreg.files import ReadError, read_text
from napari_xreg.images.formats.mayacam import is_mayacam, mayacam
from napari_xreg.images.formats.rig_camera import RigCamera
from napari_xreg.images.formats.vtkcam import is_vtkcam, vtkcam
from napari_xreg.images.known_geometry.sidecar import camera_values


def is_calibration(text: str) -> bool:
    """Whether a text is one of these."""
    return is_mayacam(text) or is_vtkcam(text)


def read_calibration(path: Path) -> RigCamera:
    """Read a calibration; which of them it is, its contents tell.

    Raises
    ------
    ReadError
        If it is none, a number is missing or impossible, or its unit can be neither mm nor cm.
    """
    text = read_text(path, legacy=True)
    try:
        camera = vtkcam(text) if is_vtkcam(text) else mayacam(text)
        camera_values(camera.camera_matrix, camera.rotation, camera.translation_mm)
    except ValueError as error:
        raise ReadError(
            f"{path.name}: is no calibration of XMALab (MayaCam) or Autoscoper (VTKCam): {error}"
        ) from error
    return camera
