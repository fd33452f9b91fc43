"""What a CT number is made of: thicknesses of water, cortical bone and metal."""

from dataclasses import dataclass

from napari_xreg.images import CT_ENERGY_KEV, linear_attenuation

# Above this no bone is expected, below it no implant: CT numbers of 12-bit scanners end at 3071.
METAL_HU = 2800.0


@dataclass(frozen=True)
class Decomposition:
    """A CT number as thicknesses of water, cortical bone and metal (bilinear calibration).

    With u = 1 + HU / 1000 (attenuation over that of water at the energy of the CT): up to water the
    voxel is diluted water; from water to cortical bone a mixture by volume; beyond it denser bone;
    above `METAL_HU` metal alone. At the energy of the CT the three add up to u again, exactly.

    Parameters
    ----------
    bone
        u of pure cortical bone.
    metal
        u of pure implant metal (titanium).
    metal_threshold
        u from which a voxel is metal.
    """

    bone: float
    metal: float
    metal_threshold: float = 1.0 + METAL_HU / 1000.0

    @classmethod
    def standard(cls) -> "Decomposition":
        """The calibration that the attenuation tables give at the energy of the CT."""
        water = float(linear_attenuation("water", CT_ENERGY_KEV))
        return cls(
            bone=float(linear_attenuation("bone", CT_ENERGY_KEV)) / water,
            metal=float(linear_attenuation("titanium", CT_ENERGY_KEV)) / water,
        )

    def fractions(self, relative: float) -> tuple[float, float, float]:
        """Water, bone and metal per unit length at one u."""
        if relative > self.metal_threshold:
            return 0.0, 0.0, relative / self.metal
        mixed = min(max(relative - 1.0, 0.0), self.bone - 1.0) / (self.bone - 1.0)
        dense = max(relative - self.bone, 0.0) / self.bone
        return min(max(relative, 0.0), 1.0) - mixed, mixed + dense, 0.0
