"""A radiograph shown otherwise, with all that the user has said about it: pose, mask, landmarks."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import Landmark
from napari_xreg.session.exposure import Exposure

Pixel = tuple[float, float]


def rotate_exposure(exposure: Exposure, turns: int) -> Exposure:
    """Turned clockwise on the screen by quarter turns; what projects onto it turns along.

    The camera turns with its image (`Radiograph.rotate90`), so the current pose, the start and the
    truth get a roll, and every landmark stays on its anatomy.
    """
    turns %= 4
    rows, columns = exposure.radiograph.carm.detector.shape
    roll_deg = 90.0 * turns * (1.0 if exposure.radiograph.carm.detector.mirrored else -1.0)
    twist = torch.tensor([0.0, 0.0, math.radians(roll_deg), 0.0, 0.0, 0.0], dtype=torch.float64)
    roll = Pose.exp(twist)

    def rolled(pose: Pose) -> Pose:
        return pose @ roll.to(dtype=pose.rotation.dtype)

    def moved(pixel: Pixel) -> Pixel:
        row, column = pixel
        return (
            (row, column),
            (column, rows - 1 - row),
            (rows - 1 - row, columns - 1 - column),
            (columns - 1 - column, row),
        )[turns]

    painted = exposure.painted
    return replace(
        exposure,
        radiograph=exposure.radiograph.rotate90(turns),
        world_from_camera=rolled(exposure.world_from_camera),
        start=rolled(exposure.start),
        truth=None if exposure.truth is None else rolled(exposure.truth),
        painted=None if painted is None else torch.rot90(painted, -turns).contiguous(),
        landmarks=_moved(exposure.landmarks, moved, swapped=turns % 2 == 1, sign=(-1) ** turns),
    )


def flip_exposure(exposure: Exposure) -> Exposure:
    """Left and right exchanged: the detector's mirror is toggled, the pose stays."""
    columns = exposure.radiograph.carm.detector.shape[1]
    return replace(
        exposure,
        radiograph=exposure.radiograph.flip_columns(),
        painted=None if exposure.painted is None else exposure.painted.flip(1),
        landmarks=_moved(
            exposure.landmarks, lambda pixel: (pixel[0], columns - 1 - pixel[1]), sign=-1
        ),
    )


def _moved(
    landmarks: tuple[Landmark, ...],
    moved: Callable[[Pixel], Pixel],
    *,
    swapped: bool = False,
    sign: int,
) -> tuple[Landmark, ...]:
    """Pixels moved; of a covariance rows and columns are `swapped`, their product gets a `sign`."""

    def carried(mark: Landmark) -> Landmark:
        if mark.pixel is None:
            return mark
        covariance = mark.covariance
        if covariance is not None:
            rows, both, columns = covariance
            rows, columns = (columns, rows) if swapped else (rows, columns)
            covariance = rows, sign * both, columns
        return replace(mark, pixel=moved(mark.pixel), covariance=covariance)

    return tuple(map(carried, landmarks))
