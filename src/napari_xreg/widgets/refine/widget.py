"""Refine: find the pose that explains the radiographs, watch it being found, go back into it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xreg.registration import Iterate, Status
from napari_xreg.session import Result
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.jobs.telling import show_error, show_info, show_warning
from napari_xreg.widgets.parts.collapsible import Collapsible
from napari_xreg.widgets.parts.device_choice import preferred_device
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.refine.accepting import accept, name_accept
from napari_xreg.widgets.refine.choices import RefineChoices
from napari_xreg.widgets.refine.exporting import ask_folder, start_export
from napari_xreg.widgets.refine.iterations import IterationsPanel
from napari_xreg.widgets.refine.on_canvas import IterationsOnCanvas
from napari_xreg.widgets.refine.replay import Replay
from napari_xreg.widgets.refine.results import ResultsPanel
from napari_xreg.widgets.refine.run import RefineRun
from napari_xreg.widgets.refine.run_buttons import RunButtons
from napari_xreg.widgets.refine.settings import RefineSettingsPanel
from napari_xreg.widgets.refine.shown import shown_of_request, shown_of_result
from napari_xreg.workflows import refine_request


class RefineWidget(Docked):
    """Settings, start to cancel, curves, iterates, results.

    Parameters
    ----------
    napari_viewer
        Whose session is refined.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        bench = self.workbench
        self._session = bench.session
        self._run: RefineRun | None = None
        self._waiting = False  # the user paused or stepped
        self._accepted = False  # the status says that the C-arm stands where a result is
        self.on_canvas = IterationsOnCanvas(bench)
        self.buttons = RunButtons()
        self.status = self.buttons.status
        self.settings = RefineSettingsPanel()
        self.iterations = IterationsPanel(self._session)
        self.results = ResultsPanel(self._session)
        self.replay = Replay(bench, self.iterations, self.on_canvas)
        self._lay_out()
        self._connect()
        self._follow_session()
        if self._session.results.all:
            self.results.select(self._session.results.all[-1].id)

    @property
    def running(self) -> bool:
        """Whether a refinement is under way (or waits)."""
        return self._run is not None and self._run.running

    # ------------------------------------------------------------------ start to cancel

    def start(self, asked: RefineChoices | None = None, *, one_step: bool = False) -> None:
        """Refine the session as it is now.

        Parameters
        ----------
        asked
            By another widget, as around a pose that it found; None: as is set here.
        """
        if self.running:
            return
        try:
            choices = self.settings.choices() if asked is None else asked
            captured = refine_request(
                self._session,
                choices.settings(),
                described=choices.as_json(),
                device=preferred_device(),
                use_painted=self.settings.use_mask.isChecked(),
            )
            request = replace(captured, explain=True)
        except ValueError as error:
            show_error(f"Refinement: {error}")
            return
        active = self._session.exposures.active
        first = self._session.exposures.find(request.ids[0])
        if first is not None and (active is None or active.id != request.ids[0]):
            self._session.exposures.activate(first.id)
            show_info(f"Showing {first.name}, which is being refined.")
        self.replay.begin(shown_of_request(request))
        self._run = RefineRun(
            self._session,
            self.workbench.jobs,
            request,
            one_step=one_step,
            kept=self.on_canvas.layers.sharing,
        )
        self._run.advanced.connect(self._advance)
        self._run.explaining.connect(self._say_trying)
        self._run.ended.connect(self._end)
        self._waiting = one_step
        self.how.collapse(animate=False)  # curve and results in its place
        self.status.setText("Starting …")
        self._follow_run()

    def pause(self) -> None:
        """Wait before the next iteration, or go on."""
        if self._run is None or not self._run.running:
            return
        control = self._run.job.control
        self._waiting = not self._waiting
        if self._waiting:
            control.pause()
        else:
            control.resume()
        self._follow_run()

    def step(self) -> None:
        """One more iteration, then wait; starts where nothing runs."""
        if self._run is None or not self._run.running:
            self.start(one_step=True)
        else:
            self._waiting = True
            self._run.job.control.step()
            self._follow_run()

    def cancel(self) -> None:
        """End with the best pose so far."""
        if self._run is not None and self._run.running:
            self.status.setText("Cancelling …")
            self._run.job.cancel()

    def continue_from(self) -> None:
        """Move to the iterate looked at and refine from there."""
        shown, iterate = self.iterations.shown, self.iterations.current
        if self.running or shown is None or iterate is None:
            return
        poses = shown.poses_at(iterate)
        if not any(self._session.exposures.find(id) for id in poses):
            show_error("Refinement: the radiographs of this refinement are no longer there.")
            return
        self._session.poses.set_several(
            poses, f"iteration {iterate.index} of {shown.name or 'a refinement'}"
        )
        self.start()

    def teardown(self) -> None:
        """Cancel what runs; its best pose still reaches the session."""
        run, self._run = self._run, None
        if run is not None:
            run.advanced.disconnect(self._advance)
            run.explaining.disconnect(self._say_trying)
            run.ended.disconnect(self._end)
            run.kept = None
            run.job.cancel()
        self.results.matches.close()
        self.replay.close()

    # ------------------------------------------------------------------ a run

    def _advance(self, iterates: list[Iterate]) -> None:
        shown = self.iterations.shown
        if shown is None or self._run is None:
            return
        self.replay.append(iterates)
        latest = shown.iterates[-1]
        waits = " – paused" if self._waiting else ""
        self.status.setText(
            f"Level {latest.level + 1} of {shown.levels}, iteration {latest.index}{waits}"
        )

    def _say_trying(self) -> None:
        self.status.setText("Not trusted: trying other explanations …")

    def _end(self, id: str | None) -> None:
        run, self._run = self._run, None
        self._follow_run()
        if id is None:
            if run is not None and run.dropped:
                self.replay.forget()  # its pictures are of what is no longer there
                self.status.setText(f"Stopped: {run.dropped}; the result was dropped.")
                show_warning(f"The refinement was stopped: {run.dropped}. Its result was dropped.")
            else:
                self.status.setText("Failed.")
            return
        shown, result = self.iterations.shown, self._session.results.find(id)
        if shown is not None and result is not None:
            shown.name = result.name
            self.replay.finish(result)
            self.status.setText(_ended_words(result))
        self.results.select(id)
        self._follow_accept()

    # ------------------------------------------------------------------ what is shown

    def _show_result(self, id: str | None) -> None:
        result = None if self.running else self._session.results.find(id)
        if result is None or self.replay.is_of(result):
            return
        first = self._session.exposures.find(result.radiographs[0])
        iterates = result.registration.trajectory
        if first is None or not iterates:
            return
        self.replay.begin(shown_of_result(result, first.radiograph.carm))
        self.replay.append(iterates)
        self.replay.finish(result)

    # ------------------------------------------------------------------ what follows what

    def _follow_accept(self) -> None:
        name_accept(
            self.results,
            self._session,
            self.iterations.shown,
            self.iterations.current,
            running=self.running,
        )

    def _follow_current(self) -> None:
        self._follow_accept()
        self._follow_figures()

    def _follow_figures(self) -> None:
        shown = self.iterations.shown
        done = None if shown is None else shown.registration
        self.iterations.follow(
            running=self.running, ncc=None if done is None else self.results.matches.of(done)
        )

    def _follow_run(self) -> None:
        self.buttons.follow(self._session, running=self.running, waiting=self._waiting)
        self.settings.setEnabled(not self.running)
        self._follow_current()

    def _follow_session(self) -> None:
        self.settings.show_radiographs(self._session)
        self._follow_run()
        if self.running:
            return
        self.replay.draw_again()
        self._say_ready()

    def _say_ready(self) -> None:
        self._accepted = False
        self.buttons.say_ready(self._session)

    def _follow_results(self) -> None:
        self.results.refresh()
        shown = self.iterations.shown
        gone = (
            shown is not None
            and shown.name
            and not any(map(self.replay.is_of, self._session.results.all))
        )
        if gone and not self.running:
            self.replay.forget()
            self._say_ready()
        self._follow_accept()  # the panel names the result alone

    def _follow_pose(self) -> None:
        """The C-arm was moved: its DRR matters now, not what was tried."""
        if self.running:
            return
        self.on_canvas.show(False)
        if self._accepted:  # it has moved since
            self._say_ready()

    def _follow_looking(self, elsewhere: bool) -> None:
        """The Pose widget compares: the DRR is to be seen; of a run, the iterates again after that."""
        self.on_canvas.show(self.running and not elsewhere)

    def _accept(self, id: str) -> None:
        what = accept(self._session, id, self.iterations.shown, self.iterations.current)
        self.status.setText(f"C-arm set to {what}.")
        self._accepted = True

    def _export(self, id: str) -> None:
        folder = ask_folder(self, self._session.results[id].name)
        if folder is not None:
            self.export(id, folder)

    def export(self, id: str, folder: Path) -> None:
        """Write a result into a folder, in the background."""
        start_export(self.workbench, id, folder)

    def _paint(self) -> None:
        if self.workbench.canvas.edit_mask() is None:
            show_warning("There is no radiograph to paint on: load one first.")

    # ------------------------------------------------------------------ building

    def _lay_out(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(6)
        self.how = Collapsible("Settings", self.settings)
        self.how.expand(animate=False)
        column.addWidget(self.how)
        column.addWidget(self.iterations, 2)
        column.addWidget(self.results)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        # Above and below what scrolls: never out of sight, and never moved by a text.
        outer.addWidget(self.buttons)
        outer.addWidget(scrolled(inner), 1)
        outer.addWidget(self.results.button_row)

    def _connect(self) -> None:
        session = self._session
        self.buttons.go.clicked.connect(lambda _: self.start())
        self.buttons.pause.clicked.connect(lambda _: self.pause())
        self.buttons.step.clicked.connect(lambda _: self.step())
        self.buttons.cancel.clicked.connect(lambda _: self.cancel())
        self.replay.changed.connect(self._follow_current)
        self.replay.wanting.connect(self.status.setText)
        self.iterations.resume_requested.connect(self.continue_from)
        self.settings.paint_requested.connect(self._paint)
        self.settings.used_changed.connect(session.exposures.set_used)
        self.results.shown.connect(self._show_result)
        self.results.table.itemClicked.connect(lambda _: self.replay.show_best())
        self.results.figures_changed.connect(self._follow_figures)
        self.results.table.itemSelectionChanged.connect(self._follow_accept)
        self.results.accept_requested.connect(self._accept)
        self.results.discard_requested.connect(session.results.discard)
        self.results.export_requested.connect(self._export)
        for signal, slot in (
            (session.patient.changed, self.results.matches.renew),
            (session.exposures.changed, self.results.matches.renew),
            (session.exposures.mask_changed, self.results.matches.renew),
            (session.patient.changed, self._follow_session),
            (session.exposures.changed, self._follow_session),
            (session.poses.changed, self._follow_pose),
            (self.workbench.preview.looked, self._follow_looking),
            (session.results.changed, self._follow_results),
            (session.landmarks.changed, self._follow_results),
            (session.history_changed, self.results.refresh_undo),
        ):
            self.listen(signal, slot)


def _ended_words(result: Result) -> str:
    """What the user has now."""
    registration = result.registration
    count = len(registration.trajectory)
    if registration.status is not Status.CANCELLED:
        return f"Done: {count} iterations. Accept the pose shown, or look back."
    at = registration.ended_at
    kept = (
        "the best pose"
        if at is None
        else f"iteration {registration.trajectory[at].index}, the best"
    )
    return f"Cancelled after {count} iterations; {result.name} keeps {kept} so far."
