"""Sample data for napari: the built-in phantom, as layer-data tuples.

napari's axes are (z, y, x); the layers lie in world millimetres, patient LPS, in that order.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from napari_xreg.geometry.frames import reverse_axes
from napari_xreg.simulation import phantom

LayerData = tuple[NDArray[Any], dict[str, Any], str]
_WORLD = {"units": ("mm",) * 3, "axis_labels": ("z", "y", "x")}


def phantom_layers(*, spacing_mm: float = 1.5) -> list[LayerData]:
    """The pelvis phantom: its CT (HU) as an image, its bones as labels, its landmarks as points.

    Parameters
    ----------
    spacing_mm
        Of the cubic voxels.

    Returns
    -------
    list
        Three layer-data tuples, placed in mm.
    """
    sample = phantom(spacing_mm=spacing_mm)
    hu, ids = sample.volume.hu, sample.labels.ids
    assert hu is not None  # the phantom is made in HU
    placed = placement(sample.volume.world_from_index)
    image = {"name": "phantom CT", "contrast_limits": (-200.0, 1200.0), **placed}
    labels = {"name": "phantom labels", "features": _label_names(sample.labels.names), **placed}
    points = {
        "name": "phantom landmarks",
        "features": {"name": list(sample.landmarks)},
        "text": "name",
        "size": 5.0,
        **_WORLD,
    }
    xyz = np.array(list(sample.landmarks.values()))
    return [
        (hu.numpy(), image, "image"),
        (ids.numpy(), labels, "labels"),
        (xyz[:, ::-1], points, "points"),
    ]


def placement(world_from_index: Float[Tensor, "4 4"]) -> dict[str, Any]:
    """Where a layer lies: napari's keywords for an (x, y, z) index -> mm affine.

    Parameters
    ----------
    world_from_index
        As of a `Volume`.

    Returns
    -------
    dict
        ``scale`` and ``translate`` where the axes are the patient's, else ``affine``; always
        ``units`` (mm) and ``axis_labels``. In napari's order (z, y, x).
    """
    matrix = reverse_axes(world_from_index).double().numpy()
    spacing = matrix.diagonal()[:3]
    if (spacing > 0).all() and np.array_equal(matrix[:3, :3], np.diag(spacing)):
        return {"scale": tuple(spacing), "translate": tuple(matrix[:3, 3]), **_WORLD}
    return {"affine": matrix, **_WORLD}


def _label_names(names: Mapping[int, str]) -> dict[str, list[Any]]:
    """napari's table of a labels layer: shown in the status bar for the label under the mouse."""
    ids = [0, *sorted(names)]
    return {"index": ids, "name": ["background", *(names[i] for i in ids[1:])]}
