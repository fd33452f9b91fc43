"""Cameras of VTK as Slicer's AutoscoperM hands them to Autoscoper (VTKCam 1.0): keys and values, as YAML or JSON.

The central ray meets the middle of the image, and its width and its height fill the same angle of view, as
Autoscoper has it. Lengths are mm, as in Slicer.
"""

import math
import re

import torch

from napari_xreg.files import number
from napari_xreg.images.formats.rig_camera import RigCamera

_KEYS = {
    "version": 1, "focal-point": 3, "camera-position": 3, "view-up": 3, "view-angle": 1, "image-width": 1,
    "image-height": 1,
}  # fmt: skip


def is_vtkcam(text: str) -> bool:
    """Whether a text is such a camera."""
    return _found(text, "camera-position") is not None and _found(text, "view-angle") is not None


def vtkcam(text: str) -> RigCamera:
    """The camera.

    Raises
    ------
    ValueError
        If a value is missing or impossible.
    """
    values = {key: _numbers(text, key, count) for key, count in _KEYS.items()}
    (version,), (angle,) = values["version"], values["view-angle"]
    (columns,), (rows,) = values["image-width"], values["image-height"]
    if version != 1.0:
        raise ValueError(f"version 1.0 of VTKCam is known: got {version:g}")
    if not 0 < angle < 180:
        raise ValueError(f"view-angle should lie between 0 and 180 degrees: got {angle:g}")
    if not all(size.is_integer() and 0 < size < 1e6 for size in (rows, columns)):
        raise ValueError(
            f"image-width and image-height should be pixels: got {columns:g}, {rows:g}"
        )
    source, middle, up = (
        torch.tensor(values[key], dtype=torch.float64)
        for key in ("camera-position", "focal-point", "view-up")
    )
    forward = middle - source
    right = torch.linalg.cross(forward, up)
    if not right.norm() > 1e-6 * forward.norm() * up.norm():
        raise ValueError("view-up should not lie along the way from camera-position to focal-point")
    forward, right = forward / forward.norm(), right / right.norm()
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward])
    x, y, z = (-rotation @ source).tolist()
    half = math.tan(math.radians(angle) / 2)
    k = (
        (columns / (2 * half), 0.0, (columns - 1) / 2),
        (0.0, rows / (2 * half), (rows - 1) / 2),
        (0.0, 0.0, 1.0),
    )
    return RigCamera(
        (int(rows), int(columns)), k, tuple(map(tuple, rotation.tolist())), (x, y, z), "VTKCam 1.0"
    )


def _found(text: str, key: str) -> str | None:
    found = re.search(rf'(?<![\w-])"?{key}"?\s*:\s*(\[[^\]]*\]|[^\s,}}]+)', text)
    return None if found is None else found[1]


def _numbers(text: str, key: str, count: int) -> list[float]:
    words = _found(text, key)
    if words is None:
        raise ValueError(f"{key} is absent")
    try:
        values = [number(word) for word in re.split(r"[\s,]+", words.strip("[] \n"))]
    except ValueError:
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        raise ValueError(f"{key} should hold {count} numbers: got {words[:60]!r}")
    return values
