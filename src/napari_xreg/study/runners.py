"""Who computes the jobs of a study: one seam, and whoever stands behind it.

A runner takes jobs as it has room for them, so that another runner of the same folder can take
those that are left, and gives rows in whatever order they are done.
"""

import multiprocessing
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from napari_xreg.files import set_thread_count
from napari_xreg.records import StudyRow
from napari_xreg.study.registering import Job, Reading, failed, rows_of

Done = tuple[Job, tuple[StudyRow, ...]]
AHEAD = 2
"""Jobs a worker has at once, the one it does included."""
AT_ONCE = 8
"""Registrations of a case that are sent to another process: each time the case is read anew there."""


@runtime_checkable
class Runner(Protocol):
    """Computes jobs."""

    @property
    def at_once(self) -> int:
        """Registrations of a job at most: so often are rows written, and is Ctrl-C obeyed."""
        ...

    @property
    def words(self) -> str:
        """What it is, for the user."""
        ...

    def run(self, jobs: Iterable[Job]) -> Iterator[Done]:
        """Jobs as they are done. A job is taken when there is room for it."""
        ...


@dataclass(frozen=True)
class InProcess:
    """One job after the other, here; a case is read once for all jobs of it that follow each other."""

    at_once: ClassVar[int] = 1

    @property
    def words(self) -> str:
        """See `Runner`."""
        return "in this process"

    def run(self, jobs: Iterable[Job]) -> Iterator[Done]:
        """See `Runner`."""
        reading: Reading | None = None
        for job in jobs:
            if reading is None or reading.case is not job.case:
                reading = Reading(job.case)
            yield job, rows_of(job, reading)


@dataclass(frozen=True)
class Processes:
    """So many processes of this machine, each with one thread.

    One that ends by itself (no memory, a crash of a library) takes nothing with it: what was under way
    is done again, one job at a time, and the job that ends its process again is a failure.
    """

    at_once: ClassVar[int] = AT_ONCE
    workers: int

    @property
    def words(self) -> str:
        """See `Runner`."""
        return f"in {self.workers} processes"

    def run(self, jobs: Iterable[Job]) -> Iterator[Done]:
        """See `Runner`."""
        waiting = iter(jobs)
        while True:
            lost: list[Job] = []
            yield from self._until_broken(waiting, lost)
            if not lost:
                return
            yield from _one_by_one(lost)

    def _until_broken(self, jobs: Iterator[Job], lost: list[Job]) -> Iterator[Done]:
        """Until there is no job left, or a process ended: the jobs under way are `lost` then."""
        under_way: dict[Future[tuple[StudyRow, ...]], Job] = {}
        pool = _pool(self.workers)
        try:
            while True:
                while len(under_way) < AHEAD * self.workers:
                    job = next(jobs, None)
                    if job is None:
                        break
                    under_way[pool.submit(rows_of, job)] = job
                if not under_way:
                    return
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    try:
                        rows = future.result()
                    except BrokenProcessPool:
                        lost += under_way.values()
                        return
                    yield under_way.pop(future), rows
        except BrokenProcessPool:  # on submitting; the job in hand is lost too
            lost += [*under_way.values(), job] if job is not None else under_way.values()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _one_by_one(jobs: Sequence[Job]) -> Iterator[Done]:
    """Jobs that were under way, the last first: those that only waited their turn stand there."""
    pool: ProcessPoolExecutor | None = None
    try:
        for job in reversed(jobs):
            pool = pool or _pool(1)
            try:
                rows = pool.submit(rows_of, job).result()
            except BrokenProcessPool:
                pool.shutdown(wait=False)
                pool = None
                error = RuntimeError(
                    "the process that did this case was ended from outside, twice: there may be too little "
                    "memory"
                )
                rows = tuple(failed(job, item, error) for item in job.items)
            yield job, rows
    finally:
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    # Spawned: a fork copies locks that threads of numba and torch hold.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)


def _begin() -> None:
    """A worker: one thread, deaf to Ctrl-C (its parent hears it), gone when its parent is."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_thread_count(1)
    threading.Thread(target=_end_with_parent, daemon=True, name="xreg-orphan").start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
