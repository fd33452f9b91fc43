"""More than one radiograph, and masks for them."""

import warnings
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from napari_xreg.cli.inputs import header_start, read_xray
from napari_xreg.files import check_file, claim, read_npy
from napari_xreg.images import Radiograph, ReadError
from napari_xreg.registration import View
from napari_xreg.workflows import StartingPose


def check_masks(arguments: Namespace) -> None:
    """Masks are for all radiographs or for none: one too many would be left out without a word.

    Raises
    ------
    ValueError
        If there are fewer or more masks than radiographs.
    """
    count, radiographs = len(arguments.mask), 1 + len(getattr(arguments, "radiograph", ()))
    if count not in (0, radiographs):
        raise ValueError(
            f"{_counted(count, 'mask was', 'masks were')} given for "
            f"{_counted(radiographs, 'radiograph', 'radiographs')}: give --mask once for each, in "
            "their order"
        )


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def further_radiographs(arguments: Namespace, radiograph: Radiograph) -> list[Radiograph]:
    """The radiographs of --radiograph, each with its mask: read before the work begins.

    Raises
    ------
    ValueError
        If a header does not say where the C-arm stood.
    """
    others = [
        masked(arguments, read_xray(arguments, path), number)
        for number, path in enumerate(arguments.radiograph, start=1)
    ]
    for each in (radiograph, *others) if others else ():
        if each.nominal is None:
            raise _unplaced(each)
    return others


def further_views(
    arguments: Namespace, radiograph: Radiograph, start: StartingPose, others: Sequence[Radiograph]
) -> list[View]:
    """Further radiographs, where their headers put them relative to the first."""
    if not others:
        return []
    stood = _stood(arguments, radiograph, start)
    views = []
    for other in others:
        # What was wrong with the first header is taken to be wrong with all: the patient lay there.
        pose = start.pose @ stood.pose.inverse() @ _stood(arguments, other, start).pose
        views.append(View(other, pose))
    return views


def masked(arguments: Namespace, radiograph: Radiograph, number: int) -> Radiograph:
    """The radiograph without what the mask of its number excludes; see `check_masks`.

    Raises
    ------
    ValueError
        If the mask has another shape, or leaves nothing.
    """
    if not arguments.mask:
        return radiograph
    path = Path(arguments.mask[number])
    mask = read_mask(path)
    shape = radiograph.carm.detector.shape
    if tuple(mask.shape) != shape:
        raise ValueError(
            f"{path.name} has {mask.shape[0]} x {mask.shape[1]} pixels, the radiograph "
            f"{shape[0]} x {shape[1]}: a mask belongs to the radiograph as it is used (cropped)"
        )
    limited = radiograph.with_mask(mask, path.name)
    if not limited.usable.any():
        raise ValueError(f"{path.name} leaves no pixel: white (anything but 0) is what is used")
    return limited


def read_mask(path: Path) -> Bool[Tensor, "rows columns"]:
    """White (anything but 0) is what may be used; an image, or ``.npy``.

    Raises
    ------
    ReadError
        If it cannot be read as one plane.
    """
    check_file(path)
    values = read_npy(path) if path.suffix.lower() == ".npy" else _picture(path)
    if values.dtype.kind not in "biuf" or np.isnan(values).any():
        raise ReadError(f"{path.name}: a mask holds numbers, 0 where it must not be compared")
    if values.ndim != 2:
        raise ReadError(f"{path.name}: a mask is one grey image: got shape {values.shape}")
    return torch.from_numpy(np.ascontiguousarray(values != 0))


def _picture(path: Path) -> NDArray[Any]:
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")
            claim(4 * image.height * image.width, f"{path.name}: an image")
            return np.asarray(image.convert("L") if image.mode in ("RGB", "P") else image)
    except ReadError:
        raise
    except Exception as error:  # a damaged file makes Pillow raise almost anything
        raise ReadError(
            f"{path.name}: is not an image that can be read, nor .npy: damaged, cut off or of "
            "another kind"
        ) from error


def _stood(arguments: Namespace, radiograph: Radiograph, start: StartingPose) -> StartingPose:
    found = header_start(arguments, radiograph, start.isocenter)
    if found is None:
        raise _unplaced(radiograph)
    return found


def _unplaced(radiograph: Radiograph) -> ValueError:
    return ValueError(
        f"{radiograph.source} does not say where the C-arm stood, which several radiographs "
        "need: their poses relative to each other are taken from their headers"
    )
