"""What the numbers of a volume mean: Hounsfield units, or a line from nothing to bone."""

import math
import re
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Real
from torch import Tensor

from napari_xreg.images.intensity.attenuation import hu_from_lac, lac_from_hu
from napari_xreg.images.intensity.materials import linear_attenuation

_LINEAR = re.compile(r"linear[\s,:]+(\S+?)[\s,:]+(\S+?)(?:[\s,:]+(bone|water))?", re.IGNORECASE)


@dataclass(frozen=True)
class ValueScale:
    """How the values of a volume become attenuation.

    A cone-beam CT without calibration, a 3D angiography, an MR angiography or a stack of bone on a
    background of 0 hold numbers in no unit. Registration needs attenuation up to a factor, so two
    of them are enough: the value where there is nothing, and the value of a known material.

    Parameters
    ----------
    air, material
        Values where nothing attenuates and where `of` is pure; None for Hounsfield units. Between
        them attenuation grows in proportion, beyond `material` too; on the far side of `air` it
        is 0.
    of
        The material: cortical "bone", or "water".

    Raises
    ------
    ValueError
        If one is missing, not finite, or both are the same.

    Examples
    --------
    >>> ValueScale.parse("linear 0 1800")
    ValueScale(air=0.0, material=1800.0, of='bone')
    >>> str(ValueScale.parse("hu")), str(ValueScale(0.0, 1000.0, "water"))
    ('hu', 'linear 0 1000 water')
    """

    air: float | None = None
    material: float | None = None
    of: Literal["bone", "water"] = "bone"

    def __post_init__(self) -> None:
        if self.air is None and self.material is None:
            return
        if self.air is None or self.material is None:
            raise ValueError("a linear scale needs two values: of air and of a material")
        if not (math.isfinite(self.air) and math.isfinite(self.material)):
            raise ValueError("the values of a linear scale must be finite numbers")
        if self.air == self.material:
            raise ValueError(
                f"air and {self.of} cannot have the same value: got {self.air:g} twice"
            )

    @classmethod
    def parse(cls, text: str) -> "ValueScale":
        """``hu``, or ``linear AIR BONE``, or ``linear AIR WATER water``.

        Raises
        ------
        ValueError
            If it is neither.
        """
        if text.strip().lower() == "hu":
            return cls()
        found = _LINEAR.fullmatch(text.strip())
        try:
            air, material = (float(found[1]), float(found[2])) if found else (math.nan, math.nan)
        except ValueError:
            air = material = math.nan
        if found is None or not math.isfinite(air) or not math.isfinite(material):
            raise ValueError(
                "the values of a volume are `hu` or `linear AIR BONE` (two numbers of the file, "
                f"where nothing is and where cortical bone is): got {text!r}"
            )
        return cls(air, material, "water" if (found[3] or "").lower() == "water" else "bone")

    def __str__(self) -> str:
        if self.air is None or self.material is None:
            return "hu"
        air, material = (
            f"{value:.17g}" if float(f"{value:g}") != value else f"{value:g}"
            for value in (self.air, self.material)
        )
        return f"linear {air} {material}" + (" water" if self.of == "water" else "")

    @property
    def words(self) -> str:
        """For people."""
        if self.air is None or self.material is None:
            return "Hounsfield units"
        return f"linear: {self.air:g} is air, {self.material:g} is {self.of}"

    def attenuation(
        self, values: Real[Tensor, "z y x"], energy_kev: float
    ) -> tuple[Float[Tensor, "z y x"], Real[Tensor, "z y x"]]:
        """Linear attenuation (1/mm), and the Hounsfield units that would have it."""
        if self.air is None or self.material is None:
            return lac_from_hu(values, energy_kev=energy_kev), values
        per_value = float(linear_attenuation(self.of, energy_kev)) / (self.material - self.air)
        lac = values.to(torch.float32).sub(self.air).mul_(per_value).clamp_min_(0.0)
        return lac, hu_from_lac(lac, energy_kev=energy_kev)
