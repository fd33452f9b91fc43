"""From how uncertain a landmark is to how much it counts: the weightings of the paper.

"Landmark Detection Uncertainty as a Reliability Weight for Robust Landmark-based 2D/3D Pelvic Pose
Estimation": u is the root mean square distance of a landmark's samples from their mean (eq. 5), and
the pose minimises ``sum w |r|^2`` (eq. 3).
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.registration.pnp.correspondences import Correspondences

_EPSILON = 1e-6
"""Pixels; as in the released code."""

WeightingMode = Literal["none", "covariance", "continuous", "inverse", "rank"]


@dataclass(frozen=True)
class Weighting:
    r"""How uncertainty becomes weight. The largest weight is 1 in every mode.

    Parameters
    ----------
    mode
        ``"none"``: all alike. ``"covariance"``: the covariances themselves. ``"continuous"``:
        :math:`e^{-\beta u}` (see `form`). ``"inverse"``: :math:`1 / (u + 10^{-6})`. ``"rank"``: from
        1 for the most certain in even steps to 0 for the least, which then says nothing.
    beta
        Fall-off of ``"continuous"``: 1 / pixel in the pixel form, a number in the normalised one.
    form
        Of ``"continuous"``: ``"pixel"`` takes u in pixels, as the released code does;
        ``"normalised"`` takes u / max u, as the paper's equation 6 does. With the paper's best beta
        (0.001 to 0.01) every normalised weight is at least 0.99, which is no weighting at all.
    discard
        K: this many of the most uncertain landmarks are left out first, if there are more than
        that (the paper's discrete selection is ``Weighting.selection(3)``).

    Raises
    ------
    ValueError
        If the mode or form is unknown, or beta or discard is negative.
    """

    mode: WeightingMode = "none"
    beta: float = 0.01
    form: Literal["pixel", "normalised"] = "pixel"
    discard: int = 0

    def __post_init__(self) -> None:
        if self.mode not in ("none", "covariance", "continuous", "inverse", "rank"):
            raise ValueError(
                f"mode must be none, covariance, continuous, inverse or rank: got {self.mode!r}"
            )
        if self.form not in ("pixel", "normalised"):
            raise ValueError(f"form must be pixel or normalised: got {self.form!r}")
        if not 0 <= self.beta < float("inf"):
            raise ValueError(f"beta must be at least 0: got {self.beta}")
        if self.discard < 0:
            raise ValueError(f"discard is a number of landmarks: got {self.discard}")

    @classmethod
    def selection(cls, discard: int) -> "Weighting":
        """The paper's discrete selection: leave the `discard` most uncertain out, weigh none."""
        return cls("none", discard=discard)


def weighted(
    correspondences: Correspondences,
    weighting: Weighting,
    uncertainty: Float[Tensor, "n"] | None = None,
) -> Correspondences:
    """The correspondences as a weighting sees them.

    Differentiable in the uncertainty, except through ranks and what is left out.

    Parameters
    ----------
    correspondences
        Points that are not kept have no say in ranks and maxima, and stay out.
    weighting
        What to do.
    uncertainty
        u of each point, pixels of the image as stored; NaN counts as the median of the others.
        None: from the covariances.

    Raises
    ------
    ValueError
        If it needs an uncertainty or covariances and there are none.
    """
    if weighting.mode == "covariance" and correspondences.covariances is None:
        raise ValueError("weighting by covariance needs a covariance for every pixel: got none")
    if weighting.mode in ("none", "covariance") and weighting.discard == 0:
        plain = weighting.mode == "none"
        return (
            replace(correspondences, covariances=None, weights=None) if plain else correspondences
        )
    kept = correspondences.kept
    assert kept is not None
    u = _filled(correspondences, uncertainty, kept)
    if weighting.discard and int(kept.sum()) > weighting.discard:
        kept = kept & ~_most_uncertain(u, kept, weighting.discard)
    if weighting.mode == "covariance":
        return replace(correspondences, kept=kept)
    weights = None if weighting.mode == "none" else _weights(u, kept, weighting)
    return replace(correspondences, covariances=None, weights=weights, kept=kept)


def _filled(
    correspondences: Correspondences, given: Tensor | None, kept: Bool[Tensor, "n"]
) -> Float[Tensor, "n"]:
    u = correspondences.uncertainty if given is None else given
    if u is None:
        raise ValueError("this weighting needs the uncertainty of every pixel, or its covariance")
    if u.shape != (len(correspondences),):
        raise ValueError(
            f"the uncertainty of {len(correspondences)} points must have the shape "
            f"({len(correspondences)},): got {tuple(u.shape)}"
        )
    if bool((u < 0).any()) or bool(torch.isinf(u).any()):
        raise ValueError("an uncertainty is a distance in pixels, finite and at least 0")
    known = u[kept & ~torch.isnan(u)]
    if len(known) == 0:
        return torch.zeros_like(u)
    # The mean of the two middle ones, which torch.nanmedian is not.
    return torch.where(torch.isnan(u), torch.quantile(known.detach(), 0.5), u)


def _most_uncertain(u: Tensor, kept: Bool[Tensor, "n"], count: int) -> Bool[Tensor, "n"]:
    order = torch.where(kept, u.detach(), u.new_tensor(-1.0)).argsort(stable=True)
    chosen = torch.zeros_like(kept)
    chosen[order[-count:]] = True
    return chosen


def _weights(u: Tensor, kept: Bool[Tensor, "n"], weighting: Weighting) -> Float[Tensor, "n"]:
    among = torch.where(kept)[0]
    weights = torch.zeros_like(u)
    if len(among) == 0:
        return weights
    v = u[among]
    if weighting.mode == "rank":
        ranks = v.detach().argsort(stable=True).argsort().to(u.dtype)
        w = 1 - ranks / max(len(v) - 1, 1)
    elif weighting.mode == "inverse":
        w = 1 / (v + _EPSILON)
    elif weighting.form == "normalised":
        w = torch.exp(-weighting.beta * v / (v.max() + _EPSILON))
    else:
        w = torch.exp(-weighting.beta * (v - v.min()))  # not of v: it would underflow
    return weights.index_put((among,), w / w.max())
