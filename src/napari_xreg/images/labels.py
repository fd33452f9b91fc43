"""A label map: which structure each voxel of a CT belongs to."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from napari_xreg.images.volume import Volume, check_affine

_MANY = 1_000_000
"""Ids that a table is made for."""
_LOOKED_AT, _ENOUGH = 50_000, 400
"""Voxels of a map, about, that are looked at for the middle of a structure, in the window between two frames; and of
the structure, at least: else more are looked at."""


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Integer structure ids on a grid, 0 = background.

    Parameters
    ----------
    ids
        One id per voxel, stored (z, y, x).
    world_from_index
        (x, y, z) of a voxel centre to patient LPS mm.
    names
        What the ids mean, where known.
    names_from
        Where the names come from, in words; empty where nobody knows.
    """

    ids: Int[Tensor, "z y x"]
    world_from_index: "torch.Tensor"
    names: Mapping[int, str] = field(default_factory=dict)
    names_from: str = ""

    def called(self, id: int) -> str:
        """The name of a structure; "label 3" where it has none."""
        return self.names.get(id, "") or f"label {id}"

    def __post_init__(self) -> None:
        if self.ids.ndim != 3 or min(self.ids.shape) < 1:
            raise ValueError(f"a label map is a grid (z, y, x): got shape {tuple(self.ids.shape)}")
        check_affine(self.world_from_index)

    def present(self) -> list[int]:
        """Ids that occur, background left out, ascending. Remembered."""
        return list(self._present)

    @cached_property
    def _present(self) -> tuple[int, ...]:
        """Found once: a pass over a large map takes a second, sorting it ten."""
        low, high = (int(end) for end in torch.aminmax(self.ids))
        if high - low > _MANY:
            return tuple(int(i) for i in torch.unique(self.ids) if i != 0)
        seen = torch.zeros(high - low + 1, dtype=torch.bool, device=self.ids.device)
        for plane in self.ids:
            seen[plane.long() - low] = True
        return tuple(i for i in (torch.nonzero(seen)[:, 0] + low).tolist() if i != 0)

    @property
    def present_known(self) -> bool:
        """Whether `present` answers at once."""
        return "_present" in vars(self)

    def mask(self, ids: Iterable[int]) -> Bool[Tensor, "z y x"]:
        """True where a voxel belongs to one of the structures.

        Raises
        ------
        ValueError
            If none of the ids occurs, so that a render of them would be empty.
        """
        wanted = sorted(set(ids))
        mask = self._some(wanted, 1)
        if not mask.any():
            raise ValueError(f"none of the labels {wanted} occurs; present are {self.present()}")
        return mask

    def middle(self, ids: Iterable[int]) -> Float[Tensor, "3"]:
        """The mean place of the voxels of some structures, world mm, float64. Remembered.

        Of a large map every few voxels are looked at along each axis: of the 61 structures of a pelvis of 3 mm
        the worst middle is 2.7 mm off. Every voxel is looked at only for what is small, around where it was
        found among every second one.

        Raises
        ------
        ValueError
            As `mask`.
        """
        wanted = tuple(sorted(set(ids)))
        if wanted not in self._middles:
            step = max(1, math.ceil((self.ids.numel() / _LOOKED_AT) ** (1 / 3)))
            places = step * torch.nonzero(self._some(wanted, step))
            while step > 1 and len(places) < _ENOUGH:
                step = (step + 1) // 2
                box = _around(places) if step == 1 and len(places) else [slice(None)] * 3
                low = [axis.start or 0 for axis in box]
                found = torch.nonzero(self._some(wanted, step, box))
                places = step * found + found.new_tensor(low)
            if not len(places):
                raise ValueError(f"none of the labels {list(wanted)} occurs in the label map")
            # (z, y, x) of the array, (x, y, z) of the index.
            place = places.double().mean(0).flip(0).cpu()
            matrix = self.world_from_index.double().cpu()
            self._middles[wanted] = matrix[:3, :3] @ place + matrix[:3, 3]
        return self._middles[wanted]

    def _some(
        self, ids: Sequence[int], step: int, box: Sequence[slice] = 3 * (slice(None),)
    ) -> Bool[Tensor, "z y x"]:
        """Of every few voxels of a box along each axis, whether it belongs to one of the structures."""
        few = self.ids[tuple(box)][::step, ::step, ::step]
        # An id that the stored type cannot hold does not occur.
        limits = torch.iinfo(few.dtype)
        possible = [i for i in ids if limits.min <= i <= limits.max]
        if len(possible) > 1:
            return torch.isin(few, few.new_tensor(possible))
        # Four times as quick; a structure that is so small as to need every voxel is mostly alone.
        return few == possible[0] if possible else torch.zeros_like(few, dtype=torch.bool)

    @cached_property
    def _middles(self) -> dict[tuple[int, ...], Tensor]:
        return {}

    def onto(self, volume: Volume) -> "LabelMap":
        """The same labels in the order of the volume's voxels, where only the order differs.

        Programs store the same grid with its axes run the other way or exchanged; every voxel then
        has its partner, and nothing is resampled.

        Raises
        ------
        ValueError
            As `check_grid`: another grid.
        """
        volume_from_labels = torch.linalg.inv(volume.world_from_index.double()) @ (
            self.world_from_index.double()
        )
        turn = volume_from_labels[:3, :3].round()
        one_each = turn.abs().sum(0).eq(1).all() and turn.abs().sum(1).eq(1).all()
        if not one_each or torch.equal(turn, torch.eye(3).double()):
            self.check_grid(volume)
            return self
        # Of the axes (x, y, z) of the volume: which of the labels' it is, and whether it runs back.
        source = turn.abs().argmax(dim=1).tolist()
        back = [bool(turn[axis, source[axis]] < 0) for axis in range(3)]
        # Stored (z, y, x): axis a of the array is axis 2 - a of the index.
        ids = self.ids.permute([2 - source[2 - axis] for axis in range(3)])
        ids = ids.flip([axis for axis in range(3) if back[2 - axis]]).contiguous()
        new_from_old = torch.eye(4, dtype=torch.float64)
        new_from_old[:3, :3] = turn
        for axis, (size, runs_back) in enumerate(zip(reversed(ids.shape), back, strict=True)):
            new_from_old[axis, 3] = (size - 1) * runs_back
        turned = replace(
            self,
            ids=ids,
            world_from_index=self.world_from_index.double() @ torch.linalg.inv(new_from_old),
        )
        turned.check_grid(volume)
        return turned

    def check_grid(self, volume: Volume, *, tolerance_mm: float = 0.1) -> None:
        """Refuse a label map that lies on another grid than the volume.

        Raises
        ------
        ValueError
            If the shapes differ, or any corner of the grids is further apart than the tolerance.
        """
        if self.ids.shape != volume.lac.shape:
            raise ValueError(
                "labels and CT must lie on the same grid: got "
                f"{tuple(self.ids.shape)} and {tuple(volume.lac.shape)} voxels (z, y, x); resample "
                "the labels onto the CT"
            )
        z, y, x = volume.shape
        corners = torch.cartesian_prod(
            torch.tensor([0.0, x - 1]), torch.tensor([0.0, y - 1]), torch.tensor([0.0, z - 1])
        ).double()
        difference = self.world_from_index.double() - volume.world_from_index.double()
        apart = (corners @ difference[:3, :3].T + difference[:3, 3]).norm(dim=1).max()
        if apart > tolerance_mm:
            raise ValueError(
                f"labels and CT must lie on the same grid: their corners are {float(apart):.2f} mm "
                "apart; resample the labels onto the CT"
            )


def _around(places: Int[Tensor, "n 3"]) -> list[slice]:
    """The box that holds some places of every second voxel, with what lies between them and the next."""
    low, high = (places.amin(0) - 1).clamp_min(0), places.amax(0) + 2
    return [slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
