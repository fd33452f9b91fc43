"""Do a study: what is not there yet, by whichever runner, each row written as soon as it is known.

A folder holds one study::

    study.json         what was asked for: the manifest, and the file of every row
    rows/*.json        a registration each, written whole, under the key of all that it depends on
    rows/*.claim       cases that a runner has in hand

Whoever is killed leaves rows that are whole; the next run takes those whose key is still the right
one and does the rest. Runners that work in one folder at once share what is left.
"""

import contextlib
import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from napari_xreg.files import (
    STUDY_FOLDER,
    ReadError,
    Record,
    Text,
    plain,
    read_json,
    schema_head,
    written,
)
from napari_xreg.progress import Control
from napari_xreg.records import PLAN_FILE, StudyFile, StudyRow, read_row, versions, write_row
from napari_xreg.study.case import digest
from napari_xreg.study.claims import Claims
from napari_xreg.study.plan import Plan, file_name, slug
from napari_xreg.study.registering import Job
from napari_xreg.study.runners import InProcess, Runner

ROWS = "rows"


@dataclass(frozen=True, eq=False)
class StudyRequest:
    """What is done, where, by whom.

    Parameters
    ----------
    plan
        Of `plan_of`.
    out
        The folder of the study; it is made where it does not exist.
    runner
        Who computes.
    resume
        Take rows that are there; False: do everything anew.
    retry_failed
        Do rows again that are failures.
    """

    plan: Plan
    out: Path
    runner: Runner = field(default_factory=InProcess)
    resume: bool = True
    retry_failed: bool = False


@dataclass(frozen=True)
class RowsDone:
    """Registrations of a case are done: their rows, and how many of the study are there now."""

    rows: tuple[StudyRow, ...]
    done: int
    total: int


@dataclass(frozen=True)
class StudyDone:
    """How a study stands.

    Parameters
    ----------
    done, total
        Rows that are there, and that were asked for.
    computed
        Of them, in this run.
    failed
        Rows that are failures.
    elsewhere
        Rows that another runner has in hand.
    cancelled
        Whether it was ended before its end.
    """

    done: int
    total: int
    computed: int
    failed: int
    elsewhere: int
    cancelled: bool


def run_study(
    request: StudyRequest, *, control: Control | None = None
) -> Generator[RowsDone, None, StudyDone]:
    """Do what of a study is not there yet.

    Yields
    ------
    RowsDone
        Of so many registrations of a case as the runner does at once.

    Raises
    ------
    WriteError
        If a file cannot be written; rows that were stay.
    """
    control = control or Control()
    plan, rows, runner = request.plan, request.out / ROWS, request.runner
    rows.mkdir(parents=True, exist_ok=True)
    _write_plan(request)
    claims, total = Claims(rows), plan.count
    missing = {job.case.name: _missing(job, rows, request) for job in plan.jobs}
    done = total - sum(len(job.items) for job in missing.values() if job is not None)
    computed = 0
    awaited: dict[str, int] = {}

    def offered() -> Iterator[Job]:
        for job in plan.jobs:
            left = missing[job.case.name]
            if left is None or not control.proceed():
                continue
            if not claims.take(_claim(job)):
                continue
            # Somebody may have done it since this run began.
            left = _missing(left, rows, request) if request.resume else left
            if left is None:
                claims.give_back(_claim(job))
                continue
            awaited[job.case.name] = len(left.items)
            for first in range(0, len(left.items), runner.at_once):
                if not control.proceed():
                    return
                yield replace(left, items=left.items[first : first + runner.at_once])

    try:
        for job, answers in runner.run(offered()):
            for item, row in zip(job.items, answers, strict=True):
                write_row(rows / file_name(job, item), row)
            awaited[job.case.name] -= len(answers)
            if not awaited[job.case.name]:
                claims.give_back(_claim(job))
            done, computed = done + len(answers), computed + len(answers)
            yield RowsDone(answers, done, total)
    finally:
        claims.give_all_back()
    held = sum(len(job.items) for job in plan.jobs if claims.held(_claim(job)))
    there = read_rows(request.out)
    failures = sum(bool(row.failure) for row in there)
    return StudyDone(len(there), total, computed, failures, held, control.cancelled)


def _claim(job: Job) -> str:
    return f"{slug(job.case.name)}.{digest(job.case.name)[:8]}"


def _missing(job: Job, rows: Path, request: StudyRequest) -> Job | None:
    """The job with what is to be done of it; None: nothing is."""
    if not request.resume:
        return job
    left = tuple(
        item for item in job.items if not _there(rows / file_name(job, item), item.key, request)
    )
    return Job(job.case, left, job.folder, job.seed) if left else None


def _there(file: Path, key: str, request: StudyRequest) -> bool:
    if not file.is_file():
        return False
    try:
        row = read_row(file)
    except ReadError:  # of a version to come, or damaged: done again
        return False
    return row.key == key and not (row.failure and request.retry_failed)


def forget_failures(plan: Plan, out: Path) -> int:
    """Take the rows of failures out of a folder, so that whoever runs next does them again; how many.

    Raises
    ------
    OSError
        If one cannot be taken out.
    """
    gone = 0
    for job in plan.jobs:
        for item in job.items:
            file = out / ROWS / file_name(job, item)
            with contextlib.suppress(ReadError):  # damaged or absent: done anyway
                if read_row(file).failure:
                    file.unlink(missing_ok=True)
                    gone += 1
    return gone


class CaseOfFolder(Record):
    """What a manifest says of a case and its results do not depend on."""

    name: Text
    subject: Text
    group: Text = ""
    excluded: Text = ""


class FolderRecord(Record):
    """What was asked for in a folder: its cases, and the file of every row, in the manifest's order."""

    SCHEMA = STUDY_FOLDER
    folder: Text
    manifest: StudyFile
    files: tuple[Text, ...]
    left_out: tuple[Text, ...] = ()
    cases: tuple[CaseOfFolder, ...] = ()

    @cached_property
    def _now(self) -> dict[str, dict[str, str]]:
        return {case.name: case.model_dump(exclude={"name"}) for case in self.cases}

    def told(self, row: StudyRow) -> StudyRow:
        """A row with what the manifest says now of its case: no result depends on that."""
        return row.model_copy(update=self._now.get(row.case, {}))


def _write_plan(request: StudyRequest) -> None:
    plan = request.plan
    names = [file_name(job, item) for job in plan.jobs for item in job.items]
    data = {
        **schema_head(STUDY_FOLDER),
        "folder": str(plan.folder),
        "manifest": plain(plan.manifest.model_dump()),
        "files": names,
        "left_out": list(plan.left_out),
        "cases": [
            {
                "name": case.name,
                "subject": case.subject,
                "group": case.group,
                "excluded": case.excluded,
            }
            for case in (job.case for job in plan.jobs)
        ],
        "versions": versions(),
    }
    with written(request.out / PLAN_FILE) as beside:
        beside.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def read_folder(out: Path | str) -> FolderRecord:
    """What was asked for in the folder of a study.

    Raises
    ------
    ReadError
        If it is none.
    """
    file = Path(out) / PLAN_FILE
    if not file.is_file():
        hint = (
            '. These look like results of xvr: write a manifest with results = "..." under [[methods]] and run '
            "napari-xreg study on it"
            if any(Path(out).glob("*.pth"))
            else ""
        )
        raise ReadError(f"{out}: is no folder of a study: it holds no {PLAN_FILE}{hint}")
    return FolderRecord.read(read_json(file), PLAN_FILE)


def read_rows(out: Path | str) -> list[StudyRow]:
    """The rows of a study that are there, in the order of its manifest; as `rows_there`, without the damaged ones.

    Raises
    ------
    ReadError
        If the folder is no study's.
    """
    return rows_there(out)[0]


def rows_there(out: Path | str) -> tuple[list[StudyRow], list[str]]:
    """The rows of a study that are there, in the order of its manifest, and what is wrong with those that cannot be read.

    Subject, group and why it is left out are what the manifest says now: no result depends on them.

    Raises
    ------
    ReadError
        If the folder is no study's.
    """
    folder = Path(out) / ROWS
    asked = read_folder(out)
    rows, damaged = [], []
    for name in asked.files:
        if (file := folder / name).is_file():
            try:
                rows.append(asked.told(read_row(file)))
            except ReadError as error:
                damaged.append(f"{ROWS}/{error}: the next run does it again")
    return rows, damaged
