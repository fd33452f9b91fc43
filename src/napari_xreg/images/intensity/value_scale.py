"""What the numbers of a volume mean: Hounsfield units, or a line from nothing to bone."""

import math
import re
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Real
from torch import Tensor

from napari_xreg.images.intensity.attenuation import CT_ENERGY_KEV, hu_from_lac, lac_from_hu
from napari_xreg.images.intensity.materials import linear_attenuation

_HU = re.compile(r"hu(?:[\s,:]+(\S+?)[\s,:]+(\S+?))?", re.IGNORECASE)
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
    slope, intercept
        Of Hounsfield units: slope times value plus intercept. A stack of whole numbers from 0 often
        holds HU + 1024.

    Raises
    ------
    ValueError
        If one is missing, not finite, or both are the same; or the slope is 0.

    Examples
    --------
    >>> ValueScale.parse("linear 0 1800")
    ValueScale(air=0.0, material=1800.0, of='bone', slope=1.0, intercept=0.0)
    >>> str(ValueScale.parse("hu 1 -1024"))
    'hu 1 -1024'
    >>> str(ValueScale.parse("hu")), str(ValueScale(0.0, 1000.0, "water"))
    ('hu', 'linear 0 1000 water')
    """

    air: float | None = None
    material: float | None = None
    of: Literal["bone", "water"] = "bone"
    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.slope) and math.isfinite(self.intercept)) or self.slope == 0:
            raise ValueError(
                "slope and intercept of Hounsfield units must be finite numbers, the slope not 0: got "
                f"{self.slope:g} and {self.intercept:g}"
            )
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
        """``hu``, ``hu SLOPE INTERCEPT``, ``linear AIR BONE``, or ``linear AIR WATER water``.

        Raises
        ------
        ValueError
            If it is neither.
        """
        units = _HU.fullmatch(text.strip())
        if units is not None and units[1] is None:
            return cls()
        if units is not None:
            try:
                return cls(slope=float(units[1]), intercept=float(units[2]))
            except ValueError as error:
                raise ValueError(
                    f"`hu SLOPE INTERCEPT` takes two numbers, the slope not 0: got {text!r}"
                ) from error
        found = _LINEAR.fullmatch(text.strip())
        try:
            air, material = (float(found[1]), float(found[2])) if found else (math.nan, math.nan)
        except ValueError:
            air = material = math.nan
        if found is None or not math.isfinite(air) or not math.isfinite(material):
            raise ValueError(
                "the values of a volume are `hu`, `hu SLOPE INTERCEPT` or `linear AIR BONE` (two numbers of the file, "
                f"where nothing is and where cortical bone is): got {text!r}"
            )
        return cls(air, material, "water" if (found[3] or "").lower() == "water" else "bone")

    @property
    def is_hu(self) -> bool:
        """Whether the values are Hounsfield units as they stand."""
        return self == ValueScale()

    def __str__(self) -> str:
        if self.is_hu:
            return "hu"
        if self.air is None or self.material is None:
            return f"hu {_exact(self.slope)} {_exact(self.intercept)}"
        air, material = _exact(self.air), _exact(self.material)
        return f"linear {air} {material}" + (" water" if self.of == "water" else "")

    @property
    def words(self) -> str:
        """For people."""
        if self.is_hu:
            return "Hounsfield units"
        if self.air is None or self.material is None:
            factor = "" if self.slope == 1 else f"{self.slope:g} x "
            sign = "-" if self.intercept < 0 else "+"
            return f"Hounsfield units: {factor}value {sign} {abs(self.intercept):g}"
        return f"linear: {self.air:g} is air, {self.material:g} is {self.of}"

    def attenuation(
        self,
        values: Real[Tensor, "z y x"],
        energy_kev: float,
        *,
        ct_energy_kev: float = CT_ENERGY_KEV,
    ) -> tuple[Float[Tensor, "z y x"], Real[Tensor, "z y x"]]:
        """Linear attenuation (1/mm), and the Hounsfield units that would have it."""
        if self.air is None or self.material is None:
            hu = values
            if not self.is_hu:
                whole = self.slope.is_integer() and self.intercept.is_integer()
                kept = torch.int32 if whole and not values.is_floating_point() else torch.float32
                hu = values.to(kept) * self.slope + self.intercept
                hu = hu.to(kept)
            return lac_from_hu(hu, energy_kev=energy_kev, ct_energy_kev=ct_energy_kev), hu
        per_value = float(linear_attenuation(self.of, energy_kev)) / (self.material - self.air)
        lac = values.to(torch.float32).sub(self.air).mul_(per_value).clamp_min_(0.0)
        return lac, hu_from_lac(lac, energy_kev=energy_kev, ct_energy_kev=ct_energy_kev)


def _exact(value: float) -> str:
    return f"{value:.17g}" if float(f"{value:g}") != value else f"{value:g}"
