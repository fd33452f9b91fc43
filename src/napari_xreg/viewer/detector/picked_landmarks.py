"""The landmarks picked on a radiograph, in a layer that the user may edit.

What is done to its points (add, drag, delete, rename) becomes an intent to the session. Data are
(row, column) in pixels of the radiograph.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Points
from psygnal import Signal

from napari_xreg.images import Landmark
from napari_xreg.session import Exposure, Session
from napari_xreg.viewer.detector.landmark_colours import LandmarkColours
from napari_xreg.viewer.detector.named_points import OwnWriting, points
from napari_xreg.viewer.layer_shelf import LayerShelf

PICKED_COLOUR = "#ffd400"
_DONE = ("added", "removed", "changed")


class PickedLandmarks:
    """Shows what was picked on the active radiograph and listens to what is done to it.

    Parameters
    ----------
    shelf
        Where the layer is kept.
    session
        Whose landmarks they are.
    """

    dragged = Signal(str, tuple)
    """One is being dragged in its layer: name, (row, column); nothing is changed yet."""

    chosen = Signal(str)
    """One was selected in its layer."""

    def __init__(self, shelf: LayerShelf, session: Session) -> None:
        self._shelf, self._session = shelf, session
        self._own = OwnWriting()
        self.colours = LandmarkColours()
        self._held: tuple[str, tuple[float, float]] | None = None
        self._dropped: frozenset[str] = frozenset()

    def show(self) -> None:
        """As the session has them."""
        active = self._session.exposures.active
        picked = self.marks(active)
        layer = self._shelf.get("landmarks")
        if active is None:
            if layer is not None:
                self._own.write(layer, [], np.zeros((0, 2)), None)
            self._shelf.hide("landmarks")
            return
        if layer is None:
            if not picked:
                return
            layer = self._shelf.need("landmarks", self._make_picked)
        pixels = np.array([mark.pixel for mark in picked], float).reshape(-1, 2)
        names = [mark.name for mark in picked]
        self._own.write(layer, names, pixels, active.radiograph.carm.detector)
        self._paint(layer, names)
        self._shelf.unhide("landmarks")
        self._offer_name(layer)

    def marks(self, active: Exposure | None) -> tuple[Landmark, ...]:
        """Of the session, with the one that is being dragged where it is drawn."""
        if active is None or self._held is None:
            return () if active is None else active.landmarks
        name, pixel = self._held
        return tuple(
            replace(mark, pixel=pixel) if mark.name == name else mark for mark in active.landmarks
        )

    def hold(self, name: str, pixel: tuple[float, float] | None) -> None:
        """Draw a picked landmark elsewhere while it is dragged; None: where the session has it."""
        self._held = None if pixel is None else (name, pixel)
        self.show()

    def choose(self, name: str) -> None:
        """Select a picked landmark in its layer, if it is there."""
        layer = self._shelf.get("landmarks")
        if layer is None:
            return
        names = list(layer.features["name"])
        with self._own.writing():
            layer.selected_data = {names.index(name)} if name in names else set()

    def mark_dropped(self, names: Collection[str]) -> None:
        """Draw these as what no pose was fitted to: an x instead of a cross."""
        if self._dropped != frozenset(names):
            self._dropped = frozenset(names)
            self.show()

    def _paint(self, layer: Points, names: list[str]) -> None:
        if not names:
            return
        with self._own.writing():
            colours = self.colours.table(names)
            if not np.array_equal(layer.face_color, colours):
                layer.face_color = colours
            symbols = ["x" if name in self._dropped else "cross" for name in names]
            if [str(getattr(symbol, "value", symbol)) for symbol in layer.symbol] != symbols:
                layer.symbol = symbols

    def _on_picked(self, event: Any) -> None:
        """Points were added, moved or deleted in the layer."""
        if not self._own.busy and str(getattr(event, "action", "")) in _DONE:
            self._read()

    def _on_selected(self) -> None:
        layer = self._shelf.get("landmarks")
        if self._own.busy or layer is None or len(layer.selected_data) != 1:
            return
        (number,) = layer.selected_data
        if number < len(layer.features):
            self.chosen.emit(str(layer.features["name"].iloc[number]))

    def _on_drawn(self) -> None:
        """Perhaps napari's own tool is dragging a point: it says so only when it has ended."""
        layer, active = self._shelf.get("landmarks"), self._session.exposures.active
        if self._own.busy or layer is None or active is None or str(layer.mode) != "select":
            return
        names = [str(name) for name in layer.features["name"]]
        if names != [mark.name for mark in active.landmarks] or len(layer.data) != len(names):
            return
        for mark, (row, column) in zip(active.landmarks, layer.data, strict=True):
            if mark.pixel is not None and np.hypot(row - mark.pixel[0], column - mark.pixel[1]) > 0:
                self.dragged.emit(mark.name, (float(row), float(column)))

    def _on_names(self) -> None:
        """Perhaps a point was renamed in the features table."""
        layer = self._shelf.get("landmarks")
        active = self._session.exposures.active
        if self._own.busy or layer is None or active is None:
            return
        names = [str(name) for name in layer.features["name"]]
        if len(names) == len(active.landmarks) and names != [m.name for m in active.landmarks]:
            self._read()

    def _read(self) -> None:
        layer = self._shelf.get("landmarks")
        active = self._session.exposures.active
        if layer is None:
            return
        if active is None:
            self._own.write(layer, [], np.zeros((0, 2)), None)
            return
        names: list[str] = []
        for name in layer.features["name"]:
            names.append(self._free_name(_cleaned(name), names))
        known = {mark.name: mark for mark in active.landmarks}
        if len(names) == len(known):  # one of another name was renamed
            for name, mark in zip(names, active.landmarks, strict=True):
                if name not in known:
                    self.colours.renamed(mark.name, name)
                    known[name] = mark
        marks = [
            _placed(known.get(name), name, (float(row), float(column)))
            for name, (row, column) in zip(names, layer.data, strict=True)
        ]
        self._session.landmarks.set_picked(active.id, marks)  # comes back through `show`
        self.show()

    def _free_name(self, name: str, taken: list[str]) -> str:
        if name and name not in taken:
            return name
        return _next_name([mark.name for mark in self._session.landmarks.all], taken)

    def _offer_name(self, layer: Points) -> None:
        """A new point is called as the first landmark of the patient not picked yet."""
        known = [mark.name for mark in self._session.landmarks.all]
        name = _next_name(known, list(layer.features["name"]))
        with self._own.writing():
            layer.feature_defaults = {"name": name}

    def _make_picked(self) -> Points:
        layer = points(PICKED_COLOUR, "cross", "upper_left", "   {name}")
        self._shelf.listen(layer.events.data, self._on_picked)
        self._shelf.listen(layer.events.features, self._on_names)
        self._shelf.listen(layer.events.set_data, self._on_drawn)
        self._shelf.listen(layer.selected_data.events.items_changed, self._on_selected)
        return layer


def _placed(known: Landmark | None, name: str, pixel: tuple[float, float]) -> Landmark:
    """What is known of a landmark, at this pixel; a covariance stays with the pixel it was of."""
    if known is None:
        return Landmark(name, pixel=pixel)
    covariance = known.covariance if known.pixel == pixel else None
    return replace(known, name=name, pixel=pixel, covariance=covariance)


def _cleaned(name: object) -> str:
    text = " ".join(str(name).split()) if isinstance(name, str) else ""
    return "" if text == "nan" else text


def _next_name(known: list[str], taken: list[str]) -> str:
    for name in known:
        if name not in taken:
            return name
    number = 1
    while f"point {number}" in taken:
        number += 1
    return f"point {number}"
