"""NRRD and MetaImage (being written)."""

from pathlib import Path

from napari_xreg.images.errors import ReadError
from napari_xreg.images.stored_grid import StoredGrid


def read_itk(path: Path) -> StoredGrid:
    """Not there yet."""
    raise ReadError(f"{path}: NRRD and MetaImage cannot be read yet")
