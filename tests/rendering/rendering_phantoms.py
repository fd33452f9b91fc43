"""Grids with no two numbers alike."""

import torch


def grid_points(shape, world_from_index):
    """World position of every voxel centre, [z, y, x, 3]."""
    z, y, x = (torch.arange(n, dtype=torch.float64) for n in shape)
    zz, yy, xx = torch.meshgrid(z, y, x, indexing="ij")
    index = torch.stack([xx, yy, zz], -1)
    return index @ world_from_index[:3, :3].T + world_from_index[:3, 3]


def affine(columns, origin):
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = torch.tensor(columns, dtype=torch.float64).T
    matrix[:3, 3] = torch.tensor(origin, dtype=torch.float64)
    return matrix


AFFINES = {
    "anisotropic": affine([[1.9, 0, 0], [0, 2.3, 0], [0, 0, 3.1]], (-7.0, -9.0, 20.0)),
    "oblique": affine(
        [[1.6, 0.9, 0.3], [-1.1, 2.0, -0.1], [-0.35, -0.07, 2.4]], (-4.0, -19.0, 11.0)
    ),
    # A gantry tilt: slices slide along y.
    "sheared": affine([[1.7, 0, 0], [0, 2.1, 0], [0, 0.9, 2.9]], (31.0, -12.0, -8.0)),
    "left-handed": affine([[-1.8, 0.2, 0], [0.1, 2.2, 0.3], [0, -0.2, 2.7]], (15.0, 3.0, -21.0)),
}
