"""Frames of a film (AVI, MP4): what fluoroscopy is often handed over as, and not what the detector measured."""

import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_xreg.images.errors import ReadError

FILMS = (".avi", ".mp4")

_QUIET = "-8"  # AV_LOG_QUIET
SPREAD, COLOURED = 24, 0.02
"""A pixel is in colour whose red, green and blue differ by more grey values of 255, compression rounds by
some; more than this share of such pixels is a film in colour, fewer are burnt in (a trace, a clock)."""

LOSSY = (
    "read from a film: 8 bits, compressed, and often with contrast and edges changed for the eye; grey values "
    "are not what the detector measured. The DICOM file of the same run registers better"
)


def read_film(
    path: Path, chosen: Callable[[int], Sequence[int]]
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """One frame, or the mean of several, and what is to be known of its values.

    Parameters
    ----------
    chosen
        Numbers of the wanted frames, from 1, given how many there are.

    Returns
    -------
    array
        Grey values, (rows, columns).
    tuple of str
        Notes.

    Raises
    ------
    ReadError
        If it is damaged, cut off before that frame, in colour, or of a kind that OpenCV does not decode.
    """
    at = _timestamps(path)
    numbers = chosen(len(at))
    if len(numbers) == 1:
        return _grey(_frame(path, numbers[0], at), path.name), (LOSSY,)
    total: NDArray[Any] | float = 0.0
    with _opened(path) as film:
        for number in range(1, max(numbers) + 1):
            there, image = film.read()
            if not there:
                raise _undecoded(path, number)
            if number in numbers:
                total = total + _grey(np.asarray(image), path.name).astype(np.float64)
    return np.asarray(total) / len(numbers), (LOSSY,)


def film_times(path: Path) -> tuple[float, ...] | None:
    """Seconds since the first frame, of every frame; None where the film does not say."""
    try:
        at = _timestamps(path)
    except ReadError:
        return None
    rises = all(one < other for one, other in itertools.pairwise(at))
    return tuple((each - at[0]) / 1000 for each in at) if rises else None


_ONE_AT_A_TIME = threading.RLock()
"""How loud OpenCV is is one setting of the whole program."""


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    # What the decoders of a damaged film print is no message for a user. FFmpeg asks once, when it is loaded.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", _QUIET)
    logging = cv2.utils.logging
    with _ONE_AT_A_TIME:
        level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
        film = None
        try:
            film = _film(path)
            if not film.isOpened():
                raise ReadError(
                    f"{path.name}: is no film that can be decoded here: damaged, cut off, or of a codec that is "
                    "missing. Save its frames as PNG files in a folder"
                )
            yield film
        except cv2.error as error:
            raise ReadError(f"{path.name}: is not a readable film: damaged or cut off") from error
        finally:
            if film is not None:
                film.release()
            logging.setLogLevel(level)


def _film(path: Path) -> Any:
    """By FFmpeg, which comes with OpenCV nearly everywhere; else by whatever there is."""
    there = cv2.CAP_FFMPEG in cv2.videoio_registry.getBackends()
    # FFmpeg takes what stands before a colon for a protocol.
    return cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG if there else cv2.CAP_ANY)


def _timestamps(path: Path) -> tuple[float, ...]:
    """Of every frame that can be decoded, ms.

    What a film says of its frames is often wrong: a camera that was late leaves a frame without content, and
    one that was switched off no count at all.
    """
    try:
        about = path.stat()
    except OSError as error:
        raise ReadError(f"{path.name}: cannot be opened ({error.strerror})") from error
    return _gone_through(path, about.st_mtime_ns, about.st_size)


@functools.lru_cache(maxsize=16)
def _gone_through(path: Path, _changed_ns: int, _size: int) -> tuple[float, ...]:
    found = []
    with _opened(path) as film:
        while film.grab():
            found.append(float(film.get(cv2.CAP_PROP_POS_MSEC)))
    if not found:
        raise ReadError(f"{path.name}: is a film without a frame that can be decoded")
    return tuple(found)


def _frame(path: Path, number: int, at: Sequence[float]) -> NDArray[Any]:
    """A frame, from 1. Not every film can be entered in its middle: then it is gone through."""
    with _opened(path) as film:
        there = film.set(cv2.CAP_PROP_POS_FRAMES, number - 1) and film.grab()
        others = [
            abs(at[other] - at[number - 1])
            for other in (number - 2, number)
            if 0 <= other < len(at)
        ]
        near = 0.25 * min(others, default=0.0)
        if not there or not abs(film.get(cv2.CAP_PROP_POS_MSEC) - at[number - 1]) < near:
            film.release()
            film = _film(path)
            there = all(film.grab() for _ in range(number))
        known, image = film.retrieve() if there else (False, None)
    if not known:
        raise _undecoded(path, number)
    return np.asarray(image)


def _undecoded(path: Path, number: int) -> ReadError:
    return ReadError(f"{path.name}: its frame {number} cannot be decoded: damaged or cut off")


def _grey(image: NDArray[Any], file: str) -> NDArray[Any]:
    if image.ndim == 2:
        return image
    spread = image.max(-1).astype(np.int16) - image.min(-1)
    if float((spread > SPREAD).mean()) > COLOURED:
        raise ReadError(
            f"{file}: is a film in colour; a radiograph has one grey value per pixel: export it in grey"
        )
    return np.asarray(image[..., 1])
