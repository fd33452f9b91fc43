"""A small trunk that learns a patient in minutes on a CPU."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from napari_xreg.training import Block

STRIDE = 16


class CompactTrunk(nn.Module):
    """Blocks at strides 2 to 16, then a layer that sees every place of the last maps.

    The mean of a map forgets where it was; a position is half of a pose, so the last maps are
    kept whole. Inputs have the five channels of `training.contrast_channels`.

    Parameters
    ----------
    pixels
        Along a side of the image; a multiple of 16.
    widths
        Channels at strides 2, 4, 8 and 16.
    features
        Numbers that the heads see.
    """

    def __init__(
        self,
        pixels: int = 64,
        widths: Sequence[int] = (24, 48, 96, 128),
        features: int = 256,
    ) -> None:
        super().__init__()
        if pixels % STRIDE:
            raise ValueError(
                f"the compact network sees a multiple of {STRIDE} pixels: got {pixels}"
            )
        a, b, c, d = widths
        self.features = features
        self.body = nn.Sequential(
            nn.Conv2d(5, a, 4, 2, 1), Block(a),
            nn.Conv2d(a, b, 4, 2, 1), Block(b),
            nn.Conv2d(b, c, 4, 2, 1), Block(c), Block(c),
            nn.Conv2d(c, d, 4, 2, 1), Block(d), Block(d),
        )  # fmt: skip
        self.narrow = nn.Sequential(nn.GroupNorm(8, d), nn.SiLU(), nn.Conv2d(d, d // 4, 1))
        cells = (pixels // STRIDE) ** 2
        self.whole = nn.Sequential(
            nn.SiLU(), nn.Linear(d // 4 * cells, features), nn.SiLU(),
            nn.Linear(features, features), nn.SiLU(),
        )  # fmt: skip

    def maps(self, x: Float[Tensor, "b 5 rows columns"]) -> Float[Tensor, "b c h w"]:
        """What is seen where."""
        return self.narrow(self.body(x.contiguous(memory_format=torch.channels_last)))

    def pooled(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b features"]:
        """What the heads see."""
        return self.whole(maps.flatten(1))
