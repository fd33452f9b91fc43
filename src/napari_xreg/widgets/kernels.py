"""Compiling the renderer in the background, with a word to whoever waits."""

from collections.abc import Callable, Generator

from napari_xreg.registration import Control
from napari_xreg.rendering import KernelReady, warm_up
from napari_xreg.widgets.jobs import Job, Jobs

WORDS = "Preparing the renderer (compiled once per machine, about 15 s)"


def prepare_kernels(jobs: Jobs, on_ready: Callable[[], None] | None = None) -> Job:
    """Compile the kernels, or load them from the cache, as a job with a progress bar.

    Parameters
    ----------
    jobs
        Of the viewer.
    on_ready
        Called in the main thread when DRRs come without waiting.
    """

    def make(control: Control) -> Generator[KernelReady, None, None]:
        for ready in warm_up():
            yield ready
            if control.cancelled:
                return

    def done(_: None) -> None:
        if on_ready is not None:
            on_ready()

    return jobs.start("Preparing the renderer", make, on_result=done, total=2, description=WORDS)
