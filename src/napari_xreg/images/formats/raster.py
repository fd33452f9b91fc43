"""Read the pixels of an X-ray image from PNG, TIFF, NPY, NPZ and films, with a JSON sidecar beside it."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from napari_xreg.files import (
    GEOMETRY,
    claim,
    json_of_text,
    read_json,
    read_npy,
    read_npz,
    schema_head,
)
from napari_xreg.images.errors import ReadError
from napari_xreg.images.formats.film import FILMS, read_film
from napari_xreg.images.formats.tiff import read_tiff
from napari_xreg.images.frames import Frame, chosen_frames
from napari_xreg.images.intensity.value_range import ValueRange, array_range
from napari_xreg.images.known_geometry.record import GeometryRecord
from napari_xreg.images.known_geometry.sidecar import GeometryFile
from napari_xreg.images.stored_image import BYTES_PER_PIXEL, StoredImage

_UNSTATED = "an image file without a sidecar does not say what its values are"


def sidecar_path(path: Path) -> Path:
    """Where the geometry of an image lies: its name with ``.json`` behind it."""
    return path.with_name(path.name + ".json")


def has_sidecar(path: Path) -> bool:
    """Whether the geometry of an image lies beside it; never fails."""
    try:
        data = read_json(sidecar_path(path))
    except ReadError:
        return False
    return isinstance(data, dict) and data.get("schema") == GEOMETRY


def read_raster_image(path: Path, *, frame: Frame = None) -> StoredImage:
    """Pixels of an image file; geometry and meaning from the sidecar, if there is one.

    Raises
    ------
    ReadError
        If the file is damaged, in colour, not two-dimensional, not of numbers or larger than the
        memory; if it holds several pages and none was chosen; if its sidecar is malformed.
    """
    suffix = path.suffix.lower()
    mask, details = None, None
    notes: tuple[str, ...] = ()
    if suffix == ".npz":
        array, mask, details = _npz(path)
    elif suffix == ".npy":
        array, frame = _npy(path, frame)
    elif suffix in (".tif", ".tiff"):
        array, notes = read_tiff(path, lambda count: chosen_frames(path.name, count, frame))
        array = _one_channel(array, path.name)
    elif suffix in FILMS:
        array, notes = read_film(path, lambda count: chosen_frames(path.name, count, frame))
    else:
        array = _png(path)
    array = _grey(array, path.name, None if suffix in (".tif", ".tiff", *FILMS) else frame)
    sidecar = sidecar_path(path)
    if details is None and sidecar.exists():
        details = read_json(sidecar)
    claim(BYTES_PER_PIXEL * array.size, f"{path.name}: an image of {_pair(array.shape)} pixels")
    ends = array_range(array)
    pixels = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))
    if details is None:
        return StoredImage(
            pixels,
            path.name,
            GeometryRecord(),
            value_range=ends,
            why_no_meaning=_UNSTATED,
            notes=notes,
        )
    stored = _described(path, pixels, mask, ends, details, sidecar.name)
    return replace(stored, notes=(*notes, *stored.notes))


def _described(
    path: Path,
    pixels: torch.Tensor,
    mask: torch.Tensor | None,
    ends: ValueRange | None,
    details: Any,
    sidecar: str,
) -> StoredImage:
    """Geometry from the sidecar, and what its "image" part says about the values."""
    where = sidecar if path.suffix.lower() != ".npz" else path.name
    file = GeometryFile.read(details, where)
    image = file.image
    if image.masked_value is not None and mask is None:
        mask = pixels != image.masked_value
    return StoredImage(
        pixels,
        path.name,
        file.record(where),
        meaning=image.read_as,
        value_range=ends,
        scale=None if image.slope is None else (image.slope, image.intercept or 0.0),
        i0=image.i0,
        mask=mask,
        simulated=image.simulated,
        subtracted=image.subtracted,
        why_no_meaning=f"{where} holds no read_as",
        notes=image.notes,
    )


def _png(path: Path) -> NDArray[Any]:
    """OpenCV keeps 16 bits in every layout, but complains on stderr and older versions fill a
    cut-off image with zeros; Pillow is strict and quiet, but reads 16-bit colour as 8. So one checks
    and the other decodes.
    """
    file = path.name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=("PNG",)) as picture:
                size = picture.height, picture.width
                claim(
                    BYTES_PER_PIXEL * size[0] * size[1], f"{file}: an image of {_pair(size)} pixels"
                )
                picture.load()
        array = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except ReadError:
        raise
    except Image.DecompressionBombError as error:
        raise ReadError(f"{file}: claims more pixels than any detector has") from error
    except MemoryError as error:
        raise ReadError(f"{file}: is too large for the memory of this computer") from error
    except Exception as error:  # a damaged file makes Pillow raise almost anything
        raise ReadError(
            f"{file}: is not a readable PNG or TIFF image: damaged or cut off"
        ) from error
    if array is None:
        raise ReadError(f"{file}: is not a readable PNG or TIFF image: damaged or cut off")
    return _one_channel(np.asarray(array), file)


def _one_channel(array: NDArray[Any], file: str) -> NDArray[Any]:
    """Drop alpha and equal colour channels; refuse colour."""
    if array.ndim == 2:
        return array
    colours = array[..., :3] if array.shape[-1] in (3, 4) else array[..., :1]
    if (colours != colours[..., :1]).any():
        raise ReadError(
            f"{file}: is a colour image; a radiograph has one grey value per pixel: export it in grey"
        )
    return np.asarray(colours[..., 0])


def _npy(path: Path, frame: Frame) -> tuple[NDArray[Any], Frame]:
    """An array, and what is still to be chosen of it: of a stack, the frame alone is read."""
    chosen: list[int] = []

    def page(shape: tuple[int, ...]) -> int | None:
        stack = len(shape) == 3 and shape[-1] not in (3, 4) and min(shape) > 0
        if stack and isinstance(frame, int) and 1 <= frame <= shape[0]:
            chosen.append(frame)
            return frame - 1
        return None

    array = _named(path, lambda p: read_npy(p, page=page))
    return array, None if chosen else frame


def _npz(path: Path) -> tuple[NDArray[Any], torch.Tensor | None, Any]:
    """Image, mask and the parsed details of an archive that `write_radiograph` wrote."""
    file = path.name
    found = _named(path, lambda p: read_npz(p, only=("line_integrals", "mask", "geometry")))
    if "line_integrals" not in found:
        raise ReadError(f"{file}: holds no array named 'line_integrals'")
    image, mask = found["line_integrals"], None
    if "mask" in found:
        if found["mask"].shape != image.shape or found["mask"].dtype.kind not in "buif":
            raise ReadError(
                f"{file}: image and mask should have the same shape: got {image.shape} and "
                f"{found['mask'].shape} of {found['mask'].dtype}"
            )
        mask = torch.from_numpy(found["mask"] != 0)
    if "geometry" not in found:
        return image, mask, {**schema_head(GEOMETRY), "image": {"read_as": "line_integral"}}
    text = found["geometry"]
    if text.dtype.kind != "U" or text.size != 1:
        raise ReadError(f"{file}: its 'geometry' should be one JSON text: got {text.dtype}")
    return image, mask, json_of_text(str(text.reshape(())), file)


_Read = TypeVar("_Read")


def _named(path: Path, read: Callable[[Path], _Read]) -> _Read:
    """Errors speak of a file by its name, as those of all radiographs do."""
    try:
        return read(path)
    except ReadError as error:
        raise type(error)(str(error).replace(str(path), path.name, 1)) from error


def _grey(array: NDArray[Any], file: str, frame: Frame) -> NDArray[Any]:
    """Two dimensions of real numbers: one page of several, or their mean."""
    if array.dtype.kind not in "buif":
        raise ReadError(f"{file}: should hold real numbers: got {array.dtype}")
    if array.ndim == 3 and array.shape[-1] in (3, 4) and file.lower().endswith(".npy"):
        array = _one_channel(array, file)
    if array.ndim == 3 and array.size:
        numbers = chosen_frames(file, len(array), frame)
        if len(numbers) > 1:
            total = sum(array[number - 1].astype(np.float64) for number in numbers)
            return np.asarray(total / len(numbers))
        return np.asarray(array[numbers[0] - 1])
    if array.ndim != 2 or min(array.shape) < 1:
        raise ReadError(f"{file}: has shape {array.shape}, a radiograph has rows and columns")
    chosen_frames(file, 1, frame)
    return array


def _pair(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
