"""Sample data for napari: the built-in phantom, as layer-data tuples.

napari's axes are (z, y, x); the layers lie in world millimetres, patient LPS, in that order.
"""

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from napari_xreg.geometry.frames import reverse_axes

LayerData = tuple[NDArray[Any], dict[str, Any], str]


def phantom() -> list[LayerData]:
    """The pelvis phantom: its CT in HU as an image, its bones as labels.

    Returns
    -------
    list
        Two layer-data tuples, (z, y, x), placed in mm.
    """
    from napari_xreg.simulation import pelvis_phantom

    volume, labels = pelvis_phantom()
    assert volume.hu is not None  # the phantom is made in HU
    placed = placement(volume.world_from_index)
    image = {
        "name": "phantom CT",
        "contrast_limits": (-200.0, 1200.0),
        "metadata": {"xreg": {"unit": "HU", "source": "pelvis phantom"}},
        **placed,
    }
    bones = {
        "name": "phantom labels",
        "metadata": {"xreg": {"names": dict(labels.names)}},
        **placed,
    }
    return [(volume.hu.numpy(), image, "image"), (labels.ids.numpy(), bones, "labels")]


def placement(world_from_index: Float[Tensor, "4 4"]) -> dict[str, Any]:
    """Where a layer lies: napari's keywords for an affine (x, y, z) index -> mm.

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
    said: dict[str, Any] = {"units": ("mm",) * 3, "axis_labels": ("z", "y", "x")}
    spacing = matrix.diagonal()[:3]
    straight = np.array_equal(matrix[:3, :3], np.diag(spacing))
    if straight and (spacing > 0).all():
        return {"scale": tuple(spacing), "translate": tuple(matrix[:3, 3]), **said}
    return {"affine": matrix, **said}
