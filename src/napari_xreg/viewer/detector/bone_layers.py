"""Bones registered together, each in a colour of its own over the radiograph."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float
from napari.components import ViewerModel
from napari.layers import Image
from napari.utils.colormaps import Colormap
from numpy import ndarray

from napari_xreg.geometry import Detector
from napari_xreg.viewer.detector.overlays import edges
from napari_xreg.viewer.detector.pictures import paint
from napari_xreg.viewer.layer_shelf import MILLIMETRES, LayerShelf
from napari_xreg.workflows import bone_words

REST_COLOUR = "#808080"
"""Of what is left of the CT."""

# Of Okabe and Ito, the darkest blue left out: told apart by who sees no red or no green. Orange, which DRRs
# have, comes last.
BONE_COLOURS = ("#56B4E9", "#F0E442", "#CC79A7", "#009E73", "#D55E00", "#E69F00")

FILL = 0.3
"""How bright a bone is between its edges, where it is thickest."""


class BoneLayers:
    """A layer for each bone.

    Parameters
    ----------
    viewer
        In whose list they are.
    names
        Of the bones, as in `titles`; from top to bottom.
    rest
        Which of them is what is left of the CT; None: none.
    before
        Closed with this: layers of bones that are there again stay in the list, hidden, others go. One that is taken out and put in
        again before it is drawn can end napari where Mesa draws.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        names: Sequence[str],
        rest: str | None = None,
        before: "BoneLayers | None" = None,
    ) -> None:
        self.rest = rest
        """Which of them is what is left of the CT."""
        self.titles = _titles(names, rest)
        """What the layers are called at first."""
        self.colours = colours_of(names, rest)
        """``#rrggbb`` of each."""
        self._shelf = LayerShelf(viewer, [self.titles[name] for name in reversed(names)])
        self._on = dict.fromkeys(names, True)
        self._heard: list[Callable[[str, bool], object]] = []
        self._hidden = False
        self._absent: set[str] = set()
        if before is not None:
            before.hide()
            before._shelf.deafen()
            for name in names:
                layer = self._shelf.take_over(self.titles[name], before._shelf)
                if isinstance(layer, Image):
                    layer.colormap = self._colormap(name)
                    self._hear(name, layer)
            before.close(remove_layers=True)
            self._hidden = True

    def show(
        self,
        pictures: Mapping[str, Float[ndarray, "rows columns"]],
        sampled: Detector,
        full: Detector,
    ) -> None:
        """Show `bone_picture` of each.

        Parameters
        ----------
        pictures
            By name; a bone without one is not shown.
        sampled
            Whose pixels they have; it covers the area of `full`.
        full
            Of the radiograph.
        """
        self._hidden, self._absent = False, set(self.titles) - set(pictures)
        for name in self._absent:
            self._shelf.show(self.titles[name], False)
        for name, picture in pictures.items():
            layer = self._shelf.need(self.titles[name], lambda name=name: self._make(name))  # type: ignore[misc]
            paint(layer, picture, sampled, full)
            self._shelf.show(self.titles[name], self._on[name])

    def hide(self) -> None:
        """Another radiograph is shown; `show` brings back what was visible."""
        self._hidden = True
        for title in self.titles.values():
            self._shelf.show(title, False)

    def switch(self, name: str, on: bool) -> None:
        """Whether a bone is to be seen."""
        self._on[name] = on
        if not self._hidden and name not in self._absent:
            self._shelf.show(self.titles[name], on)

    def on_switched(self, call: Callable[[str, bool], object]) -> None:
        """Call this with name and visibility when the user switches a layer."""
        self._heard.append(call)

    def close(self, *, remove_layers: bool) -> None:
        """Take them out of the list, unless the viewer goes anyhow."""
        self._shelf.deafen()
        if remove_layers:
            self._shelf.remove_all()

    def _make(self, name: str) -> Image:
        layer = Image(
            np.zeros((2, 2), np.float32),
            colormap=self._colormap(name),
            blending="additive",
            contrast_limits=(0.0, 1.0),
            visible=self._on[name],
            **MILLIMETRES,
        )
        self._hear(name, layer)
        return layer

    def _colormap(self, name: str) -> Colormap:
        return Colormap(["black", self.colours[name]], name=f"black to {self.colours[name]}")

    def _hear(self, name: str, layer: Image) -> None:
        self._shelf.listen(layer.events.visible, lambda: self._switched(name, layer))

    def _switched(self, name: str, layer: Image) -> None:
        if self._hidden or name in self._absent:  # the picture there is of another radiograph
            self._shelf.show(self.titles[name], False)
        elif layer.visible != self._on[name]:
            self._on[name] = layer.visible
            for call in self._heard:
                call(name, layer.visible)


def colours_of(names: Sequence[str], rest: str | None = None) -> dict[str, str]:
    """``#rrggbb`` by name."""
    bones = [name for name in names if name != rest]
    found = {name: BONE_COLOURS[n % len(BONE_COLOURS)] for n, name in enumerate(bones)}
    return {name: found.get(name, REST_COLOUR) for name in names}


def bone_picture(
    drr: Float[ndarray, "rows columns"], *, filled: bool
) -> Float[ndarray, "rows columns"]:
    """The edges of a bone's DRR, 1, and a shade of it between them; 0 elsewhere.

    Parameters
    ----------
    drr
        Of the bone alone; line integrals.
    filled
        False: edges only, of what has soft tissue.
    """
    lines = edges(drr)
    top = float(drr.max())
    if not filled or top <= 0:
        return lines
    picture: Float[ndarray, "rows columns"] = np.maximum(lines, FILL * np.maximum(drr, 0.0) / top)
    return picture


def _titles(names: Sequence[str], rest: str | None) -> dict[str, str]:
    """By name; numbered where words are alike: "rib_left 1" and "rib left_1" are two bones."""
    titles: dict[str, str] = {}
    plain = [
        f"{bone_words(name)} ({'rest of the CT' if name == rest else 'bone'})" for name in names
    ]
    for n, (name, title) in enumerate(zip(names, plain, strict=True)):
        before = plain[:n].count(title)
        titles[name] = f"{title} {before + 1}" if before else title
    return titles
