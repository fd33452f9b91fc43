"""Slices of a CT series dropped on napari one by one are that series, once.

napari hands the files of a drop to a reader one at a time, and each slice stands for its whole
series: the first makes the layer, the others are answered by it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakKeyDictionary

from napari_xreg.images import Volume
from napari_xreg.viewer.layer_data import carried


@dataclass(frozen=True)
class Series:
    """A series in a folder.

    Parameters
    ----------
    folder
        Where its slices lie.
    uid
        SeriesInstanceUID.
    """

    folder: Path
    uid: str


@dataclass(eq=False)
class _Read:
    series: Series
    asked: set[Path] = field(default_factory=set)


_read: "WeakKeyDictionary[Volume, _Read]" = WeakKeyDictionary()


def remember(volume: Volume, series: Series, file: Path) -> None:
    """The CT that was read because this slice was asked for."""
    _read[volume] = _Read(series, {file})


def is_shown(series: Series, file: Path) -> bool:
    """Whether the viewer in front has the series because of another of its slices.

    A slice that is asked for a second time is a new wish: then the answer is no.
    """
    from napari.viewer import current_viewer

    viewer = current_viewer()
    for layer in () if viewer is None else viewer.layers:
        carry = carried(layer.metadata)
        if carry is None or not isinstance(carry.value, Volume):
            continue
        found = _read.get(carry.value)
        if found is not None and found.series == series and file not in found.asked:
            found.asked.add(file)
            return True
    return False
