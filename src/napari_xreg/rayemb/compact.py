"""A small convolutional encoder that trains from scratch on a CPU."""

import math
from dataclasses import asdict
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from napari_xreg.geometry import CArm
from napari_xreg.rayemb.encoder import RayEncoder, calibration_of
from napari_xreg.rayemb.framing import Framing, contrast_channels


class CompactEncoder(RayEncoder):
    """A U-Net of 1.6 million parameters with one embedding per 4 x 4 pixels.

    Every step down is a convolution of 4 x 4 with stride 2: unlike 3 x 3 it leaves the centres of
    cells where outer edges say they are, so cells and pixels need no offset. A pooled vector
    carries what lies beyond the 8 x 8 grid at the bottom.

    Parameters
    ----------
    dimensions
        Length of an embedding.
    widths
        Channels at strides 2, 4, 8 and 16.
    framing
        See `Framing`.
    temperature
        To begin with; it is learned.
    """

    kind: ClassVar[str] = "compact"

    def __init__(
        self,
        dimensions: int = 32,
        widths: tuple[int, int, int, int] = (32, 64, 96, 128),
        framing: Framing | None = None,
        temperature: float = 0.05,
    ) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.widths = tuple(widths)
        self.framing = framing or Framing()
        self.upsampling = 2
        a, b, c, d = widths
        self.stem = nn.Sequential(
            nn.Conv2d(5, a, 4, 2, 1), nn.SiLU(), nn.Conv2d(a, a, 3, padding=1), nn.SiLU()
        )
        self.down4 = nn.Sequential(nn.Conv2d(a, b, 4, 2, 1), Block(b))
        self.down8 = nn.Sequential(nn.Conv2d(b, c, 4, 2, 1), Block(c), Block(c))
        self.down16 = nn.Sequential(nn.Conv2d(c, d, 4, 2, 1), Block(d), Block(d), Block(d))
        self.everywhere = nn.Linear(d, d)
        self.up8 = nn.Conv2d(d, c, 1)
        self.at8 = Block(c)
        self.up4 = nn.Conv2d(c, b, 1)
        self.at4 = nn.Sequential(Block(b), Block(b))
        self.head = nn.Sequential(nn.GroupNorm(8, b), nn.SiLU(), nn.Conv2d(b, dimensions, 1))
        # With similarities spread about 0.7 every pixel and "outside" then begin about equal.
        outside = 0.7 / temperature + math.log(4096)
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
        """Embeddings at stride 4."""
        at4 = self.down4(self.stem(inputs.contiguous(memory_format=torch.channels_last)))
        at8 = self.down8(at4)
        at16 = self.down16(at8)
        pooled = self.everywhere(at16.mean((2, 3)))[:, :, None, None]
        at8 = self.at8(at8 + doubled(self.up8(at16 + pooled)))
        at4 = self.at4(at4 + doubled(self.up4(at8)))
        return self.head(at4).float()

    def configuration(self) -> dict[str, object]:
        """See `RayEncoder`."""
        return {
            "dimensions": self.dimensions,
            "widths": list(self.widths),
            "framing": asdict(self.framing),
        }


class Block(nn.Module):
    """Two convolutions beside a shortcut, normalised first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def doubled(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c two_h two_w"]:
    """Twice the size, outer edges in place."""
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
