"""Calibrations of X-ray cameras as XMALab (MayaCam 2.0) and its predecessor (MayaCam 1.0) write them.

MayaCam 2.0 is a camera of OpenCV: ``x_camera = R x_rig + t``, y down, z from the source. MayaCam 1.0 is a
camera of Maya: position and angles of a camera that looks along its -z with y up, the principal point
counted from 1 as in Matlab, its row from the bottom. Both describe undistorted images.
"""

import math
from collections.abc import Sequence

import torch

from napari_xreg.files import number
from napari_xreg.geometry import matrix_from_euler
from napari_xreg.images.formats.rig_camera import NEAREST_MM, RigCamera
from napari_xreg.images.known_geometry.record import Rows

_FIRST_LINE = "image size"
_TITLES = {0: _FIRST_LINE, 3: "camera matrix", 8: "rotation", 13: "translation"}
_LINES_2, _LINES_1 = 17, 5
_WITHOUT_SIZE = 1024
# The origin of a calibration lies in the calibration object.
_FARTHEST_MM = 20_000.0


def is_mayacam(text: str) -> bool:
    """Whether a text is a calibration: its title, or five lines of three numbers."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if not lines:
        return False
    if lines[0].lower() == _FIRST_LINE:
        return True
    return len(lines) == _LINES_1 and all(_looks_like_three(line) for line in lines)


def _looks_like_three(line: str) -> bool:
    words = line.split(",")
    try:
        return len(words) == 3 and all(map(math.isfinite, map(number, words)))
    except ValueError:
        return False


def mayacam(text: str) -> RigCamera:
    """The camera of a calibration of either version.

    Raises
    ------
    ValueError
        If a number is missing or impossible, or its unit can be neither mm nor cm.
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    return _version_2(lines) if lines[0].lower() == _FIRST_LINE else _version_1(lines)


def _version_2(lines: Sequence[str]) -> RigCamera:
    if len(lines) != _LINES_2:
        raise ValueError(f"MayaCam 2.0 has {_LINES_2} lines, of one camera: got {len(lines)}")
    for index, title in _TITLES.items():
        if lines[index].lower() != title:
            raise ValueError(f"line {index + 1} should say {title!r}: got {lines[index][:40]!r}")
    # Its documentation says height, width, its reader takes width, height: `pixels` may be either.
    first, second = _whole(_numbers(lines, 1, 2))
    k = tuple(tuple(_numbers(lines, row, 3)) for row in (4, 5, 6))
    rotation = tuple(tuple(_numbers(lines, row, 3)) for row in (9, 10, 11))
    translation = [_numbers(lines, row, 1)[0] for row in (14, 15, 16)]
    return _camera((first, second), k, rotation, translation, 2)


def _version_1(lines: Sequence[str]) -> RigCamera:
    if len(lines) != _LINES_1:
        raise ValueError(
            f"MayaCam 1.0 has {_LINES_1} lines of three numbers, 2.0 begins with {_FIRST_LINE!r}: got "
            f"{len(lines)} lines"
        )
    position, angles, _, (u, v, focal), (_, width, height) = (
        _numbers(lines, row, 3) for row in range(_LINES_1)
    )
    columns, rows = (size or _WITHOUT_SIZE for size in _whole((width, height)))
    # Camera to world of Maya: about x first, then y, then z, of the axes that stay.
    turned = torch.deg2rad(torch.tensor(angles, dtype=torch.float64))
    rig_from_maya = matrix_from_euler(turned.flip(0), "ZYX")
    # Maya's camera looks along -z and has y up, OpenCV's along z with y down.
    camera_from_rig = torch.tensor([[1.0], [-1.0], [-1.0]], dtype=torch.float64) * rig_from_maya.mT
    translation = -camera_from_rig @ torch.tensor(position, dtype=torch.float64)
    # From 1 and from the bottom to from 0 and from the top.
    k = ((abs(focal), 0.0, u - 1), (0.0, abs(focal), rows - v), (0.0, 0.0, 1.0))
    rotation = tuple(tuple(row) for row in camera_from_rig.tolist())
    return _camera((rows, columns), k, rotation, translation.tolist(), 1)


def _camera(
    pixels: tuple[int, int], k: Rows, rotation: Rows, translation: Sequence[float], version: int
) -> RigCamera:
    distance = math.dist(translation, (0.0, 0.0, 0.0))
    in_cm = distance < NEAREST_MM
    scale = 10.0 if in_cm else 1.0
    if not NEAREST_MM <= scale * distance <= _FARTHEST_MM:
        raise ValueError(
            f"its source is {distance:g} from the origin, which is neither in mm nor in cm the distance "
            "of an X-ray source"
        )
    x, y, z = (scale * value for value in translation)
    return RigCamera(pixels, k, rotation, (x, y, z), f"MayaCam {version}.0", in_cm)


def _numbers(lines: Sequence[str], index: int, count: int) -> list[float]:
    words = lines[index].split(",")
    try:
        values = [number(word) for word in words]
    except ValueError:
        values = []
    if len(values) != count:
        raise ValueError(f"line {index + 1} should hold {count} numbers: got {lines[index][:60]!r}")
    return values


def _whole(values: Sequence[float]) -> tuple[int, int]:
    first, second = (int(value) if 0 <= value < 1e6 else -1 for value in values)
    if (first, second) != tuple(values):
        raise ValueError(f"its image size should be two whole numbers: got {values}")
    return first, second
