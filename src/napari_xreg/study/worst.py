"""The worst cases of a study, made again to be looked at: a picture, and a session that opens there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.records import StudyRow, compare, edges_picture
from napari_xreg.session import write_session
from napari_xreg.study.errors import METRICS
from napari_xreg.study.evaluating import Evaluation
from napari_xreg.study.plan import slug
from napari_xreg.study.row_session import prepared_again, session_of
from napari_xreg.study.tables import is_wrong

MOST_OF_A_CASE = 2
"""Rows of one case in a gallery: the rest would look alike."""
PICTURE_PIXELS = 320
MARGIN = 1.2
"""Times the size of what is registered is shown of a radiograph."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A row, to be looked at.

    Parameters
    ----------
    row
        Of the study.
    pictures
        Edges at start and result, of every radiograph; none where they could not be drawn.
    session
        A session's file that opens in the window at the result.
    problem
        Why there is no picture.
    """

    row: StudyRow
    pictures: tuple[np.ndarray, ...] = ()
    session: Path | None = None
    problem: str = ""


def worst_rows(rows: Sequence[StudyRow], count: int) -> list[StudyRow]:
    """What is looked at first: trusted though wrong in what the verdict speaks of, then the farthest off; few of each case."""

    def order(row: StudyRow) -> tuple[bool, float]:
        error = row.errors[METRICS[0].name]
        return not is_wrong(row), -error

    chosen: list[StudyRow] = []
    for row in sorted((r for r in rows if r.errors and not r.failure), key=order):
        if len(chosen) < count and sum(c.case == row.case for c in chosen) < MOST_OF_A_CASE:
            chosen.append(row)
    return chosen


def shown(evaluation: Evaluation, row: StudyRow, folder: Path) -> Shown:
    """A row with its picture, and its session in a folder; the case is read, or simulated, again."""
    try:
        prepared = prepared_again(evaluation.folder, row)
        volume = prepared.patient.rendering.volume()
        pictures = []
        for radiograph, *poses in zip(
            prepared.radiographs, row.start_poses, row.poses, strict=True
        ):
            near = around(volume, radiograph, poses)
            comparison = compare(volume, near, *poses, pixels=PICTURE_PIXELS)
            pictures.append(edges_picture(comparison, simulated=row.simulated))
        file = folder / session_name(row)
        folder.mkdir(parents=True, exist_ok=True)
        write_session(file, session_of(prepared, row, evaluation.folder))
    except (ValueError, OSError, MemoryError) as error:  # the page is written without this case
        return Shown(row, problem=" ".join(str(error).split()) or type(error).__name__)
    return Shown(row, tuple(pictures), file)


def session_name(row: StudyRow) -> str:
    """Of its file: by its key, as names may have no letter that every file system takes."""
    words = slug(f"{row.case} {row.start} {row.repeat} {row.method}")
    return f"{words}.{row.key[:12]}.xreg.json"


def around(volume: Volume, radiograph: Radiograph, poses: Sequence[Pose]) -> Radiograph:
    """The square of a radiograph that shows a volume at some poses: a bone may be small in it.

    The whole radiograph where that is no smaller, or a part of the volume lies behind the source.
    """
    rows, columns = radiograph.carm.detector.shape
    seen = torch.cat([radiograph.carm.project(volume.corners.double(), pose) for pose in poses])
    low, high = seen.amin(0), seen.amax(0)
    if not seen.isfinite().all() or float((high - low).max()) * MARGIN >= min(rows, columns):
        return radiograph
    side = math.ceil(float((high - low).max()) * MARGIN)
    top, left = (
        min(max(round(float(middle) - side / 2), 0), size - side)
        for middle, size in zip((low + high) / 2, (rows, columns), strict=True)
    )
    return radiograph.crop(top, left, side, side)
