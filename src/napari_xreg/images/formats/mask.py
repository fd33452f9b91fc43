"""A mask from a file: which pixels of a radiograph may be used."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from napari_xreg.files import check_file, claim, read_npy
from napari_xreg.images.errors import ReadError


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
