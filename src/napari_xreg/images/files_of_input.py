"""Which files stand behind the one that was named: a series, a pair, data files of a header."""

from pathlib import Path

from napari_xreg.files import ReadError, check_file
from napari_xreg.images.dicom.series import is_dicom, series_files
from napari_xreg.images.formats.table import named


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
    found = named(path, "volume")
    if found is not None:
        return found.files(path)
    return series_files(path) if is_dicom(path) else (path,)
