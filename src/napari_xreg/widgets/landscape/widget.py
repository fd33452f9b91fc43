"""Landscape: the loss around the current pose, drawn while it is computed."""

from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_xreg.geometry import CArm
from napari_xreg.registration import (
    Landscape,
    LandscapeSample,
    LandscapeSettings,
    View,
    shifted_pose,
)
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.jobs.jobs import Job
from napari_xreg.widgets.jobs.telling import show_warning
from napari_xreg.widgets.landscape.plots import LandscapePlots
from napari_xreg.widgets.parts.form import SettingsForm, side_by_side
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.workflows import (
    LandscapeRequest,
    WeightsRead,
    landscape,
    landscape_words,
    with_unit,
)

DRAW_MS = 100
"""How often new samples are drawn."""


class LandscapeWidget(Docked):
    """Where are the local optima?

    Parameters
    ----------
    napari_viewer
        Whose pose is looked around.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._job: Job | None = None
        self._shown: Landscape | None = None
        self._id = self._weights = ""
        self._carm: CArm | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(DRAW_MS)
        self._timer.timeout.connect(self._draw)
        self.plots = LandscapePlots()
        self.plots.picked.connect(self._go_to)
        self._make_controls()
        self._lay_out()
        session = self.workbench.session
        self.listen(session.poses.changed, self._mark)
        self.listen(session.patient.changed, self._forget)
        self.listen(session.exposures.changed, self._follow)
        self.listen(session.exposures.active_changed, self._follow)
        self._follow()

    @property
    def running(self) -> bool:
        """Whether samples are being computed."""
        return self._job is not None and self._job.running

    @property
    def landscape(self) -> Landscape | None:
        """What is drawn, perhaps half filled in."""
        return self._shown

    # ------------------------------------------------------------------ making it

    def _make_controls(self) -> None:
        self.settings = SettingsForm(LandscapeSettings())
        self.go = QPushButton("Draw")
        self.go.setToolTip(
            "Render around the current pose of the active radiograph; the other used ones move "
            "along while the rig is locked."
        )
        self.go.clicked.connect(lambda: self.start())
        self.stop = QPushButton("Cancel")
        self.stop.setToolTip("Keep what was computed so far.")
        self.stop.setEnabled(False)
        self.stop.clicked.connect(lambda: self.cancel())
        self.words = SmallPrint()

    def _lay_out(self) -> None:
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.settings)
        layout.addWidget(side_by_side([self.go, self.stop]))
        layout.addWidget(self.plots)
        layout.addWidget(self.words)
        layout.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scrolled(inside))

    # ------------------------------------------------------------------ computing

    def start(self) -> None:
        """Compute around the current pose; a running one is cancelled first."""
        session = self.workbench.session
        active, volume = session.exposures.active, session.patient.rendering
        if active is None or volume is None:
            show_warning("A landscape needs a CT and a radiograph: load them in the Data widget.")
            return
        try:
            settings = self.settings.value()
        except ValueError as error:
            show_warning(f"{str(error)[:1].upper()}{str(error)[1:]}.")
            return
        weights = None
        if settings.learned:
            # Those that somebody wants to use, or what was trained last.
            known = session.weights
            named = [known.wanted("similarity"), *reversed(known.trained)]
            found = next((each for each in named if each and each.kind == "similarity"), None)
            if found is None:
                show_warning(
                    "A learned similarity needs weights: train one (Train), or open its file in the Data widget."
                )
                return
            weights = found.file
        self.cancel()
        others = [e for e in session.exposures.all if e.used and e is not active]
        entries = [active, *(others if session.poses.rig_locked else ())]
        views = tuple(View(entry.masked, entry.world_from_camera) for entry in entries)
        request = LandscapeRequest(volume, views, settings, session.patient.isocenter, weights)
        self._id, self._carm, self._weights = active.id, active.radiograph.carm, ""
        whole = ". The learned similarity is that of the whole CT" if volume.structures else ""
        shown = self._shown = request.empty()
        self.plots.begin(shown)
        self._mark()
        self.words.setText("Computing; the picture sharpens as samples arrive.")
        self._job = self.workbench.jobs.start(
            "Landscape",
            lambda control: landscape(request, control=control),
            # A job that was cancelled for this one fills in its own landscape, not this.
            on_event=lambda _, events: self._take(shown, events, whole),
            on_result=lambda result: self._end(result, shown),
            total=settings.total + (weights is not None),
            description="Loss around the pose",
        )
        self._job.finished.connect(self._switch)
        self._timer.start()
        self._switch()

    def cancel(self) -> None:
        """End a running computation; what was computed stays."""
        if self._job is not None:
            self._job.cancel()

    def _take(
        self,
        shown: Landscape,
        events: list[WeightsRead | LandscapeSample],
        whole: str,
    ) -> None:
        for event in events:
            if isinstance(event, LandscapeSample):
                shown.set(event)
            elif self._shown is shown:
                self._weights = f"\nWeights: {event.name}, {event.trained_on}{whole}."

    def _end(self, result: Landscape, shown: Landscape) -> None:
        if self._shown is shown:
            self._timer.stop()
            self._draw()
            self.words.setText(landscape_words(shown, complete=result.complete) + self._weights)

    def _switch(self) -> None:
        if not self.running:
            self._timer.stop()
        ready = self.workbench.session.exposures.active is not None
        self.go.setEnabled(not self.running and ready)
        self.stop.setEnabled(self.running)

    # ------------------------------------------------------------------ showing

    def _draw(self) -> None:
        if not self.torn_down:
            self.plots.draw()

    def _mark(self) -> None:
        """The line that shows the current pose, as offsets from where the landscape was made."""
        shown = self._shown
        if shown is None or self._carm is None:
            return
        exposure = next((e for e in self.workbench.session.exposures.all if e.id == self._id), None)
        if exposure is None:
            self.plots.mark(None)
            return
        center = shown.center
        terms = self._carm.carm_pose(exposure.world_from_camera, center.isocenter)
        offsets = {
            name: getattr(terms, f"{name}_deg") - getattr(center, f"{name}_deg")
            for name in ("primary", "secondary", "roll")
        }
        for i, name in enumerate(("x", "y", "depth")):
            offsets[name] = terms.offset_mm[i] - center.offset_mm[i]
        self.plots.mark(offsets)

    def _go_to(self, offsets: dict[str, float]) -> None:
        """The pose of that place of the landscape, as one step that undo takes back."""
        shown, session = self._shown, self.workbench.session
        if shown is None or self._carm is None:
            return
        if session.exposures.find(self._id) is None:
            return
        pose = shifted_pose(self._carm, shown.center, offsets)
        where = ", ".join(f"{name} {with_unit(v, name)}" for name, v in offsets.items())
        session.poses.set(pose, f"landscape: {where}", exposure=self._id)

    def _forget(self) -> None:
        """Another CT, or other structures of it: what is drawn no longer holds."""
        self.cancel()
        self._shown = None
        self.plots.begin(None)
        self.words.setText("")
        self._switch()

    def _follow(self) -> None:
        if self._shown is not None:
            known = {entry.id: entry for entry in self.workbench.session.exposures.all}
            entry = known.get(self._id)
            if entry is None or entry.radiograph.carm != self._carm:
                self._forget()
        self._switch()

    def teardown(self) -> None:
        """Stop computing."""
        self._timer.stop()
        if self._job is not None and self._job.running:
            self._job.abandon()
        self._job = None
