"""What a file or folder is, by a look at it: the one place where that is decided."""

from pathlib import Path
from typing import Literal

from napari_xreg.datasets import is_data_set
from napari_xreg.images import (
    count_tiff_pages,
    has_sidecar,
    is_dicom,
    is_trial,
    is_xray_file,
    named,
    read_header,
    sidecar_path,
)
from napari_xreg.records import PLAN_FILE
from napari_xreg.session import SESSION_ENDING
from napari_xreg.workflows.opening.inspecting_tables import table_schema
from napari_xreg.workflows.opening.inspecting_texts import text_kind

WEIGHTS = (".safetensors", ".pth", ".pt", ".ckpt")
"""Endings of files of weights."""

FileKind = Literal[
    "session", "result", "table", "weights", "landmarks", "trial", "study", "data set", "radiograph",
    "stack", "ct", "grid", "calibration", "pose", "label names",
]  # fmt: skip
"""A "table" is one that this program wrote. A "grid" is a CT or a label map, a "stack" a CT or a radiograph of several frames: nobody can tell."""


def file_kind(path: Path | str) -> FileKind | None:
    """What a file or folder is; None: nothing that this program reads.

    Parameters
    ----------
    path
        Of what is there.

    Raises
    ------
    ReadError
        If it is a damaged DICOM file.
    """
    path = Path(path)
    if path.name == PLAN_FILE or (path / PLAN_FILE).is_file():
        return "study"
    if path.name.lower().endswith(SESSION_ENDING):
        return "session"
    text = text_kind(path)
    if text is not None:
        return text
    if named(path, "landmarks") is not None:
        return "landmarks" if table_schema(path) is None else "table"
    if path.suffix.lower() == ".json":
        return "radiograph" if _is_sidecar(path) else "result"
    if path.suffix.lower() in WEIGHTS:
        return "weights"
    if is_trial(path):
        return "trial"
    if is_data_set(path):
        return "data set"
    volume = named(path, "volume")
    if named(path, "radiograph") is not None:
        several = volume is not None and volume.asks and not sidecar_path(path).exists()
        return "stack" if several and count_tiff_pages(path) > 1 else "radiograph"
    if path.is_dir():
        return "ct"
    if is_dicom(path):
        header = read_header(path)
        return "ct" if header.is_ct or header.is_directory else "radiograph"
    if is_xray_file(path):  # called as those are
        return "radiograph"
    if volume is None or not (volume.shared or volume.fits(path)):
        return None
    return "ct" if volume.shared else "grid"


def _is_sidecar(path: Path) -> bool:
    """Whether it says where the picture beside it was taken."""
    picture = path.with_suffix("")
    return named(picture, "radiograph") is not None and has_sidecar(picture)
