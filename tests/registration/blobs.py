"""A volume of Gaussian balls, whose line integrals are known in closed form."""

import math
from dataclasses import replace

import numpy as np
import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Radiograph, Volume

CENTER = torch.tensor([12.0, -140.0, 55.0], dtype=torch.float64)


def _balls() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(11)
    centers = torch.from_numpy(rng.uniform(-48, 48, (24, 3))) + CENTER
    sigmas = torch.from_numpy(rng.uniform(5.0, 12.0, 24))
    peaks = torch.from_numpy(rng.uniform(0.01, 0.05, 24))
    return centers, sigmas, peaks


def blob_volume(spacing: float = 2.0) -> Volume:
    """The balls on a grid of 160 mm, 1/mm."""
    n = round(160 / spacing)
    matrix = torch.diag(torch.tensor([spacing] * 3 + [1.0], dtype=torch.float64))
    matrix[:3, 3] = CENTER - spacing * (n - 1) / 2
    axis = [matrix[k, 3] + spacing * torch.arange(n, dtype=torch.float64) for k in range(3)]
    z, y, x = torch.meshgrid(axis[2], axis[1], axis[0], indexing="ij")
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
