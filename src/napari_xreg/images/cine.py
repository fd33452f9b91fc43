"""Radiographs of one camera in time, each read when it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_xreg.images.dicom.kind import is_xray_file
from napari_xreg.images.dicom.timing import frame_times
from napari_xreg.images.errors import ReadError, SeveralFrames
from napari_xreg.images.formats.film import FILMS, film_times
from napari_xreg.images.formats.numbered import numbered_files
from napari_xreg.images.formats.table import suffixes
from napari_xreg.images.radiograph import Radiograph
from napari_xreg.images.reading_radiographs import read_radiograph


def of_one_picture() -> tuple[str, ...]:
    """Endings of radiographs of one picture or few: a film lies beside the frames that were taken from it."""
    return tuple(suffix for suffix in suffixes("radiograph") if suffix not in FILMS)


@dataclass(frozen=True, eq=False)
class Cine:
    """Frames in time of one camera; none is kept.

    Parameters
    ----------
    numbers
        What the frames are called, rising.
    read
        The radiograph of a number; may be called in any thread.
    times_s
        Seconds since the first frame, one a frame; None: not known.
    source
        File or folder that they came from.
    """

    numbers: tuple[int, ...]
    read: Callable[[int], Radiograph]
    times_s: tuple[float, ...] | None = None
    source: str = ""


def open_cine(path: Path | str, **options: Any) -> Cine:
    """The frames of a DICOM file, a TIFF, a film or a stack of NPY, or of a folder with a file for each.

    Only what says which frames there are is read now. The frames of a file are counted from 1; those of a
    folder are called by the numbers at the end of their file names.

    Parameters
    ----------
    path
        File or folder.
    options
        Keywords of `read_radiograph` that hold for every frame, without `frame`.

    Raises
    ------
    ReadError
        If it holds no radiograph, or the first cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        try:
            files = numbered_files(path, of_one_picture(), "radiographs")
        except ReadError as error:
            films = [film.name for film in sorted(path.glob("*")) if film.suffix.lower() in FILMS]
            if not films:
                raise
            raise ReadError(
                f"{error}; it holds a film, {films[0]}: name the file itself"
            ) from error

        def of_folder(number: int) -> Radiograph:
            return read_radiograph(files[number], **options)

        return Cine(tuple(files), of_folder, source=path.name)
    try:
        read_radiograph(path, **options)
        numbers: tuple[int, ...] = (1,)
    except SeveralFrames as several:
        numbers = tuple(range(1, several.frames + 1))

    def of_file(number: int) -> Radiograph:
        if number not in numbers:
            raise ReadError(f"{path.name}: has no frame {number}: its frames are 1..{numbers[-1]}")
        return read_radiograph(path, frame=number, **options)

    return Cine(numbers, of_file, times_of(path, len(numbers)), path.name)


def times_of(path: Path, frames: int) -> tuple[float, ...] | None:
    """Seconds since the first frame, one a frame; None where the file does not say, or not of so many."""
    times = None
    if path.suffix.lower() in FILMS:
        times = film_times(path)
    elif is_xray_file(path):
        times = frame_times(path)
    return times if times is not None and len(times) == frames else None
