"""Read the pixels of an X-ray image from PNG, TIFF, NPY and NPZ, with a JSON sidecar beside it."""

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from napari_xreg.images.errors import ReadError, SeveralFrames
from napari_xreg.images.stored_image import StoredImage
from napari_xreg.images.xray_geometry import (
    SCHEMA,
    GeometryRecord,
    geometry_from_json,
    read_sidecar,
)

_UNSTATED = "an image file without a sidecar does not say what its values are"


def sidecar_path(path: Path) -> Path:
    """Where the geometry of an image lies: its name with ``.json`` behind it."""
    return path.with_name(path.name + ".json")


def read_raster_image(path: Path, *, frame: int | Literal["mean"] | None = None) -> StoredImage:
    """Pixels of an image file; geometry and meaning from the sidecar, if there is one.

    Raises
    ------
    ReadError
        If the file is damaged, in colour, not two-dimensional or not of numbers; if it holds
        several pages and none was chosen.
    """
    found, mask = _npz(path) if path.suffix.lower() == ".npz" else ({}, None)
    if found:
        array, details = found["image"], found["details"]
    elif path.suffix.lower() == ".npz":
        raise ReadError(f"{path.name}: holds no array named 'line_integrals'")
    else:
        array = _npy(path) if path.suffix.lower() == ".npy" else _picture(path)
        details = None
    array = _grey(array, path.name, frame)
    sidecar = sidecar_path(path)
    if details is None and sidecar.exists():
        details = read_sidecar(sidecar)
    full_scale = float(np.iinfo(array.dtype).max) if array.dtype.kind in "ui" else None
    pixels = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))
    if details is None:
        return StoredImage(
            pixels, path.name, GeometryRecord(), full_scale=full_scale, why_no_meaning=_UNSTATED
        )
    return _described(path, pixels, mask, full_scale, details, sidecar.name)


def _described(
    path: Path,
    pixels: torch.Tensor,
    mask: torch.Tensor | None,
    full_scale: float | None,
    details: Any,
    sidecar: str,
) -> StoredImage:
    """Geometry from the sidecar, and what its "image" part says about the values."""
    where = sidecar if path.suffix.lower() != ".npz" else path.name
    geometry = geometry_from_json(details, where)
    image = details.get("image", {})
    if not isinstance(image, dict):
        raise ReadError(f'{where}: "image" should be a JSON object')
    meaning = image.get("read_as")
    if meaning not in (None, "intensity", "line_integral"):
        raise ReadError(
            f"{where}: read_as should be 'intensity' or 'line_integral': got {meaning!r}"
        )
    numbers: dict[str, Any] = {}
    try:
        for key in ("i0", "slope", "intercept"):
            numbers[key] = None if image.get(key) is None else float(image[key])
    except (TypeError, ValueError) as error:
        raise ReadError(f"{where}: {key} should be a number: got {image[key]!r}") from error
    masked = image.get("masked_value")
    if masked is not None and mask is None:
        mask = pixels != float(masked)
    scale = None
    if numbers["slope"] is not None:
        scale = (numbers["slope"], numbers["intercept"] or 0.0)
    return StoredImage(
        pixels,
        path.name,
        geometry,
        meaning=meaning,
        full_scale=full_scale,
        scale=scale,
        i0=numbers["i0"],
        mask=mask,
        simulated=bool(image.get("simulated", False)),
        why_no_meaning=f"{where} holds no read_as",
        notes=tuple(str(note) for note in image.get("notes", ())),
    )


def _picture(path: Path) -> NDArray[Any]:
    """PNG or TIFF; several TIFF pages are stacked along the first axis."""
    _check_picture(path)
    data = np.fromfile(path, np.uint8)
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            done, pages = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED)
            if done and len(pages) > 1:
                if len({page.shape for page in pages}) > 1:
                    raise ReadError(f"{path.name}: its {len(pages)} pages differ in size")
                return np.stack([_one_channel(page, path.name) for page in pages])
        array = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ReadError(f"{path.name}: cannot be decoded ({error.err})") from error
    if array is None:
        raise ReadError(f"{path.name}: is not a readable PNG or TIFF image: damaged or cut off")
    return _one_channel(array, path.name)


def _check_picture(path: Path) -> None:
    """Refuse what is damaged, cut off or absurdly large.

    OpenCV keeps 16 bits in every layout, but complains on stderr and older versions fill a cut-off
    image with zeros; Pillow is strict and quiet, but reads 16-bit colour as 8. So one checks and the
    other decodes.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "TIFF")) as picture:
                picture.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise ReadError(f"{path.name}: claims more pixels than any detector has") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ReadError(
            f"{path.name}: is not a readable PNG or TIFF image: damaged or cut off"
        ) from error


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


def _npy(path: Path) -> NDArray[Any]:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise ReadError(f"{path.name}: is not a readable .npy array ({error})") from error


def _npz(path: Path) -> tuple[dict[str, Any], torch.Tensor | None]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            names = set(archive.files)
            if "line_integrals" not in names:
                return {}, None
            details = json.loads(str(archive["geometry"])) if "geometry" in names else None
            mask = torch.from_numpy(archive["mask"] != 0) if "mask" in names else None
            image = archive["line_integrals"]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ReadError(f"{path.name}: is not a readable .npz archive ({error})") from error
    if mask is not None and tuple(mask.shape) != image.shape:
        raise ReadError(
            f"{path.name}: image and mask should have the same shape: got {image.shape} and "
            f"{tuple(mask.shape)}"
        )
    if details is None:
        details = {"schema": SCHEMA, "version": 1, "image": {"read_as": "line_integral"}}
    return {"image": image, "details": details}, mask


def _grey(array: NDArray[Any], file: str, frame: int | Literal["mean"] | None) -> NDArray[Any]:
    """Two dimensions of real numbers, one page of several."""
    if array.dtype.kind not in "uif":
        raise ReadError(f"{file}: should hold real numbers: got {array.dtype}")
    if array.ndim == 3 and array.shape[-1] in (3, 4) and file.lower().endswith(".npy"):
        array = _one_channel(array, file)
    if array.ndim == 3 and frame is not None:
        if frame == "mean":
            return np.asarray(array.mean(0))
        if not 1 <= frame <= len(array):
            raise ReadError(f"{file}: holds {len(array)} frames, there is no frame {frame}")
        return np.asarray(array[frame - 1])
    if array.ndim == 3:
        count = len(array)
        raise SeveralFrames(
            f"{file}: has shape {array.shape}, a radiograph has rows and columns: choose one of "
            f"the frames 1..{count} (--frame), or their mean",
            count,
        )
    if array.ndim != 2 or min(array.shape) < 1:
        raise ReadError(f"{file}: has shape {array.shape}, a radiograph has rows and columns")
    if frame not in (None, 1, "mean"):
        raise ReadError(f"{file}: holds 1 frame, there is no frame {frame}")
    return array
