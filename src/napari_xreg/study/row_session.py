"""A registration of a study as a session: to be looked at, or refined again."""

from contextlib import suppress
from pathlib import Path

from napari_xreg.files import plain
from napari_xreg.geometry import Pose
from napari_xreg.records import StudyRow
from napari_xreg.registration import Likelihood, Registration, likelihood_of
from napari_xreg.session import Session
from napari_xreg.study.case import Prepared
from napari_xreg.study.plan import cases_of
from napari_xreg.study.registering import settings_of
from napari_xreg.study.running import FolderRecord
from napari_xreg.workflows import PoseUnknown


def opened_row(folder: FolderRecord, row: StudyRow) -> Session:
    """The case of a row as a session at its result, read or simulated again.

    Raises
    ------
    ValueError, ReadError
        As `prepared_again`.
    """
    return session_of(prepared_again(folder, row), row, folder)


def prepared_again(folder: FolderRecord, row: StudyRow) -> Prepared:
    """The case of a row, read or simulated again.

    Raises
    ------
    ValueError
        If the manifest has no such case any more.
    ReadError
        If a file of the case cannot be read.
    """
    for case in cases_of(folder.manifest, Path(folder.folder)):
        if case.name == row.case:
            return case.described.prepare()
    raise ValueError(f"the manifest has no case {row.case!r} any more")


def session_of(prepared: Prepared, row: StudyRow, folder: FolderRecord) -> Session:
    """A session that holds a case, its radiographs at the result of a row.

    Of a failure: where the case itself starts, or the radiographs' own files put the C-arm.
    """
    session, patient = Session(), prepared.patient
    session.patient.set_volume(patient.volume, prepared.sources.get("ct"))
    if patient.labels is not None:
        session.patient.set_labels(patient.labels, prepared.sources.get("labels"))
        if patient.structures:
            session.patient.set_structures(tuple(patient.structures))
    session.patient.set_isocenter(prepared.isocenter)
    session.landmarks.set(patient.landmarks)
    starts = row.start_poses or _own_starts(prepared)
    ids = [
        session.exposures.add(
            radiograph,
            name=f"{row.case} {number + 1}" if len(prepared.radiographs) > 1 else row.case,
            start=start,
            source=prepared.sources.get(str(number)),
            truth=prepared.truth if number == 0 else None,
        )
        for number, (radiograph, start) in enumerate(zip(prepared.radiographs, starts, strict=True))
    ]
    if row.failure:
        return session
    method = next(m for m in folder.manifest.methods if m.name == row.method)
    if method.results is None:
        settings = settings_of(method, landmarks=patient.landmarks)
        described = {"kind": type(settings).__name__, **plain(settings)}
    else:
        described = {"kind": "xvr"}
    session.results.accept(session.results.add(registration_of_row(row), ids, described))
    return session


def _own_starts(prepared: Prepared) -> tuple[Pose | None, ...]:
    """Where the case itself starts, all its radiographs together; None: as each file says."""
    if prepared.start is not None:
        with suppress(PoseUnknown):
            return tuple(view.world_from_camera for view in prepared.views(prepared.start))
    return (prepared.start, *(None for _ in prepared.radiographs[1:]))


def registration_of_row(row: StudyRow) -> Registration:
    """The result, without its path.

    Raises
    ------
    ValueError
        If the row is a failure.
    """
    if row.status is None or row.pivot is None:
        raise ValueError(f"{row.case}: this registration has no result: {row.failure}")
    return Registration(
        world_from_camera=row.poses[0],
        status=row.status,
        losses={"loss": row.loss},
        trajectory=(),
        pivot=row.pivot,
        views=row.poses,
        simulated=row.simulated,
        notes=row.notes,
        probability=row.probability,
        seen_by=row.seen_by,
    )


def likelihood_of_row(row: StudyRow) -> Likelihood | None:
    """How likely the result of a row is right, as it was judged without the truth; None: it has no result."""
    has_result = row.status is not None and row.pivot is not None and row.poses
    return likelihood_of(registration_of_row(row)) if has_result else None
