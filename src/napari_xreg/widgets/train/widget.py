"""Train: weights for a patient, or for many, on the user's own machine, while one watches."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_xreg.training import CheckpointError, Recipe
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.docks.opening import opened_entry
from napari_xreg.widgets.docks.table import entry_titled
from napari_xreg.widgets.jobs.telling import sentence, show_error
from napari_xreg.widgets.parts.collapsible import Collapsible
from napari_xreg.widgets.parts.data_buttons import button, row
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.train.form import TrainForm
from napari_xreg.widgets.train.patients_form import ct_name
from napari_xreg.widgets.train.pose_form import outside
from napari_xreg.widgets.train.progress import TrainProgress, clock
from napari_xreg.widgets.train.run import TrainRun, weights_of
from napari_xreg.widgets.train.samples_group import SamplesGroup
from napari_xreg.workflows import (
    RECIPES,
    Interrupted,
    Resume,
    TrainingEvent,
    TrainingOutcome,
    TrainRequest,
    interrupted,
)


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
        self.progress = TrainProgress()
        self._run: TrainRun | None = None
        self._resumes: dict[str, Resume] = {}
        self._outcomes: dict[str, TrainingOutcome] = {}
        self._make_controls()
        self._lay_out()
        self._connect()
        self._follow_session()

    def offered(self) -> Sequence[Recipe]:
        """What can be trained."""
        return tuple(make() for make in RECIPES.values())

    @property
    def running(self) -> bool:
        """Whether a training is under way (or waits)."""
        return self._run is not None and self._run.running

    @property
    def outcome(self) -> TrainingOutcome | None:
        """Of the last training, of what is chosen now, that ended here."""
        return self._outcomes.get(self.form.recipe.kind)

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
        self._begin(replace(request, recipe=self.form.as_usual()))

    def resume(self) -> None:
        """Go on with the training that was stopped here, or that a file was chosen of."""
        request, resume = self._checked(), self._resumes.get(self.form.recipe.kind)
        if request is None or resume is None:
            return
        if 60 * request.minutes <= resume.seconds:
            show_error(
                f"Training: it has had {clock(resume.seconds)} of {clock(60 * request.minutes)} "
                "already: raise the minutes to go on."
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
        self.form.show_interrupted(found)
        kind = self.form.recipe.kind
        self._resumes[kind] = found.resume
        self._outcomes.pop(kind, None)
        self.progress.ready(self.form.recipe, found.validations, self._words_of(found))
        self._follow_run()

    def pause(self) -> None:
        """Wait before the next step, or go on."""
        if self._run is not None and self._run.running:
            self._run.pause()
            self.progress.draw()
            self.progress.show_clock()
            self._follow_run()

    def stop(self) -> None:
        """End with the best weights so far."""
        if self._run is not None and self._run.running:
            self.progress.status.setText("Stopping …")
            self._run.job.cancel()
            self._follow_run()

    def use(self) -> None:
        """Hand the weights to the widget that uses them, and open it."""
        recipe, outcome = self.form.recipe, self.outcome
        if outcome is None:
            return
        self._session.weights.want(weights_of(outcome))
        entry = entry_titled(recipe.widget)
        assert entry is not None  # the button is hidden where a recipe has none
        opened_entry(self.workbench.viewer, entry)

    def teardown(self) -> None:
        """Stop what runs; its best weights and its state are still written."""
        self.progress.stop_drawing()
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
        self._outcomes.pop(request.recipe.kind, None)
        self._run = TrainRun(self._session, self.workbench.jobs, request)
        self._run.advanced.connect(self._advance)
        self._run.ended.connect(self._end)
        self.progress.begin(self._run)
        self._follow_run()

    def _advance(self, events: list[TrainingEvent]) -> None:
        self.progress.take(events)

    def _end(self, outcome: TrainingOutcome | None) -> None:
        run, self._run = self._run, None
        if outcome is not None and run is not None:
            trained, written = outcome.trained, not outcome.problem
            self._outcomes[run.request.recipe.kind] = outcome
            self._resumes[run.request.recipe.kind] = Resume(
                outcome.state_file if written else trained.state,
                outcome.file if written else None,
                trained.steps,
                trained.seconds,
            )
        self.progress.end(outcome, self._range_warning())
        self._follow_run()

    # ------------------------------------------------------------------ what follows what

    def _follow_session(self) -> None:
        self.form.follow_session()
        self._follow_form()

    def _follow_form(self) -> None:
        self.range_words.setText(self._range_warning())
        self.samples.renew()

    def _range_warning(self) -> str:
        """Where the active radiograph was taken from outside the range."""
        active = self._session.exposures.active
        try:
            poses = self.form.poses.value()
        except ValueError as error:
            return sentence(error)[0].upper() + sentence(error)[1:]
        if active is None:
            return ""
        pose = active.radiograph.carm.carm_pose(active.start, self._session.patient.isocenter)
        wrong = outside(poses, pose)
        return (
            f"Widen the range: {active.name} lies outside the training pose range ({wrong})."
            if wrong
            else ""
        )

    def _follow_run(self) -> None:
        run, running = self._run, self.running
        stopping = run is not None and run.job.control.cancelled
        self.form.lock(running)
        for control in (self.start_button, self.file_button):
            control.setEnabled(not running)
        for control in (self.pause_button, self.stop_button):
            control.setEnabled(running and not stopping)
        waits = run is not None and running and run.waiting
        self.pause_button.setText("Continue" if waits else "Pause")
        self.resume_button.setEnabled(not running and self.form.recipe.kind in self._resumes)
        usable = self.outcome is not None and not self.outcome.problem
        self.use_button.setEnabled(usable and not running)
        self.use_button.setText(f"Use in {self.form.recipe.widget}")
        self.use_button.setVisible(bool(self.form.recipe.widget))

    def _words_of(self, found: Interrupted) -> str:
        resume = found.resume
        words = [f"{found.name}: {resume.steps} steps, {clock(resume.seconds)} done.", found.words]
        now = ct_name(self._session)
        if found.ct and self._session.patient.volume is not None and found.ct != now:
            words.append(f"It was trained on {found.ct}; the CT loaded now is {now}.")
        return " ".join(words)

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
        self.start_button = button("Start", "Train from scratch.", self.start)
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

    def _lay_out(self) -> None:
        self.form.below_poses.addWidget(self.range_words)
        self.form.below_poses.addWidget(self.samples)
        self.how = Collapsible("Settings", self.form)
        self.how.expand(animate=False)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(6)
        column.addWidget(self.how)
        column.addLayout(
            row((self.start_button, self.pause_button, self.stop_button, self.resume_button))
        )
        column.addWidget(self.progress, 1)
        column.addLayout(row((self.use_button, self.file_button)))
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scrolled(inner))
        self.setMinimumWidth(300)

    def _connect(self) -> None:
        session = self._session
        self.form.changed.connect(self._follow_form)
        self.form.what.currentTextChanged.connect(lambda _: self._follow_run())
        for signal in (
            session.patient.changed,
            session.exposures.active_changed,
            session.exposures.changed,
        ):
            self.listen(signal, self._follow_session)
        self._follow_run()
