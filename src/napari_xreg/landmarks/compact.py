"""A small detector that trains from scratch on a CPU."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from napari_xreg.geometry import CArm
from napari_xreg.landmarks.detector import (
    DEEPFLUORO_NAMES,
    Heatmaps,
    LandmarkDetector,
    checked_names,
    checked_trust,
)
from napari_xreg.training import Block, Framing, contrast_channels, doubled

COMPACT_FRAMING = Framing(pixel_mm=2.3, multiple=16, smallest=48, largest=256)


class CompactDetector(LandmarkDetector):
    """A U-Net of 2 million parameters with one heatmap pixel per 2 x 2 pixels, of 2.3 mm each.

    Every step down is a convolution of 4 x 4 with stride 2, which leaves the centres of cells where
    outer edges say they are: heatmap pixels and image pixels need no offset. Dropout of whole maps
    follows every block on the way up, as in the paper.

    Parameters
    ----------
    names
        Of the landmarks.
    widths
        Channels at strides 2, 4, 8 and 16.
    dropout
        Chance of a map to be dropped.
    framing
        See `Framing`.
    trusted_mm
        See `LandmarkDetector`.
    """

    kind: ClassVar[str] = "compact-landmarks"

    def __init__(
        self,
        names: Sequence[str] = DEEPFLUORO_NAMES,
        widths: Sequence[int] = (24, 48, 96, 128),
        dropout: float = 0.1,
        framing: Framing | None = None,
        trusted_mm: float | None = None,
    ) -> None:
        super().__init__()
        self.names = checked_names(names)
        self.widths = tuple(widths)
        self.dropout = dropout
        self.framing = framing or COMPACT_FRAMING
        self.stride = 2
        self.trusted_mm = checked_trust(trusted_mm)
        a, b, c, d = widths
        self.stem = nn.Sequential(nn.Conv2d(5, a, 4, 2, 1), Block(a))
        self.down4 = nn.Sequential(nn.Conv2d(a, b, 4, 2, 1), Block(b), Block(b))
        self.down8 = nn.Sequential(nn.Conv2d(b, c, 4, 2, 1), Block(c), Block(c), Block(c))
        self.down16 = nn.Sequential(nn.Conv2d(c, d, 4, 2, 1), Block(d), Block(d), Block(d))
        self.everywhere = nn.Linear(d, d)
        self.up8, self.at8 = nn.Conv2d(d, c, 1), Dropped(Block(c), dropout)
        self.up4, self.at4 = nn.Conv2d(c, b, 1), Dropped(Block(b), dropout)
        self.up2, self.at2 = nn.Conv2d(b, a, 1), Dropped(Block(a), dropout)
        self.bottom = nn.Dropout2d(dropout)
        self.head = nn.Sequential(nn.GroupNorm(8, a), nn.SiLU(), nn.Conv2d(a, len(self.names), 1))
        self.seen = nn.Sequential(
            nn.Linear(d, d), nn.SiLU(), nn.Dropout(dropout), nn.Linear(d, len(self.names))
        )

    def inputs(
        self,
        images: Float[Tensor, "b rows columns"],
        masks: Bool[Tensor, "b rows columns"],
        carm: CArm,
    ) -> Float[Tensor, "b channels rows columns"]:
        """See `contrast_channels`."""
        return contrast_channels(images, masks, carm)

    def encode(self, inputs: Float[Tensor, "b channels rows columns"]) -> tuple[Tensor, ...]:
        """Features at strides 2, 4, 8 and 16."""
        at2 = self.stem(inputs.contiguous(memory_format=torch.channels_last))
        at4 = self.down4(at2)
        at8 = self.down8(at4)
        return at2, at4, at8, self.down16(at8)

    def decode(self, features: tuple[Tensor, ...]) -> Heatmaps:
        """Heatmaps at stride 2."""
        at2, at4, at8, at16 = features
        at16 = self.bottom(at16)
        pooled = at16.mean((2, 3))
        at16 = at16 + self.everywhere(pooled)[:, :, None, None]
        at8 = self.at8(at8 + doubled(self.up8(at16)))
        at4 = self.at4(at4 + doubled(self.up4(at8)))
        at2 = self.at2(at2 + doubled(self.up2(at4)))
        return Heatmaps(self.head(at2).float(), self.seen(pooled).float())

    def spread_logits(
        self, logits: Float[Tensor, "*b rows columns"]
    ) -> Float[Tensor, "*b rows columns"]:
        """They are trained as a posterior over the pixels already."""
        return logits

    def configuration(self) -> dict[str, object]:
        """See `LandmarkDetector`."""
        return {
            "names": list(self.names),
            "widths": list(self.widths),
            "dropout": self.dropout,
            "framing": asdict(self.framing),
            "trusted_mm": self.trusted_mm,
        }


class Dropped(nn.Module):
    """A block, of whose output whole maps are dropped."""

    def __init__(self, block: nn.Module, chance: float) -> None:
        super().__init__()
        self.block = block
        self.dropout = nn.Dropout2d(chance)

    def forward(self, x: Tensor) -> Tensor:
        """The same size."""
        return self.dropout(self.block(x))
