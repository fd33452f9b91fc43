"""What a layer of ours shows now: the value it was made from, with what was edited in napari.

A layer whose size or place in the world was changed no longer fits the geometry of its value: it
is refused with a sentence, never written as it was before.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Num
from numpy import ndarray
from numpy.typing import NDArray
from torch import Tensor

from napari_xreg.geometry import reverse_axes
from napari_xreg.images import LabelMap, Landmark, Radiograph, Volume, lac_from_hu
from napari_xreg.viewer.adoption import named_labels, world_matrix
from napari_xreg.viewer.layer_data import Carried, Value, shown_pixels

EDITED = "pixels were edited in napari"
"""A note on an edited radiograph."""

_PLACEMENT = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")

_NEAR = 0.01
"""Share of a pixel by which a corner may have moved: napari keeps its transforms in parts."""

_TURNED: tuple[Callable[[Tensor], Tensor], ...] = (
    *(partial(torch.flip, dims=axes) for axes in ((0,), (1,), (0, 1))),
    *(partial(torch.rot90, k=turns) for turns in (1, 3)),
    lambda image: image.T.contiguous(),
    lambda image: image.rot90(2).T.contiguous(),
)
"""The ways to flip or turn all of an image; those that exchange rows and columns fit a square one."""


def as_edited(carry: Carried, data: Any, attributes: Mapping[str, Any]) -> Value:
    """The value of a layer as the layer shows it.

    Parameters
    ----------
    carry
        What the layer was made from.
    data, attributes
        Of the layer, as `napari.layers.Layer.as_layer_data_tuple` gives them.

    Returns
    -------
    Volume, LabelMap, Radiograph or landmarks
        The very value that the layer was made from where nothing was edited.

    Raises
    ------
    ValueError
        If the layer was cropped, resized, moved, scaled or turned, or holds what its value cannot:
        NaN, colours, fractions among labels.
    """
    value, name = carry.value, str(attributes.get("name", ""))
    if isinstance(value, tuple):
        return _landmarks(value, data, attributes)
    shown = shown_pixels(value)
    array = _same_size(data, shown, name)
    _same_place(value, attributes, array.ndim, name)
    if isinstance(value, LabelMap):
        return _labels(value, array, shown, attributes, name)
    if _same_memory(array, shown) or np.array_equal(array, shown):
        return value
    if array.dtype.kind not in "buif" or not np.isfinite(array).all():
        raise ValueError(f"the layer {name!r} holds NaN or infinite values: replace them first")
    changed = torch.from_numpy(array != shown)
    if isinstance(value, Radiograph):
        return _radiograph(value, array, shown, changed)
    return _volume(value, array, changed, name)


def landmarks_of(data: Any, attributes: Mapping[str, Any]) -> tuple[Landmark, ...]:
    """The landmarks that a points layer shows.

    Names come from the column ``name`` (or ``label``) of its features, else they are numbered. Its
    scale, rotation and translation are applied.

    Raises
    ------
    ValueError
        If the points are not three-dimensional or in mm, or a name came twice.
    """
    from napari.layers import Points

    layer = Points(np.asarray(data), **placed(attributes))
    if layer.ndim != 3:
        raise ValueError(
            f"landmarks lie in the patient, in three dimensions: this layer has {layer.ndim}"
        )
    units = {str(unit) for unit in layer.units}
    if units != {"millimeter"}:
        raise ValueError(
            f"landmarks are written in mm: this layer's units are {', '.join(sorted(units))}; set "
            "layer.units = 'mm' if its coordinates are millimetres"
        )
    features = attributes.get("features")
    columns = {} if features is None else {str(key): list(features[key]) for key in features}
    names = columns.get("name") or columns.get("label") or []
    if len(names) != len(layer.data):
        names = [f"point {number}" for number in range(1, len(layer.data) + 1)]
    marks = []
    for name, point in zip(names, layer.data, strict=True):
        z, y, x = (float(v) for v in layer.data_to_world(point))
        marks.append(Landmark(str(name), (x, y, z)))
    if len({mark.name for mark in marks}) < len(marks):
        raise ValueError("two landmarks have the same name: rename one in the layer's features")
    return tuple(marks)


def placed(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords among a layer's attributes that say where it lies."""
    return {key: attributes[key] for key in _PLACEMENT if attributes.get(key) is not None}


def _same_size(data: Any, shown: Num[ndarray, "*shape"], name: str) -> NDArray[Any]:
    array = np.asarray(data)
    if array.shape != shown.shape:
        now, before = (" x ".join(map(str, shape)) for shape in (array.shape, shown.shape))
        raise ValueError(
            f"the layer {name!r} is {now} pixels now and was {before}: its geometry fits no more. "
            "Turn, flip or crop a radiograph in the Geometry widget, which takes the geometry along"
        )
    return array


def _same_place(
    value: Volume | LabelMap | Radiograph, attributes: Mapping[str, Any], count: int, name: str
) -> None:
    from napari.layers import Points

    if isinstance(value, Radiograph):
        meant = np.diag([*value.carm.detector.spacing, 1.0])
        size = value.carm.detector.shape
    else:
        meant = reverse_axes(value.world_from_index).double().cpu().numpy()
        size = shown_pixels(value).shape
    there, _ = world_matrix(Points(np.zeros((0, count)), ndim=count, **placed(attributes)))
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in size])).reshape(count, -1)
    moved = (there - meant)[:count] @ np.vstack([corners, np.ones(corners.shape[1])])
    if np.abs(moved).max() > _NEAR * np.linalg.norm(meant[:count, :count], axis=0).min():
        raise ValueError(
            f"the layer {name!r} was moved, scaled or turned in napari: its geometry fits no more. "
            "Set scale, translate, rotate, shear and affine back to what they were when it was "
            "opened"
        )


def _same_memory(array: NDArray[Any], shown: NDArray[Any]) -> bool:
    """Whether they are one array: a large one need not be compared."""
    one, other = array.__array_interface__, shown.__array_interface__
    return all(one.get(key) == other.get(key) for key in ("data", "strides", "typestr"))


def _radiograph(
    value: Radiograph, array: NDArray[Any], shown: NDArray[Any], changed: Tensor
) -> Radiograph:
    """What was not edited keeps its exact value; a mask goes with pixels turned or flipped whole."""
    notes = value.notes if EDITED in value.notes else (*value.notes, EDITED)
    before = torch.tensor(shown)
    for moved in _TURNED:
        if np.array_equal(array, moved(before).numpy()):
            mask = None if value.mask is None else moved(value.mask)
            return replace(
                value, line_integrals=moved(value.line_integrals), mask=mask, notes=notes
            )
    old = value.line_integrals
    new = torch.from_numpy(np.array(array, np.float64)).to(old)
    return replace(value, line_integrals=torch.where(changed.to(old.device), new, old), notes=notes)


def _volume(value: Volume, array: NDArray[Any], changed: Tensor, name: str) -> Volume:
    """Attenuation follows where HU were edited, by the law that the CT was read with."""
    if value.hu is None:
        lac = torch.from_numpy(np.array(array, np.float64)).to(value.lac)
        if float(lac.min()) < 0:
            raise ValueError(f"the layer {name!r} holds negative attenuation: it should be 1/mm")
        return replace(value, lac=lac)
    old = value.hu
    new = torch.from_numpy(np.array(array, np.float64))
    hu = new.to(old) if old.is_floating_point() else new.float()
    changed = changed.to(old.device)
    usual = lac_from_hu(old[changed]).to(value.lac)
    if not torch.allclose(usual, value.lac[changed], rtol=1e-3, atol=1e-6):
        raise ValueError(
            f"the attenuation of {name!r} was not made from its values in the usual way, so it is "
            "not known for the edited ones: edit the file, and open it again"
        )
    lac = value.lac.clone()
    lac[changed] = lac_from_hu(hu[changed]).to(lac)
    return replace(value, lac=lac, hu=hu)


def _labels(
    value: LabelMap,
    array: NDArray[Any],
    shown: NDArray[Any],
    attributes: Mapping[str, Any],
    name: str,
) -> LabelMap:
    if array.dtype.kind not in "bui":
        raise ValueError(f"the layer {name!r} holds fractions: labels are whole numbers")
    same = _same_memory(array, shown) or np.array_equal(array, shown)
    features = attributes.get("features")
    names = None if features is None else named_labels(features)
    if names is None or names == dict(value.names):
        names = dict(value.names)
        if same:
            return value
    if same:
        return replace(value, names=names)
    limits = torch.iinfo(value.ids.dtype)
    low, high = int(array.min()), int(array.max())
    fits = limits.min <= low and high <= limits.max
    ids = torch.from_numpy(np.array(array, np.int64))
    return replace(value, ids=ids.to(value.ids.dtype) if fits else ids.int(), names=names)


def _landmarks(
    value: tuple[Landmark, ...], data: Any, attributes: Mapping[str, Any]
) -> tuple[Landmark, ...]:
    """Places and names as the layer has them; what else was known of a landmark stays."""
    known = {mark.name: mark for mark in value}
    marks = []
    for mark in landmarks_of(data, attributes):
        old = known.get(mark.name)
        still = old is not None and old.position is not None
        if still and np.allclose(mark.position, old.position, rtol=0, atol=1e-9):  # type: ignore[union-attr, arg-type]
            marks.append(old)
        else:
            marks.append(mark if old is None else replace(old, position=mark.position))
    placed_before = tuple(mark for mark in value if mark.position is not None)
    now = tuple(mark for mark in marks if mark is not None)
    same = len(now) == len(placed_before) and all(
        a is b for a, b in zip(now, placed_before, strict=False)
    )
    return value if same else now
