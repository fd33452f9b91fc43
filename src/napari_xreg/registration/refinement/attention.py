"""Where a pose network looked, on the pixels of any radiograph of its C-arm."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from napari_xreg.geometry import CArm, pixels_between


@dataclass(frozen=True, eq=False)
class Attention:
    """How much each part of a picture counts.

    Parameters
    ----------
    cells
        Not negative, a grid over the whole detector of `carm` (rows, columns).
    carm
        Of the picture that was looked at: source and axes of the camera are those of the radiograph.
    """

    cells: Float[Tensor, "h w"]
    carm: CArm

    def over(self, carm: CArm) -> Float[Tensor, "rows columns"]:
        """At the pixels of a radiograph, a part of it or fewer pixels of it: linear between the middles of cells along
        the same rays; 0 beyond the picture.
        """
        grid = carm.detector.pixel_grid().reshape(*carm.detector.shape, 2)
        at = pixels_between(grid, carm, self.carm)
        # From pixels of the picture to -1 at its first edge and 1 at its last.
        height, width = self.carm.detector.shape
        unit = torch.stack([(at[..., 1] + 0.5) / width, (at[..., 0] + 0.5) / height], -1) * 2 - 1
        between = functional.grid_sample(
            self.cells[None, None].float().cpu(), unit[None].float(), padding_mode="border",
            align_corners=False,
        )[0, 0]  # fmt: skip
        return torch.where((unit.abs() <= 1).all(-1), between, 0.0)
