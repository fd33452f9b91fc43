"""What a comparison of DRRs with a radiograph holds: what was marched, fitted, shown and scored."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_xreg.registration.refinement.host.tone import Tone

Array = npt.NDArray[np.float32]

Window = tuple[slice, slice]
"""Rows and columns of a picture."""


@dataclass(frozen=True, eq=False)
class Observation:
    """What the march at one pose gave."""

    image: Array  # rows x columns
    jacobian: Array  # 6 of every body that moves x rows x columns
    windows: tuple[Window, ...] = ()  # where that of each body is not zero; none: anywhere


@dataclass(frozen=True, eq=False)
class Nuisance:
    """What is fitted beside the pose, and held while a step is judged."""

    tone: Tone | None
    weights: tuple[Array, ...]  # per channel, each sums to 1
    targets: tuple[Array, ...]  # the radiograph under both, z-scored, per channel


@dataclass(frozen=True, eq=False)
class Compared:
    """A channel of one radiograph; `size` is how many pixels its filter reaches over, 1 for none."""

    name: str
    weight: float
    kernels: tuple[Array, Array]  # along a row, along a column
    size: int
    index: npt.NDArray[np.intp]  # flat indices of its usable pixels
    prior: Array  # their weights before any residual is seen; sums to 1


@dataclass(frozen=True, eq=False)
class Shown:
    """DRRs of a batch as the radiograph would show them."""

    steepness: (
        Array | None
    )  # s x rows x columns: how they follow from the line integrals; None: as they are
    values: tuple[Array, ...]  # per channel, s x n


@dataclass(frozen=True, eq=False)
class Scored:
    """One z-scored image on the pixels of a channel."""

    z: Array
    spread: float  # that it had
    residual: Array
    w: Array
