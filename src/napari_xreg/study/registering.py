"""One case from one start by one method, as a row: a function of these alone."""

import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from napari_xreg.images import Landmark
from napari_xreg.progress import run
from napari_xreg.records import MethodEntry, StartEntry, StudyRow
from napari_xreg.registration import SOLVERS, NearBone, Registration, Spread, View, Wanted
from napari_xreg.rendering import one_blas_thread, torch_threads
from napari_xreg.study.case import Prepared, StudyCase
from napari_xreg.study.elsewhere import registration_elsewhere
from napari_xreg.study.errors import claimed_error, errors_of
from napari_xreg.study.starts import seed_of_start, start_of
from napari_xreg.workflows import RefineRequest, StartingPose, refine, with_sagittal


@dataclass(frozen=True)
class Item:
    """One registration of a study.

    Parameters
    ----------
    start, repeat, method
        Of the manifest.
    key
        Of all that its answer depends on.
    """

    start: StartEntry
    repeat: int
    method: MethodEntry
    key: str


@dataclass(frozen=True)
class Job:
    """What one process does in one go: a case is read, or simulated, once for these of its items.

    Parameters
    ----------
    case
        Which.
    items
        Its registrations.
    folder
        Of the manifest.
    seed
        Of the study.
    """

    case: StudyCase
    items: tuple[Item, ...]
    folder: Path
    seed: int


class Reading:
    """A case that is read, or simulated, when it is first asked for.

    Parameters
    ----------
    case
        Which.
    """

    def __init__(self, case: StudyCase) -> None:
        self.case = case
        self._read: Prepared | Exception | None = None

    def prepared(self) -> Prepared:
        """It, read.

        Raises
        ------
        Exception
            What reading it raised, each time.
        """
        if self._read is None:
            try:
                self._read = self.case.described.prepare()
            except Exception as error:
                self._read = error
        if isinstance(self._read, Exception):
            raise self._read
        return self._read


def rows_of(job: Job, reading: Reading | None = None) -> tuple[StudyRow, ...]:
    """All rows of a job, whose case may be read already; what fails is a row with its sentence.

    Libraries sum in one thread, so that numbers are the same however many of these run beside each
    other.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with torch_threads(1), one_blas_thread():
            return tuple(_rows(job, reading or Reading(job.case)))
    finally:
        cv2.setNumThreads(before)


def _rows(job: Job, reading: Reading) -> Iterator[StudyRow]:
    try:
        prepared = reading.prepared()
    except Exception as error:
        yield from (failed(job, item, error) for item in job.items)
        return
    for item in job.items:
        try:
            yield registered(job, item, prepared)
        except Exception as error:
            yield failed(job, item, error, truth_known=prepared.truth is not None)


def registered(job: Job, item: Item, prepared: Prepared) -> StudyRow:
    """The row of one registration.

    Raises
    ------
    Exception
        What start or refinement raise.
    """
    began = time.process_time(), time.perf_counter()
    if item.method.results is None:
        start, views, found = registration_of(job, item, prepared)
        cpu, wall = time.process_time() - began[0], time.perf_counter() - began[1]
    else:  # nobody knows its processor's time, nor its machine
        start, views, found, seconds = registration_elsewhere(item.method, prepared)
        cpu, wall = 0.0, seconds or 0.0
    carm, center = prepared.radiographs[0].carm, prepared.isocenter
    first, poses = start.pose, found.views or (found.world_from_camera,)
    start_errors: dict[str, float] = {}
    errors: dict[str, float] = {}
    claimed = None
    if prepared.truth is not None and prepared.fiducials is not None:
        known = (prepared.truth, prepared.fiducials, carm, center)
        start_errors, errors = errors_of(first, *known), errors_of(poses[0], *known)
        true = [view.world_from_camera for view in prepared.views(prepared.truth)]
        claimed = claimed_error(poses, true, prepared.fiducials, found.as_seen_in)
    return StudyRow(
        **_head(job, item),
        truth_known=prepared.truth is not None,
        simulated=found.simulated,
        start_poses=tuple(view.world_from_camera for view in views),
        poses=tuple(poses),
        pivot=found.pivot,
        status=found.status,
        trusted=bool(found),
        probability=found.probability,
        seen_by=found.seen_by,
        loss=found.losses["loss"],
        iterations=len(found.trajectory),
        start_errors=start_errors,
        errors=errors,
        claimed_mm=claimed,
        notes=(*prepared.notes, *start.notes, *found.notes),
        cpu_seconds=cpu,
        wall_seconds=wall,
        machine=platform.node(),
    )


def registration_of(
    job: Job, item: Item, prepared: Prepared
) -> tuple[StartingPose, tuple[View, ...], Registration]:
    """Start, views and answer of one registration."""
    seed = seed_of_start(job.seed, job.case.name, item.start, item.repeat)
    start = start_of(prepared, item.start, job.folder, seed)
    views = prepared.views(start.pose)
    near = NearBone(item.method.near_bone_mm) if item.method.near_bone_mm else None
    settings = settings_of(item.method, start, seed, prepared.patient.landmarks)
    rendering = prepared.patient.rendering
    request = RefineRequest(
        rendering, views, settings, start.isocenter, near=near, whole_first=True
    )
    return start, views, run(refine(request))


def settings_of(
    method: MethodEntry,
    start: StartingPose | None = None,
    seed: int = 0,
    landmarks: Sequence[Landmark] = (),
) -> Any:
    """Settings of the method's solver; a start that was found brings starts and a spread.

    Landmarks of both sides bring the sagittal plane, as they do for `register`.

    Raises
    ------
    ValueError
        If there is no such solver, or it cannot do what is asked.
    """
    solver = SOLVERS.get(method.solver)
    if solver is None:
        raise ValueError(f"a solver is one of {', '.join(SOLVERS)}: got {method.solver!r}")
    starts = method.starts
    if starts is None:
        starts = start.starts if start is not None and solver.several_starts else 0
    of_start = start is not None and method.starts is None and start.starts
    settings = solver.settings_for(
        Wanted(
            compare=method.compare,
            pixels=method.pixels or None,
            iterations=method.iterations,
            starts=starts if solver.several_starts or starts > 1 else 1,
            spread=start.spread if of_start and start else Spread().scaled(method.spread),
            locked=method.locked,
            seed=seed % 2**31,
            keep_images=False,
            threads=1,
            attention=None if start is None else start.attention,
        )
    )
    return with_sagittal(settings, landmarks)


def failed(
    job: Job, item: Item, error: BaseException, *, truth_known: bool | None = None
) -> StudyRow:
    """The row of a registration that has no answer; None: as the case's description says."""
    words = " ".join(str(error).split()) or type(error).__name__
    return StudyRow(
        **_head(job, item),
        truth_known=job.case.truth_known if truth_known is None else truth_known,
        failure=words,
        failure_kind=type(error).__name__,
        machine=platform.node(),
    )


def _head(job: Job, item: Item) -> dict[str, Any]:
    case = job.case
    return {
        "key": item.key,
        "case": case.name,
        "subject": case.subject,
        "group": case.group,
        "excluded": case.excluded,
        "start": item.start.name,
        "repeat": item.repeat,
        "method": item.method.name,
    }
