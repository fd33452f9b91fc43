"""The folder of a study opened by napari or dropped on its canvas."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import napari

from napari_xreg.widgets.docks.opening import opened
from napari_xreg.workflows import file_kind

Paths = str | Sequence[str]


def get_study_reader(path: Paths) -> Callable[[Paths], list[tuple[None]]] | None:
    """The reader of a study's folder, or of its study.json; None for anything else."""
    file = _single(path)
    ours = file is not None and file.exists() and file_kind(file) == "study"
    return read_study if ours else None


def read_study(path: Paths) -> list[tuple[None]]:
    """Hand it to the Study tool; no layer."""
    viewer, file = napari.current_viewer(), _single(path)
    if viewer is not None and file is not None:
        show_study(viewer, file)
    return [(None,)]


def show_study(viewer: Any, path: Path) -> None:
    """A folder, or its study.json, in the Study tool, which is opened."""
    from napari_xreg.widgets.study.widget import StudyWidget  # with it all that computes

    opened(viewer, StudyWidget, "Study").open_study(path if path.is_dir() else path.parent)


def _single(path: Paths) -> Path | None:
    if isinstance(path, str):
        return Path(path)
    return Path(path[0]) if len(path) == 1 else None
