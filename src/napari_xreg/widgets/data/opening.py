"""A data set of the field opened by napari, or dropped on its canvas."""

from collections.abc import Callable, Sequence
from pathlib import Path

import napari

from napari_xreg.datasets import is_data_set
from napari_xreg.widgets.docks.opening import opened

Paths = str | Sequence[str]


def get_data_set_reader(path: Paths) -> Callable[[Paths], list[tuple[None]]] | None:
    """The reader of a data set; None for anything else."""
    file = _single(path)
    return read_data_set if file is not None and is_data_set(file) else None


def read_data_set(path: Paths) -> list[tuple[None]]:
    """Hand it to the Data widget, which asks for case and radiograph; no layer."""
    viewer, file = napari.current_viewer(), _single(path)
    if viewer is not None and file is not None:
        from napari_xreg.widgets.data.widget import DataWidget  # with it all that computes

        opened(viewer, DataWidget, "Data").load(file)
    return [(None,)]


def _single(path: Paths) -> Path | None:
    if isinstance(path, str):
        return Path(path)
    return Path(path[0]) if len(path) == 1 else None
