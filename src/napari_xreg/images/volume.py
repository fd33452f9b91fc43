"""A CT: linear attenuation on a grid, with its place in the patient."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Volume:
    """Linear attenuation coefficients of a patient on a regular grid.

    Parameters
    ----------
    lac
        Linear attenuation, 1/mm, stored (z, y, x). Zero outside the grid.
    world_from_index
        Maps (x, y, z) of a voxel *centre* to patient LPS mm. Any invertible affine: oblique,
        sheared by gantry tilt, anisotropic, left-handed storage.
    hu
        The CT numbers `lac` was made from, Hounsfield units, on the same grid, if known; of a volume
        in another unit those that have its attenuation.
    notes
        What a reader assumed or passed over, a sentence each.

    Raises
    ------
    ValueError
        If the grid is empty, the affine is singular or not finite, or `lac` is not finite.
    """

    lac: Float[Tensor, "z y x"]
    world_from_index: Float[Tensor, "4 4"]
    hu: Float[Tensor, "z y x"] | Int[Tensor, "z y x"] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.lac.ndim != 3 or min(self.lac.shape) < 1:
            raise ValueError(f"a volume is a grid (z, y, x): got shape {tuple(self.lac.shape)}")
        check_affine(self.world_from_index)
        if self.hu is not None and self.hu.shape != self.lac.shape:
            raise ValueError(
                "HU and attenuation must lie on the same grid: got "
                f"{tuple(self.hu.shape)} and {tuple(self.lac.shape)}"
            )
        if not all_finite(self.lac):
            raise ValueError("attenuation must be finite: the volume holds NaN or infinity")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels (z, y, x)."""
        z, y, x = self.lac.shape
        return z, y, x

    @cached_property
    def value_range(self) -> tuple[float, float]:
        """Lowest and highest HU; attenuation, 1/mm, where HU are not known. Remembered."""
        values = self.lac if self.hu is None else self.hu
        low, high = torch.aminmax(values.detach())
        return float(low), float(high)

    @property
    def range_known(self) -> bool:
        """Whether `value_range` answers at once."""
        return "value_range" in vars(self)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxel centres along the stored axes (x, y, z), mm."""
        x, y, z = torch.linalg.vector_norm(self.world_from_index[:3, :3], dim=0).tolist()
        return x, y, z

    @property
    def corners(self) -> Float[Tensor, "8 3"]:
        """Centres of the outermost voxels, world mm."""
        ends = [torch.tensor([0.0, side - 1.0]) for side in reversed(self.shape)]
        index = torch.cartesian_prod(*ends).to(self.world_from_index)
        return index @ self.world_from_index[:3, :3].T + self.world_from_index[:3, 3]

    @property
    def center(self) -> Float[Tensor, "3"]:
        """World position of the middle of the grid, mm."""
        z, y, x = self.shape
        matrix = self.world_from_index
        middle = matrix.new_tensor([(x - 1) / 2, (y - 1) / 2, (z - 1) / 2])
        return matrix[:3, :3] @ middle + matrix[:3, 3]

    @property
    def index_from_world(self) -> Float[Tensor, "4 4"]:
        """Inverse of `world_from_index`."""
        return torch.linalg.inv(self.world_from_index)

    def downsample(self, factors: int | tuple[int, int, int]) -> "Volume":
        """The mean over blocks of `factors` voxels (x, y, z): a coarser level of a pyramid.

        The last block of an axis that does not divide evenly is filled up with zero attenuation,
        so the total attenuation is kept. `hu` is not carried along.
        """
        fx, fy, fz = (factors,) * 3 if isinstance(factors, int) else factors
        if min(fx, fy, fz) < 1:
            raise ValueError(f"downsampling factors must be at least 1: got {factors}")
        z, y, x = self.shape
        padding = (0, -x % fx, 0, -y % fy, 0, -z % fz)
        padded = functional.pad(self.lac, padding)[None, None]
        coarse = functional.avg_pool3d(padded, (fz, fy, fx))[0, 0]
        step = torch.diag(self.world_from_index.new_tensor([fx, fy, fz, 1.0]))
        step[:3, 3] = step.new_tensor([(fx - 1) / 2, (fy - 1) / 2, (fz - 1) / 2])
        return Volume(coarse, self.world_from_index @ step)

    def restrict(self, mask: Bool[Tensor, "z y x"]) -> "Volume":
        """The same volume with no attenuation outside the mask: renders some structures alone."""
        if mask.shape != self.lac.shape:
            raise ValueError(
                "the mask must lie on the grid of the volume: got "
                f"{tuple(mask.shape)} and {tuple(self.lac.shape)}"
            )
        return replace(self, lac=torch.where(mask.to(self.lac.device), self.lac, 0.0))

    def to(
        self, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None
    ) -> "Volume":
        """Attenuation in another precision or on another device; where it is so already, this volume.

        What was made of a volume for rendering stays with it: a copy would have it made again. The affine stays what it is, where it is: it is read as numbers (spacing, center), for
        which nobody should have to wait for a device, and MPS knows no float64.
        """
        lac = self.lac.to(dtype=dtype).to(device=device)
        return self if lac is self.lac else replace(self, lac=lac)

    def __repr__(self) -> str:
        sx, sy, sz = (round(s, 4) for s in self.spacing)
        return f"<Volume {self.shape} (z, y, x), {sx} x {sy} x {sz} mm (x, y, z)>"


def all_finite(values: Float[Tensor, "*shape"]) -> bool:
    """Whether no value is NaN or infinite: one pass without a temporary, NaN wins a minimum."""
    if values.numel() == 0:
        return True
    low, high = torch.aminmax(values.detach())
    return bool(torch.isfinite(low) & torch.isfinite(high))


# 100 m, mm: no scanner is larger, and beyond it the renderers' float32 loses hundredths of a mm.
_FARTHEST = 1e5


def check_affine(world_from_index: Float[Tensor, "4 4"]) -> None:
    """Refuse what cannot place a voxel: wrong shape, not finite, singular, not affine, far away.

    Raises
    ------
    ValueError
        Saying which.
    """
    matrix = world_from_index
    if tuple(matrix.shape) != (4, 4):
        raise ValueError(f"world_from_index is 4 x 4: got shape {tuple(matrix.shape)}")
    if not torch.isfinite(matrix).all():
        raise ValueError("world_from_index must be finite: got NaN or infinity")
    if (matrix[3] - matrix.new_tensor([0.0, 0.0, 0.0, 1.0])).abs().max() > 1e-6:
        raise ValueError(f"the last row of world_from_index is 0 0 0 1: got {matrix[3].tolist()}")
    columns = torch.linalg.vector_norm(matrix[:3, :3], dim=0)
    if (columns <= 0).any() or torch.linalg.det(matrix[:3, :3] / columns).abs() < 1e-6:
        raise ValueError(
            "world_from_index is singular: two voxel axes are parallel or a spacing is zero"
        )
    farthest = float(matrix[:3].abs().max())
    if farthest > _FARTHEST:
        raise ValueError(
            f"world_from_index places voxels {farthest:.3g} mm away: it is in millimetres, and no "
            f"scanner reaches {_FARTHEST / 1000:g} m"
        )
