"""One door for files that say how a radiograph was taken: our JSON, and calibrations of other programs."""

from pathlib import Path

from napari_xreg.files import ReadError, json_of_text, read_text
from napari_xreg.images.formats.calibrations import is_calibration, read_calibration
from napari_xreg.images.formats.jointtrack import is_jointtrack, jointtrack_record
from napari_xreg.images.formats.rig_camera import calibration_record
from napari_xreg.images.known_geometry.record import GeometryRecord
from napari_xreg.images.known_geometry.sidecar import geometry_from_json


def read_geometry(path: Path | str, *, shape: tuple[int, int] | None = None) -> GeometryRecord:
    """The geometry that a file says: JSON as `write_geometry` or by hand, MayaCam, VTKCam or JointTrack.

    Parameters
    ----------
    path
        Which of them it is, its contents tell.
    shape
        Rows and columns of the image as stored; a calibration of an image of another size is refused.

    Raises
    ------
    ReadError
        If the file is absent or none of these, a value is of the wrong kind, or the image has
        another size.
    """
    path = Path(path)
    text = read_text(path, legacy=True)
    if is_jointtrack(text):
        return jointtrack_record(text, path.name, shape)
    if not is_calibration(text):
        if text.lstrip()[:1] not in ("{", "["):
            raise ReadError(
                f"{path.name}: is neither a geometry in JSON nor a MayaCam calibration of XMALab (1.0: five lines "
                "of three numbers; 2.0: begins with 'image size'), nor one of Autoscoper (VTKCam) or JointTrack "
                "(JT_INTCALIB)"
            )
        return geometry_from_json(json_of_text(text, path.name), path.name)
    camera = read_calibration(path)
    if shape is not None and shape not in (camera.pixels, camera.pixels[::-1]):
        rows, columns = camera.pixels
        raise ReadError(
            f"{path.name}: is the calibration of images that are {columns} pixels wide and {rows} high, this one is "
            f"{shape[1]} wide and {shape[0]} high: it belongs to the undistorted images, neither cropped nor resized, "
            "and of several each has its own, in the same order"
        )
    return calibration_record(camera, path.name)
