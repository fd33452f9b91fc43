"""One training on its way, whoever looks at it."""

from qtpy.QtCore import QObject, Signal

from napari_xreg.session import Session, Weights
from napari_xreg.widgets.jobs.jobs import Job, Jobs
from napari_xreg.widgets.jobs.telling import report
from napari_xreg.workflows import TrainingOutcome, TrainRequest, train


class TrainRun(QObject):
    """A training in the background; its weights become known to the session.

    The CT it learns is that of its request, whatever the session holds by now.

    Parameters
    ----------
    session
        Where the weights are announced.
    jobs
        Of the viewer.
    request
        What to train.
    """

    advanced = Signal(list)
    """New events, in order."""
    ended = Signal(object)
    """The `TrainingOutcome`, or None where there is none."""

    def __init__(self, session: Session, jobs: Jobs, request: TrainRequest) -> None:
        super().__init__()
        self.request = request
        self.waiting = False
        self._session = session
        self.job: Job = jobs.start(
            "Training",
            lambda control: train(request, control=control),
            on_event=lambda _newest, events: self.advanced.emit(events),
            on_result=self._finish,
            on_error=self._fail,
        )

    @property
    def running(self) -> bool:
        """Until the outcome was handed over."""
        return self.job.running

    def pause(self) -> None:
        """Wait before the next step, or go on."""
        self.waiting = not self.waiting
        if self.waiting:
            self.job.control.pause()
        else:
            self.job.control.resume()

    def _finish(self, outcome: TrainingOutcome | None) -> None:
        if outcome is not None and not outcome.problem:
            self._session.weights.add(weights_of(outcome))
        self.ended.emit(outcome)

    def _fail(self, error: Exception) -> None:
        report("Training", error)
        self.ended.emit(None)


def weights_of(outcome: TrainingOutcome) -> Weights:
    """As the session keeps them."""
    return Weights(outcome.card["task"], outcome.file, outcome.card["words"])
