"""What a radiograph has and the CT has not: tissue around it, other bones, beads, rings, letters, clipping.

The reasons for every number are in docs/decisions/0023-severity-real.md.
"""

import itertools
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Volume, is_bone_only
from napari_xreg.simulation.instruments import Instrument
from napari_xreg.simulation.projector import PathLengths
from napari_xreg.simulation.severity import Beyond
from napari_xreg.simulation.solids import (
    Array,
    Capsule,
    Ellipsoid,
    HalfSpace,
    intersection,
    union_length,
)

BEAD_MM, RING_MM, RING_WIRE_MM = 1.0, 6.0, 0.4
BODY = 0.85
"""A pixel is behind the patient if less than this share of the open beam arrives: also a hand."""

OTHER_BONE_MM, SHELL_MM = 7.0, 2.0
"""Radius, and thickness of the cortical bone."""


@dataclass(frozen=True, eq=False)
class LongBone:
    """A tube of cortical bone full of marrow (water), with round ends."""

    outer: Capsule

    def shell_length(self, source: Array, r: Array) -> Array:
        """Cortical bone along each ray, mm."""
        length = np.linalg.norm(r, axis=-1)
        inner = self.outer.grown(-SHELL_MM)
        outside = union_length([self.outer.interval(source, r)])
        return np.asarray((outside - union_length([inner.interval(source, r)])) * length)


_axes: "WeakKeyDictionary[Volume, tuple[Array, Array, Array]]" = WeakKeyDictionary()


def bone_axis(volume: Volume) -> tuple[Array, Array, Array]:
    """Middle, long axis and half extents along three principal axes (rows) of what is filled, mm."""
    if volume not in _axes:  # seconds for a large CT, and asked three times an image
        _axes[volume] = _principal(volume)
    return _axes[volume]


def _principal(volume: Volume) -> tuple[Array, Array, Array]:
    filled = np.argwhere((volume.lac > 0).cpu().numpy())[:, ::-1]
    matrix = volume.world_from_index.double().cpu().numpy()
    points = filled @ matrix[:3, :3].T + matrix[:3, 3]
    middle = points.mean(0)
    _, axes = np.linalg.eigh(np.cov((points - middle).T))
    axes = axes[:, ::-1].T  # longest first
    along = (points - middle) @ axes.T
    low, high = along.min(0), along.max(0)
    return middle + ((low + high) / 2) @ axes, axes, (high - low) / 2


def other_bones(
    beyond: Beyond, volume: Volume, world_from_camera: Pose, rng: np.random.Generator
) -> tuple[LongBone, ...]:
    """Long bones about parallel to the CT's, beside it as the camera sees it."""
    middle, axes, half = bone_axis(volume)
    view = world_from_camera.rotation[:, 2].double().cpu().numpy()
    bones = []
    for number in range(beyond.other_bones):
        sideways = np.cross(view, axes[0])
        norm = np.linalg.norm(sideways)
        sideways = axes[1] if norm < 0.2 else sideways / norm
        reach = half[1] if is_bone_only(volume) else 0.0
        gap = reach + OTHER_BONE_MM + float(rng.uniform(*beyond.bone_distance_mm))
        centre = middle + (1 if number % 2 else -1) * gap * sideways
        centre = centre + rng.normal(0.0, 5.0, 3)
        tilted = axes[0] + 0.1 * rng.standard_normal(3)
        tilted = tilted / np.linalg.norm(tilted)
        long = float(rng.uniform(0.8, 1.2)) * max(half[0], 20.0)
        bones.append(
            LongBone(Capsule(centre - long * tilted, centre + long * tilted, OTHER_BONE_MM))
        )
    return tuple(bones)


def tissue_length(beyond: Beyond, volume: Volume, source: Array, r: Array) -> Array:
    """Soft tissue beyond the CT along each ray, mm.

    Of bones cut from their CT: a limb about their long axis that they lie in; of a whole CT: the
    body goes on beyond its first and last slice, as wide as its grid.
    """
    length = np.linalg.norm(r, axis=-1)
    if is_bone_only(volume):
        middle, axes, half = bone_axis(volume)
        limb = Ellipsoid(
            middle, (np.inf, half[1] + beyond.tissue_mm, half[2] + beyond.tissue_mm), axes.T
        )
        return np.asarray(union_length([limb.interval(source, r)]) * length)
    matrix = volume.world_from_index.double().cpu().numpy()
    along = matrix[:3, 2] / np.linalg.norm(matrix[:3, 2])
    middle = volume.center.double().cpu().numpy()
    sizes = np.array(volume.shape[::-1]) * volume.spacing
    across = [matrix[:3, axis] / np.linalg.norm(matrix[:3, axis]) for axis in (0, 1)]
    body = Ellipsoid(
        middle, (0.4 * sizes[0], 0.4 * sizes[1], np.inf), np.stack([*across, along], 1)
    )
    inside = body.interval(source, r)
    ends = [
        intersection(
            [inside, HalfSpace(sign * along, float(sign * along @ end)).interval(source, r)]
        )
        for sign, end in (
            (-1.0, middle + sizes[2] / 2 * along),
            (1.0, middle - sizes[2] / 2 * along),
        )
    ]
    return np.asarray(union_length(ends) * length)


def with_beyond(
    paths: PathLengths, beyond: Beyond, volume: Volume, bones: tuple[LongBone, ...],
    source: Array, r: Array,
) -> PathLengths:  # fmt: skip
    """The patient's thicknesses with what the CT has not; bone takes the place of soft tissue.

    Parameters
    ----------
    paths
        Of the CT; of bones alone what they add to water, so less soft tissue than none.
    """
    tissue = tissue_length(beyond, volume, source, r)
    shells = sum((bone.shell_length(source, r) for bone in bones), np.zeros_like(paths.soft))
    soft = np.maximum(paths.soft + tissue - shells, 0.0)
    return PathLengths(soft, paths.bone + shells, paths.metal)


def beads_and_rings(
    beyond: Beyond, volume: Volume, carm: CArm, world_from_camera: Pose, rng: np.random.Generator
) -> tuple[Instrument, ...]:
    """On the skin and on the intensifier: anywhere about the middle of the CT, in its plane."""
    pose = world_from_camera.to(dtype=torch.float64, device="cpu")
    axes = pose.rotation.numpy()
    middle = bone_axis(volume)[0]
    depth = float(axes[:, 2] @ (middle - pose.translation.numpy()))
    reach = 0.35 * min(carm.detector.size_mm) * depth / carm.source_to_detector
    made = []
    for number in range(beyond.beads + beyond.rings):
        u, v = rng.uniform(-reach, reach, 2)
        centre = middle + u * axes[:, 0] + v * axes[:, 1] + rng.normal(0.0, 20.0) * axes[:, 2]
        if number < beyond.beads:
            made.append(Instrument((Capsule(centre, centre, BEAD_MM),)))
        else:
            made.append(ring(centre, axes[:, 0], axes[:, 1]))
    return tuple(made)


def ring(centre: Array, across: Array, along: Array) -> Instrument:
    """A wire bent round in the plane of two unit vectors, as 16 straight pieces."""
    angles = np.linspace(0.0, 2 * np.pi, 17)
    corners = centre + RING_MM * (
        np.cos(angles)[:, None] * across + np.sin(angles)[:, None] * along
    )
    return Instrument(tuple(Capsule(a, b, RING_WIRE_MM) for a, b in itertools.pairwise(corners)))


def circular_field(
    beyond: Beyond, detector: Detector, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Pixels within the circle of an image intensifier, about the middle of the image."""
    rows, columns = detector.shape
    v = (np.arange(rows) - (rows - 1) / 2) * detector.spacing[0]
    u = (np.arange(columns) - (columns - 1) / 2) * detector.spacing[1]
    radius = float(rng.uniform(*beyond.circle)) * min(detector.size_mm) / 2
    return np.asarray(u[None] ** 2 + v[:, None] ** 2 <= radius**2)


def white_level(
    share: Array, transmission: Array, field: NDArray[np.bool_], beyond: Beyond
) -> float:
    """The signal, over that of the open beam, at which the largest value is written."""
    body = field & (transmission < BODY)
    return beyond.saturation * float(np.median(share[body if body.any() else field]))


def as_written(share: Array, white: float, beyond: Beyond, rng: np.random.Generator) -> Array:
    """Whole numbers of so many bits, clipped at `white`, with words burnt in."""
    largest = 2.0**beyond.bits - 1.0
    written = np.clip(np.rint(share / white * largest), 0.0, largest)
    rows, columns = share.shape
    scale = max(0.3, min(rows, columns) / 500.0)
    words: NDArray[np.uint8] = np.zeros(share.shape, np.uint8)
    for number in range(beyond.letters):
        low, high = (0.08, 0.3) if number % 2 else (0.75, 0.95)
        row, column = int(rng.uniform(low, high) * rows), int(rng.uniform(0.05, 0.6) * columns)
        text = "".join(rng.choice(list("LRAP0123456789"), 4))
        cv2.putText(
            words, text, (column, row), cv2.FONT_HERSHEY_SIMPLEX, scale, 1, max(1, round(2 * scale))
        )
    written[words > 0] = np.rint(0.9 * largest)
    return np.asarray(written)
