"""The picture layers of the detector canvas: radiograph, DRR, and what compares the two."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from napari.layers import Image
from napari.utils.colormaps import Colormap
from numpy import ndarray

from napari_xreg.geometry import Detector
from napari_xreg.images import Radiograph
from napari_xreg.viewer.detector.overlays import Reference, edges, robust_limits
from napari_xreg.viewer.layer_shelf import MILLIMETRES, LayerShelf, place
from napari_xreg.viewer.user_preferences import preferences

OVERLAYS = ("blend", "edges", "difference", "checkerboard", "swipe", "blink", "radiograph", "DRR")
"""How radiograph and DRR are compared."""

PICTURES = ("radiograph", "DRR", "difference", "checkerboard", "swipe", "edges")

_SHOWN = {
    "blend": {"radiograph", "DRR"},
    "edges": {"radiograph", "edges"},
    "difference": {"difference"},
    "checkerboard": {"checkerboard"},
    "swipe": {"swipe"},
    "blink": {"radiograph", "DRR"},
    "radiograph": {"radiograph"},
    "DRR": {"DRR"},
}

BLEND_OPACITY, DRR_LOW_SHARE = 0.9, 0.55
"""Of the coloured DRR over the radiograph, and the share of its pixels left uncoloured."""

BACKDROP = Colormap([(0.0, 0.0, 0.0), (0.6, 0.6, 0.6)], name="gray, dimmed")
"""Of the radiograph under a coloured picture: at full brightness their sum would be white. Darker, not
transparent: a light canvas would shine through."""

DIFFERENCE_RANGE = 2.5
"""Standard deviations of the radiograph at the ends of the difference's colours."""


class PictureLayers:
    """Paints the radiograph and its DRRs.

    Parameters
    ----------
    shelf
        Where the layers are kept.
    """

    def __init__(self, shelf: LayerShelf) -> None:
        self._shelf = shelf
        self._mode = "blend"
        self._radiograph: Radiograph | None = None
        self._reference: Reference | None = None
        self._drr: tuple[Float[ndarray, "rows columns"], Detector] | None = None
        self._radiograph_limits: tuple[float, float] | None = None
        self._drr_limits: tuple[tuple[float, float], tuple[float, float]] | None = None
        self._dressed: tuple[Image, bool] | None = None
        self._switching = False
        self._backdrop = False
        self._dimmed: tuple[Image, bool] | None = None
        self._undimmed: Colormap | str = "gray"
        self._swipe_at = 0.5
        self._tied = self._windowing = False

    @property
    def mode(self) -> str:
        """One of `OVERLAYS`."""
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        if mode not in OVERLAYS:
            raise ValueError(f"the overlay must be one of {', '.join(OVERLAYS)}: got {mode!r}")
        self._mode = mode
        self._show()

    @property
    def radiograph(self) -> Radiograph | None:
        """What is shown; None where nothing is."""
        return self._radiograph

    @property
    def swipe_at(self) -> float:
        """Where the swipe changes from the radiograph, at the left, to the DRR: a share of the width."""
        return self._swipe_at

    @swipe_at.setter
    def swipe_at(self, share: float) -> None:
        share = min(max(share, 0.0), 1.0)
        if share != self._swipe_at:
            self._swipe_at = share
            if self._mode == "swipe" and self._shelf.get("swipe") is not None:
                self._paint_one("swipe")

    def show_radiograph(self, radiograph: Radiograph | None) -> None:
        """Another radiograph, in the same layers; its DRR is not known yet. None: nothing."""
        self._radiograph, self._reference, self._drr = radiograph, None, None
        self._radiograph_limits = self._drr_limits = None
        if radiograph is None:
            self._show()
            return
        picture = radiograph.line_integrals.detach().cpu().numpy().astype(np.float32)
        usable = np.isfinite(picture)
        if radiograph.mask is not None:
            usable &= radiograph.mask.detach().cpu().numpy()
        limits = robust_limits(picture, usable)
        picture = np.where(np.isfinite(picture), picture, np.float32(limits[0]))
        self._reference = Reference(picture, usable)
        self._radiograph_limits = limits
        self._paint_radiograph()
        self._show()

    def forget_drr(self) -> None:
        """No DRR is known (the CT is gone, or is another one): hide it, and fit contrast anew."""
        self._drr, self._drr_limits = None, None
        self._show()

    def show_drr(self, picture: Float[ndarray, "rows columns"], detector: Detector) -> None:
        """A DRR of the radiograph's area, sampled by `detector`; with everything drawn from it."""
        first = self._drr is None
        self._drr = (picture, detector)
        if self._drr_limits is None and picture.max() > picture.min():
            self._drr_limits = _drr_limits(picture)
            self._fit_drr()
        if first or any(self._shelf.get(role) is None for role in _SHOWN[self._mode]):
            self._show()
        for role in ("DRR", "difference", "checkerboard", "swipe", "edges"):
            layer = self._shelf.get(role)
            if layer is not None and layer.visible:
                self._paint_one(role)

    @property
    def tied(self) -> bool:
        """Whether window and level of radiograph and DRR change together."""
        return self._tied

    @tied.setter
    def tied(self, tied: bool) -> None:
        self._tied = tied
        self._window("radiograph")

    def fit_contrast(self) -> None:
        """Contrast limits from what is shown now."""
        layer = self._shelf.get("radiograph")
        if self._reference is not None and layer is not None:
            self._set_window(layer, robust_limits(self._reference.picture, self._reference.usable))
        if self._drr is not None:
            self._drr_limits = _drr_limits(self._drr[0])
            self._fit_drr()

    @property
    def backdrop(self) -> bool:
        """Whether the radiograph lies under a coloured picture that is none of these layers."""
        return self._backdrop

    @backdrop.setter
    def backdrop(self, below: bool) -> None:
        self._backdrop = below
        self._dim_radiograph()

    def blink(self) -> None:
        """The other one of the two pictures, while the mode is "blink"."""
        layer = self._shelf.get("DRR")
        if self._mode == "blink" and layer is not None and self._drr is not None:
            layer.visible = not layer.visible

    def _show(self) -> None:
        """Switch the layers of the mode on, the others off; make those that are missing."""
        wanted: set[str] = set() if self._radiograph is None else set(_SHOWN[self._mode])
        if self._drr is None:
            # What needs a DRR waits for it; the radiograph is shown meanwhile.
            wanted &= {"radiograph"}
            if self._radiograph is not None and self._mode != "DRR":
                wanted = {"radiograph"}
        self._switching = True
        try:
            for role in PICTURES:
                if role in wanted:
                    missing = self._shelf.get(role) is None
                    self._need(role)
                    if role != "radiograph":
                        self._paint_one(role)
                    elif missing:
                        self._paint_radiograph()
                self._shelf.show(role, role in wanted)
            self._fit_drr()
        finally:
            self._switching = False

    def _paint_radiograph(self) -> None:
        assert self._radiograph is not None and self._reference is not None
        layer = self._need("radiograph")
        detector = self._radiograph.carm.detector
        paint(layer, self._reference.picture, detector, detector)
        if self._radiograph_limits is not None:
            self._set_window(layer, self._radiograph_limits)

    def _paint_one(self, role: str) -> None:
        layer = self._shelf.get(role)
        if self._drr is None or self._reference is None or self._radiograph is None:
            return
        picture, detector = self._drr
        if role == "difference":
            picture = self._reference.difference(picture)
        elif role == "checkerboard":
            picture = self._reference.checkerboard(picture)
        elif role == "swipe":
            picture = self._reference.swipe(picture, self._swipe_at)
        elif role == "edges":
            picture = edges(picture)
        elif self._mode == "blink":
            picture = self._reference.in_tone(picture)
        paint(layer, picture, detector, self._radiograph.carm.detector)

    def _fit_drr(self) -> None:
        """The DRR's look: coloured light on the radiograph, or grey and alone."""
        layer, radiograph = self._shelf.get("DRR"), self._shelf.get("radiograph")
        if layer is not None:
            alone = self._mode in ("blink", "DRR")
            if (layer, alone) != self._dressed:  # else the user may have chosen another colormap
                layer.colormap = "gray" if alone else preferences().colormap
                layer.blending = "translucent_no_depth" if alone else "additive"
                layer.opacity = 1.0 if alone else BLEND_OPACITY
                self._dressed = (layer, alone)
            if self._mode == "blink" and radiograph is not None:
                self._set_window(layer, radiograph.contrast_limits)
            elif self._drr_limits is not None:
                self._set_window(layer, self._drr_limits[alone])
        self._window("radiograph")
        self._dim_radiograph()
        for role in ("checkerboard", "swipe"):
            both = self._shelf.get(role)
            if both is not None and radiograph is not None:
                both.contrast_limits = radiograph.contrast_limits

    def _set_window(self, layer: Image, limits: Sequence[float]) -> None:
        """By us, so that nothing follows from it."""
        self._windowing = True
        try:
            layer.contrast_limits = tuple(limits)
        finally:
            self._windowing = False

    def _window(self, role: str) -> None:
        """While they are tied: the window of this one, as shares of its first window, for the other."""
        mine, theirs = self._radiograph_limits, self._drr_limits
        other = "DRR" if role == "radiograph" else "radiograph"
        layer, follower = self._shelf.get(role), self._shelf.get(other)
        if not self._tied or self._windowing or layer is None or follower is None:
            return
        if mine is None or theirs is None:
            return
        # Of "blink" the DRR is shown in the radiograph's tone.
        drr = mine if self._mode == "blink" else theirs[self._mode == "DRR"]
        (low, high), (start, end) = (mine, drr) if role == "radiograph" else (drr, mine)
        shares = [(limit - low) / (high - low) for limit in layer.contrast_limits]
        self._set_window(follower, [start + share * (end - start) for share in shares])

    def _dim_radiograph(self) -> None:
        layer = self._shelf.get("radiograph")
        dim = self._backdrop or (self._mode in ("blend", "edges") and self._drr is not None)
        if layer is not None and (layer, dim) != self._dimmed:  # else the user may have set it
            dark = layer.colormap.name == BACKDROP.name
            if dim and not dark:
                self._undimmed, layer.colormap = layer.colormap, BACKDROP
            elif dark and not dim:
                layer.colormap = self._undimmed
            self._dimmed = (layer, dim)

    def _need(self, role: str) -> Image:
        def make() -> Image:
            layer = Image(np.zeros((2, 2), np.float32), **_LOOKS[role], **MILLIMETRES)
            self._shelf.listen(layer.events.visible, lambda: self._made_visible(role))
            if role in ("radiograph", "DRR"):
                self._shelf.listen(layer.events.contrast_limits, lambda: self._window(role))
            return layer

        return self._shelf.need(role, make)

    def _made_visible(self, role: str) -> None:
        """By the user's eye icon: a picture that was not kept up to date is painted."""
        layer = self._shelf.get(role)
        if layer is not None and layer.visible and not self._switching and role != "radiograph":
            self._paint_one(role)


_LOOKS: dict[str, dict[str, Any]] = {
    "radiograph": {"colormap": "gray"},
    "DRR": {"colormap": "bop orange", "blending": "additive", "opacity": BLEND_OPACITY},
    "difference": {
        "colormap": Colormap(
            (
                (0.25, 0.75, 1.0),
                (0.0, 0.25, 0.45),
                (0.02, 0.02, 0.02),
                (0.5, 0.2, 0.0),
                (1, 0.7, 0.3),
            ),
            name="blue-black-orange",
        ),
        "contrast_limits": (-DIFFERENCE_RANGE, DIFFERENCE_RANGE),
    },
    "checkerboard": {"colormap": "gray"},
    "swipe": {"colormap": "gray"},
    "edges": {"colormap": "cyan", "blending": "additive", "contrast_limits": (0.0, 1.0)},
}


def _drr_limits(
    picture: Float[ndarray, "rows columns"],
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Over the radiograph, where only what is dense should be coloured; and alone."""
    return robust_limits(picture, low_share=DRR_LOW_SHARE), robust_limits(picture)


def paint(
    layer: Image, picture: Float[ndarray, "rows columns"], detector: Detector, full: Detector
) -> None:
    """Show a picture of `detector`, which samples the area of `full`; in place where it fits."""
    if layer.data.shape == picture.shape:
        layer.data[...] = picture
        layer.refresh(thumbnail=False, highlight=False, extent=False)
    else:
        layer.data = np.array(picture, np.float32)
    place(layer, detector, full)
