"""Compiling the renderer as a job with a progress bar."""

from collections.abc import Callable

from napari_xreg.widgets.jobs.jobs import Job, Jobs
from napari_xreg.workflows import COMPILING_WORDS, compiling


def prepare_kernels(jobs: Jobs, on_ready: Callable[[], None] | None = None) -> Job:
    """Compile or load the kernels.

    Parameters
    ----------
    jobs
        Of the viewer.
    on_ready
        Called in the main thread when DRRs come without waiting, or when that failed: the first
        DRR then takes its time.
    """

    def done(_: object) -> None:
        if on_ready is not None:
            on_ready()

    return jobs.start(
        "Preparing the renderer", compiling, on_result=done, on_error=done,
        description=COMPILING_WORDS,
    )  # fmt: skip
