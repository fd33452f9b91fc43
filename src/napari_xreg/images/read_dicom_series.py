"""DICOM CT series (being written)."""

from pathlib import Path

from napari_xreg.images.errors import ReadError
from napari_xreg.images.stored_grid import StoredGrid


def is_dicom(path: Path) -> bool:
    """Whether the file carries the mark of a DICOM file."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def read_dicom_series(path: Path, *, series_uid: str | None = None) -> StoredGrid:
    """Not there yet."""
    raise ReadError(f"{path}: DICOM series cannot be read yet")
