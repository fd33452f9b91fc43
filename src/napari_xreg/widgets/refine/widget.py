"""Refine: find the pose that explains the radiographs, watch it being found, go back into it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QSizePolicy,
    QSlider,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_xreg.geometry import CArm, Pose
from napari_xreg.registration import Iterate, Registration, Status, solver_of
from napari_xreg.session import PreviewRequest, Result
from napari_xreg.viewer import IterateLayers
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.jobs.live_preview import drag_threads
from napari_xreg.widgets.jobs.telling import show_error, show_info, show_warning
from napari_xreg.widgets.parts.data_buttons import button
from napari_xreg.widgets.parts.device_choice import preferred_device
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.pose.plot import PosePlot
from napari_xreg.widgets.pose.words import carm_words, truth_error_mm
from napari_xreg.widgets.refine.choices import RefineChoices
from napari_xreg.widgets.refine.iterate_pictures import IteratePictures
from napari_xreg.widgets.refine.loss_plot import LossPlot
from napari_xreg.widgets.refine.results import ResultsPanel
from napari_xreg.widgets.refine.run import RefineRun
from napari_xreg.widgets.refine.settings import RefineSettingsPanel, flush
from napari_xreg.workflows import (
    FILM_FRAMES,
    RefineRequest,
    export,
    export_request,
    refine_request,
    rig_poses,
)

PIXELS_AGAIN = 256
"""Longer side of pictures of iterations that are drawn again."""


@dataclass(eq=False)
class _Shown:
    """The refinement that curves and layers show: running, or one of the session's results."""

    name: str
    ids: tuple[str, ...]
    """Of the radiographs."""
    rig: tuple[Pose, ...]
    carm: CArm
    levels: int
    simulated: bool
    registration: Registration | None = None
    """Once it ended."""
    iterates: list[Iterate] = field(default_factory=list)

    def poses_at(self, iterate: Iterate) -> dict[str, Pose]:
        return rig_poses(self.ids, self.rig, iterate.world_from_camera)


class RefineWidget(Docked):
    """Settings, start to cancel, curves, iterates, results.

    Parameters
    ----------
    napari_viewer
        Whose session is refined.
    """

    looked_back = Signal(object)
    """The user went to another `Iterate`."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        bench = self.workbench
        self._session = bench.session
        self._run: RefineRun | None = None
        self._waiting = False  # the user paused or stepped
        self._accepted = False  # the status says that the C-arm stands where a result is
        self._shown: _Shown | None = None
        self._current: Iterate | None = None
        self._layers = IterateLayers(bench.viewer, self._session)
        self._pictures = IteratePictures(self._layers)
        self._overlay: str | None = None  # what the canvas showed before the iterates
        self.settings = RefineSettingsPanel()
        self.losses = LossPlot()
        self.poses = PosePlot()
        self.results = ResultsPanel(self._session)
        self._make_controls()
        self._lay_out()
        self._connect()
        self._follow_session()
        if self._session.results.all:
            self.results.select(self._session.results.all[-1].id)

    @property
    def running(self) -> bool:
        """Whether a refinement is under way (or waits)."""
        return self._run is not None and self._run.running

    @property
    def current(self) -> Iterate | None:
        """The iterate that is looked at."""
        return self._current

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
            request = refine_request(
                self._session,
                choices.settings(),
                described=choices.as_json(),
                device=preferred_device(),
                use_painted=self.settings.use_mask.isChecked(),
            )
        except ValueError as error:
            show_error(f"Refinement: {error}")
            return
        active = self._session.exposures.active
        first = self._session.exposures.find(request.ids[0])
        if first is not None and (active is None or active.id != request.ids[0]):
            self._session.exposures.activate(first.id)
            show_info(f"Showing {first.name}, which is being refined.")
        self._begin(request)
        self._run = RefineRun(
            self._session,
            self.workbench.jobs,
            request,
            one_step=one_step,
            kept=self._layers.sharing,
        )
        self._run.advanced.connect(self._advance)
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
        shown, iterate = self._shown, self._current
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
            run.ended.disconnect(self._end)
            run.kept = None
            run.job.cancel()
        self._pictures.close()
        self.results.matches.close()
        self._layers.scrubbed.disconnect(self._scrubbed)
        if self.workbench.closed:
            self._layers.close()  # the viewer goes: its layers are not to be touched
        else:
            self._show_pictures(False)
            self._layers.close(remove_layers=True)

    # ------------------------------------------------------------------ a run

    def _begin(self, request: RefineRequest) -> None:
        radiographs = [view.radiograph for view in request.views]
        solver = solver_of(request.settings)
        self._show(
            _Shown(
                "",
                request.ids,
                tuple(view.world_from_camera for view in request.views),
                radiographs[0].carm,
                len(solver.level_pixels(request.settings)),
                any(radiograph.simulated for radiograph in radiographs),
            ),
            _stack_shape(request),
            solver.most_iterates(request.settings),
        )

    def _advance(self, iterates: list[Iterate]) -> None:
        shown = self._shown
        if shown is None or self._run is None:
            return
        self._append(iterates)
        latest = shown.iterates[-1]
        waits = " – paused" if self._waiting else ""
        self.status.setText(
            f"Level {latest.level + 1} of {shown.levels}, iteration {latest.index}{waits}"
        )

    def _end(self, id: str | None) -> None:
        run, self._run = self._run, None
        self._follow_run()
        if id is None:
            if run is not None and run.dropped:
                self._forget()  # its pictures are of what is no longer there
                self.status.setText(f"Stopped: {run.dropped}; the result was dropped.")
                show_warning(f"The refinement was stopped: {run.dropped}. Its result was dropped.")
            else:
                self.status.setText("Failed.")
            return
        result = self._session.results.find(id)
        if self._shown is not None and result is not None:
            self._shown.name = result.name
            self._finish(result)
            self.status.setText(_ended_words(result))
        self.results.select(id)
        self._follow_accept()

    # ------------------------------------------------------------------ what is shown

    def _show(self, shown: _Shown, shape: tuple[int, int], expected: int) -> None:
        self._shown, self._current = shown, None
        self._pictures.stop()
        self.losses.clear()
        self.poses.clear()
        self.slider.setRange(0, 0)
        rows, columns = shape
        detector = shown.carm.detector
        size = detector.size_mm
        self._layers.begin(
            shape,
            (size[0] / rows, size[1] / columns),
            expected,
            radiograph=shown.ids[0],
        )
        self._show_pictures(True)
        self._follow_current()

    def _append(self, iterates: Sequence[Iterate]) -> None:
        shown = self._shown
        assert shown is not None
        # The pictures are in the layer; a second copy here would only cost memory.
        light = [replace(iterate, image=None) for iterate in iterates]
        shown.iterates.extend(light)
        self.losses.append(light)
        isocenter = self._session.patient.isocenter
        self.poses.append(
            light, [shown.carm.carm_pose(it.world_from_camera, isocenter) for it in light]
        )
        self.slider.blockSignals(True)
        self.slider.setRange(0, len(shown.iterates) - 1)
        self.slider.blockSignals(False)
        self._layers.extend(iterates)
        newest = self._layers.current()
        if newest is not None:
            self._look_at(newest)

    def _show_result(self, id: str | None) -> None:
        result = None if self.running else self._session.results.find(id)
        if result is None or self._is_shown(result):
            return
        first = self._session.exposures.find(result.radiographs[0])
        iterates = result.registration.trajectory
        if first is None or not iterates:
            return
        pictures = [it.image for it in iterates if it.image is not None]
        again = first.radiograph.carm.at_most(PIXELS_AGAIN)
        shape = max((tuple(p.shape) for p in pictures), default=again.detector.shape)
        self._show(
            _Shown(
                result.name,
                result.radiographs,
                result.registration.views or (result.registration.world_from_camera,),
                first.radiograph.carm,
                1 + max(it.level for it in iterates),
                result.registration.simulated,
            ),
            (int(shape[0]), int(shape[1])),
            len(iterates),
        )
        self._append(iterates)
        self._finish(result)

    def _is_shown(self, result: Result) -> bool:
        return self._shown is not None and self._shown.registration is result.registration

    def _finish(self, result: Result) -> None:
        assert self._shown is not None
        self._shown.registration = result.registration
        self._layers.finish(result.registration)
        at = result.registration.ended_at
        if at is None:
            last = self._layers.current()
            if last is not None:
                self._look_at(last)
        else:
            self._layers.go(at)  # the best pose is the result, not the last
            self._look_at(self._shown.iterates[at])
        self._draw_again()

    def _draw_again(self) -> None:
        """Pictures that a reopened session does not have, from the CT that it has."""
        shown, volume = self._shown, self._session.patient.rendering
        self._pictures.stop()
        if shown is None or not shown.name or self._layers.next_without_picture() is None:
            return
        if volume is None:
            self.status.setText(
                "A session file keeps no pictures of the iterations; they are drawn again from its "
                "CT: load that first. Losses and poses are all here."
            )
            return
        carm = shown.carm.at_most(PIXELS_AGAIN)
        poses = [iterate.world_from_camera for iterate in shown.iterates]
        self._pictures.fill(
            lambda number: PreviewRequest(
                volume, carm, poses[number], threads=drag_threads(), device=preferred_device()
            )
        )

    def _scrubbed(self, iterate: Iterate) -> None:
        """The user looks at another iterate."""
        self._look_at(iterate)
        active = self._session.exposures.active
        if self._shown is not None and active is not None:
            pose = self._shown.poses_at(iterate).get(active.id)
            self.workbench.canvas.show_landmarks_at(pose)
        self.looked_back.emit(iterate)

    def _pick(self, index: int) -> None:
        """The user chose an iteration: on a curve or with the slider."""
        if self._shown is not None and 0 <= index < len(self._shown.iterates):
            self._show_pictures(True)
            self._layers.go(index)

    def _look_at(self, iterate: Iterate) -> None:
        self._current = iterate
        self.losses.mark(iterate.index)
        self.poses.mark(iterate.index)
        self.slider.blockSignals(True)
        self.slider.setValue(iterate.index)
        self.slider.blockSignals(False)
        self._follow_current()

    # ------------------------------------------------------------------ what follows what

    def show_best(self) -> None:
        """Back from an earlier iteration to the pose that the result shown ended with."""
        shown = self._shown
        done = None if shown is None else shown.registration
        at = None if done is None else done.ended_at
        if at is not None:
            self._pick(at)

    def _follow_accept(self) -> None:
        """The button names the pose that it takes: the one that is shown."""
        chosen = self.results.selected
        result = self._session.results.find(chosen[0]) if len(chosen) == 1 else None
        if self.running or result is None:
            self.results.show_accept("")
        elif self._is_shown(result) and self._current is not None:
            self.results.show_accept(f"iteration {self._current.index} of {result.name}")
            at = result.registration.ended_at
            other = at is not None and at != self._current.index
            self.results.verdict.show_verdict(
                result.registration, f"Of iteration {at}, not the one shown: " if other else ""
            )
        else:  # of a session whose radiographs are gone, or without iterations
            self.results.show_accept(result.name)

    def _follow_figures(self) -> None:
        """The NCC of what the curve shows, in its legend."""
        shown = self._shown
        done = None if shown is None else shown.registration
        known = None if done is None else self.results.matches.of(done)
        self.losses.note("" if known is None else f"NCC {known:.4f} over all pixels")

    def _follow_current(self) -> None:
        self._follow_accept()
        self._follow_figures()
        shown, iterate = self._shown, self._current
        self.resume_here.setEnabled(iterate is not None and not self.running)
        self.slider.setEnabled(iterate is not None)
        if shown is None or iterate is None:
            self.readout.setText("")
            return
        start = f", start {iterate.start + 1}" if iterate.start else ""
        taken = "" if iterate.accepted else ", taken back"
        simulated = " (simulated)" if shown.simulated else ""
        words = [
            f"Iteration {iterate.index}, level {iterate.level + 1}{start}{taken}",
            f"loss {iterate.loss:.3g}{simulated}",
            carm_words(
                shown.carm.carm_pose(iterate.world_from_camera, self._session.patient.isocenter)
            ),
        ]
        error = truth_error_mm(self._session, shown.ids[0], iterate.world_from_camera)
        if error is not None:
            words[1] += f", mTRE {error:.2f} mm"
        self.readout.setText("\n".join(words))

    def _follow_run(self) -> None:
        running = self.running
        ready = self._session.patient.volume is not None and any(
            exposure.used for exposure in self._session.exposures.all
        )
        self.go.setEnabled(ready and not running)
        self.pause_button.setEnabled(running)
        self.pause_button.setText("Resume" if running and self._waiting else "Pause")
        self.step_button.setEnabled(ready)
        self.cancel_button.setEnabled(running)
        self.settings.setEnabled(not running)
        self._follow_current()

    def _follow_session(self) -> None:
        self.settings.show_radiographs(self._session)
        self._follow_run()
        if self.running:
            return
        self._draw_again()
        self._say_ready()

    def _say_ready(self) -> None:
        self._accepted = False
        if self._session.patient.volume is None or not self._session.exposures.all:
            self.status.setText("Load a CT and a radiograph first (Data).")
        else:
            used = [entry for entry in self._session.exposures.all if entry.used]
            names = ", ".join(
                entry.name + (" (simulated radiograph)" if entry.radiograph.simulated else "")
                for entry in used
            )
            self.status.setText(f"Ready: {names or 'no radiograph: tick one'}.")

    def _follow_results(self) -> None:
        self.results.refresh()
        shown = self._shown
        gone = (
            shown is not None
            and shown.name
            and not any(map(self._is_shown, self._session.results.all))
        )
        if gone and not self.running:
            self._forget()
            self._say_ready()
        self._follow_accept()  # the panel names the result alone

    def _forget(self) -> None:
        """Show no iterations any more, nor what was plotted of them."""
        self._shown = self._current = None
        self.losses.clear()
        self.poses.clear()
        self._show_pictures(False)
        self._follow_current()

    def _follow_pose(self) -> None:
        """The C-arm was moved: its DRR matters now, not what was tried."""
        if self.running:
            return
        self._show_pictures(False)
        if self._accepted:  # it has moved since
            self._say_ready()

    def _follow_looking(self, elsewhere: bool) -> None:
        """The Pose widget compares: the DRR is to be seen; of a run, the iterates again after that."""
        self._show_pictures(self.running and not elsewhere)

    def _show_pictures(self, show: bool) -> None:
        """The iterates in place of the DRR at the session's pose, or that again."""
        canvas, preview = self.workbench.canvas, self.workbench.preview
        if show and preview.elsewhere:
            preview.ask()  # what covers the DRR ends the comparison
        if show:
            self._layers.unhide()
        else:
            self._layers.hide()
        canvas.backdrop = show
        # Landmarks at the session's pose over a picture of another would mislead.
        canvas.show_landmarks_at(None if show else self._session.poses.current)
        if show and self._overlay is None:
            self._overlay, canvas.overlay = canvas.overlay, "radiograph"
        elif not show and self._overlay is not None:
            if canvas.overlay == "radiograph":  # else the user chose something meanwhile
                canvas.overlay = self._overlay
            self._overlay = None

    def _accept(self, id: str) -> None:
        result, shown, iterate = self._session.results[id], self._shown, self._current
        what = result.name
        if shown is None or iterate is None or not self._is_shown(result):
            self._session.results.accept(id)
        elif (at := result.registration.ended_at) is not None and at == iterate.index:
            self._session.results.accept(id)
            what = f"iteration {iterate.index} of {what}"
        else:
            what = f"iteration {iterate.index} of {what}"
            self._session.results.accept(id, poses=shown.poses_at(iterate), what=what)
        self.status.setText(f"C-arm set to {what}.")
        self._accepted = True

    def _choose_folder(self, id: str) -> None:
        name = self._session.results[id].name
        folder = QFileDialog.getExistingDirectory(self, "Where to put the folder of the result")
        if folder:
            self.export(id, Path(folder) / name.replace(" ", "-"))

    def export(self, id: str, folder: Path) -> None:
        """Write a result into a folder, in the background."""
        result = self._session.results.find(id)
        if result is None:
            return
        try:
            request = export_request(self._session, result, folder)
        except ValueError as error:
            show_error(f"Export: {error}")
            return
        self.workbench.jobs.start(
            "Export",
            lambda _: export(request),
            on_result=lambda done: show_info(f"Written to {folder}: {', '.join(done.files)}"),
            total=len(request.views) + FILM_FRAMES,
            description=f"Writing {result.name}",
        )

    # ------------------------------------------------------------------ building

    def _make_controls(self) -> None:
        self.go = button("Refine", "Refine from the present pose.")
        self.pause_button = button("Pause", "Pause after this iteration; click again to resume.")
        self.step_button = button("Step", "One iteration, then wait.")
        self.cancel_button = button(
            "Cancel", "End after this iteration; the best pose so far is kept as a result."
        )
        self.status = SmallPrint(lines=2)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip(
            "Scrub through the iterations (also: the viewer's iteration slider)."
        )
        self.readout = SmallPrint(lines=4)
        self.resume_here = button(
            "Restart from this iteration",
            "Move the C-arm to this iteration's pose and refine from there.",
        )

    def _lay_out(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(6)
        self.how = QCollapsible("Settings")
        self.how.addWidget(self.settings)
        flush(self.how)
        self.how.expand(animate=False)
        column.addWidget(self.how)
        self.tabs = QTabWidget()
        self.tabs.addTab(self.losses, "Loss")
        self.tabs.addTab(self.poses, "Pose")
        self.tabs.currentChanged.connect(lambda _: self._fit_tabs())
        self._fit_tabs()
        column.addWidget(self.tabs, 2)
        column.addWidget(self.slider)
        column.addWidget(self.readout)
        column.addWidget(self.resume_here)
        column.addWidget(self.results)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        # Above and below what scrolls: never out of sight, and never moved by a text.
        outer.addWidget(self._top())
        outer.addWidget(scrolled(inner), 1)
        outer.addWidget(self.results.button_row)

    def _top(self) -> QWidget:
        top = QWidget()
        rows = QVBoxLayout(top)
        rows.setContentsMargins(6, 6, 6, 2)
        rows.setSpacing(4)
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for one in (self.go, self.pause_button, self.step_button, self.cancel_button):
            buttons.addWidget(one)
        rows.addLayout(buttons)
        rows.addWidget(self.status)
        return top

    def _fit_tabs(self) -> None:
        """Only the page in front asks for room: one curve needs half of what two do."""
        for number in range(self.tabs.count()):
            page, in_front = self.tabs.widget(number), number == self.tabs.currentIndex()
            policy = QSizePolicy.Policy.Preferred if in_front else QSizePolicy.Policy.Ignored
            assert page is not None
            page.setSizePolicy(policy, policy)

    def _connect(self) -> None:
        session = self._session
        self.go.clicked.connect(lambda _: self.start())
        self.pause_button.clicked.connect(lambda _: self.pause())
        self.step_button.clicked.connect(lambda _: self.step())
        self.cancel_button.clicked.connect(lambda _: self.cancel())
        self.resume_here.clicked.connect(lambda _: self.continue_from())
        self.slider.valueChanged.connect(self._pick)
        self.losses.picked.connect(self._pick)
        self.poses.picked.connect(self._pick)
        self.settings.paint_requested.connect(self._paint)
        self.settings.used_changed.connect(session.exposures.set_used)
        self.results.shown.connect(self._show_result)
        self.results.table.itemClicked.connect(lambda _: self.show_best())
        self.results.figures_changed.connect(self._follow_figures)
        self.results.table.itemSelectionChanged.connect(self._follow_accept)
        self.results.accept_requested.connect(self._accept)
        self.results.discard_requested.connect(session.results.discard)
        self.results.export_requested.connect(self._choose_folder)
        self._layers.scrubbed.connect(self._scrubbed)
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

    def _paint(self) -> None:
        if self.workbench.canvas.edit_mask() is None:
            show_warning("There is no radiograph to paint on: load one first.")


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


def _stack_shape(request: RefineRequest) -> tuple[int, int]:
    """Rows and columns of the finest level."""
    pixels = max(solver_of(request.settings).level_pixels(request.settings))
    rows, columns = request.views[0].radiograph.carm.detector.shape
    scale = min(1.0, pixels / max(rows, columns))
    return max(8, round(rows * scale)), max(8, round(columns * scale))
