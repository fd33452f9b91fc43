"""Grey values of a TIFF file, of any number type, exactly as stored."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_xreg.files import claim
from napari_xreg.images.errors import ReadError
from napari_xreg.images.intensity.value_range import array_range

_PALETTE = 3
_WHITE_IS_ZERO = 0


def read_tiff(
    path: Path, chosen: Callable[[int], Sequence[int]]
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """One page, or the mean of several, and what was done to its values.

    tifffile reads every number type; what needs a codec that it lacks (LZW), or is in colour, is
    decoded by OpenCV. Only the pages that are wanted are decoded.

    Parameters
    ----------
    chosen
        Numbers of the wanted pages, from 1, given how many there are.

    Returns
    -------
    array
        (rows, columns), or with colour channels behind.
    tuple of str
        Notes.

    Raises
    ------
    ReadError
        If it is damaged, cut off or of a kind that nobody decodes.
    """
    with _opened(path) as tiff:
        numbers = chosen(len(tiff.pages))
        pages: list[Any] = [tiff.pages[number - 1] for number in numbers]
        _check(path, pages)
        arrays = (_decoded(path, page, number) for page, number in zip(pages, numbers, strict=True))
        array = next(arrays)
        if len(pages) > 1:
            array = sum(arrays, array.astype(np.float64)) / len(pages)
    if pages[0].photometric != _WHITE_IS_ZERO or array.dtype.kind not in "buf":
        return array, ()
    return _as_shown(array)


Said = TypeVar("Said")


def read_tiff_pages(path: Path, said: Callable[[Any], Said]) -> tuple[NDArray[Any], Said]:
    """All pages, (pages, rows, columns) of one grey value each, and what a look at the header gives.

    Raises
    ------
    ReadError
        If it is damaged, in colour, or its pages are not alike.
    """
    with _opened(path) as tiff:
        pages: list[Any] = list(tiff.pages)
        first = pages[0]
        if first.samplesperpixel != 1 or first.photometric == _PALETTE:
            raise ReadError(f"{path.name}: is in colour; a volume has one grey value per voxel")
        _check(path, pages)
        several = len(pages) * int(np.prod(first.shape)) * first.dtype.itemsize
        claim(2 * several, f"{path.name}: a stack of {len(pages)} pages")
        if len(pages) == 1:
            # ImageJ keeps large stacks behind one page.
            shape = tiff.series[0].shape
            if int(np.prod(shape)) * first.dtype.itemsize > max(path.stat().st_size, several):
                raise ReadError(f"{path.name}: is damaged or cut off: its pixels are not all there")
            values = np.asarray(tiff.series[0].asarray())
        else:
            try:
                values = np.stack([np.asarray(page.asarray()) for page in pages])
            except ValueError as error:
                if "imagecodecs" not in str(error):
                    raise
                _, found = cv2.imdecodemulti(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
                if len(found) != len(pages) or any(f.shape != first.shape for f in found):
                    raise ReadError(
                        f"{path.name}: is damaged, or compressed in a way that is not read here"
                    ) from error
                values = np.stack(found)
        if values.dtype.kind not in "buif":
            raise ReadError(f"{path.name}: should hold real numbers: got {values.dtype}")
        return values.astype(np.uint8) if values.dtype.kind == "b" else values, said(tiff)


def count_tiff_pages(path: Path) -> int:
    """How many images a TIFF file holds.

    Raises
    ------
    ReadError
        If it is damaged.
    """
    with _opened(path) as tiff:
        if len(tiff.pages) == 1 and len(tiff.series[0].shape) == 3:
            return int(tiff.series[0].shape[0]) if tiff.pages[0].samplesperpixel == 1 else 1
        return len(tiff.pages)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file by tifffile; whatever goes wrong with it inside is a `ReadError`."""
    import tifffile  # a tenth of a second, for one format

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with tifffile.TiffFile(path) as tiff:
                if not len(tiff.pages):
                    raise EOFError("no page in it")
                yield tiff
    except (ReadError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes the decoders raise almost anything
        words = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ReadError(
            f"{path.name}: is not a readable PNG or TIFF image: damaged or cut off ({words})"
        ) from error


def _check(path: Path, pages: Sequence[Any]) -> None:
    """That they are alike, whole, and fit into memory."""
    first, size = pages[0], path.stat().st_size
    if any(page.shape != first.shape for page in pages):
        raise ReadError(f"{path.name}: its {len(pages)} pages differ in size")
    if len(first.shape) not in (2, 3) or not first.size or first.dtype is None:
        raise ReadError(f"{path.name}: has shape {first.shape}, a radiograph has rows and columns")
    shown = " x ".join(map(str, first.shape))
    claim(4 * first.size * first.dtype.itemsize, f"{path.name}: an image of {shown} pixels")
    for page in pages:
        parts = zip(page.dataoffsets, page.databytecounts, strict=True)
        if any(start + count > size for start, count in parts):
            raise ReadError(f"{path.name}: is damaged or cut off: its pixels are not all there")


def _decoded(path: Path, page: Any, number: int) -> NDArray[Any]:
    if page.photometric != _PALETTE and page.samplesperpixel == 1:
        try:
            return np.asarray(page.asarray()).reshape(page.shape)
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
    done, found = cv2.imdecodemulti(
        np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED, range=(number - 1, number)
    )
    if not done:
        raise ReadError(f"{path.name}: is damaged, or compressed in a way that is not read here")
    array = np.asarray(found[0])
    if page.photometric == _WHITE_IS_ZERO and array.dtype == np.uint8:
        return 255 - array  # OpenCV has exchanged them, of 8 bits only
    return array


def _as_shown(array: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Low values are white in the file: exchanged, so that bright is what a viewer shows bright."""
    ends = array_range(array)
    low, high = (0.0, float(array.max())) if ends is None else (ends.low, ends.high)
    if array.dtype.kind == "f":
        exchanged = low + high - array
    elif array.dtype.kind == "b":
        exchanged = ~array
    else:
        exchanged = array.dtype.type(high) - array
    note = f"the file shows low values white: read as {high:g} - value"
    return np.asarray(exchanged), (note,)
