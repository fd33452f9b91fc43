"""A file of weights opened by napari or dropped on its canvas."""

from collections.abc import Callable, Sequence
from pathlib import Path

import napari

from napari_xreg.widgets.docks.opening import opened
from napari_xreg.workflows import file_kind

Paths = str | Sequence[str]


def get_weights_reader(path: Paths) -> Callable[[Paths], list[tuple[None]]] | None:
    """The reader of weights, or None: by the ending, which npe2 asks in the main thread."""
    file = _single(path)
    ours = file is not None and file.is_file() and file_kind(file) == "weights"
    return read_weights if ours else None


def read_weights(path: Paths) -> list[tuple[None]]:
    """Hand them to Find a pose, which reads them off the main thread; no layer."""
    viewer, file = napari.current_viewer(), _single(path)
    if viewer is not None and file is not None:
        from napari_xreg.widgets.starts.widget import StartsWidget  # with it all networks

        opened(viewer, StartsWidget, "Find a pose").open_weights(file)
    return [(None,)]


def _single(path: Paths) -> Path | None:
    if isinstance(path, str):
        return Path(path)
    return Path(path[0]) if len(path) == 1 else None
