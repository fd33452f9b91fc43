"""The mask of a radiograph as a labels layer: what the user paints is left out."""

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.notifications import show_warning
from numpy import ndarray

from napari_xreg.geometry import Detector
from napari_xreg.session import Exposure, Session
from napari_xreg.viewer.layer_shelf import MILLIMETRES, LayerShelf, rescale

PAINTED, OUTSIDE = 1, 2
"""Labels: painted by the user, and masked by the radiograph's own mask (a collimator)."""


class MaskLayer:
    """Shows the mask of the active radiograph and hands the session what is painted.

    Parameters
    ----------
    shelf
        Where the layer is kept.
    session
        Whose mask it is.
    """

    def __init__(self, shelf: LayerShelf, session: Session) -> None:
        self._shelf = shelf
        self._session = session
        self._writing = False
        self._shown: str | None = None
        self._said = False

    def show(self) -> None:
        """The active radiograph's mask, once there is one or it was asked for by `edit`."""
        active = self._session.exposures.active
        layer = self._shelf.get("mask")
        if active is None:
            self._shelf.hide("mask")
            return
        if layer is None:
            if active.painted is None:
                return
            layer = self._shelf.need("mask", self._make)
        labels = labels_of(active)
        self._writing = True
        try:
            rescale(layer, active.radiograph.carm.detector)
            if self._shown != active.id or layer.data.shape != labels.shape:
                # Drops the undo history: it must not bring another radiograph's strokes back.
                layer.data = labels
            elif not np.array_equal(layer.data, labels):
                layer.data[...] = labels
                layer.refresh()
            self._shown = active.id
            self._shelf.unhide("mask")
        finally:
            self._writing = False

    def edit(self) -> Labels | None:
        """The layer, ready to paint on; None where there is no radiograph."""
        active = self._session.exposures.active
        if active is None:
            return None
        layer = self._shelf.need("mask", self._make)
        self.show()
        layer.visible = True
        self._shelf.select(layer)
        layer.selected_label = PAINTED
        layer.brush_size = max(1, round(0.06 * max(active.radiograph.carm.detector.shape)))
        layer.mode = "paint"
        return layer

    def _read(self) -> None:
        """After a stroke, an erasure, an undo: what has no label may be used.

        The radiograph's own mask cannot be erased: it comes back.
        """
        layer, active = self._shelf.get("mask"), self._session.exposures.active
        if layer is None or active is None or self._shown != active.id:
            return
        labels = np.asarray(layer.data)
        if not _covers(layer, active.radiograph.carm.detector):
            if not self._said:
                self._said = True
                show_warning(
                    "The mask layer no longer covers the radiograph pixel by pixel (it was moved, "
                    "scaled or cropped), so what is painted on it is not used: remove it, and "
                    "Paint (Refine widget) makes a new one with what was painted before."
                )
            return
        usable = (labels == 0) | ((labels == OUTSIDE) & _outside(active))
        before = active.painted
        same = usable.all() if before is None else np.array_equal(before.cpu().numpy(), usable)
        if not same:
            painted = None if usable.all() else torch.from_numpy(usable)
            self._session.exposures.set_painted(active.id, painted)
        self.show()

    def _on_labels(self) -> None:
        if not self._writing:
            self._read()

    def _make(self) -> Labels:
        layer = Labels(
            np.zeros((2, 2), np.uint8),
            opacity=0.45,
            colormap=DirectLabelColormap(
                color_dict={None: "transparent", 0: "transparent", PAINTED: "red", OUTSIDE: "gray"}
            ),
            **MILLIMETRES,
        )
        # `paint` comes at the end of a stroke, but before the change where a script paints, and not
        # for an undo; `labels_update` is a change of a part, `set_data` of the whole.
        for name in ("paint", "labels_update", "set_data", "data"):
            self._shelf.listen(getattr(layer.events, name), self._on_labels)
        self._shown, self._said = None, False
        return layer


def _covers(layer: Labels, detector: Detector) -> bool:
    """Whether each pixel of the layer is seen over the same pixel of the radiograph."""
    corners = np.array([(0, 0), (1, 0), (0, 1)], float)
    seen = np.array([layer.data_to_world(corner) for corner in corners])
    there = corners * np.array(detector.spacing)
    return layer.data.shape == detector.shape and np.allclose(seen, there, rtol=1e-6, atol=1e-6)


def labels_of(exposure: Exposure) -> UInt8[ndarray, "rows columns"]:
    """`PAINTED` over `OUTSIDE` over 0, which may be used."""
    labels = np.where(_outside(exposure), OUTSIDE, 0).astype(np.uint8)
    if exposure.painted is not None:
        labels[~exposure.painted.cpu().numpy()] = PAINTED
    return labels


def _outside(exposure: Exposure) -> Bool[ndarray, "rows columns"]:
    own = exposure.radiograph.mask
    if own is None:
        return np.zeros(exposure.radiograph.carm.detector.shape, bool)
    outside: Bool[ndarray, "rows columns"] = ~own.cpu().numpy()
    return outside
