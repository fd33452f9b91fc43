"""Closed-form solids: whether a point lies inside, and exactly where a ray enters and leaves."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@runtime_checkable
class Convex(Protocol):
    """A convex body: a ray meets it in one interval."""

    def inside(self, points: Array) -> NDArray[np.bool_]:
        """True for the points (..., 3), world mm, within the body."""

    def interval(self, source: Array, r: Array) -> tuple[Array, Array]:
        """Where ``source + t r`` enters and leaves, in t; (inf, -inf) for a miss."""

    def bounds(self) -> tuple[Array, Array]:
        """Corners of a box along the world axes that holds the body, mm."""

    def grown(self, margin_mm: float) -> Self:
        """The body with its surface moved outwards (inwards if negative)."""


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """An ellipsoid, or an elliptic cylinder where a semi-axis is infinite.

    Parameters
    ----------
    center
        World, mm.
    semi_axes
        Three half lengths, mm.
    axes
        Their directions as columns of a rotation.
    """

    center: Array
    semi_axes: tuple[float, float, float]
    axes: Array = field(default_factory=lambda: np.eye(3))

    def __post_init__(self) -> None:
        if not min(self.semi_axes) > 0:
            raise ValueError(f"semi-axes must be positive, in mm: got {self.semi_axes}")

    def _to_unit(self, vectors: Array) -> Array:
        return np.asarray(vectors @ self.axes / np.asarray(self.semi_axes))

    def inside(self, points: Array) -> NDArray[np.bool_]:
        """True for the points within the body."""
        return np.asarray((self._to_unit(points - self.center) ** 2).sum(-1) <= 1.0)

    def interval(self, source: Array, r: Array) -> tuple[Array, Array]:
        """Where rays enter and leave, in t."""
        o, d = self._to_unit(source - self.center), self._to_unit(r)
        return quadratic_interval((d * d).sum(-1), (d * o).sum(-1), (o * o).sum(-1) - 1.0)

    def bounds(self) -> tuple[Array, Array]:
        """A box along the world axes; infinite along a cylinder."""
        with np.errstate(invalid="ignore"):
            half = np.abs(self.axes) * np.asarray(self.semi_axes)
        half = np.sqrt((np.nan_to_num(half, nan=0.0, posinf=np.inf) ** 2).sum(-1))
        return self.center - half, self.center + half

    def grown(self, margin_mm: float) -> "Ellipsoid":
        """Every semi-axis longer by the margin (for a sphere, exactly a parallel surface)."""
        a, b, c = (max(s + margin_mm, 0.05) for s in self.semi_axes)
        return replace(self, semi_axes=(a, b, c))


def sphere(center: Array, radius: float) -> Ellipsoid:
    """A ball, mm."""
    return Ellipsoid(center, (radius, radius, radius))


@dataclass(frozen=True, eq=False)
class HalfSpace:
    """All points with ``normal . x <= offset``; the normal has length 1."""

    normal: Array
    offset: float

    def inside(self, points: Array) -> NDArray[np.bool_]:
        """True for the points on the inner side."""
        return np.asarray(points @ self.normal <= self.offset)

    def interval(self, source: Array, r: Array) -> tuple[Array, Array]:
        """Where rays enter and leave, in t."""
        slope, gap = np.asarray(r @ self.normal), self.offset - source @ self.normal
        with np.errstate(divide="ignore", invalid="ignore"):
            t = gap / slope
        parallel = np.abs(slope) < 1e-12
        first = np.where(slope < 0, t, -np.inf)
        last = np.where(slope > 0, t, np.inf)
        outside = parallel & (gap < 0)
        return (
            np.where(parallel, np.where(outside, np.inf, -np.inf), first),
            np.where(parallel, np.where(outside, -np.inf, np.inf), last),
        )

    def bounds(self) -> tuple[Array, Array]:
        """Finite only where the normal runs along an axis."""
        low, high = np.full(3, -np.inf), np.full(3, np.inf)
        k = int(np.abs(self.normal).argmax())
        if abs(abs(self.normal[k]) - 1.0) < 1e-9:
            (high if self.normal[k] > 0 else low)[k] = self.offset * self.normal[k]
        return low, high

    def grown(self, margin_mm: float) -> "HalfSpace":
        """The plane moved along its normal."""
        return replace(self, offset=self.offset + margin_mm)


@dataclass(frozen=True, eq=False)
class Capsule:
    """All points within a radius of a segment: a rod with round ends. World, mm."""

    start: Array
    end: Array
    radius: float

    def __post_init__(self) -> None:
        if not self.radius > 0:
            raise ValueError(f"the radius of a capsule must be positive, in mm: got {self.radius}")

    def inside(self, points: Array) -> NDArray[np.bool_]:
        """True for the points within the radius of the segment."""
        axis = self.end - self.start
        along = ((points - self.start) @ axis / max(float(axis @ axis), 1e-18)).clip(0.0, 1.0)
        nearest = self.start + along[..., None] * axis
        return np.asarray(((points - nearest) ** 2).sum(-1) <= self.radius**2)

    def interval(self, source: Array, r: Array) -> tuple[Array, Array]:
        """Where rays enter and leave, in t.

        A capsule is convex: entry is the first and exit the last of those of its cylinder and of
        its two end balls.
        """
        first, last = sphere(self.start, self.radius).interval(source, r)
        for a, b in (sphere(self.end, self.radius).interval(source, r), self._tube(source, r)):
            hit = a < b
            first = np.where(hit, np.minimum(first, a), first)
            last = np.where(hit, np.maximum(last, b), last)
        return first, last

    def _tube(self, source: Array, r: Array) -> tuple[Array, Array]:
        axis = self.end - self.start
        height = float(np.linalg.norm(axis))
        if height < 1e-9:
            return np.full(r.shape[:-1], np.inf), np.full(r.shape[:-1], -np.inf)
        axis = axis / height
        across_r = r - (r @ axis)[..., None] * axis
        offset = source - self.start
        across_o = offset - (offset @ axis)[..., None] * axis
        pairs = [
            quadratic_interval(
                (across_r**2).sum(-1),
                (across_r * across_o).sum(-1),
                (across_o**2).sum(-1) - self.radius**2,
            ),
            HalfSpace(axis, float(axis @ self.end)).interval(source, r),
            HalfSpace(-axis, -float(axis @ self.start)).interval(source, r),
        ]
        return intersection(pairs)

    def bounds(self) -> tuple[Array, Array]:
        """A box along the world axes."""
        low = np.minimum(self.start, self.end) - self.radius
        return low, np.maximum(self.start, self.end) + self.radius

    def grown(self, margin_mm: float) -> "Capsule":
        """A thicker capsule about the same segment."""
        return replace(self, radius=max(self.radius + margin_mm, 0.05))


@dataclass(frozen=True, eq=False)
class Solid:
    """What lies within all of some convex bodies and outside all of some others.

    Parameters
    ----------
    within
        Convex bodies whose intersection is meant.
    outside
        Convex bodies taken away from it; they must not overlap each other inside it.
    hu
        CT number of its material.
    label
        TotalSegmentator id, 0 for none.
    name
        What it is.
    """

    within: tuple[Convex, ...]
    outside: tuple[Convex, ...] = ()
    hu: float = 0.0
    label: int = 0
    name: str = ""

    def inside(self, points: Array) -> NDArray[np.bool_]:
        """True for the points (..., 3), world mm, within the solid."""
        result = np.ones(points.shape[:-1], dtype=np.bool_)
        for body in self.within:
            result &= body.inside(points)
        for body in self.outside:
            result &= ~body.inside(points)
        return result

    def intervals(
        self, source: Array, r: Array
    ) -> tuple[tuple[Array, Array], list[tuple[Array, Array]]]:
        """Where rays are within, and the parts of that which are taken away, in t."""
        hull = intersection([body.interval(source, r) for body in self.within])
        holes = [intersection([hull, body.interval(source, r)]) for body in self.outside]
        return hull, holes

    def chord_lengths(self, source: Array, r: Array) -> Array:
        """Length of the rays from `source` to ``source + r`` within the solid, mm, exact."""
        (first, last), holes = self.intervals(source, r)
        length = _clipped_length(first, last)
        for a, b in holes:
            length = length - _clipped_length(a, b)
        return np.asarray(length * np.linalg.norm(r, axis=-1))

    def bounds(self) -> tuple[Array, Array]:
        """A box along the world axes that holds the solid, mm."""
        boxes = [body.bounds() for body in self.within]
        return (
            np.max([low for low, _ in boxes], axis=0),
            np.min([high for _, high in boxes], axis=0),
        )

    def grown(self, margin_mm: float) -> "Solid":
        """The solid with its surface moved outwards (inwards if negative)."""
        return replace(
            self,
            within=tuple(body.grown(margin_mm) for body in self.within),
            outside=tuple(body.grown(-margin_mm) for body in self.outside),
        )


def intersection(pairs: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """The common part of intervals; entry >= exit where there is none."""
    first, last = pairs[0]
    for a, b in pairs[1:]:
        first, last = np.maximum(first, a), np.minimum(last, b)
    return first, last


def union_length(pairs: Sequence[tuple[Array, Array]]) -> Array:
    """Length covered by any of several intervals, within 0..1."""
    entries = np.stack([np.clip(a, 0.0, 1.0) for a, _ in pairs])
    exits = np.stack([np.clip(b, 0.0, 1.0) for _, b in pairs])
    order = np.argsort(entries, axis=0)
    covered = np.zeros(entries.shape[1:])
    reach = np.zeros(entries.shape[1:])
    for a, b in zip(
        np.take_along_axis(entries, order, 0), np.take_along_axis(exits, order, 0), strict=True
    ):
        covered += np.maximum(b - np.maximum(a, reach), 0.0)
        reach = np.maximum(reach, b)
    return covered


def quadratic_interval(
    a: Array | np.float64, b: Array | np.float64, c: Array | np.float64
) -> tuple[Array, Array]:
    """Where ``a t^2 + 2 b t + c <= 0`` with a >= 0; (inf, -inf) where nowhere."""
    discriminant = b * b - a * c
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(np.maximum(discriminant, 0.0))
        first, last = (-b - root) / a, (-b + root) / a
    flat = a < 1e-18
    everywhere = flat & (c <= 0)
    nowhere = np.where(flat, c > 0, discriminant <= 0)
    first = np.where(everywhere, -np.inf, np.where(nowhere, np.inf, first))
    last = np.where(everywhere, np.inf, np.where(nowhere, -np.inf, last))
    return first, last


def _clipped_length(first: Array, last: Array) -> Array:
    return np.asarray(np.maximum(np.minimum(last, 1.0) - np.maximum(first, 0.0), 0.0))
