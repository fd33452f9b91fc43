"""Collimator and display shutter of a DICOM X-ray image as a mask."""

from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor

from napari_xreg.images.dicom.header import FrameHeader, name
from napari_xreg.images.errors import ReadError


def header_mask(
    header: FrameHeader, shape: tuple[int, int], spacing: tuple[float, float]
) -> tuple[Bool[Tensor, "rows columns"] | None, tuple[str, ...]]:
    """Pixels inside the collimator (PS3.3 C.8.7.3) and the display shutter (C.7.6.11).

    Rows and columns are counted from 1 there; an edge pixel counts as inside. A radius is a
    number of pixels along a row. Several shapes overlap: the field is their intersection.

    Parameters
    ----------
    spacing
        Row, column, any unit: shapes the circle where pixels are not square.

    Returns
    -------
    tuple
        The mask, or None where the header names no edge or masks nothing; and what it used. Edges
        that are malformed, or leave no pixel (all 0 is how devices write "unknown"), are not used,
        with a sentence.
    """
    mask = torch.ones(shape, dtype=torch.bool)
    used: list[str] = []
    for prefix in ("Collimator", "Shutter"):
        value = header.get(f"{prefix}Shape")
        if value is None:
            continue
        forms = [value] if isinstance(value, str) else list(value)
        for form in (str(form).strip().upper() for form in forms):
            said = f"DICOM {name(f'{prefix}Shape')}: {form.lower()}"
            try:
                inside = _inside(header, prefix, form, shape, spacing)
            except ReadError as error:
                used.append(f"{said} is not used: {str(error).removeprefix(f'{header.file}: ')}")
                continue
            if inside is None or inside.all():
                continue
            if not (mask & inside).any():
                used.append(f"{said} is not used: its edges leave no pixel of the image")
                continue
            mask &= inside
            used.append(f"mask from {said}")
    return (None if mask.all() else mask), tuple(used)


def _inside(
    header: FrameHeader,
    prefix: str,
    form: str,
    shape: tuple[int, int],
    spacing: tuple[float, float],
) -> Bool[Tensor, "rows columns"] | None:
    rows = torch.arange(1, shape[0] + 1, dtype=torch.float64)[:, None]
    columns = torch.arange(1, shape[1] + 1, dtype=torch.float64)
    if form == "RECTANGULAR":
        left = header.number(f"{prefix}LeftVerticalEdge")
        right = header.number(f"{prefix}RightVerticalEdge")
        upper = header.number(f"{prefix}UpperHorizontalEdge")
        lower = header.number(f"{prefix}LowerHorizontalEdge")
        if left is None or right is None or upper is None or lower is None:
            return None
        return (rows >= upper) & (rows <= lower) & (columns >= left) & (columns <= right)
    if form == "CIRCULAR":
        center = header.numbers(f"CenterOfCircular{prefix}", 2)
        radius = header.number(f"RadiusOfCircular{prefix}")
        if center is None or radius is None:
            return None
        down = (rows - center[0]) * (spacing[0] / spacing[1])
        return down**2 + (columns - center[1]) ** 2 <= radius**2
    if form == "POLYGONAL":
        keyword = f"VerticesOfThePolygonal{prefix}"
        flat = header.numbers(keyword)
        if flat is None:
            return None
        if len(flat) < 6 or len(flat) % 2:
            raise ReadError(
                f"{header.file}: {name(keyword)} should hold three or more row, column pairs: "
                f"got {len(flat)} values"
            )
        filled: NDArray[Any] = np.zeros(shape, np.uint8)
        inside = np.clip(np.reshape(flat, (-1, 2)), -(2**15), 2**15)  # OpenCV counts in 32 bits
        vertices = np.rint(inside)[:, ::-1].astype(np.int32) - 1
        cv2.fillPoly(filled, [vertices], 1)
        return torch.from_numpy(filled > 0)
    return None
