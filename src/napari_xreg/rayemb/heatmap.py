"""How well every pixel agrees with a point: similarity, and the posterior that follows from it."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional


def embedding_norm(
    embedding: Float[Tensor, "d h w"], upsampling: int
) -> Float[Tensor, "rows columns"]:
    """Length of the upsampled embedding."""
    up = upsampled(embedding[None], upsampling)[0]
    return up.square().sum(0).sqrt()


def similarity(
    embedding: Float[Tensor, "d h w"],
    basis: Float[Tensor, "n d t"],
    *,
    upsampling: int = 1,
    norm: Float[Tensor, "rows columns"] | None = None,
) -> Float[Tensor, "n rows columns"]:
    """Cosine of the angle between every pixel's embedding and a point's subspace, 0 to 1.

    ``cos(e, P e) = |Q^T e| / |e|``. The projection commutes with bilinear upsampling, so it is made
    on the cells and only its t channels are upsampled (64 times cheaper at RayEmb's sizes).
    Always float32: peaks are flat, and half precision near 1 is coarser than what separates them.

    Parameters
    ----------
    embedding
        Of a radiograph, per cell.
    basis
        See `subspace_basis`.
    upsampling
        Heatmap pixels per cell, each way.
    norm
        `embedding_norm`, where it is known already.
    """
    embedding = embedding.float()
    if norm is None:
        norm = embedding_norm(embedding, upsampling)
    n, d, t = basis.shape
    h, w = embedding.shape[-2:]
    # One matrix product: einsum would make n small ones.
    coordinates = basis.float().transpose(1, 2).reshape(n * t, d) @ embedding.reshape(d, h * w)
    up = upsampled(coordinates.reshape(n, t, h, w), upsampling)
    # torch.linalg.vector_norm over a middle axis takes 35 times as long.
    return up.square().sum(1).sqrt() / norm.clamp_min(1e-8)


def upsampled(x: Float[Tensor, "b c h w"], factor: int) -> Float[Tensor, "b c rows columns"]:
    """Bilinear, outer edges in place. Two matrix products are twice as fast here as
    `functional.interpolate`, whose weights they hold."""
    if factor == 1:
        return x
    h, w = x.shape[-2:]
    return _upsampling_matrix(h, factor).to(x) @ x @ _upsampling_matrix(w, factor).to(x).mT


@functools.cache
def _upsampling_matrix(cells: int, factor: int) -> Float[Tensor, "pixels cells"]:
    unit = torch.eye(cells)[None]
    return functional.interpolate(unit, scale_factor=factor, mode="linear")[0].T.contiguous()


def similarity_chunk(cells: int, templates: int, upsampling: int, megabytes: float = 160.0) -> int:
    """How many points at once keep the temporaries of `similarity` within a budget."""
    per_point = 4.0 * cells * upsampling**2 * (templates + 4)
    return max(1, int(megabytes * 1e6 / per_point))


@dataclass(frozen=True, eq=False)
class Posterior:
    """Where points may be, read off their heatmaps; positions in heatmap pixels (row, column).

    Parameters
    ----------
    peak
        The highest pixel, refined by a parabola through its neighbours.
    similarity
        At the highest pixel, 0 to 1.
    mean, covariance
        Of the whole posterior, given that the point is in the image.
    entropy
        Of the same, nats; ``log(pixels)`` when nothing is known.
    in_image
        Probability that the point is in the image at all; NaN where that was never learned.
    """

    peak: Float[Tensor, "n 2"]
    similarity: Float[Tensor, "n"]
    mean: Float[Tensor, "n 2"]
    covariance: Float[Tensor, "n 2 2"]
    entropy: Float[Tensor, "n"]
    in_image: Float[Tensor, "n"]

    @property
    def covariance_about_peak(self) -> Float[Tensor, "n 2 2"]:
        """Expected squared deviation from the peak: several peaks make it large, as they should."""
        away = self.mean - self.peak
        return self.covariance + away[:, :, None] * away[:, None, :]

    def __getitem__(self, index: Tensor) -> "Posterior":
        return Posterior(
            self.peak[index],
            self.similarity[index],
            self.mean[index],
            self.covariance[index],
            self.entropy[index],
            self.in_image[index],
        )


def probabilities(
    similarities: Float[Tensor, "n rows columns"],
    temperature: Tensor | float,
    *,
    usable: Bool[Tensor, "rows columns"] | None = None,
) -> Float[Tensor, "n rows columns"]:
    """Softmax of similarity over temperature over the usable pixels: sums to 1."""
    logits = _logits(similarities, temperature, usable)
    return logits.flatten(1).softmax(1).reshape(similarities.shape)


def posterior(
    similarities: Float[Tensor, "n rows columns"],
    temperature: Tensor | float,
    *,
    usable: Bool[Tensor, "rows columns"] | None = None,
    outside_logit: Tensor | float = math.nan,
) -> Posterior:
    """Read heatmaps: peak, mean, covariance, entropy, and whether the point is in the image.

    Parameters
    ----------
    similarities
        See `similarity`.
    temperature
        Of the softmax.
    usable
        Pixels that may be an answer.
    outside_logit
        Score that competes with all pixels together; NaN: `in_image` is NaN.
    """
    n, rows, columns = similarities.shape
    square = _logits(similarities, temperature, usable)
    logits = square.flatten(1)
    total = logits.logsumexp(1)
    at = logits.argmax(1)
    p = torch.exp(logits - total[:, None])
    entropy = -(p * (logits - total[:, None]).clamp_min(-1e4)).sum(1)
    weights = p.reshape(n, rows, columns)
    mean, covariance = _moments(weights)
    outside = torch.as_tensor(outside_logit, dtype=total.dtype, device=total.device)
    in_image = torch.sigmoid(total - outside)
    peak = _refined(square, at)
    best = similarities.flatten(1).gather(1, at[:, None])[:, 0]
    return Posterior(peak, best, mean, covariance, entropy, in_image)


def _logits(
    similarities: Tensor, temperature: Tensor | float, usable: Tensor | None
) -> Float[Tensor, "n rows columns"]:
    logits = similarities.float() / temperature
    return logits if usable is None else logits.masked_fill(~usable, -torch.inf)


def _moments(
    weights: Float[Tensor, "n rows columns"],
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2 2"]]:
    """Mean and covariance of positions; the weights sum to 1. Exact sums from marginals."""
    n, rows, columns = weights.shape
    row = torch.arange(rows, dtype=weights.dtype, device=weights.device)
    column = torch.arange(columns, dtype=weights.dtype, device=weights.device)
    along, across = weights.sum(2), weights.sum(1)
    mean = torch.stack([along @ row, across @ column], 1)
    # Deviations from the mean, not differences of large squares.
    dr, dc = row - mean[:, :1], column - mean[:, 1:]
    var_row = (along * dr**2).sum(1)
    var_column = (across * dc**2).sum(1)
    mixed = torch.einsum("nr,nrc,nc->n", dr, weights, dc)
    covariance = torch.stack([var_row, mixed, mixed, var_column], 1).reshape(n, 2, 2)
    return mean, covariance


def _refined(logits: Float[Tensor, "n rows columns"], at: Int[Tensor, "n"]) -> Float[Tensor, "n 2"]:
    """The top of a parabola through the highest pixel and its neighbours, each way.

    Exact for a Gaussian posterior of any width. (A mean over a window is drawn to the middle of
    the highest pixel where the peak is wider than the window.) At a border, or beside a pixel that
    is not usable, the highest pixel itself.
    """
    n, rows, columns = logits.shape
    row, column = at // columns, at % columns
    point = torch.arange(n, device=logits.device)

    def along(index: Tensor, size: int, value: Callable[[Tensor], Tensor]) -> Tensor:
        before, after = value((index - 1).clamp_min(0)), value((index + 1).clamp_max(size - 1))
        bend = 2 * value(index) - before - after
        shift = 0.5 * (after - before) / bend.clamp_min(1e-12)
        good = (index > 0) & (index < size - 1) & torch.isfinite(before + after) & (bend > 0)
        return index + torch.where(good, shift.nan_to_num(0.0), 0.0).clamp(-0.5, 0.5)

    return torch.stack(
        [
            along(row, rows, lambda r: logits[point, r, column]),
            along(column, columns, lambda c: logits[point, row, c]),
        ],
        1,
    )
