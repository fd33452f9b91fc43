"""The channels of the least squares: images of DRR and radiograph that are compared, each a value.

A channel is a name, a weight and a linear filter that both images pass through; what a filter says
here, the refinement does on every device. What the user chooses by name: `comparisons`.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Kernel = npt.NDArray[np.float32]

OUTLIER_SCALE = 3.0
"""Residuals beyond about this many robust standard deviations are outliers, where nobody says else."""


@runtime_checkable
class Filter(Protocol):
    """A separable linear filter. Its weights sum to 0 (`edges`) or to 1."""

    @property
    def edges(self) -> bool:
        """Whether it answers to edges alone: then the contrast around a pixel weighs it."""
        ...

    def kernels(self) -> tuple[Kernel, Kernel]:
        """Along a row (over columns) and along a column (over rows); of odd length."""
        ...


@dataclass(frozen=True)
class Plain:
    """The image itself."""

    edges = False

    def kernels(self) -> tuple[Kernel, Kernel]:
        """One, and one."""
        return np.ones(1, np.float32), np.ones(1, np.float32)


@dataclass(frozen=True)
class GaussianDerivative:
    """The derivative of the image smoothed by a Gaussian; it answers with 1 to a ramp of 1 per pixel.

    Parameters
    ----------
    along
        "rows": from row to row; "columns": from column to column.
    sigma
        Of the Gaussian, pixels of the level.
    """

    along: Literal["rows", "columns"]
    sigma: float = 1.0
    edges = True

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"the derivative width must be positive, in pixels: got {self.sigma}")

    def kernels(self) -> tuple[Kernel, Kernel]:
        """The derivative along its own direction, the Gaussian along the other."""
        reach = max(1, round(3 * self.sigma))
        x = np.arange(-reach, reach + 1, dtype=np.float64)
        gaussian = np.exp(-0.5 * (x / self.sigma) ** 2)
        gaussian /= gaussian.sum()
        derivative = x * gaussian
        derivative /= (x * derivative).sum()
        smooth, slope = gaussian.astype(np.float32), derivative.astype(np.float32)
        return (smooth, slope) if self.along == "rows" else (slope, smooth)


@dataclass(frozen=True)
class Channel:
    """One compared image.

    Parameters
    ----------
    name
        Of its term of the loss.
    weight
        Of that term, which is 1 - NCC of the filtered images.
    filter
        What both images pass through.
    """

    name: str
    weight: float
    filter: Filter = field(default_factory=Plain)


def intensity(weight: float) -> tuple[Channel, ...]:
    """The image itself."""
    return (Channel("intensity", weight),)


def gradient(weight: float, sigma: float = 1.0) -> tuple[Channel, ...]:
    """Both derivative images together, Gaussian of `sigma` pixels."""
    return (
        Channel("gradient_rows", weight / 2, GaussianDerivative("rows", sigma)),
        Channel("gradient_columns", weight / 2, GaussianDerivative("columns", sigma)),
    )


@dataclass(frozen=True)
class Channels:
    """Which images are compared, and how their pixels weigh.

    Parameters
    ----------
    compared
        The images; one that weighs nothing is left out.
    outlier_scale
        Residuals beyond about this many (robust) standard deviations lose their say, as an
        instrument in the image should (Geman-McClure weights, recomputed each iteration). None:
        least squares.
    tone
        Fit how the radiograph's grey values follow from the DRR's (`tone`), each iteration, and
        how bright bone is against soft tissue (`hardening`), at the first level and the last; there, by
        edges, how much scatter lies over it too (`scatter`), where a level before has brought the pose near.
    contrast_floor
        Weigh a pixel of the edge images by one over the radiograph's contrast around it (root
        mean square slope over 9 x 9 pixels) plus this share of the median contrast (of pixels that
        have any): the faint edges of a bone behind soft tissue count beside its strong ones, as
        they do in patch-wise NCC. None: every pixel alike.
    """

    compared: tuple[Channel, ...] = (*intensity(0.5), *gradient(0.5))
    outlier_scale: float | None = None
    tone: bool = False
    contrast_floor: float | None = None

    @property
    def edges(self) -> bool:
        """Whether anything is compared by its edges."""
        return any(c.filter.edges and c.weight > 0 for c in self.compared)

    def __post_init__(self) -> None:
        weights = [channel.weight for channel in self.compared]
        if not all(weight >= 0 for weight in weights) or not sum(weights) > 0:
            said = ", ".join(f"{channel.name}={channel.weight}" for channel in self.compared)
            raise ValueError(
                f"channel weights must not be negative nor all zero: got {said or 'no channel'}"
            )
        names = [channel.name for channel in self.compared]
        if len(set(names)) < len(names):
            raise ValueError(f"every channel needs a name of its own: got {', '.join(names)}")
        if self.contrast_floor is not None and not self.contrast_floor > 0:
            raise ValueError(
                f"the contrast floor is a positive share of the median: got {self.contrast_floor}"
            )


FAR_OFF = Channels((*intensity(0.8), *gradient(0.2)))
"""Where the start is far off: edges have narrow basins (docs/decisions/0038-landscapes.md). Wider kernels would
lose too much of a picture that is narrowly collimated."""
FAR_OFF_OTHERWISE = Channels((*intensity(0.5), *gradient(0.5)))
"""Where that led astray: what is beside the patient, bright and broad, misleads edges less."""

ROBUST = Channels(
    (*intensity(0.2), *gradient(0.8, sigma=0.8)),
    outlier_scale=OUTLIER_SCALE,
    tone=True,
    contrast_floor=0.1,
)
"""What real images need once the anatomy is roughly in place; too early, it is itself the outlier."""
