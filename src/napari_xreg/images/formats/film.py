"""Frames of a film (AVI, MP4): what fluoroscopy is often handed over as, and not what the detector measured."""

import os
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
    with _opened(path) as film:
        numbers = chosen(_count(film, path))
        total: NDArray[Any] | None = None
        for number in numbers:
            grey = _grey(_frame(film, path, number), path.name)
            if len(numbers) == 1:
                return grey, (LOSSY,)
            total = grey.astype(np.float64) if total is None else total + grey
    assert total is not None
    return total / len(numbers), (LOSSY,)


def film_times(path: Path) -> tuple[float, ...] | None:
    """Seconds since the first frame, of every frame, by the film's rate; None where it has none."""
    try:
        with _opened(path) as film:
            rate, count = film.get(cv2.CAP_PROP_FPS), _count(film, path)
    except ReadError:
        return None
    # Containers without a rate say 0, or so many ticks a second as no tube has pulses.
    return tuple(n / rate for n in range(count)) if 0 < rate <= 1000 else None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    # What the decoders of a damaged film print is no message for a user. FFmpeg asks once, when it is loaded.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", _QUIET)
    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    film = None
    try:
        film = cv2.VideoCapture(str(path), _decoder())
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


def _decoder() -> int:
    """FFmpeg, which comes with OpenCV nearly everywhere; else whatever there is."""
    there = cv2.CAP_FFMPEG in cv2.videoio_registry.getBackends()
    return cv2.CAP_FFMPEG if there else cv2.CAP_ANY


def _count(film: Any, path: Path) -> int:
    """Of the frames, as the film says, else as they are counted."""
    count = int(film.get(cv2.CAP_PROP_FRAME_COUNT))
    if count < 1:
        count = 0
        while film.grab():
            count += 1
    if count < 1:
        raise ReadError(f"{path.name}: is a film without a frame")
    return count


def _frame(film: Any, path: Path, number: int) -> NDArray[Any]:
    """A frame, from 1. Not every film can be entered in its middle: then it is gone through."""
    at = number - 1
    if round(film.get(cv2.CAP_PROP_POS_FRAMES)) != at:
        film.set(cv2.CAP_PROP_POS_FRAMES, at)
    if round(film.get(cv2.CAP_PROP_POS_FRAMES)) != at:
        film.open(str(path), _decoder())
        for _ in range(at):
            film.grab()
    there, image = film.read()
    if not there:
        raise ReadError(f"{path.name}: its frame {number} cannot be decoded: damaged or cut off")
    return np.asarray(image)


def _grey(image: NDArray[Any], file: str) -> NDArray[Any]:
    if image.ndim == 2:
        return image
    spread = image.max(-1).astype(np.int16) - image.min(-1)
    if float((spread > SPREAD).mean()) > COLOURED:
        raise ReadError(
            f"{file}: is a film in colour; a radiograph has one grey value per pixel: export it in grey"
        )
    return np.asarray(image[..., 1])
