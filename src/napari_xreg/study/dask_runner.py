"""Jobs on dask.distributed: workers of this machine, or of a scheduler that runs somewhere."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from napari_xreg.files import set_thread_count
from napari_xreg.records import StudyRow
from napari_xreg.study.registering import Job, failed, rows_of
from napari_xreg.study.runners import AHEAD, AT_ONCE, Done

_RETRIES = 2


@dataclass(frozen=True)
class Dask:
    """Workers of a dask cluster; each should have one thread.

    Parameters
    ----------
    address
        Of a scheduler ("tcp://..."); "": a cluster of `workers` processes on this machine.
    workers
        Of a cluster on this machine.
    """

    at_once: ClassVar[int] = AT_ONCE
    address: str = ""
    workers: int = 1

    @property
    def words(self) -> str:
        """See `Runner`."""
        return f"on dask ({self.address or f'{self.workers} workers here'})"

    def run(self, jobs: Iterable[Job]) -> Iterator[Done]:
        """See `Runner`."""
        distributed = package()
        with contextlib.ExitStack() as open_things:
            where: Any = self.address
            if not self.address:
                cluster = distributed.LocalCluster(
                    n_workers=self.workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                )
                where = open_things.enter_context(cluster)
            client = open_things.enter_context(distributed.Client(where))
            yield from _through(distributed, client, iter(jobs))


def _through(distributed: Any, client: Any, jobs: Iterator[Job]) -> Iterator[Done]:
    under_way: dict[Any, Job] = {}
    finished = distributed.as_completed()
    more = True
    while True:
        room = AHEAD * max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
        while more and len(under_way) < room:
            job = next(jobs, None)
            more = job is not None
            if job is not None:
                key = f"case-{job.case.name}-{job.items[0].key[:12]}"
                # A worker that is gone is no fault of the case: it is done again elsewhere.
                future = client.submit(in_worker, job, key=key, pure=False, retries=_RETRIES)
                under_way[future] = job
                finished.add(future)
        if not under_way:
            return
        future = next(finished)
        job = under_way.pop(future)
        yield job, _answer(future, job)
        future.release()


def _answer(future: Any, job: Job) -> tuple[StudyRow, ...]:
    try:
        rows: tuple[StudyRow, ...] = future.result()
    except Exception as error:  # whatever killed its workers
        return tuple(failed(job, item, error) for item in job.items)
    return rows


def in_worker(job: Job) -> tuple[StudyRow, ...]:
    """`rows_of` in a process that does nothing else."""
    set_thread_count(1)
    return rows_of(job)


def package() -> Any:
    """The package; ValueError where it is not installed."""
    try:
        import distributed
    except ImportError as error:
        raise ValueError(
            "dask's scheduler is not installed: pip install 'napari-xreg[study]'"
        ) from error
    return distributed
