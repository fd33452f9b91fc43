"""Landmarks of a session from and to files."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from napari_xreg.images import Landmark, write_landmarks
from napari_xreg.session import Session


def take_landmarks(session: Session, landmarks: Iterable[Landmark]) -> bool:
    """Positions to the patient, pixels to the active radiograph; one of the same name is replaced.

    Returns
    -------
    bool
        False where there are pixels and no radiograph to take them.
    """
    marks = list(landmarks)
    placed = [mark for mark in marks if mark.position is not None]
    picked = [mark for mark in marks if mark.pixel is not None]
    with session.one_step("load landmarks", work=False):
        if placed:
            kept = {mark.name: mark for mark in session.landmarks.all}
            session.landmarks.set([*(kept | {mark.name: mark for mark in placed}).values()])
        if picked and session.exposures.active is not None:
            kept = {mark.name: mark for mark in session.exposures.active.landmarks}
            taken = [*(kept | {mark.name: mark for mark in picked}).values()]
            session.landmarks.set_picked(session.exposures.active.id, taken)
    return not picked or session.exposures.active is not None


def save_landmarks(session: Session, path: str | Path) -> int:
    """Write the landmarks of the patient and, as .csv, those of the active radiograph; how many.

    Raises
    ------
    OSError, ValueError
        If it cannot be written.
    """
    marks = {mark.name: mark for mark in session.landmarks.all}
    active = session.exposures.active
    if active is not None and str(path).lower().endswith(".csv"):
        for mark in active.landmarks:
            here = marks.get(mark.name, mark)
            marks[mark.name] = replace(mark, position=here.position)
    write_landmarks(path, marks.values())
    return len(marks)
