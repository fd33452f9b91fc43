"""The contrastive loss: among all pixels of the image, the one on the point's ray should win."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from napari_xreg.rayemb.heatmap import upsampled


def info_nce(
    embedding: Float[Tensor, "b d h w"],
    basis: Float[Tensor, "b n d t"],
    positions: Float[Tensor, "b n 2"],
    inside: Bool[Tensor, "b n"],
    counted: Bool[Tensor, "b n"],
    usable: Bool[Tensor, "b rows columns"],
    *,
    upsampling: int,
    temperature: Tensor,
    outside_logit: Tensor | None,
) -> tuple[Float[Tensor, ""], Float[Tensor, "b n rows columns"]]:
    """InfoNCE over all usable pixels of the same image, and one answer more: "not in this image".

    The positive is shared by the four heatmap pixels around the true position, by bilinear weights,
    so that the loss does not prefer the middle of a pixel.

    Parameters
    ----------
    embedding
        Of the images, per cell.
    basis
        Of every point, see `subspace_basis`.
    positions
        True row, column in heatmap pixels; what lies outside of the image is not read.
    inside
        Whether the point is in the image and usable there.
    counted
        Points to leave out of the loss are False: too few templates see them.
    usable
        Heatmap pixels that may be an answer.
    upsampling
        Heatmap pixels per cell.
    temperature
        Of the softmax.
    outside_logit
        None: as in the paper, points outside the image are left out of the loss instead.

    Returns
    -------
    loss
        Mean over the counted points, nats.
    similarities
        Detached, for reading off errors.
    """
    b, n, d, t = basis.shape
    h, w = embedding.shape[-2:]
    flat = embedding.reshape(b, d, h * w)
    coordinates = (basis.transpose(2, 3).reshape(b, n * t, d) @ flat).reshape(b, n * t, h, w)
    up = upsampled(coordinates, upsampling)
    rows, columns = up.shape[-2:]
    square = up.reshape(b, n, t, rows, columns).square().sum(2)
    norm = upsampled(embedding, upsampling).square().sum(1, keepdim=True)
    # The root's slope at zero is infinite; similarities of 1e-4 are none.
    similarities = (square / norm.clamp_min(1e-12) + 1e-8).sqrt()
    raw = similarities / temperature
    logits = raw.masked_fill(~usable[:, None], -1e4).flatten(2)
    if outside_logit is not None:
        out = outside_logit.expand(b, n, 1)
        total = torch.cat([logits, out], 2).logsumexp(2)
    else:
        counted = counted & inside
        total = logits.logsumexp(2)
    # Of the unmasked values: a point beside the mask has masked pixels among its four.
    score = _at(raw.flatten(2), positions, rows, columns)
    if outside_logit is not None:
        score = torch.where(inside, score, outside_logit)
    weight = counted.to(score.dtype)
    loss = ((total - score) * weight).sum() / weight.sum().clamp_min(1)
    return loss, similarities.detach()


def _at(
    logits: Float[Tensor, "b n pixels"], positions: Float[Tensor, "b n 2"], rows: int, columns: int
) -> Float[Tensor, "b n"]:
    """Logits at positions, bilinear; the border goes on."""
    limit = positions.new_tensor([rows - 1, columns - 1])
    where = torch.minimum(positions.nan_to_num(0.0).clamp_min(0), limit)
    low = where.floor().long()
    high = torch.minimum(low + 1, limit.long())
    share = (where - low).to(logits)
    score = torch.zeros_like(share[..., 0])
    for row, by_row in ((low, 1 - share), (high, share)):
        for column, by_column in ((low, 1 - share), (high, share)):
            index = row[..., 0] * columns + column[..., 1]
            score = score + by_row[..., 0] * by_column[..., 1] * logits.gather(
                2, index[..., None]
            )[..., 0]  # fmt: skip
    return score


def usable_cells(
    masks: Bool[Tensor, "b rows columns"], rows: int, columns: int
) -> Bool[Tensor, "b heatmap_rows heatmap_columns"]:
    """Heatmap pixels of which at least half is usable."""
    share = functional.adaptive_avg_pool2d(masks[:, None].float(), (rows, columns))
    return share[:, 0] >= 0.5
