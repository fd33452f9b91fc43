"""What a heatmap should be: balls that shrink while training goes on, or a single point."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class DilationErosion:
    """Labels that begin large, so that every pixel learns soon, and are eroded step by step.

    Of the paper's released code: one pixel, dilated d times by a cross, d = 65, 55, ... 5 on 512
    pixels, each for as long as another.

    Parameters
    ----------
    shares
        Radius d over the longer side of the heatmap, in order.
    """

    shares: tuple[float, ...] = tuple(d / 512 for d in range(65, 0, -10))

    def __post_init__(self) -> None:
        if not self.shares or not all(0 <= share < 1 for share in self.shares):
            raise ValueError(
                f"a schedule is a list of radii over the side of the image: got {self.shares}"
            )

    def radius(self, progress: float, shape: tuple[int, int]) -> int:
        """Radius d, heatmap pixels, at a share of the training; at least 1.

        Parameters
        ----------
        progress
            0 at the beginning, 1 at the end.
        shape
            Rows, columns of the heatmap.
        """
        at = min(int(progress * len(self.shares)), len(self.shares) - 1)
        return max(1, round(self.shares[at] * max(shape)))


def ball(
    pixels: Float[Tensor, "*n 2"], radius: int, shape: tuple[int, int]
) -> Bool[Tensor, "*n rows columns"]:
    """A pixel dilated `radius` times by a cross: all pixels within that distance in the L1 norm.

    Centred between pixels if the place is; empty at a place that is NaN.
    """
    rows = torch.arange(shape[0], dtype=pixels.dtype, device=pixels.device)
    columns = torch.arange(shape[1], dtype=pixels.dtype, device=pixels.device)
    down = (rows - pixels[..., :1]).abs()[..., :, None]
    right = (columns - pixels[..., 1:]).abs()[..., None, :]
    # Half a pixel more: a centre between two pixels keeps as many of them.
    return down + right <= radius + 0.5


def ball_size(radius: int) -> int:
    """Pixels of a ball about the centre of a pixel: ``1 + 2 d (d + 1)``."""
    return 1 + 2 * radius * (radius + 1)


def weighted_bce(
    logits: Float[Tensor, "b n rows columns"],
    labels: Bool[Tensor, "b n rows columns"],
    known: Bool[Tensor, "b n"],
    radius: int,
) -> Float[Tensor, ""]:
    """Binary cross-entropy in which a ball counts as much as all that lies around it.

    Parameters
    ----------
    labels
        Empty where the landmark is not in the image.
    known
        False for landmarks of which the patient's place is not known: they teach nothing.
    radius
        Of the balls, for their weight ``(pixels - n) / n``.
    """
    pixels = logits.shape[-2] * logits.shape[-1]
    size = min(ball_size(radius), pixels - 1)
    losses = functional.binary_cross_entropy_with_logits(
        logits, labels.to(logits.dtype), reduction="none",
        pos_weight=logits.new_tensor((pixels - size) / size),
    ).mean((2, 3))  # fmt: skip
    return (losses * known).sum() / known.sum().clamp_min(1)


def point_loss(
    logits: Float[Tensor, "b n rows columns"],
    pixels: Float[Tensor, "b n 2"],
    inside: Bool[Tensor, "b n"],
) -> Float[Tensor, ""]:
    """Cross-entropy of the softmax over the map with the landmark's place.

    The place is shared by the four pixels around it, by bilinear weights, so the mean of the best
    map is the place itself. A map trained so is a posterior: its spread means something.

    Parameters
    ----------
    inside
        The others teach nothing.
    """
    rows, columns = logits.shape[-2:]
    place = pixels.nan_to_num(0.0)
    place = torch.stack([place[..., 0].clamp(0, rows - 1), place[..., 1].clamp(0, columns - 1)], -1)
    low = torch.minimum(place.floor(), place.new_tensor([rows - 2, columns - 2])).clamp_min(0)
    part = place - low
    low = low.long()
    log_share = logits.flatten(2).log_softmax(-1)
    total = torch.zeros_like(part[..., 0])
    for i in (0, 1):
        for j in (0, 1):
            weight = (part[..., 0] if i else 1 - part[..., 0]) * (
                part[..., 1] if j else 1 - part[..., 1]
            )
            at = (low[..., 0] + i).clamp_max(rows - 1) * columns + (low[..., 1] + j).clamp_max(
                columns - 1
            )
            total = total - weight * log_share.gather(2, at[..., None])[..., 0]
    return (total * inside).sum() / inside.sum().clamp_min(1)
