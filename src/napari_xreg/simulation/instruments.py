"""Metal in the beam: rods, wires and screws as capsules, with exact chord lengths."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xreg.images.materials import Material

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Capsule:
    """All points within a radius of a segment: a rod with round ends. World, mm."""

    start: Array
    end: Array
    radius: float

    def __post_init__(self) -> None:
        if not self.radius > 0:
            raise ValueError(f"the radius of a capsule must be positive, in mm: got {self.radius}")

    def interval(self, source: Array, r: Array) -> tuple[Array, Array]:
        """Where rays ``source + t r`` enter and leave, in t; entry > exit for a miss.

        A capsule is convex: entry is the first and exit the last of those of its cylinder and of
        its two end spheres.
        """
        first, last = _sphere_interval(self.start, self.radius, source, r)
        a, b = _sphere_interval(self.end, self.radius, source, r)
        first, last = np.minimum(first, a), np.maximum(last, b)
        a, b = self._cylinder_interval(source, r)
        hit = a < b
        first = np.where(hit, np.minimum(first, a), first)
        last = np.where(hit, np.maximum(last, b), last)
        return first, last

    def _cylinder_interval(self, source: Array, r: Array) -> tuple[Array, Array]:
        axis = self.end - self.start
        height = float(np.linalg.norm(axis))
        if height < 1e-9:
            return np.full(r.shape[:-1], np.inf), np.full(r.shape[:-1], -np.inf)
        axis = axis / height
        offset = source - self.start
        along_r = r @ axis
        along_o = float(offset @ axis)
        across_r = r - along_r[..., None] * axis
        across_o = offset - along_o * axis
        first, last = _quadratic_interval(
            (across_r**2).sum(-1), across_r @ across_o, float(across_o @ across_o) - self.radius**2
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = (0.0 - along_o) / along_r, (height - along_o) / along_r
        inside = 0.0 <= along_o <= height
        parallel = np.abs(along_r) < 1e-12
        low = np.where(parallel, -np.inf if inside else np.inf, np.minimum(a, b))
        high = np.where(parallel, np.inf if inside else -np.inf, np.maximum(a, b))
        return np.maximum(first, low), np.minimum(last, high)


@dataclass(frozen=True, eq=False)
class Instrument:
    """A metal object: the union of capsules.

    Parameters
    ----------
    parts
        Capsules, overlapping where they like.
    material
        ``titanium`` or ``iron`` (for steel).
    """

    parts: tuple[Capsule, ...]
    material: Material = "iron"

    def chord_lengths(self, source: Array, r: Array) -> Array:
        """Length of metal along each ray from the source to the detector, mm (exact)."""
        pairs = [part.interval(source, r) for part in self.parts]
        entries = np.stack([np.clip(a, 0.0, 1.0) for a, _ in pairs])
        exits = np.stack([np.clip(b, 0.0, 1.0) for _, b in pairs])
        missed = np.stack([a >= b for a, b in pairs])
        entries, exits = np.where(missed, 0.0, entries), np.where(missed, 0.0, exits)
        order = np.argsort(entries, axis=0)
        entries = np.take_along_axis(entries, order, 0)
        exits = np.take_along_axis(exits, order, 0)
        covered = np.zeros(r.shape[:-1])
        reach = np.full(r.shape[:-1], -np.inf)
        for a, b in zip(entries, exits, strict=True):
            covered += np.maximum(b - np.maximum(a, reach), 0.0)
            reach = np.maximum(reach, b)
        return np.asarray(covered * np.linalg.norm(r, axis=-1), dtype=np.float64)


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


def _sphere_interval(center: Array, radius: float, source: Array, r: Array) -> tuple[Array, Array]:
    offset = source - center
    return _quadratic_interval((r**2).sum(-1), r @ offset, float(offset @ offset) - radius**2)


def _quadratic_interval(a: Array, b: Array, c: float) -> tuple[Array, Array]:
    """Where ``a t^2 + 2 b t + c <= 0``, a >= 0; (inf, -inf) where nowhere."""
    discriminant = b * b - a * c
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(np.maximum(discriminant, 0.0))
        first, last = (-b - root) / a, (-b + root) / a
    everywhere = (a < 1e-12) & (c <= 0)
    nowhere = np.where(a < 1e-12, c > 0, discriminant <= 0)
    first = np.where(everywhere, -np.inf, np.where(nowhere, np.inf, first))
    last = np.where(everywhere, np.inf, np.where(nowhere, -np.inf, last))
    return first, last
