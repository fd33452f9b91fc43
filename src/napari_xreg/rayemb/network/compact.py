"""A small convolutional encoder that trains from scratch on a CPU."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from napari_xreg.geometry import CArm
from napari_xreg.rayemb.network.encoder import RayEncoder, calibration_of
from napari_xreg.training import Block, Framing, contrast_channels, doubled


class CompactEncoder(RayEncoder):
    """A U-Net of 1.5 million parameters with one embedding per 2 x 2 pixels, of 3.4 mm each.

    Every step down is a convolution of 4 x 4 with stride 2: unlike 3 x 3 it leaves the centres of
    cells where outer edges say they are, so cells and pixels need no offset. Most of the weights
    are at the bottom, 8 x 8 cells, where they cost little; a pooled vector carries what lies
    beyond their reach.

    Parameters
    ----------
    dimensions
        Length of an embedding.
    widths
        Channels at strides 2, 4 and 8.
    framing
        See `Framing`.
    temperature
        To begin with; it is learned.
    """

    kind: ClassVar[str] = "compact"

    def __init__(
        self,
        dimensions: int = 32,
        widths: Sequence[int] = (32, 64, 128),
        framing: Framing | None = None,
        temperature: float = 0.05,
    ) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.widths = tuple(widths)
        self.framing = framing or Framing()
        self.upsampling = 2
        a, b, c = widths
        self.stem = nn.Sequential(nn.Conv2d(5, a, 4, 2, 1), Block(a))
        self.down4 = nn.Sequential(nn.Conv2d(a, b, 4, 2, 1), Block(b), Block(b))
        self.down8 = nn.Sequential(nn.Conv2d(b, c, 4, 2, 1), *(Block(c) for _ in range(4)))
        self.everywhere = nn.Linear(c, c)
        self.up4 = nn.Conv2d(c, b, 1)
        self.at4 = Block(b)
        self.up2 = nn.Conv2d(b, a, 1)
        self.at2 = Block(a)
        self.head = nn.Sequential(nn.GroupNorm(8, a), nn.SiLU(), nn.Conv2d(a, dimensions, 1))
        # With similarities spread about 0.7 every pixel and "outside" then begin about equal.
        outside = 0.7 / temperature + math.log(1024)
        self.calibration = nn.Parameter(calibration_of(temperature, outside))

    def inputs(
        self,
        images: Float[Tensor, "b rows columns"],
        masks: Bool[Tensor, "b rows columns"],
        carm: CArm,
    ) -> Float[Tensor, "b channels rows columns"]:
        """See `contrast_channels`."""
        return contrast_channels(images, masks, carm)

    def forward(self, inputs: Float[Tensor, "b channels rows columns"]) -> Tensor:
        """Embeddings at stride 2."""
        at2 = self.stem(inputs.contiguous(memory_format=torch.channels_last))
        at4 = self.down4(at2)
        at8 = self.down8(at4)
        pooled = self.everywhere(at8.mean((2, 3)))[:, :, None, None]
        at4 = self.at4(at4 + doubled(self.up4(at8 + pooled)))
        at2 = self.at2(at2 + doubled(self.up2(at4)))
        return self.head(at2).float()

    def configuration(self) -> dict[str, object]:
        """See `RayEncoder`."""
        return {
            "dimensions": self.dimensions,
            "widths": list(self.widths),
            "framing": asdict(self.framing),
        }
