"""A volume of Gaussian balls, whose line integrals are known in closed form."""

import math
from dataclasses import replace

import numpy as np
import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Radiograph, Volume

CENTER = torch.tensor([12.0, -140.0, 55.0], dtype=torch.float64)


def _turned() -> torch.Tensor:
    """A rotation about no axis of the world: 21, -9 and 14 degrees about z, y and x."""
    angles = torch.deg2rad(torch.tensor([21.0, -9.0, 14.0], dtype=torch.float64))
    turn = torch.eye(3, dtype=torch.float64)
    for (a, b), angle in zip(((0, 1), (2, 0), (1, 2)), angles, strict=True):
        one = torch.eye(3, dtype=torch.float64)
        one[a, a] = one[b, b] = angle.cos()
        one[b, a], one[a, b] = angle.sin(), -angle.sin()
        turn = turn @ one
    return turn


def _balls() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(11)
    centers = torch.from_numpy(rng.uniform(-48, 48, (24, 3))) + CENTER
    sigmas = torch.from_numpy(rng.uniform(5.0, 12.0, 24))
    peaks = torch.from_numpy(rng.uniform(0.01, 0.05, 24))
    return centers, sigmas, peaks


def blob_volume(longest: float = 2.7) -> Volume:
    """The balls on a turned grid of 168 mm, 1/mm; sides of a voxel are as 2.2 to 2.7 to 1.9."""
    sizes = longest / 2.7 * torch.tensor([2.2, 2.7, 1.9], dtype=torch.float64)
    nx, ny, nz = (round(168 / size) for size in sizes.tolist())
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = _turned() * sizes
    middle = torch.tensor([nx - 1, ny - 1, nz - 1], dtype=torch.float64) / 2
    matrix[:3, 3] = CENTER - matrix[:3, :3] @ middle
    k, j, i = torch.meshgrid(*(torch.arange(n).double() for n in (nz, ny, nx)), indexing="ij")
    x, y, z = (
        matrix[axis, 0] * i + matrix[axis, 1] * j + matrix[axis, 2] * k + matrix[axis, 3]
        for axis in range(3)
    )
    lac = torch.zeros_like(x)
    for center, sigma, peak in zip(*_balls(), strict=True):
        squared = (x - center[0]) ** 2 + (y - center[1]) ** 2 + (z - center[2]) ** 2
        lac += peak * torch.exp(-squared / (2 * sigma**2))
    return Volume(lac.float(), matrix)


def blob_radiograph(carm: CArm, pose: Pose, **kwargs: object) -> Radiograph:
    """Exact line integrals of the balls."""
    source, r = carm.rays(pose)
    unit = r / r.norm(dim=-1, keepdim=True)
    image = torch.zeros(len(r), dtype=torch.float64)
    for center, sigma, peak in zip(*_balls(), strict=True):
        offset = center - source
        along = (offset * unit).sum(-1)
        squared = (offset @ offset) - along**2
        image += peak * sigma * math.sqrt(2 * math.pi) * torch.exp(-squared / (2 * sigma**2))
    image = image.reshape(carm.detector.shape).float()
    return Radiograph(image, carm, simulated=True, **kwargs)  # type: ignore[arg-type]


def bent(radiograph: Radiograph) -> Radiograph:
    """A grey curve, a tilted field, a bright bar, a mask: what tone and weights are for."""
    image = radiograph.line_integrals
    rows, columns = image.shape
    image = image.clamp_min(0) ** 0.9 + 0.1 * torch.linspace(-1, 1, columns)
    image[10:13] += 2.0
    mask = torch.ones(rows, columns, dtype=torch.bool)
    mask[:, :5] = False
    return replace(radiograph, line_integrals=image, mask=mask)


def carm(rows: int = 96, columns: int = 104) -> CArm:
    """A small off-centre detector."""
    return CArm(1020.0, 740.0, Detector((rows, columns), (2.5, 2.4), (44.0, 55.0)))
