"""From pixels back to voxels: the transpose of the march, which is the gradient to the volume."""

import numpy as np
import numpy.typing as npt

from napari_xreg.images import Volume
from napari_xreg.rendering.checked import check_listed
from napari_xreg.rendering.prepared import PAD, FloatArray, Matrix


def backproject(
    volume: Volume,
    source: Matrix,
    rays: Matrix,
    worth: Matrix,
    *,
    method: str,
    step_mm: float,
) -> FloatArray:
    """Gradient of ``worth . integrals`` by ``volume.lac``, [z, y, x].

    Serial: several threads adding into one grid would need a grid each.

    Parameters
    ----------
    source, rays
        World, mm, float64: [3] and [n, 3].
    worth
        [n]: derivative of whatever is wanted by each line integral.

    Raises
    ------
    ValueError
        If there is not one number for every ray, or a ray cannot be followed (`checked`).
    """
    from napari_xreg.rendering.cpu.adjoint import spread_cells, spread_samples

    nz, ny, nx = (n + 2 * PAD for n in volume.shape)
    matrix = np.linalg.inv(volume.world_from_index.detach().cpu().double().numpy())
    linear = np.ascontiguousarray(matrix[:3, :3])
    grid = np.zeros((nz, ny, nx), np.float32)
    flat: npt.NDArray[np.float32] = grid.reshape(-1)
    rays, worth = np.ascontiguousarray(rays), np.ascontiguousarray(worth)
    check_listed(linear, matrix[:3, 3] + PAD, (nz, ny, nx), step_mm, source, rays)
    start = linear @ source + matrix[:3, 3] + PAD
    if worth.shape != (len(rays),):
        raise ValueError(f"one number for each of {len(rays)} rays is needed: got {worth.shape}")
    if method == "siddon":
        spread_cells(flat, nz, ny, nx, linear, start, rays, worth)
    else:
        spread_samples(flat, nz, ny, nx, linear, start, rays, step_mm, worth, method == "joseph")
    return np.ascontiguousarray(grid[PAD:-PAD, PAD:-PAD, PAD:-PAD])
