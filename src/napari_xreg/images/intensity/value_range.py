"""Between which values a detector wrote: narrower than the type its file stores them in.

A detector of 12 bits in a file of 16 never writes 65535. Where bright means little intensity, the
upper end of the range is where the intensity is zero: with the container's end in its place the
logarithm is all but a straight line.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Shaped
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class ValueRange:
    """The smallest and the largest value that a detector can write.

    Parameters
    ----------
    low, high
        In the units of the pixels they belong to; a reading at an end is clipped.
    origin
        Where they come from, in words.
    signed
        Values below zero are meant as such. False: zero lies at `low`, whatever offset the file adds.
    """

    low: float
    high: float
    origin: str
    signed: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(
                f"a range of values has a lower and a higher end: got {self.low:g} and {self.high:g}"
            )

    @property
    def width(self) -> float:
        """From end to end."""
        return self.high - self.low

    def rescaled(self, slope: float, intercept: float) -> "ValueRange":
        """The range of ``slope * value + intercept``; a negative slope exchanges the ends."""
        ends = slope * self.low + intercept, slope * self.high + intercept
        return ValueRange(min(ends), max(ends), self.origin, self.signed)


def integer_range(
    values: Shaped[Tensor, "*any"],
    *,
    bits: int,
    signed: bool = False,
    stated: bool = False,
) -> ValueRange:
    """The range of whole numbers stored in so many bits.

    Parameters
    ----------
    values
        The usable pixels as stored.
    bits
        Of the stored type, or of the detector where the file says it.
    signed
        Of the stored type.
    stated
        The file says that the detector has these `bits`: believed, unless a value exceeds them.
        Otherwise it is taken to have the least even number of bits, 8 or more, that holds all values.
    """
    low, high = (float(v) for v in values.aminmax()) if values.numel() else (0.0, 0.0)
    negative = low < 0
    if not (stated or bits <= 8) or not _holds(bits, low, high, signed=signed):
        fitting = (n for n in range(8, 64, 2) if _holds(n, low, high, signed=negative))
        fewest = next(fitting, 64)
        if stated or fewest < bits:
            why = f"{fewest} bits, the fewest that hold its values ({low:g} to {high:g}), of {bits}"
            return _range(fewest, negative, why)
    return _range(bits, signed, f"its {bits} bits")


def array_range(array: NDArray[Any]) -> ValueRange | None:
    """The range of an array of whole numbers whose file says nothing else; None for floats."""
    if array.dtype.kind == "b":
        return ValueRange(0.0, 1.0, "its 1 bit")
    if array.dtype.kind not in "ui":
        return None
    ends = torch.tensor([float(array.min()), float(array.max())] if array.size else [])
    return integer_range(ends, bits=8 * array.dtype.itemsize, signed=array.dtype.kind == "i")


def floating_range(values: Shaped[Tensor, "*any"]) -> ValueRange:
    """The range of floating-point values: of 0..1, of whole numbers, or up to the largest there is."""
    low, high = (float(v) for v in values.aminmax())
    if low >= 0 and high <= 1:
        return ValueRange(0.0, 1.0, "its values lie in 0..1")
    if bool((values == values.round()).all()):
        return integer_range(values, bits=64, signed=low < 0)
    return ValueRange(min(low, 0.0), high, "its largest value", signed=low < 0)


def _holds(bits: int, low: float, high: float, *, signed: bool) -> bool:
    least, most = _ends(bits, signed)
    return least <= low and high <= most


def _ends(bits: int, signed: bool) -> tuple[float, float]:
    if signed:
        return -float(2 ** (bits - 1)), float(2 ** (bits - 1) - 1)
    return 0.0, float(2**bits - 1)


def _range(bits: int, signed: bool, origin: str) -> ValueRange:
    return ValueRange(*_ends(bits, signed), origin, signed)
