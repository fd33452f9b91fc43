"""One patient of the phantom's population: shape, and where a bone of one side is placed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from napari_xreg.simulation.solids import Array, Capsule, Ellipsoid, Solid


@dataclass(frozen=True)
class PelvisShape:
    """What differs between patients. The defaults are the mean one.

    Parameters
    ----------
    scale
        Size of the skeleton along x, y, z.
    tilt_deg
        Pelvic tilt: rotation of pelvis and spine about the left-right axis, forwards positive.
    obliquity_deg
        Rotation of pelvis and spine about the front-back axis.
    asymmetry
        Relative size difference of left over right hip and femur.
    femur_deg
        Flexion, abduction and internal rotation of the left, then of the right femur.
    girth
        Size of the body's outline.
    fat_mm
        Thickness of fat under the skin.
    cortical_mm, cortical_hu, cancellous_hu
        Bone.
    gas
        Centres and sizes of bowel gas, in bowel coordinates -1..1, rows of (x, y, z, size).
    """

    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    tilt_deg: float = 0.0
    obliquity_deg: float = 0.0
    asymmetry: float = 0.0
    femur_deg: tuple[tuple[float, float, float], tuple[float, float, float]] = (
        (0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0),
    )
    girth: float = 1.0
    fat_mm: float = 16.0
    cortical_mm: float = 2.0
    cortical_hu: float = 1150.0
    cancellous_hu: float = 230.0
    gas: tuple[tuple[float, float, float, float], ...] = (
        (0.55, -0.3, 0.5, 1.0),
        (-0.6, -0.2, 0.2, 0.8),
        (0.1, -0.6, 0.75, 0.9),
        (-0.2, 0.1, -0.5, 0.6),
    )

    @classmethod
    def random(cls, seed: int) -> "PelvisShape":
        """A patient drawn from the population, the same for the same seed."""
        rng = np.random.default_rng([seed, 41])
        size = rng.normal(1.0, 0.05)
        sx, sy, sz = (float(size * s) for s in rng.normal(1.0, 0.03, 3))
        flex = rng.normal(0.0, (6.0, 4.0, 8.0), (2, 3))
        count = int(rng.integers(2, 8))
        places = rng.uniform(-0.8, 0.8, (count, 3))
        sizes = rng.uniform(0.5, 1.2, (count, 1))
        return cls(
            scale=(sx, sy, sz),
            tilt_deg=float(rng.normal(0.0, 6.0)),
            obliquity_deg=float(rng.normal(0.0, 2.0)),
            asymmetry=float(rng.normal(0.0, 0.012)),
            femur_deg=(tuple(flex[0].tolist()), tuple(flex[1].tolist())),
            girth=float(rng.uniform(0.9, 1.15)),
            fat_mm=float(rng.uniform(8.0, 35.0)),
            cortical_mm=float(rng.uniform(1.5, 2.6)),
            cortical_hu=float(rng.uniform(900.0, 1350.0)),
            cancellous_hu=float(rng.uniform(140.0, 330.0)),
            gas=tuple((x, y, z, s) for x, y, z, s in np.hstack([places, sizes]).tolist()),
        )


@dataclass(frozen=True, eq=False)
class Placement:
    """From anatomical coordinates of one side to the world: stretch, mirror, turn, shift."""

    rotation: Array
    stretch: Array
    pivot: Array
    side: float = 1.0

    def point(self, x: float, y: float, z: float) -> Array:
        return np.asarray(self.vector(self.stretch * np.array([self.side * x, y, z])) + self.pivot)

    def vector(self, v: Array) -> Array:
        return np.asarray(self.rotation @ v)

    def length(self, mm: float) -> float:
        return float(mm * np.prod(self.stretch) ** (1 / 3))

    def capsule(self, a: tuple[float, ...], b: tuple[float, ...], radius: float) -> Capsule:
        return Capsule(self.point(*a), self.point(*b), self.length(radius))

    def tube(
        self, points: Iterable[tuple[float, float, float]], radii: Iterable[float]
    ) -> list[Capsule]:
        """A bent horn: capsules along a Bezier curve, their radii going through `radii`."""
        control, widths = np.array(list(points)), np.array(list(radii))
        count = 6
        t = np.linspace(0.0, 1.0, count + 1)[:, None]
        path = np.broadcast_to(control[:, None], (len(control), count + 1, 3))
        while len(path) > 1:
            path = path[:-1] * (1 - t) + path[1:] * t
        at_middle = (np.arange(count) + 0.5) / count
        width = np.interp(at_middle, np.linspace(0.0, 1.0, len(widths)), widths)
        return [
            self.capsule(tuple(a), tuple(b), float(w))
            for (a, b), w in zip(pairwise(path[0]), width, strict=True)
        ]

    def ellipsoid(
        self, center: tuple[float, ...], semi: tuple[float, ...], about_x_deg: float = 0.0
    ) -> Ellipsoid:
        a, b, c = (self.length(s) for s in semi)
        axes = self.rotation @ rotation_about("x", about_x_deg)
        return Ellipsoid(self.point(*center), (a, b, c), axes)


def bone(
    shape: PelvisShape, parts: Iterable[Solid], label: int, name: str, *, thinner: float = 1.0
) -> list[Solid]:
    """The parts of a bone in cortical bone, then, shrunk, in cancellous bone."""
    parts = list(parts)
    cortex = [replace(p, hu=shape.cortical_hu, label=label, name=name) for p in parts]
    inner = -shape.cortical_mm * thinner
    marrow = [
        replace(p.grown(inner), hu=shape.cancellous_hu, label=label, name=f"{name} (inner)")
        for p in parts
    ]
    return [*cortex, *marrow]


def rotation_about(axis: str, degrees: float) -> Array:
    """Right-handed rotation about a world axis."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = c, -s, s, c
    return matrix
