"""`host.correlated` for poses on a device: the part of `confidence` that looks at every pixel."""

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.registration.refinement.confidence import CORRELATION_REACH


def correlated_sums(scores: Float[Tensor, "cases 6 rows columns"]) -> Float[Tensor, "cases 6 6"]:
    """Products of gradients nearby, summed, for each of a batch."""
    reach = max(1, round(CORRELATION_REACH * max(scores.shape[2:])))
    # Sums over all boxes that touch the image.
    padded = torch.nn.functional.pad(scores, (reach - 1,) * 4)
    boxes = padded.unfold(-1, reach, 1).sum(-1).unfold(-2, reach, 1).sum(-1).flatten(2)
    total: Tensor = boxes @ boxes.mT / reach**2
    return total
