"""Cases that need no CT, runners that compute nothing: what tests of studies share.

Processes that are spawned import this by its name.
"""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from napari_xreg.records import StudyFile, StudyRow
from napari_xreg.study import Plan, StudyCase, plan_of
from napari_xreg.study.registering import Item, Job

MANIFEST = {
    "title": "Twins",
    "simulated": [{"cts": ["phantom:7-8"], "views": 2, "seed": 10400}],
    "starts": [{"name": "near"}, {"name": "own", "kind": "header"}],
}
"""2 phantoms, 2 directions, 2 starts, 1 method: 4 cases, 8 registrations."""


@dataclass(frozen=True)
class Ends:
    """A case whose process ends while it is read."""

    def described(self):
        return {"kind": "ends"}

    def prepare(self):
        os.kill(os.getpid(), signal.SIGKILL)


READ: list[str] = []


@dataclass(frozen=True)
class IsRead:
    """A case that is never registered, and counts how often it is read."""

    name: str

    def described(self):
        return {"kind": "is read"}

    def prepare(self):
        READ.append(self.name)
        raise ValueError("it is read")


@dataclass(frozen=True)
class Fails:
    """A case that cannot be read."""

    def described(self):
        return {"kind": "fails"}

    def prepare(self):
        raise ValueError("the radiograph\nis upside down")


def plan(**changes) -> Plan:
    return plan_of(StudyFile.of(MANIFEST | changes, "the twins"), Path())


def job_of(described, number=0) -> Job:
    made = StudyFile.of(MANIFEST, "the twins")
    item = Item(made.starts[0], 0, made.methods[0], f"{number:064x}")
    return Job(StudyCase(f"case {number}", "subject", described), (item,), Path(), 0)


def row_of(job: Job, item: Item, **said) -> StudyRow:
    """What a runner might answer: an error that depends on the case alone."""
    error = 0.25 * (1 + int(item.key[:2], 16) % 7)
    return StudyRow(
        key=item.key, case=job.case.name, subject=job.case.subject, group=job.case.group,
        start=item.start.name, repeat=item.repeat, method=item.method.name, simulated=True, status="CONVERGED",
        trusted=True, loss=0.1, start_errors={"mtre_mm": 12.0}, errors={"mtre_mm": error},
        **said,
    )  # fmt: skip


class Recorded:
    """A runner that computes nothing and remembers what it was asked for."""

    words = "nowhere"

    def __init__(self, fail=(), stop_after=None, at_once=100):
        self.at_once = at_once
        self.asked, self._fail, self._stop_after = [], fail, stop_after

    def run(self, jobs):
        for job in jobs:
            if self._stop_after is not None and len(self.asked) == self._stop_after:
                raise KeyboardInterrupt
            self.asked.append(job.case.name)
            said = {"failure": "no luck", "errors": {}} if job.case.name in self._fail else {}
            rows = tuple(row_of(job, item) for item in job.items)
            yield job, tuple(row.model_copy(update=said) for row in rows)
