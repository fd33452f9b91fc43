"""Which files stand behind the one that was named: a series, a pair, data files of a header."""

from pathlib import Path

from napari_xreg.files import ReadError, check_file
from napari_xreg.images.dicom.series import is_dicom, series_files
from napari_xreg.images.formats.meta_image import meta_image_files
from napari_xreg.images.formats.nifti import nifti_files
from napari_xreg.images.formats.nrrd import nrrd_files


def input_files(path: Path) -> tuple[Path, ...]:
    """All files whose contents decide what is read when this one is named, in a fixed order.

    A slice of a CT stands for its series; a header (``.hdr``, ``.nhdr``, ``.mhd``) or the voxels
    beside it for both; every other file for itself.

    Raises
    ------
    ReadError
        If it is no file. A damaged one stands for itself: its reader says why.
    """
    check_file(path, may_be_empty=True)
    try:
        files = _named_by(path)
        for file in files:
            # Contents are read to the end: a device has none.
            check_file(file, may_be_empty=True)
    except (ReadError, OSError):
        return (path,)
    return files


def _named_by(path: Path) -> tuple[Path, ...]:
    match path.suffix.lower():
        case ".hdr" | ".img":
            return nifti_files(path)
        case ".nrrd" | ".nhdr":
            return nrrd_files(path)
        case ".mha" | ".mhd":
            return meta_image_files(path)
    return series_files(path) if is_dicom(path) else (path,)
