"""The subspace of a 3D point: what the ray embeddings of its projections into templates span."""

import torch
from jaxtyping import Float
from torch import Tensor

# An unpivoted QR tells a rank that is clearly full from one that is not; between the two, ask the SVD.
SUSPICIOUS = 1e-3


def subspace_basis(features: Float[Tensor, "*n d t"]) -> Float[Tensor, "*n d t"]:
    """An orthonormal basis Q of the columns, so that ``Q @ Q.mT == F @ pinv(F)``.

    A thin QR; where columns depend on one another (a template chosen twice, two points clipped to
    one border pixel) the left singular vectors instead, with zeros in place of those that
    `torch.linalg.pinv` would cut: singular values up to ``max(d, t) eps`` of the largest.
    Differentiable where the rank is full.

    Parameters
    ----------
    features
        One column per template.

    Raises
    ------
    ValueError
        If there are as many templates as dimensions: every vector then lies in the subspace.
    """
    d, t = features.shape[-2:]
    if t >= d:
        raise ValueError(
            f"a subspace of embeddings with {d} dimensions needs fewer than {d} templates: got {t}"
        )
    flat = features.reshape(-1, d, t)
    q, r = torch.linalg.qr(flat)
    diagonal = r.detach().diagonal(dim1=-2, dim2=-1).abs()
    largest = torch.linalg.vector_norm(flat.detach(), dim=-2).amax(-1)
    suspect = ~(diagonal.amin(-1) > SUSPICIOUS * largest)
    if suspect.any():
        u, s, _ = torch.linalg.svd(flat[suspect].detach(), full_matrices=False)
        tolerance = max(d, t) * torch.finfo(flat.dtype).eps
        kept = (s > tolerance * s[:, :1]) & (s > 0)
        q = q.index_put((suspect,), u * kept[:, None])
    return q.reshape(features.shape)


def projector(features: Float[Tensor, "*n d t"]) -> Float[Tensor, "*n d d"]:
    """``F @ pinv(F)``, as the paper writes it; `subspace_basis` is the cheap way to the same thing."""
    return features @ torch.linalg.pinv(features)
