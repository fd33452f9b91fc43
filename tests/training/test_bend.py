"""Landmarks move with the anatomy that they were placed on."""

import pytest
import torch

from napari_xreg.images import Volume, lac_from_hu
from napari_xreg.training import Bend, PhantomPopulation

BALL = (31.5, -12.25, 653.0)


def ball_volume() -> Volume:
    """A Gaussian ball on an uneven grid, with its own axes in no special place."""
    spacing, origin = torch.tensor([3.0, 3.5, 4.0]), torch.tensor([-60.0, -95.0, 580.0])
    z, y, x = torch.meshgrid(*(torch.arange(n) for n in (36, 44, 50)), indexing="ij")
    world = torch.stack([x, y, z], -1) * spacing + origin
    hu = 1000 * torch.exp(-0.5 * (world - torch.tensor(BALL)).square().sum(-1) / 9.0**2)
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = torch.diag(spacing.double())
    matrix[:3, 3] = origin.double()
    return Volume(lac_from_hu(hu - 1000), matrix, hu - 1000)


def centroid(volume: Volume, values: torch.Tensor) -> torch.Tensor:
    index = torch.stack(torch.meshgrid(*(torch.arange(n) for n in values.shape), indexing="ij"), -1)
    mean = (values[..., None] * index).sum((0, 1, 2)) / values.sum()
    world: torch.Tensor = (
        volume.world_from_index[:3, :3] @ mean.flip(0).double() + volume.world_from_index[:3, 3]
    )
    return world


@pytest.mark.slow
def test_a_ball_is_found_where_its_centre_was_moved_to() -> None:
    volume = ball_volume()
    assert volume.hu is not None
    worst, farthest = 0.0, 0.0
    for seed in range(5):
        bend = Bend.draw(volume, torch.Generator().manual_seed(seed), bend_mm=4.0, stretch=0.05)
        moved = bend.moved(torch.tensor([BALL]))[0]
        # The ball is bent too; the 8th power leaves its middle, where that hardly matters.
        seen = centroid(volume, bend.resample(volume.hu + 1000, "bilinear") ** 8)
        worst = max(worst, float((moved - seen).norm()))
        farthest = max(farthest, float((moved - torch.tensor(BALL)).norm()))
    assert worst < 0.55
    assert farthest > 3.0


@pytest.mark.slow
def test_moved_inverts_the_grid() -> None:
    volume = ball_volume()
    bend = Bend.draw(volume, torch.Generator().manual_seed(3), bend_mm=4.0, stretch=0.05)
    # What the voxel at x, y, z = 11, 30, 17 is taken from must move to that voxel.
    x, y, z = (bend.grid[17, 30, 11].double() + 1) * torch.tensor([50, 44, 36]) / 2 - 0.5
    matrix = volume.world_from_index
    source = matrix[:3, :3] @ torch.stack([x, y, z]) + matrix[:3, 3]
    voxel = matrix[:3, :3] @ torch.tensor([11.0, 30.0, 17.0]).double() + matrix[:3, 3]
    assert torch.allclose(bend.moved(source[None])[0], voxel, atol=1e-3)
    assert (source - voxel).norm() > 1.0


@pytest.mark.slow
def test_the_population_moves_its_landmarks_with_the_bones() -> None:
    population = PhantomPopulation(seeds=(7,), spacing_mm=6.0)
    still = PhantomPopulation(seeds=(7,), spacing_mm=6.0, bend_mm=0.0, stretch=0.0, texture=0.0)
    bent = population.draw(torch.Generator().manual_seed(1))
    rest = still.draw(torch.Generator().manual_seed(1))
    assert [m.name for m in bent.landmarks] == [m.name for m in rest.landmarks]
    assert len(bent.landmarks) == 14
    gap = torch.tensor([m.position for m in bent.landmarks]) - torch.tensor(
        [m.position for m in rest.landmarks]
    )
    assert 2.0 < gap.norm(dim=1).mean() < 20.0
