"""From where the room is seen, and how much of it."""

import numpy as np
from jaxtyping import Float
from napari.components import ViewerModel
from numpy import ndarray

VIEWS = {
    "oblique": ((-0.30, 0.75, 0.60), (1.0, 0.0, 0.0)),
    "front": ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    "left side": ((0.0, 0.0, -1.0), (1.0, 0.0, 0.0)),
    "from above": ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0)),
}
"""Where to look and what is up, (z, y, x), patient LPS: the head is up, but from above the
patient's front is."""


def turn(viewer: ViewerModel, view: str) -> None:
    """Look along one of `VIEWS`."""
    direction, up = VIEWS[view]
    viewer.scene.camera.set_view_direction(direction, up)


def fit(viewer: ViewerModel, points: Float[ndarray, "n 3"], *, margin: float = 0.06) -> None:
    """Bring points (z, y, x) into the picture, as large as they fit; the angles stay.

    napari's own `fit_to_view` fits the box around everything from every side, which leaves a
    scene as long and thin as a C-arm small.
    """
    if not len(points):
        return
    camera = viewer.scene.camera
    forward, up = (np.asarray(v, np.float64) for v in (camera.view_direction, camera.up_direction))
    up = up - forward * (up @ forward) / (forward @ forward)
    axes = np.stack([up, np.cross(up, forward), forward])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    along = points @ axes.T
    low, high = along.min(axis=0), along.max(axis=0)
    height, width = viewer.canvas.size
    extent = np.maximum(high - low, 1.0)
    z, y, x = (float(v) for v in axes.T @ ((low + high) / 2))
    camera.center = (z, y, x)
    camera.zoom = (1 - 2 * margin) * min(height / float(extent[0]), width / float(extent[1]))
