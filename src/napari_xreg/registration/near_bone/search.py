"""Where a bone lies around where it is thought: its DRR is laid over the radiographs at every shift.

A step along a slope leads a thin bone to its neighbour as soon as that is nearer. So nothing steps here:
edges of the DRR are correlated with edges of the radiograph at every shift within reach, pixels that
are masked in either left out (Padfield, "Masked object registration in the Fourier domain", IEEE Trans.
Image Process. 21, 2012). The mask is the bone's own and moves with it. With several radiographs a
shift in space moves every picture in its own way, and their likenesses are averaged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import scipy
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.registration.near_bone.cut_ends import cut_end_points
from napari_xreg.registration.near_bone.mask import (
    FAINTEST,
    box_corners,
    drawn,
    pixel_mm_at,
    window_about,
)
from napari_xreg.registration.refinement.views import View
from napari_xreg.rendering import Prepared, march_view, prepare

Array = npt.NDArray[np.float32]

PIXELS = 100
"""Along the longest side of the bone's box: a thin bone is 8 of them across."""

NEAR_PIXELS = 4.0
"""Compared so near the shadow of the bone."""

CONTRAST_BOX, CONTRAST_FLOOR = 9, 0.3
"""An edge counts by its slope over the contrast of the pixels around it, plus this share of the median:
faint edges of a bone behind soft tissue count beside those of beads and of air."""

LEAST_SEEN = 0.3
"""Of the pixels near the shadow, in every radiograph; where fewer can be compared a shift is none."""

APART_PIXELS = 4.0
"""Two places nearer than this are one."""

LIKELY_ENOUGH = 0.85
"""Of the likeness of the best: less is no place. Of three real bones (two views, starts 10 and 20 mm off) the
right place was always the likeliest, its neighbours had 0.79 to 0.95 of it."""

MOST_SHIFTS = 60_000
"""Of a search in space; a coarser step where there would be more."""


@dataclass(frozen=True, eq=False)
class Place:
    """A pose at which the DRR is like the radiographs.

    Parameters
    ----------
    pose
        Of the first view.
    likeness
        Mean correlation of edges, -1 to 1.
    """

    pose: Pose
    likeness: float


def places_of(
    volume: Volume,
    views: Sequence[View],
    turned: Iterable[Pose],
    reach_mm: float,
    *,
    most: int,
) -> list[Place]:
    """The most likely places of a bone within reach, most likely first.

    Parameters
    ----------
    volume
        Bones alone, as attenuation above water, on the processor.
    views
        Their poses are those about which is looked, and their saturated pixels are masked.
    turned
        Poses of the first view that are tried at every shift: one for every orientation.
    reach_mm
        How far the bone may be from where it is rendered: in space with several radiographs, else in
        the plane of the detector, at the bone.
    most
        Places, none nearer to another than `APART_PIXELS`.
    """
    ready, ends = prepare(volume, packed=True), cut_end_points(volume)
    corners = box_corners(ready)
    pixel_mm = float((corners.amax(0) - corners.amin(0)).max()) / PIXELS
    pictures = [_Picture.of(view, corners, reach_mm, pixel_mm) for view in views]
    if any(picture is None for picture in pictures):
        return []
    back = views[0].world_from_camera.inverse()
    rig = [(back @ view.world_from_camera).to(dtype=torch.float64) for view in views]
    shifts = _shifts(views[0].world_from_camera, reach_mm, pixel_mm, in_space=len(views) > 1)
    poses = [pose.to(dtype=torch.float64) for pose in turned]
    likeness = np.zeros((len(poses), len(shifts)), np.float32)
    for row, pose in zip(likeness, poses, strict=True):
        for picture, moved in zip(pictures, rig, strict=True):
            assert picture is not None
            row += picture.likeness(ready, ends, pose @ moved, shifts) / len(views)
    # One radiograph hardly tells which way a bone is tipped: the next best is worth a look there too.
    arm_mm = 0.0 if len(views) > 1 else 0.5 * PIXELS * pixel_mm
    places: list[Place] = []
    while len(places) < most:
        top = int(likeness.argmax())
        turn, shift = np.unravel_index(top, likeness.shape)
        least = LIKELY_ENOUGH * places[0].likeness if places else 0.0
        if likeness[turn, shift] <= least:
            break
        pose = poses[turn]
        # What moves the bone one way moves the camera the other.
        away = torch.from_numpy(shifts[shift])
        place = Place(Pose(pose.rotation, pose.translation - away), float(likeness[turn, shift]))
        places.append(place)
        moved_mm = np.linalg.norm(shifts - shifts[shift], axis=1)
        for row, other in zip(likeness, poses, strict=True):
            turned_mm = arm_mm * _angle(pose, other)
            row[moved_mm + turned_mm < APART_PIXELS * pixel_mm] = -1.0
    return places


def _angle(one: Pose, other: Pose) -> float:
    """Between two orientations, rad."""
    turn = one.rotation.mT @ other.rotation
    return float(((turn.diagonal().sum() - 1) / 2).clamp(-1, 1).arccos())


def _shifts(
    pose: Pose, reach_mm: float, step_mm: float, *, in_space: bool
) -> npt.NDArray[np.float64]:
    """Of the bone, world mm [n, 3], along the axes of the camera; none first."""
    ball = 4.2 * reach_mm**3
    step = max(step_mm, (ball / MOST_SHIFTS) ** (1 / 3)) if in_space else step_mm
    count = int(reach_mm / step)
    line = step * np.arange(-count, count + 1)
    axes = np.meshgrid(line, line, line if in_space else np.zeros(1), indexing="ij")
    all_of = np.stack(axes, -1).reshape(-1, 3)
    away = np.linalg.norm(all_of, axis=1)
    inside = all_of[away <= reach_mm]
    return np.asarray(inside @ pose.rotation.double().cpu().numpy().T)


@dataclass(frozen=True, eq=False)
class _Picture:
    """The part of a radiograph that is looked at, its edges ready to be correlated.

    Parameters
    ----------
    carm
        Of that part.
    pixel_mm
        Rows and columns, at the bone.
    reach
        Rows and columns that a bone may be off.
    size
        Of the transforms.
    edges, squares, usable
        Transforms of the edges along rows and columns, of the sum of their squares, and of where
        they can be compared.
    """

    carm: CArm
    pixel_mm: npt.NDArray[np.float64]
    reach: tuple[int, int]
    size: tuple[int, int]
    edges: tuple[npt.NDArray[np.complex64], ...]
    squares: npt.NDArray[np.complex64]
    usable: npt.NDArray[np.complex64]

    @classmethod
    def of(
        cls, view: View, corners: Float[Tensor, "8 3"], reach_mm: float, pixel_mm: float
    ) -> "_Picture | None":
        """None where the bone would not be in it."""
        radiograph = _part(view, corners, reach_mm, pixel_mm)
        if radiograph is None:
            return None
        carm = radiograph.carm
        there = pixel_mm_at(carm, view.world_from_camera.to(dtype=torch.float64), corners)
        rows, columns = (int(n) for n in np.ceil(reach_mm / there) + 1)
        size = tuple(
            scipy.fft.next_fast_len(n + r + 1, real=True)
            for n, r in zip(carm.detector.shape, (rows, columns), strict=True)
        )
        usable = radiograph.usable.cpu().numpy()
        values = radiograph.line_integrals.detach().cpu().float().numpy()
        filled = np.where(usable, values, values[usable].mean() if usable.any() else 0)
        box = np.ones((5, 5), np.uint8)  # filled pixels must not reach what is compared
        inner = cv2.erode(usable.astype(np.uint8), box, borderValue=0).astype(np.float32)
        edges = [edge * inner for edge in _edges(np.asarray(filled, np.float32), inner > 0)]
        squares = np.asarray(sum(edge * edge for edge in edges), np.float32)
        return cls(
            carm, there, (rows, columns), (size[0], size[1]),
            tuple(_transform(edge, size) for edge in edges),
            _transform(squares, size), _transform(inner, size),
        )  # fmt: skip

    def likeness(
        self, ready: Prepared, ends: Tensor, pose: Pose, shifts: npt.NDArray[np.float64]
    ) -> Array:
        """Of the bone at a pose, moved by every one of the shifts [n]."""
        image, _ = march_view(ready, self.carm, pose, jacobian=False)
        if not image.max() > 0:
            return np.full(len(shifts), -1.0, np.float32)
        near = self._near(image, ends, pose)
        edges = [edge * near for edge in _edges(image, near > 0)]
        squares = np.asarray(sum(edge * edge for edge in edges), np.float32)
        mask = _transform(near, self.size)
        products = sum(
            seen * np.conj(_transform(edge, self.size))
            for seen, edge in zip(self.edges, edges, strict=True)
        )
        along = self._at_shifts(np.asarray(products))
        seen = self._at_shifts(self.squares * np.conj(mask))
        made = self._at_shifts(self.usable * np.conj(_transform(squares, self.size)))
        count = self._at_shifts(self.usable * np.conj(mask))
        # Rounding of the transforms is not contrast.
        some = (seen > 1e-4 * seen.max()) & (made > 1e-4 * made.max())
        scores = np.where(
            some & (count >= LEAST_SEEN * near.sum()),
            along / np.sqrt(np.where(some, seen * made, 1.0)),
            np.float32(-1.0),
        )
        there = shifts @ pose.rotation.cpu().numpy()
        columns = there[:, 0] / self.pixel_mm[1] * (-1 if self.carm.detector.mirrored else 1)
        place = np.stack([there[:, 1] / self.pixel_mm[0], columns]) + np.array(self.reach)[:, None]
        return np.asarray(
            scipy.ndimage.map_coordinates(scores, place, order=1, mode="nearest"), np.float32
        )

    def _near(self, image: Array, ends: Tensor, pose: Pose) -> Array:
        """1 near the shadow, not where the bone was cut."""
        shadow = image > FAINTEST * image.max()
        near = _distance(~shadow) <= NEAR_PIXELS
        cut = drawn(ends, self.carm, pose, shadow.shape)
        if cut.any():
            kept = near & (_distance(~cut) > NEAR_PIXELS)
            near = kept if kept.any() else near
        return near.astype(np.float32)

    def _at_shifts(self, product: npt.NDArray[np.complex64]) -> Array:
        """Back from a product of transforms: rows and columns of shifts, none in the middle."""
        full = np.asarray(scipy.fft.irfft2(product, self.size), np.float32)
        rows, columns = self.reach
        return np.roll(full, self.reach, (0, 1))[: 2 * rows + 1, : 2 * columns + 1]


def _part(
    view: View, corners: Float[Tensor, "8 3"], reach_mm: float, pixel_mm: float
) -> Radiograph | None:
    """The radiograph about the bone and what is within reach of it, in pixels of about that size."""
    radiograph, pose = view.radiograph, view.world_from_camera.to(dtype=torch.float64)
    beyond = reach_mm + NEAR_PIXELS * pixel_mm
    window = window_about(corners, radiograph.carm, pose, beyond)
    if window is None or min(window[2:]) < 8:
        return None
    there = pixel_mm_at(radiograph.carm, pose, corners)
    part = radiograph.crop(*window)
    small = [
        max(8, min(n, round(n * mm / pixel_mm))) for n, mm in zip(window[2:], there, strict=True)
    ]
    return part.resize(*small)


def _edges(image: Array, counted: npt.NDArray[np.bool_]) -> list[Array]:
    """Slopes along rows and columns, by the contrast around them."""
    smooth = cv2.GaussianBlur(image, (0, 0), 1.0)
    slopes = np.gradient(smooth)
    square = np.asarray(sum(slope * slope for slope in slopes), np.float32)
    box = (CONTRAST_BOX, CONTRAST_BOX)
    # The running sums of the blur may end a rounding below zero.
    around = np.sqrt(np.maximum(cv2.blur(square, box), 0.0))
    lengths = np.sqrt(square[counted])
    lengths = lengths[lengths > 0]
    floor = CONTRAST_FLOOR * float(np.median(lengths)) if lengths.size else 1.0
    return [np.asarray(slope / (around + floor), np.float32) for slope in slopes]


def _transform(image: Array, size: Sequence[int]) -> npt.NDArray[np.complex64]:
    return np.asarray(scipy.fft.rfft2(image, tuple(size)), np.complex64)


def _distance(outside: npt.NDArray[np.bool_]) -> Array:
    return np.asarray(cv2.distanceTransform(outside.astype(np.uint8), cv2.DIST_L2, 5), np.float32)
