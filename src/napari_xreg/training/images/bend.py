"""Another patient from one: a smooth displacement of the anatomy, with its labels and landmarks."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from napari_xreg.images import LabelMap, Volume, lac_from_hu

_ITERATIONS = 30


@dataclass(frozen=True, eq=False)
class Bend:
    """Where the voxels of a bent patient come from.

    Parameters
    ----------
    grid
        For each voxel, (x, y, z) of the place it is taken from, in `grid_sample`'s coordinates: -1
        to 1 between the outer edges of the grid.
    world_from_index
        Of the grid.
    """

    grid: Float[Tensor, "z y x 3"]
    world_from_index: Float[Tensor, "4 4"]

    @classmethod
    def draw(
        cls, volume: Volume, generator: torch.Generator, *, bend_mm: float, stretch: float
    ) -> Self:
        """At random; see `PhantomPopulation` for the two sizes."""
        z, y, x = volume.shape
        extent = torch.tensor(volume.spacing) * torch.tensor([x, y, z])
        factors = 1 + stretch * torch.randn(3, generator=generator)
        grid = functional.affine_grid(
            torch.cat([torch.diag(1 / factors), torch.zeros(3, 1)], 1)[None],
            [1, 1, z, y, x],
            align_corners=False,
        )[0]
        displacement = smooth_noise(3, (z, y, x), generator) * bend_mm
        away = (displacement * (2 / extent)[:, None, None, None]).permute(1, 2, 3, 0)
        return cls(grid + away, volume.world_from_index)

    def resample(self, values: Float[Tensor, "z y x"], mode: str) -> Float[Tensor, "z y x"]:
        """Values at the places; zero beyond the grid."""
        return functional.grid_sample(
            values[None, None], self.grid[None], mode=mode, padding_mode="zeros",
            align_corners=False,
        )[0, 0]  # fmt: skip

    def moved(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Where points of the patient lie in the bent one, world mm.

        The inverse of `grid`, by fixed-point iteration: the displacement changes by less than a
        third of a millimetre per millimetre.
        """
        z, y, x = self.grid.shape[:3]
        matrix = self.world_from_index.double()
        index = (points.double() - matrix[:3, 3]) @ torch.linalg.inv(matrix[:3, :3]).T
        size = torch.tensor([x, y, z], dtype=torch.float64)
        wanted = (2 * index + 1) / size - 1
        field = self.grid.permute(3, 0, 1, 2)[None].double()
        at = wanted.clone()
        for _ in range(_ITERATIONS):
            source = functional.grid_sample(
                field, at[None, :, None, None], mode="bilinear", padding_mode="border",
                align_corners=False,
            )[0, :, :, 0, 0].T  # fmt: skip
            at = at + wanted - source
        return ((at + 1) * size - 1) / 2 @ matrix[:3, :3].T + matrix[:3, 3]


def bent(
    volume: Volume,
    labels: LabelMap,
    generator: torch.Generator,
    *,
    bend_mm: float,
    stretch: float,
    texture: float,
) -> tuple[Volume, LabelMap]:
    """Another patient from one: stretched, smoothly displaced, of uneven density; with labels.

    HU are interpolated linearly, labels by the nearest voxel, both at the same places.
    """
    bend = Bend.draw(volume, generator, bend_mm=bend_mm, stretch=stretch)
    return bent_by(bend, volume, labels, generator, texture=texture)


def bent_by(
    bend: Bend, volume: Volume, labels: LabelMap, generator: torch.Generator, *, texture: float
) -> tuple[Volume, LabelMap]:
    """A patient bent in a given way, of uneven density."""
    if volume.hu is None:
        raise ValueError("bending a patient needs the HU of the volume")
    # +1000 makes air zero, which is what is found outside.
    hu = bend.resample(volume.hu.to(torch.float32) + 1000.0, "bilinear")
    hu = hu * (1 + texture * smooth_noise(1, volume.shape, generator)[0]) - 1000.0
    ids = bend.resample(labels.ids.to(torch.float32), "nearest").round().to(labels.ids.dtype)
    return Volume(lac_from_hu(hu), volume.world_from_index, hu), replace(labels, ids=ids)


def smooth_noise(
    channels: int, shape: tuple[int, int, int], generator: torch.Generator
) -> Float[Tensor, "channels z y x"]:
    """Normal numbers on a grid of 6 knots each way, interpolated; about unit variance."""
    knots = torch.randn(1, channels, 6, 6, 6, generator=generator)
    return functional.interpolate(knots, shape, mode="trilinear", align_corners=True)[0] * 1.5
