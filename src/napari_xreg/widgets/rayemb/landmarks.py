"""Points that RayEmb found, kept as landmarks."""

from napari_xreg.images import Landmark
from napari_xreg.session import PointList, Session


def accept_landmarks(session: Session, points: PointList) -> str:
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
    active, found = session.active, points.found
    if active is None or found is None or not len(points):
        raise ValueError("points become landmarks once they were found on a radiograph")
    patient = {mark.name: mark for mark in session.landmarks}
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
        session.set_landmarks(list(patient.values()))
        session.set_picked(active.name, list(picked.values()))
    return f"{len(points)} landmarks in the patient and on {active.name}"
