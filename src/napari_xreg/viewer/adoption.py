"""The user's own layers as a CT, a label map or an X-ray image: captured here, made elsewhere.

A layer is looked at in the main thread; what is captured may be worked on in any.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray

from napari_xreg.geometry import reverse_axes
from napari_xreg.images import (
    GeometryRecord,
    LabelMap,
    StoredImage,
    Volume,
    array_range,
    hu_from_lac,
    lac_from_hu,
)
from napari_xreg.session import Session
from napari_xreg.viewer.layer_data import KEY, carried

Values = Literal["hu", "attenuation"]


@dataclass(frozen=True, eq=False)
class CapturedLayer:
    """What of a layer is needed.

    Parameters
    ----------
    name
        Of the layer.
    data
        Its array, perhaps not yet in memory.
    matrix
        Index to world, in napari's order of axes, mm.
    features
        The table of a labels layer.
    notes
        What was assumed.
    """

    name: str
    data: Any
    matrix: NDArray[np.float64]
    features: Mapping[str, Sequence[Any]]
    notes: tuple[str, ...] = ()

    def volume(self, values: Values) -> Volume:
        """The layer as a CT.

        Parameters
        ----------
        values
            "hu": Hounsfield units. "attenuation": linear attenuation, 1/mm.

        Raises
        ------
        ValueError
            If it is not a grid of finite numbers.
        """
        # A copy, always: what is painted or computed in the layer later is not this CT.
        array = torch.from_numpy(np.array(self.data, dtype=np.float32, order="C"))
        if not bool(torch.isfinite(array).all()):
            raise ValueError(f"layer {self.name!r} holds NaN or infinite values: it is no CT")
        world = reverse_axes(torch.from_numpy(self.matrix))
        if values == "hu":
            return Volume(lac_from_hu(array), world, array)
        low, high = float(array.min()), float(array.max())
        if low < 0 or high > 10:
            raise ValueError(
                f"layer {self.name!r} holds values from {low:g} to {high:g}: as attenuation they "
                "should be 1/mm, about 0 (air) to 0.06 (bone); are they Hounsfield units?"
            )
        return Volume(array, world, hu_from_lac(array))

    def labels(self) -> LabelMap:
        """The layer as a label map; names from its table, if it has one of index and name."""
        ids = np.array(self.data, dtype=np.int32, order="C")  # a copy: the layer is painted on
        world = reverse_axes(torch.from_numpy(self.matrix))
        return LabelMap(torch.from_numpy(ids), world, named_labels(self.features) or {})

    def image(self) -> StoredImage:
        """The layer as X-ray pixels; what they mean and their geometry nobody has said."""
        rows, columns = (float(v) for v in np.linalg.norm(self.matrix[:2, :2], axis=0))
        why = f"a layer does not say it; its scale is {rows:g} x {columns:g}"
        record = GeometryRecord(problems={"pixel_spacing": why})
        array = np.asarray(self.data)
        return StoredImage(
            torch.from_numpy(np.array(array, dtype=np.float64, order="C")),
            f"layer {self.name!r}",
            record,
            value_range=array_range(array),
            why_no_meaning="a layer does not say what its values are",
        )


def capture(layer: Layer) -> CapturedLayer:
    """Everything needed of a layer, in the main thread.

    Raises
    ------
    ValueError
        If it is a picture pyramid, in colour, or its units are no lengths.
    """
    if getattr(layer, "multiscale", False):
        raise ValueError(f"layer {layer.name!r} is a pyramid of pictures: use its finest level")
    if getattr(layer, "rgb", False):
        raise ValueError(f"layer {layer.name!r} is in colour: one grey value per pixel is needed")
    matrix, notes = world_matrix(layer)
    table = getattr(layer, "features", None)
    features = {} if table is None else {name: list(table[name]) for name in table}
    return CapturedLayer(layer.name, layer.data, matrix, features, notes)


def world_matrix(layer: Layer) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Index to world (mm) of a layer, in napari's order of axes; and what was assumed.

    Raises
    ------
    ValueError
        If its units are no lengths.
    """
    factors, notes = _millimetres(layer)
    count = layer.ndim
    corners = np.vstack([np.zeros(count), np.eye(count)])
    world = np.array([layer.data_to_world(corner) for corner in corners], dtype=np.float64)
    matrix = np.eye(count + 1)
    matrix[:count, :count] = (world[1:] - world[0]).T
    matrix[:count, count] = world[0]
    matrix[:count] *= factors[:, None]
    return matrix, notes


def named_labels(features: Any) -> dict[int, str] | None:
    """Names by label id, of a layer's table with columns index and name; None without them."""
    if "index" not in features or "name" not in features:
        return None
    pairs = zip(features["index"], features["name"], strict=False)
    return {int(i): str(n) for i, n in pairs if int(i)}


def adoptable(layers: Sequence[Layer], kind: Literal["ct", "labels", "radiograph"]) -> list[Layer]:
    """Those of the layers that could be one: images and labels of the right dimension, no pyramids."""
    dimension = 2 if kind == "radiograph" else 3
    wanted = Labels if kind == "labels" else Image
    return [
        layer
        for layer in layers
        if isinstance(layer, wanted) and not isinstance(layer, Labels if wanted is Image else ())
        if layer.ndim == dimension
        if not getattr(layer, "rgb", False) and not getattr(layer, "multiscale", False)
    ]


def value_of(layer: Layer) -> Any:
    """What a layer of ours was made from, or None for anybody else's."""
    return carried(layer.metadata)


def at_home(layer: Layer, session: Session) -> None:
    """From now on a layer of ours is this session's: saved with it, and a copy brings nothing."""
    carry = carried(layer.metadata)
    if carry is not None:
        layer.metadata[KEY] = replace(carry, home=session)


def _millimetres(layer: Layer) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Millimetres per world unit of each axis."""
    factors, notes = [], []
    for unit in layer.units:
        if unit.dimensionless or str(unit) in ("pixel", "1 pixel"):
            factors.append(1.0)
            notes.append("the layer states no unit of length: its scale is taken as mm")
            continue
        try:
            factors.append(float((1 * unit).to("mm").magnitude))
        except Exception as error:  # pint's errors have no common base worth naming
            raise ValueError(
                f"layer {layer.name!r} is measured in {unit}, which is no length"
            ) from error
    return np.array(factors), tuple(dict.fromkeys(notes))
