"""A training while it runs and after: how far, how good, what is left, what to do next."""

from collections.abc import Sequence

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from napari_xreg.training import Recipe, Step, TrainingStatus, Validation
from napari_xreg.widgets.jobs.telling import show_error, show_warning
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.train.plots import TrainPlots
from napari_xreg.widgets.train.run import TrainRun
from napari_xreg.workflows import Preparing, TrainingEvent, TrainingOutcome, Unwritten

_DRAW_MS = 400
"""Between two drawings of the curves: they are looked at, not dragged."""


_UNWRITTEN = {
    "weights": "The best weights so far",
    "journal": "The journal of the steps (weights are written all the same)",
}


class TrainProgress(QWidget):
    """Progress bar, a line of words, curves, and a closing sentence."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setFormat("%p %")
        self.bar.setToolTip("Elapsed time.")
        self.bar.hide()
        self.status = SmallPrint()
        self.plots = TrainPlots()
        self.closing_words = SmallPrint()
        self._run: TrainRun | None = None
        self._new: list[Step | Validation] = []
        self._last: Step | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_DRAW_MS)
        self._timer.timeout.connect(self.draw)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for widget in (self.bar, self.status, self.plots, self.closing_words):
            layout.addWidget(widget)

    def begin(self, run: TrainRun) -> None:
        """Show this from now on; a resumed one keeps its curves."""
        self._run, self._new, self._last = run, [], None
        self.plots.begin(run.request.recipe, again=run.request.resume is not None)
        self.closing_words.setText("")
        self.status.setText("Starting …")
        self.bar.setValue(0)
        self.bar.show()
        self._timer.start()

    def take(self, events: Sequence[TrainingEvent]) -> None:
        """What came; drawn a little later."""
        for event in events:
            if isinstance(event, Preparing):
                self.status.setText(event.words)
            elif isinstance(event, Unwritten):
                show_warning(f"{_UNWRITTEN[event.what]} could not be written: {event.words}")
            else:
                self._new.append(event)

    def draw(self) -> None:
        """What came since, in one go."""
        events, self._new = self._new, []
        if events:
            self.plots.append(events)
            self._last = next((e for e in reversed(events) if isinstance(e, Step)), self._last)
            self.show_clock()

    def show_clock(self) -> None:
        """How far it is, and what is left."""
        run, last = self._run, self._last
        if run is None or last is None or run.job.control.cancelled:
            return
        budget = 60 * run.request.minutes
        self.bar.setValue(round(1000 * min(1.0, last.seconds / budget)))
        words = [f"Step {last.index}, {clock(last.seconds)} of {clock(budget)}"]
        words.append("paused" if run.waiting else f"{clock(budget - last.seconds)} left")
        best = [v for v in self.plots.validations if v.best]
        if best:
            key, name = next(iter(run.request.recipe.scores.items()))
            words.append(f"best so far: {name} {best[-1].scores[key]:.1f} mm")
        self.status.setText(", ".join(words) + ".")

    def end(self, outcome: TrainingOutcome | None, warning: str) -> None:
        """How it ended.

        Parameters
        ----------
        outcome
            None: nothing came of it.
        warning
            What else is to be said about the weights.
        """
        self.stop_drawing()
        self.draw()
        run, self._run = self._run, None
        if outcome is not None and run is not None:
            self._conclude(outcome, run.request.recipe, warning)
        elif run is not None and run.job.control.cancelled:
            self.status.setText("Stopped before the first step; nothing was written.")
        else:
            self.status.setText("Failed; what was written before is still there.")

    def stop_drawing(self) -> None:
        """Nothing more is drawn by itself."""
        self._timer.stop()

    def ready(self, recipe: Recipe, validations: Sequence[Validation], words: str) -> None:
        """An interrupted training was chosen."""
        self.plots.begin(recipe)
        self.plots.restore(validations)
        self.bar.setValue(0)
        self.status.setText("Press Resume to go on.")
        self.closing_words.setText(words)

    def _conclude(self, outcome: TrainingOutcome, recipe: Recipe, warning: str) -> None:
        trained, problem = outcome.trained, outcome.problem
        self.status.setText(
            f"{trained.status.value} {trained.steps} steps, {clock(trained.seconds)}."
        )
        if trained.status is TrainingStatus.FINISHED:
            self.bar.setValue(self.bar.maximum())
        words = ["Not validated yet: accuracy unknown. Resume to validate."]
        if outcome.scores:
            words = [recipe.words(outcome.scores)]
        words.append(warning)
        if problem:
            words.append(f"Not written: {problem}. Choose another place and resume.")
            show_error(f"Training: the weights were not written: {problem}.")
        else:
            words.append(f"Written: {outcome.file.name}, {outcome.state_file.name}.")
        self.closing_words.setText(" ".join(word for word in words if word))


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    whole = round(max(0.0, seconds))
    hours, rest = divmod(whole, 3600)
    text = f"{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
    return f"{hours}:{text}" if hours else text
