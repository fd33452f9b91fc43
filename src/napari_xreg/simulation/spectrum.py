"""A diagnostic tungsten beam: how many photons of which energy, and what is left of them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_xreg.images import CT_ENERGY_KEV, Material, linear_attenuation

Array = NDArray[np.float64]

# K lines of tungsten (keV, relative emission): K-alpha1, K-alpha2, K-beta1, K-beta2.
TUNGSTEN_K_LINES = ((59.3, 1.0), (58.0, 0.58), (67.2, 0.34), (69.1, 0.09))
TUNGSTEN_K_EDGE_KEV = 69.5


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Energies and the share of each in the signal of an energy-integrating detector.

    Parameters
    ----------
    energies_kev
        Bin centres.
    weights
        Share of the signal without a patient; they add up to 1.
    """

    energies_kev: Array
    weights: Array

    @classmethod
    def tungsten(
        cls, kvp: float, *, aluminium_mm: float = 3.0, copper_mm: float = 0.1, bin_kev: float = 2.0
    ) -> "Spectrum":
        """A filtered tungsten tube as an energy-integrating detector weighs it.

        Bremsstrahlung by Kramers' law, photons per energy ~ (kVp - E) / E [1]_; K lines grow as
        (kVp / 69.5 - 1)^1.63 [2]_, scaled to a tenth of the filtered photons at 100 kVp.
        The detector is taken to absorb every photon.

        Parameters
        ----------
        kvp
            Tube voltage, kV, 40 to 150.
        aluminium_mm, copper_mm
            Total filtration.
        bin_kev
            Width of an energy bin.

        References
        ----------
        .. [1] H. A. Kramers, "On the theory of X-ray absorption and of the continuous X-ray
           spectrum", Phil. Mag. 46 (1923).
        .. [2] M. Green and V. E. Cosslett, "Measurements of K, L and M shell X-ray production
           efficiencies", J. Phys. D 1 (1968).
        """
        if not 40.0 <= kvp <= 150.0:
            raise ValueError(f"the tube voltage is between 40 and 150 kV: got {kvp}")
        edges = np.arange(15.0, kvp + bin_kev, bin_kev)
        energies = (edges[:-1] + edges[1:]) / 2
        energies = energies[energies < kvp]
        filtration = np.exp(
            -attenuation("aluminium", energies) * aluminium_mm
            - attenuation("copper", energies) * copper_mm
        )
        photons = (kvp - energies) / energies * filtration
        if kvp > TUNGSTEN_K_EDGE_KEV:
            overvoltage = (
                (kvp / TUNGSTEN_K_EDGE_KEV - 1) / (100 / TUNGSTEN_K_EDGE_KEV - 1)
            ) ** 1.63
            total = sum(share for _, share in TUNGSTEN_K_LINES)
            continuum = photons.sum()
            for energy, share in TUNGSTEN_K_LINES:
                nearest = int(np.abs(energies - energy).argmin())
                photons[nearest] += 0.1 * overvoltage * continuum * share / total
        signal = photons * energies
        return cls(energies, signal / signal.sum())

    @classmethod
    def monoenergetic(cls, energy_kev: float = CT_ENERGY_KEV) -> "Spectrum":
        """One energy: the beam for which a line integral is exact."""
        return cls(np.array([energy_kev]), np.array([1.0]))

    def transmission(self, thickness_mm: dict[Material, Array]) -> Array:
        """Share of the unattenuated signal behind thicknesses of materials (mm, same shape)."""
        shape = next(iter(thickness_mm.values())).shape
        total = np.zeros(shape)
        present = {m: t for m, t in thickness_mm.items() if np.any(t)}
        table = {m: attenuation(m, self.energies_kev) for m in present}
        for k, weight in enumerate(self.weights):
            exponent = np.zeros(shape)
            for material, thickness in present.items():
                exponent -= table[material][k] * thickness
            total += weight * np.exp(exponent, out=exponent)
        return total


def attenuation(material: Material, energies_kev: Array) -> Array:
    """Linear attenuation at several energies, 1/mm."""
    values = linear_attenuation(material, torch.from_numpy(energies_kev))
    return np.asarray(values.numpy(), dtype=np.float64)
