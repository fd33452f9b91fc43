"""How sure the poses of several bodies are, together."""

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.registration.refinement.confidence import sandwich, scale_twist


def part_of(body: int) -> slice:
    """Where the six rows of a body stand."""
    return slice(6 * body, 6 * body + 6)


def joint_covariance(
    hessians: Float[Tensor, "views n n"],
    meat: npt.NDArray[np.float64],
    sources: Float[Tensor, "views bodies 3"],
    pivots: Float[Tensor, "bodies 3"],
    known: Float[Tensor, "n n"] | None,
) -> tuple[Float[Tensor, "n n"], Float[Tensor, "n"]] | None:
    """The covariance of the twists of all bodies, and what the CT's scale has of it; None: of none.

    A body that hardly shows has none (NaN), and takes nothing from the others.

    Parameters
    ----------
    hessians, sources, pivots, known
        As of `scale_twist`.
    meat
        As of `sandwich`.
    """
    whole = hessians.sum(0) if known is None else hessians.sum(0) + known
    filling = torch.from_numpy(meat)
    told = []
    for body in range(len(pivots)):
        own = part_of(body), part_of(body)
        if sandwich(whole[own].numpy(), filling[own].numpy()) is not None:
            told.append(body)
    rows = torch.cat([torch.arange(6) + 6 * body for body in told]) if told else torch.arange(0)
    among = rows[:, None], rows
    found = sandwich(whole[among].numpy(), filling[among].numpy()) if told else None
    if found is None:
        return None
    moved = scale_twist(
        hessians[:, rows[:, None], rows], sources[:, told], pivots[told],
        known=None if known is None else known[among],
    )  # fmt: skip
    covariance, scale = torch.full_like(whole, torch.nan), torch.full_like(whole[0], torch.nan)
    covariance[among] = found + moved.outer(moved)
    scale[rows] = moved
    return covariance, scale
