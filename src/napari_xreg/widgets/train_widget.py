"""Train: weights for a patient, or for many, on the user's own machine, while one watches."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_xreg.training import CheckpointError, Step, TrainingStatus, Validation
from napari_xreg.widgets.data_buttons import button
from napari_xreg.widgets.docked import Docked
from napari_xreg.widgets.jobs import sentence
from napari_xreg.widgets.refine_settings import flush
from napari_xreg.widgets.scrolling import scrolled
from napari_xreg.widgets.small_print import SmallPrint
from napari_xreg.widgets.train_form import TrainForm
from napari_xreg.widgets.train_plots import TrainPlots
from napari_xreg.widgets.train_pose_form import outside
from napari_xreg.widgets.train_recipes import Recipe, recipes
from napari_xreg.widgets.train_request import Resume, TrainRequest
from napari_xreg.widgets.train_resume import Interrupted, interrupted
from napari_xreg.widgets.train_run import TrainRun, weights_of
from napari_xreg.widgets.train_samples_group import SamplesGroup
from napari_xreg.widgets.train_work import Event, Outcome, Preparing, Unwritten

_DRAW_MS = 400
"""Between two drawings of the curves: they are looked at, not dragged."""


class TrainWidget(Docked):
    """What to train on, samples of it; start, watch, pause, stop, resume.

    Parameters
    ----------
    napari_viewer
        Whose CT and radiograph are trained for.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._session = self.workbench.session
        self.form = TrainForm(self._session, self.offered())
        self.samples = SamplesGroup(self.form)
        self.plots = TrainPlots()
        self._run: TrainRun | None = None
        self._new: list[Step | Validation] = []
        self._last: Step | None = None
        self._resume: Resume | None = None
        self.outcome: Outcome | None = None
        """Of the last training that ended here."""
        self._make_controls()
        self._lay_out()
        self._connect()
        self._follow_session()

    def offered(self) -> Sequence[Recipe]:
        """What can be trained."""
        return recipes()

    @property
    def running(self) -> bool:
        """Whether a training is under way (or waits)."""
        return self._run is not None and self._run.running

    # ------------------------------------------------------------------ start to stop

    def start(self) -> None:
        """Train anew."""
        request = self._checked()
        if request is None:
            return
        taken = [file.name for file in (request.out, request.state_file) if file.exists()]
        if taken and request.out not in self.form.replaceable:
            show_error(
                f"Training: {' and '.join(taken)} exists already: choose another name, or resume."
            )
            return
        self._begin(request)

    def resume(self) -> None:
        """Go on with the training that was stopped here, or that a file was chosen of."""
        request, resume = self._checked(), self._resume
        if request is None or resume is None:
            return
        if 60 * request.minutes <= resume.seconds:
            show_error(
                f"Training: it has had {resume.seconds / 60:.3g} minutes already: raise the minutes "
                "to go on."
            )
            return
        self._begin(replace(request, resume=resume))

    def load_resume(self, file: Path) -> None:
        """Make ready to go on with the training of a ``.resume`` file."""
        try:
            found = interrupted(file)
        except CheckpointError as error:
            show_error(f"Training: {sentence(error)}")
            return
        self._resume, self.outcome = found.resume, None
        self.form.show_interrupted(found)
        self.plots.begin(self.form.recipe)
        self.plots.restore(found.validations)
        self.progress.setValue(0)
        self.status.setText(f"Ready to go on with {file.name}: press Resume.")
        self.closing_words.setText(self._words_of(found))
        self._follow_run()

    def pause(self) -> None:
        """Wait before the next step, or go on."""
        if self._run is not None and self._run.running:
            self._run.pause()
            self._draw()
            self._show_progress()
            self._follow_run()

    def stop(self) -> None:
        """End with the best weights so far."""
        if self._run is not None and self._run.running:
            self.status.setText("Stopping …")
            self._run.job.cancel()
            self._follow_run()

    def use(self) -> None:
        """Hand the weights to the widget that uses them, and open it."""
        if self.outcome is None:
            return
        recipe = self.form.recipe
        self._session.want(weights_of(recipe, self.outcome))
        try:
            self.workbench.viewer.window.add_plugin_dock_widget("napari-xreg", recipe.widget)
        except (ValueError, KeyError):
            show_warning(f"The widget {recipe.widget} is not part of this version.")

    def teardown(self) -> None:
        """Stop what runs; its best weights and its state are still written."""
        self._redraw.stop()
        self.samples.close_lane()
        run, self._run = self._run, None
        if run is not None:
            run.advanced.disconnect(self._advance)
            run.ended.disconnect(self._end)
            run.job.cancel()

    # ------------------------------------------------------------------ a run

    def _checked(self) -> TrainRequest | None:
        if self.running:
            return None
        try:
            return self.form.request()
        except ValueError as error:
            show_error(f"Training: {sentence(error)}")
            return None

    def _begin(self, request: TrainRequest) -> None:
        recipe = self.form.recipe
        self._new, self._last, self.outcome = [], None, None
        self.plots.begin(recipe, again=request.resume is not None)
        self.closing_words.setText("")
        self.status.setText("Starting …")
        self.progress.setValue(0)
        self._run = TrainRun(self._session, self.workbench.jobs, recipe, request)
        self._run.advanced.connect(self._advance)
        self._run.ended.connect(self._end)
        self._redraw.start()
        self._follow_run()

    def _advance(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Preparing):
                self.status.setText(event.words)
            elif isinstance(event, Unwritten):
                show_warning(f"The best weights so far could not be written: {event.words}")
            else:
                self._new.append(event)

    def _draw(self) -> None:
        """What came since, in one go."""
        events, self._new = self._new, []
        if not events:
            return
        self.plots.append(events)
        steps = [event for event in events if isinstance(event, Step)]
        if steps:
            self._last = steps[-1]
        self._show_progress()

    def _show_progress(self) -> None:
        run, last = self._run, self._last
        if run is None or last is None or run.job.control.cancelled:
            return
        budget = 60 * run.request.minutes
        self.progress.setValue(round(1000 * min(1.0, last.seconds / budget)))
        words = [f"Step {last.index}, {clock(last.seconds)} of {clock(budget)}"]
        words.append("paused" if run.waiting else f"{clock(budget - last.seconds)} left")
        best = [v for v in self.plots.validations if v.best]
        if best:
            key, name = next(iter(run.recipe.scores.items()))
            words.append(f"best so far: {name} {best[-1].scores[key]:.1f} mm")
        self.status.setText(", ".join(words) + ".")

    def _end(self, outcome: Outcome | None) -> None:
        self._redraw.stop()
        self._draw()
        run, self._run = self._run, None
        if outcome is not None and run is not None:
            self._conclude(outcome, run.recipe)
        elif run is not None and run.job.control.cancelled:
            self.status.setText("Stopped before the first step; nothing was written.")
        else:
            self.status.setText("Failed; what was written before is still there.")
        self._follow_run()

    def _conclude(self, outcome: Outcome, recipe: Recipe) -> None:
        self.outcome = outcome
        trained, written = outcome.trained, not outcome.problem
        self._resume = Resume(
            outcome.state_file if written else trained.state,
            outcome.file if written else None,
            trained.steps,
            trained.seconds,
        )
        self.status.setText(
            f"{trained.status.value} {trained.steps} steps, {clock(trained.seconds)}."
        )
        if trained.status is TrainingStatus.FINISHED:
            self.progress.setValue(self.progress.maximum())
        words = ["It was never measured, so nobody knows how good it is: resume."]
        if outcome.scores:
            words = [recipe.words(outcome.scores)]
        words.append(self._range_warning())
        if written:
            words.append(f"Written: {outcome.file.name}, {outcome.state_file.name}.")
        else:
            words.append(f"Not written: {outcome.problem}. Choose another place and resume.")
            show_error(f"Training: the weights were not written: {outcome.problem}.")
        self.closing_words.setText(" ".join(word for word in words if word))

    # ------------------------------------------------------------------ what follows what

    def _follow_session(self) -> None:
        self.form.follow_session()
        self._follow_range()
        self.samples.renew()
        if not self.running and self.outcome is None and self._resume is None:
            self.status.setText("Ready.")

    def _follow_range(self) -> None:
        self.range_words.setText(self._range_warning())

    def _range_warning(self) -> str:
        """Where the active radiograph was taken from outside the range."""
        active = self._session.active
        if active is None:
            return ""
        pose = active.radiograph.carm.carm_pose(active.start, self._session.isocenter)
        try:
            wrong = outside(self.form.pose_range(), pose)
        except ValueError as error:
            return sentence(error).capitalize()
        if not wrong:
            return ""
        return f"Widen the range: {active.name} was taken elsewhere ({wrong})."

    def _follow_run(self) -> None:
        running = self.running
        run = self._run
        stopping = run is not None and run.job.control.cancelled
        self.form.setEnabled(not running)
        self.start_button.setEnabled(not running)
        self.pause_button.setEnabled(running and not stopping)
        waits = run is not None and running and run.waiting
        self.pause_button.setText("Continue" if waits else "Pause")
        self.stop_button.setEnabled(running and not stopping)
        self.resume_button.setEnabled(not running and self._resume is not None)
        self.file_button.setEnabled(not running)
        usable = self.outcome is not None and not self.outcome.problem
        self.use_button.setEnabled(usable and not running)
        self.use_button.setText(f"Use in {self.form.recipe.widget}")

    def _words_of(self, found: Interrupted) -> str:
        words = [f"{found.resume.steps} steps, {clock(found.resume.seconds)} done.", found.words]
        now = self._session.volume_source
        name = Path(now.path).name if now is not None else "CT in memory"
        if found.ct and self._session.volume is not None and found.ct != name:
            words.append(f"It was trained on {found.ct}; the CT loaded now is {name}.")
        return " ".join(word for word in words if word)

    def _choose_resume(self) -> None:
        found, _ = QFileDialog.getOpenFileName(
            self, "Go on with a training", str(Path(self.form.out.text()).parent),
            "Interrupted training (*.resume)",
        )  # fmt: skip
        if found:
            self.load_resume(Path(found))

    # ------------------------------------------------------------------ building

    def _make_controls(self) -> None:
        self.range_words = SmallPrint()
        self.start_button = button("Start", "Train anew with these settings.", self.start)
        self.pause_button = button(
            "Pause", "Wait before the next step; a pause costs no minutes.", self.pause
        )
        self.stop_button = button(
            "Stop", "End now; the best weights so far are kept, and it can be resumed.", self.stop
        )
        self.resume_button = button(
            "Resume", "Go on with the training that was stopped.", self.resume
        )
        self.file_button = button(
            "Resume a file…", "Choose an interrupted training (.resume).", self._choose_resume
        )
        self.use_button = button("Use", "Open the widget that uses these weights.", self.use)
        self.progress = QProgressBar()
        self.progress.setRange(0, 1000)
        self.progress.setFormat("%p %")
        self.progress.setToolTip("Of the minutes.")
        self.status = SmallPrint()
        self.closing_words = SmallPrint()
        self._redraw = QTimer(self)
        self._redraw.setInterval(_DRAW_MS)

    def _lay_out(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(6)
        self.how = QCollapsible("Settings")
        self.how.addWidget(self.form)
        flush(self.how)
        self.how.expand(animate=False)
        column.addWidget(self.how)
        self.form.below_poses.addWidget(self.range_words)
        self.form.below_poses.addWidget(self.samples)
        column.addLayout(
            _row(self.start_button, self.pause_button, self.stop_button, self.resume_button)
        )
        column.addWidget(self.progress)
        column.addWidget(self.status)
        column.addWidget(self.plots, 2)
        column.addWidget(self.closing_words)
        column.addLayout(_row(self.use_button, self.file_button))
        column.addStretch(0)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scrolled(inner))
        self.setMinimumWidth(300)

    def _connect(self) -> None:
        session = self._session
        self._redraw.timeout.connect(self._draw)
        self.form.changed.connect(self._follow_range)
        self.form.changed.connect(self.samples.renew)
        self.form.what.currentTextChanged.connect(lambda _: self._follow_run())
        for signal in (
            session.volume_changed,
            session.active_changed,
            session.radiographs_changed,
        ):
            self.listen(signal, self._follow_session)
        self._follow_run()


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    whole = round(max(0.0, seconds))
    hours, rest = divmod(whole, 3600)
    text = f"{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
    return f"{hours}:{text}" if hours else text


def _row(*buttons: QPushButton) -> QHBoxLayout:
    layout = QHBoxLayout()
    layout.setSpacing(4)
    for one in buttons:
        layout.addWidget(one)
    return layout
