"""Landmarks on the detector canvas: those picked, those projected, and the gap between them.

What the user does to the picked points (add, drag, delete, rename) becomes an intent to the
session; the projected ones follow the pose and cannot be edited. Data are (row, column) in pixels
of the radiograph.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from napari.layers import Points, Vectors
from numpy import ndarray
from psygnal import Signal

from napari_xreg.geometry import Detector, Pose
from napari_xreg.images import Landmark
from napari_xreg.session import Exposure, Session
from napari_xreg.viewer.detector.landmark_colours import LandmarkColours
from napari_xreg.viewer.layer_shelf import MILLIMETRES, LayerShelf, rescale, set_in_place

LANDMARKS = ("residuals", "projected landmarks", "landmarks")

LINE, MARKER = 0.004, 0.025
"""Width of lines and size of markers, as a share of the detector's longer side."""

PICKED_COLOUR, PROJECTED_COLOUR, RESIDUAL_COLOUR = "#ffd400", "#00c8ff", "#ff7a5a"


class LandmarkLayers:
    """Shows landmarks of the active radiograph and listens to what is done to them.

    Parameters
    ----------
    shelf
        Where the layers are kept.
    session
        Whose landmarks they are.
    """

    dragged = Signal(str, tuple)
    """A picked landmark is being dragged in its layer: name, (row, column); nothing is changed yet."""

    chosen = Signal(str)
    """A picked landmark was selected in its layer."""

    def __init__(self, shelf: LayerShelf, session: Session) -> None:
        self._shelf = shelf
        self._session = session
        self._writing = False
        self.colours = LandmarkColours()
        self._held: tuple[str, tuple[float, float]] | None = None
        self._dropped: frozenset[str] = frozenset()
        self._pinned: Pose | None = None

    def show(self, pose: Pose | None) -> None:
        """Everything, for the active radiograph seen from this pose; nothing where there is none."""
        active = self._session.exposures.active
        self._show_picked(active)
        self.keep_up(pose)

    def keep_up(self, pose: Pose | None) -> None:
        """The session's pose is this now; one that is pinned goes before it."""
        self.follow(pose if self._pinned is None or pose is None else self._pinned)

    def pin(self, pose: Pose | None) -> None:
        """Project from here whatever the session's pose is; None: from that again."""
        self._pinned = pose
        self.keep_up(self._session.poses.current)

    def hold(self, name: str, pixel: tuple[float, float] | None) -> None:
        """Draw a picked landmark elsewhere while it is dragged; None: where the session has it."""
        self._held = None if pixel is None else (name, pixel)
        self._show_picked(self._session.exposures.active)

    def choose(self, name: str) -> None:
        """Select a picked landmark in its layer, if it is there."""
        layer = self._shelf.get("landmarks")
        if layer is None:
            return
        names = list(layer.features["name"])
        self._writing = True
        try:
            layer.selected_data = {names.index(name)} if name in names else set()
        finally:
            self._writing = False

    def mark_dropped(self, names: Collection[str]) -> None:
        """Draw these as what no pose was fitted to: an x instead of a cross."""
        if self._dropped != frozenset(names):
            self._dropped = frozenset(names)
            self._show_picked(self._session.exposures.active)

    def follow(self, pose: Pose | None) -> None:
        """Only what moves with the pose: the projected landmarks and the residuals."""
        active = self._session.exposures.active
        marks = self._session.landmarks.all
        if active is None or pose is None or not marks:
            self._shelf.hide("projected landmarks")
            self._shelf.hide("residuals")
            return
        carm = active.radiograph.carm
        names, pixels = projected(
            marks, carm.project(_positions(marks), pose.to(dtype=torch.float64))
        )
        layer = self._shelf.need("projected landmarks", self._make_projected)
        self._write(layer, names, pixels, carm.detector)
        self._label(layer, names, {mark.name for mark in active.landmarks})
        self._shelf.unhide("projected landmarks")
        self._show_residuals(active, dict(zip(names, pixels, strict=True)))

    def edit(self) -> Points | None:
        """The layer of picked landmarks, ready to add to; None where there is no radiograph."""
        active = self._session.exposures.active
        if active is None:
            return None
        layer = self._shelf.need("landmarks", self._make_picked)
        self._show_picked(active)
        layer.visible = True
        self._shelf.select(layer)
        layer.mode = "add"
        return layer

    # ------------------------------------------------------------------ from the session

    def _show_picked(self, active: Exposure | None) -> None:
        picked = self._picked(active)
        layer = self._shelf.get("landmarks")
        if active is None:
            if layer is not None:
                self._write(layer, [], np.zeros((0, 2)), None)
            self._shelf.hide("landmarks")
            return
        if layer is None:
            if not picked:
                return
            layer = self._shelf.need("landmarks", self._make_picked)
        pixels = np.array([mark.pixel for mark in picked], float).reshape(-1, 2)
        names = [mark.name for mark in picked]
        self._write(layer, names, pixels, active.radiograph.carm.detector)
        self._paint(layer, names)
        self._shelf.unhide("landmarks")
        self._offer_name(layer)

    def _picked(self, active: Exposure | None) -> tuple[Landmark, ...]:
        """Of the session, with the one that is being dragged where it is drawn."""
        if active is None or self._held is None:
            return () if active is None else active.landmarks
        name, pixel = self._held
        return tuple(
            replace(mark, pixel=pixel) if mark.name == name else mark for mark in active.landmarks
        )

    def _paint(self, layer: Points, names: list[str]) -> None:
        if not names:
            return
        self._writing = True
        try:
            colours = self.colours.table(names)
            if not np.array_equal(layer.face_color, colours):
                layer.face_color = colours
            symbols = ["x" if name in self._dropped else "cross" for name in names]
            if [str(getattr(symbol, "value", symbol)) for symbol in layer.symbol] != symbols:
                layer.symbol = symbols
        finally:
            self._writing = False

    def _label(self, layer: Points, names: list[str], picked: set[str]) -> None:
        """One name is enough for a projection and its pick."""
        labels = ["" if name in picked else name for name in names]
        if list(layer.features["label"]) != labels:
            self._writing = True
            try:
                layer.features = _table(names, labels)
            finally:
                self._writing = False

    def _show_residuals(self, active: Exposure, at: Mapping[str, Float[ndarray, "2"]]) -> None:
        pairs = [(at[m.name], np.array(m.pixel)) for m in self._picked(active) if m.name in at]
        if not pairs:
            self._shelf.hide("residuals")
            return
        arrows = residual_arrows(
            np.array([seen for seen, _ in pairs]), np.array([picked for _, picked in pairs])
        )
        layer = self._shelf.need("residuals", self._make_residuals)
        detector = active.radiograph.carm.detector
        if rescale(layer, detector):
            layer.edge_width = LINE * max(detector.shape)
        set_in_place(layer, arrows)
        self._shelf.unhide("residuals")

    def _write(
        self,
        layer: Points,
        names: list[str],
        pixels: Float[ndarray, "n 2"],
        detector: Detector | None,
    ) -> None:
        self._writing = True
        try:
            if detector is not None and rescale(layer, detector):
                layer.current_size = MARKER * max(detector.shape)
                layer.size = layer.current_size
            same = list(layer.features["name"]) == names
            if same and np.array_equal(layer.data, pixels):
                pass
            elif same:
                set_in_place(layer, pixels)
            else:
                layer.selected_data = set()
                layer.data = pixels
                features = {"name": np.array(names, dtype=object)}
                layer.features = _table(names, names) if "label" in layer.features else features
        finally:
            self._writing = False

    # ------------------------------------------------------------------ from the user

    def _on_picked(self, event: Any) -> None:
        """Points were added, moved or deleted in the layer."""
        if not self._writing and str(getattr(event, "action", "")) in _DONE:
            self._read()

    def _on_selected(self) -> None:
        layer = self._shelf.get("landmarks")
        if self._writing or layer is None or len(layer.selected_data) != 1:
            return
        (number,) = layer.selected_data
        if number < len(layer.features):
            self.chosen.emit(str(layer.features["name"].iloc[number]))

    def _on_drawn(self) -> None:
        """Perhaps napari's own tool is dragging a point: it says so only when it has ended."""
        layer, active = self._shelf.get("landmarks"), self._session.exposures.active
        if self._writing or layer is None or active is None or str(layer.mode) != "select":
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
        if self._writing or layer is None or active is None:
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
            self._write(layer, [], np.zeros((0, 2)), None)
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
        self._show_picked(self._session.exposures.active)

    def _free_name(self, name: str, taken: list[str]) -> str:
        if name and name not in taken:
            return name
        return _next_name([mark.name for mark in self._session.landmarks.all], taken)

    def _offer_name(self, layer: Points) -> None:
        """A new point is called as the first landmark of the patient not picked yet."""
        known = [mark.name for mark in self._session.landmarks.all]
        name = _next_name(known, list(layer.features["name"]))
        self._writing = True
        try:
            layer.feature_defaults = {"name": name}
        finally:
            self._writing = False

    def _on_projected(self) -> None:
        """The projected points were edited after all: put them back."""
        layer = self._shelf.get("projected landmarks")
        if not self._writing and layer is not None:
            self.follow(self._session.poses.current)

    # ------------------------------------------------------------------ layers

    def _make_picked(self) -> Points:
        layer = _points(PICKED_COLOUR, "cross", "upper_left", "   {name}")
        self._shelf.listen(layer.events.data, self._on_picked)
        self._shelf.listen(layer.events.features, self._on_names)
        self._shelf.listen(layer.events.set_data, self._on_drawn)
        self._shelf.listen(layer.selected_data.events.items_changed, self._on_selected)
        return layer

    def _make_projected(self) -> Points:
        layer = _points(PROJECTED_COLOUR, "disc", "upper_right", "{label}   ")
        layer.editable = False
        self._shelf.listen(layer.events.editable, lambda: _lock(layer))
        self._shelf.listen(layer.events.data, self._on_projected)
        return layer

    @staticmethod
    def _make_residuals() -> Vectors:
        return Vectors(
            np.zeros((0, 2, 2)),
            ndim=2,
            vector_style="arrow",
            edge_color=RESIDUAL_COLOUR,
            **MILLIMETRES,
        )


_DONE = ("added", "removed", "changed")


def projected(
    marks: tuple[Landmark, ...], pixels: Float[torch.Tensor, "n 2"]
) -> tuple[list[str], Float[ndarray, "m 2"]]:
    """Names and (row, column) of the landmarks that lie in front of the source."""
    seen = torch.isfinite(pixels).all(-1)
    names = [mark.name for mark, ok in zip(marks, seen.tolist(), strict=True) if ok]
    return names, pixels[seen].detach().cpu().numpy()


def residual_arrows(
    projected_pixels: Float[ndarray, "n 2"], picked_pixels: Float[ndarray, "n 2"]
) -> Float[ndarray, "n 2 2"]:
    """napari vectors (start, direction) from each projection to where its landmark was picked.

    The reprojection residual in the usual sense, observed minus predicted: the way the DRR has to
    move.
    """
    return np.stack([projected_pixels, picked_pixels - projected_pixels], axis=1)


def _placed(known: Landmark | None, name: str, pixel: tuple[float, float]) -> Landmark:
    """What is known of a landmark, at this pixel; a covariance stays with the pixel it was of."""
    if known is None:
        return Landmark(name, pixel=pixel)
    covariance = known.covariance if known.pixel == pixel else None
    return replace(known, name=name, pixel=pixel, covariance=covariance)


def _points(colour: str, symbol: str, anchor: str, text: str) -> Points:
    return Points(
        np.zeros((0, 2)),
        ndim=2,
        features=_table([], []) if "label" in text else {"name": np.array([], dtype=object)},
        text={"string": text, "size": 10, "color": colour, "anchor": anchor},
        face_color=colour,
        border_color="black",
        symbol=symbol,
        canvas_size_limits=(7, 16),
        **MILLIMETRES,
    )


def _table(names: list[str], labels: list[str]) -> dict[str, ndarray]:
    """A landmark's name, and what is written beside it."""
    return {"name": np.array(names, dtype=object), "label": np.array(labels, dtype=object)}


def _lock(layer: Points) -> None:
    if layer.editable:
        layer.editable = False


def _positions(marks: tuple[Landmark, ...]) -> Float[torch.Tensor, "n 3"]:
    return torch.tensor([mark.position for mark in marks], dtype=torch.float64)


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
