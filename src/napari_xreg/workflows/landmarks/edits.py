"""What is done to landmarks of a session: placed, picked, hidden, renamed, removed, taken over."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from napari_xreg.images import Landmark
from napari_xreg.session import Exposure, PointList, Session

Pixel = tuple[float, float]
Position = tuple[float, float, float]


def place_landmark(session: Session, name: str, position: Position) -> None:
    """A landmark of the patient, new or moved; world (LPS), mm."""
    marks = {mark.name: mark for mark in session.landmarks.all}
    old = marks.get(name)
    marks[name] = Landmark(name, position) if old is None else replace(old, position=position)
    session.landmarks.set([*marks.values()])


def pick_landmark(session: Session, name: str, pixel: Pixel) -> None:
    """A landmark of the active radiograph, new or moved: then it was picked by hand, and is seen."""
    _change(session, name, lambda old: Landmark(name, pixel=pixel))


def take_detected(session: Session, radiograph: str, detected: Sequence[Landmark]) -> int:
    """Put what a detector found on a radiograph; what was picked there by hand stays. How many did.

    A hand knows no direction: its pick has no covariance, or a round one.
    """
    old = {mark.name: mark for mark in session.exposures[radiograph].landmarks}
    by_hand = {key for key, mark in old.items() if _round(mark)}
    new = {mark.name: mark for mark in detected if mark.name not in by_hand}
    session.landmarks.set_picked(radiograph, [*(old | new).values()])
    return len(by_hand & {mark.name for mark in detected})


def copy_to_landmarks(session: Session, points: PointList) -> str:
    """Points become landmarks of the patient and, with their covariance, of the active radiograph.

    One of the same name is replaced.

    Returns
    -------
    str
        What was done, for the user.

    Raises
    ------
    ValueError
        If there is no radiograph, or the points were not looked for on it.
    """
    active, found = session.exposures.active, points.found
    if active is None or found is None or not len(points):
        raise ValueError("points become landmarks once they were found on a radiograph")
    patient = {mark.name: mark for mark in session.landmarks.all}
    picked = {mark.name: mark for mark in active.landmarks}
    for name, (x, y, z), (row, column), covariance in zip(
        points.names, points.positions.tolist(), found.pixels.tolist(), found.covariances.tolist(),
        strict=True,
    ):  # fmt: skip
        (of_rows, of_both), (_, of_columns) = covariance
        patient[name] = Landmark(name, (x, y, z))
        picked[name] = Landmark(
            name, pixel=(row, column), covariance=(of_rows, of_both, of_columns)
        )
    with session.one_step(f"{len(points)} points as landmarks"):
        session.landmarks.set(list(patient.values()))
        session.landmarks.set_picked(active.id, list(picked.values()))
    return f"{len(points)} landmarks in the patient and on {active.name}"


def set_landmark_visible(session: Session, name: str, visible: bool) -> None:
    """Whether a landmark of the active radiograph is to be seen there."""
    _change(session, name, lambda old: None if old is None else replace(old, visible=visible))


def set_landmark_sigma(session: Session, name: str, sigma: float) -> None:
    """Give a pixel a standard deviation along rows and columns of its own, pixels."""
    round_ = (sigma**2, 0.0, sigma**2)
    _change(session, name, lambda old: None if old is None else replace(old, covariance=round_))


def set_landmark_ticked(session: Session, name: str, ticked: bool) -> None:
    """Whether the pose of the active radiograph may be fitted to it."""
    active = session.exposures.active
    if active is None:
        return
    left = [other for other in active.left_out if other != name]
    session.landmarks.set_left_out(active.id, left if ticked else [*left, name])


def remove_landmark(session: Session, name: str, *, patient: bool) -> None:
    """Forget a landmark of the patient, or the pick on the active radiograph."""
    if patient:
        session.landmarks.set([mark for mark in session.landmarks.all if mark.name != name])
        return
    active = session.exposures.active
    if active is not None:
        session.landmarks.set_picked(active.id, [m for m in active.landmarks if m.name != name])


def rename_landmark(session: Session, old: str, new: str, *, others: Collection[str] = ()) -> None:
    """Call it otherwise, in the patient and on every radiograph; not as one of `others`.

    Raises
    ------
    ValueError
        If the new name is empty or is another landmark's, in words for the user.
    """
    if new == old:
        return
    taken = {*others, *(mark.name for mark in session.landmarks.all)}
    taken.update(mark.name for entry in session.exposures.all for mark in entry.landmarks)
    if not new or new in taken:
        raise ValueError(
            f"{old} needs a name of its own: got {new!r}" + (", which is taken" if new else "")
        )

    def called(marks: tuple[Landmark, ...]) -> list[Landmark]:
        return [replace(mark, name=new) if mark.name == old else mark for mark in marks]

    with session.one_step(f"rename landmark {old} to {new}"):
        if any(mark.name == old for mark in session.landmarks.all):
            session.landmarks.set(called(session.landmarks.all))
        for entry in session.exposures.all:
            if any(mark.name == old for mark in entry.landmarks):
                session.landmarks.set_picked(entry.id, called(entry.landmarks))
            if old in entry.left_out:
                session.landmarks.set_left_out(
                    entry.id, [new if n == old else n for n in entry.left_out]
                )


def _round(mark: Landmark) -> bool:
    if mark.covariance is None:
        return True
    rows, both, columns = mark.covariance
    return rows == columns and both == 0


def _change(
    session: Session, name: str, change: Callable[[Landmark | None], Landmark | None]
) -> None:
    """Put in place of a landmark of the active radiograph what `change` makes of it."""
    active: Exposure | None = session.exposures.active
    if active is None:
        return
    marks = {mark.name: mark for mark in active.landmarks}
    new = change(marks.get(name))
    if new is not None:
        marks[name] = new
        session.landmarks.set_picked(active.id, [*marks.values()])
