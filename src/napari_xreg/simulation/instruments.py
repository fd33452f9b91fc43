"""Metal in the beam: rods, wires and screws with exact chord lengths."""

from dataclasses import dataclass

import numpy as np

from napari_xreg.images.materials import Material
from napari_xreg.simulation.solids import Array, Capsule, union_length


@dataclass(frozen=True, eq=False)
class Instrument:
    """A metal object: the union of capsules.

    Parameters
    ----------
    parts
        Capsules, overlapping where they like. World, mm.
    material
        ``titanium`` or ``iron`` (for steel).
    """

    parts: tuple[Capsule, ...]
    material: Material = "iron"

    def chord_lengths(self, source: Array, r: Array) -> Array:
        """Length of metal along each ray from the source to the detector, mm (exact)."""
        covered = union_length([part.interval(source, r) for part in self.parts])
        return np.asarray(covered * np.linalg.norm(r, axis=-1))


def rod(center: Array, direction: Array, length: float, radius: float) -> Instrument:
    """A straight steel rod, wire or trocar."""
    half = direction / np.linalg.norm(direction) * length / 2
    return Instrument((Capsule(center - half, center + half, radius),))


def screw(tip: Array, direction: Array, length: float, radius: float) -> Instrument:
    """A titanium screw: a shaft and a thicker head at its far end."""
    axis = direction / np.linalg.norm(direction)
    top = tip + axis * length
    shaft = Capsule(tip, top, radius)
    head = Capsule(top, top + axis * radius, 1.7 * radius)
    return Instrument((shaft, head), "titanium")
