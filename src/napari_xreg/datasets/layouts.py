"""Every layout that is read: what it is called, how it is known, what reads it. One table."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_xreg.datasets import deepfluoro, ljubljana, plain_folder, rayemb_folders, xvr_data
from napari_xreg.datasets.case import DataSet
from napari_xreg.files import ReadError


@dataclass(frozen=True)
class Layout:
    """One layout.

    Parameters
    ----------
    name
        For messages.
    is_one
        Whether a file or folder is in it, by what it contains.
    read
        The set, of a path that is one.
    """

    name: str
    is_one: Callable[[Path], bool]
    read: Callable[[Path], DataSet]


LAYOUTS: tuple[Layout, ...] = (
    Layout("DeepFluoro, full resolution (.h5)", deepfluoro.is_one, deepfluoro.read),
    Layout("Ljubljana cerebral angiograms (.h5)", ljubljana.is_one, ljubljana.read),
    Layout("xvr-data (folders subjectNN)", xvr_data.is_one, xvr_data.read),
    Layout("RayEmb (folders of images or templates)", rayemb_folders.is_one, rayemb_folders.read),
    Layout("a folder of one's own (folders sub-*)", plain_folder.is_one, plain_folder.read),
)


def is_data_set(path: Path | str) -> bool:
    """Whether a file or folder is in one of the layouts."""
    return _layout(Path(path)) is not None


def open_data_set(path: Path | str) -> DataSet:
    """The set at a path; its cases are read when they are asked for.

    Raises
    ------
    ReadError
        If nothing is there, or it is in none of the layouts.
    """
    path = Path(path)
    if not path.exists():
        raise ReadError(f"{path}: there is no such file or folder")
    layout = _layout(path)
    if layout is None:
        known = "; ".join(each.name for each in LAYOUTS)
        raise ReadError(f"{path.name}: is in no layout of a data set that is known: {known}")
    return layout.read(path)


def _layout(path: Path) -> Layout | None:
    try:
        return next((each for each in LAYOUTS if each.is_one(path)), None)
    except OSError:  # a folder in it that may not be looked into
        return None
