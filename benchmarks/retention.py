"""How good results are when the most uncertain are withheld."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Retention:
    """Mean error of the images that are kept when the most uncertain are withheld (paper, Fig. 6).

    Parameters
    ----------
    kept
        Share of the images, from all to one of them.
    error
        Mean over these, in the unit of the errors.
    oracle
        The same if the images of the largest errors were withheld: no order does better.
    area, oracle_area, random_area
        Means of the curves over the share; what any order gives on average is the mean error.
    """

    kept: Float[Tensor, "n"]
    error: Float[Tensor, "n"]
    oracle: Float[Tensor, "n"]
    area: float
    oracle_area: float
    random_area: float

    @property
    def skill(self) -> float:
        """1 where the uncertainty orders images as their errors do, 0 where it says nothing."""
        gain = self.random_area - self.oracle_area
        return (self.random_area - self.area) / gain if gain > 0 else float("nan")


def retention(
    uncertainty: Float[Tensor, "n"] | Sequence[float], error: Float[Tensor, "n"] | Sequence[float]
) -> Retention:
    """The error-retention curve of some images.

    Raises
    ------
    ValueError
        If there are no images, or the two differ in number, or a number is NaN.
    """
    u = torch.as_tensor(uncertainty, dtype=torch.float64)
    e = torch.as_tensor(error, dtype=torch.float64)
    if u.ndim != 1 or u.shape != e.shape or not len(u):
        raise ValueError(
            "a retention curve needs one uncertainty and one error for each image: got "
            f"{tuple(u.shape)} and {tuple(e.shape)}"
        )
    if bool((torch.isnan(u) | torch.isnan(e)).any()):
        raise ValueError("an uncertainty or error is NaN: leave such images out, and say so")
    count = torch.arange(len(u), 0, -1, dtype=torch.float64)

    def curve(order: Tensor) -> Tensor:
        return e[order].cumsum(0).flip(0) / count

    kept = curve(u.argsort(stable=True))
    best = curve(e.argsort(stable=True))
    return Retention(
        count / len(u), kept, best, float(kept.mean()), float(best.mean()), float(e.mean())
    )
