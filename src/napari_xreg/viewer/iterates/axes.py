"""An axis of their own for the iterations, beside layers that have more axes than the detector.

napari lays axes on each other from the last one: a CT's z would share a slider with the iteration.
The stack of iterates therefore has one element along each such axis, as long as those layers are.
There is always one such axis: napari draws, and warns of units, before anybody hears of a new layer.
"""

from dataclasses import dataclass

import numpy as np
import pint
from napari.components import LayerList


@dataclass(frozen=True)
class AxesBetween:
    """What stands between the iteration and the rows.

    Parameters
    ----------
    scale, translate
        One element of this size, centred there, covers the other layers; in their units.
    units, labels
        Of the axes.
    """

    scale: tuple[float, ...] = (1.0,)
    translate: tuple[float, ...] = (0.0,)
    units: tuple[str | pint.Unit, ...] = ("millimeter",)
    labels: tuple[str, ...] = ("plane",)

    def __len__(self) -> int:
        return len(self.scale)


FRAME = "frame"
"""The axis of the frames of a sequence, which has no unit either."""


def axes_between(layers: LayerList, *, frames: bool = True) -> AxesBetween:
    """The axes that deeper layers of a viewer have in front of their last two.

    A layer whose first axis has no unit is no such layer: it counts iterations itself, or frames.

    Parameters
    ----------
    frames
        Whether the layer that counts frames is one all the same.
    """
    deep = [
        layer
        for layer in layers
        if layer.ndim > 2
        and (not layer.units[0].dimensionless or (frames and layer.axis_labels[0] == FRAME))
    ]
    if not deep:
        return AxesBetween()
    deepest = max(deep, key=lambda layer: layer.ndim)
    extent = layers.get_extent(deep)
    units = extent.units or deepest.units
    between = slice(0, deepest.ndim - 2)
    low, high = (np.nan_to_num(side)[between] for side in extent.world)
    # A reader's slider stops on the outermost planes: half an element beyond is ours too.
    scale = high - low + extent.step[between]
    return AxesBetween(
        tuple(scale.tolist()),
        tuple(((low + high) / 2).tolist()),
        tuple(units[between]),
        tuple(deepest.axis_labels[between]),
    )
