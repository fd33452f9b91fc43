"""Landscape: the loss around the present pose, drawn while it is computed."""

from typing import Any, cast

from napari.utils.notifications import show_warning
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_xreg.geometry import CArm
from napari_xreg.geometry.carm import CARM_PARAMETERS
from napari_xreg.registration import COARSE_TO_FINE, LandscapeSettings, View
from napari_xreg.registration.landscape.sampling import (
    Landscape,
    LandscapeSample,
    Measure,
    shifted,
)
from napari_xreg.widgets.jobs.jobs import Job
from napari_xreg.widgets.landscape.plots import LandscapePlots
from napari_xreg.widgets.parts.docked import Docked
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.workflows import LandscapeRequest, landscape, landscape_words, with_unit

_NARROW = "min-width: 40px;"  # napari's themes ask for 90 and more

DRAW_MS = 100
"""How often new samples are drawn."""

_MEASURES = {
    "refinement's loss": (
        "refinement",
        "What Refine minimises at this level, tone and robust weights fitted at every sample.",
    ),
    "1 − NCC": ("ncc", "Normalised cross-correlation of the whole image."),
    "1 − xvr similarity": (
        "xvr",
        "Mean of multiscale NCC and gradient NCC (Gopalakrishnan et al. 2025, M.6).",
    ),
}


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
        self._id = ""
        self._carm: CArm | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(DRAW_MS)
        self._timer.timeout.connect(self._draw)
        self.plots = LandscapePlots()
        self.plots.picked.connect(self._go_to)
        self._make_controls()
        self._lay_out()
        session = self.workbench.session
        self.listen(session.pose_changed, self._mark)
        self.listen(session.volume_changed, self._forget)
        self.listen(session.radiographs_changed, self._follow)
        self.listen(session.active_changed, self._follow)
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
        usual = LandscapeSettings()
        self.measure = QComboBox()
        for title, (_, tip) in _MEASURES.items():
            self.measure.addItem(title)
            self.measure.setItemData(self.measure.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.measure.setToolTip("What is drawn: lower is better, dimensionless.")
        self.pixels = QComboBox()
        for level in COARSE_TO_FINE:
            voxels = "full CT" if level.voxel_mm is None else f"CT at {level.voxel_mm:g} mm"
            self.pixels.addItem(f"{level.pixels} pixels, {voxels}", level.pixels)
        self.pixels.setCurrentIndex(COARSE_TO_FINE.index(usual.level))
        self.pixels.setToolTip(
            "Longer side of the radiograph, and voxels: the levels of Refine. The coarse ones have "
            "wider basins."
        )
        self.degrees = _number(
            usual.range_deg, 0.5, 90.0, "°", "Primary, secondary and roll: ± degrees."
        )
        self.millimetres = _number(
            usual.range_mm, 1.0, 400.0, " mm", "x and y: ± mm in camera axes."
        )
        self.depth_reach = _number(
            usual.range_depth_mm,
            1.0,
            600.0,
            " mm",
            "Depth, along the central ray: ± mm; from one view it needs a wide range.",
        )
        self.samples = QSpinBox()
        self.samples.setRange(3, 201)
        self.samples.setSingleStep(2)
        self.samples.setValue(usual.samples)
        self.samples.setStyleSheet(_NARROW)
        self.samples.setToolTip("Along each section (made odd: the pose itself is one).")
        self.mapped = QCheckBox("Map of")
        self.mapped.setChecked(True)
        self.mapped.setToolTip(
            "The loss over two parameters at once: shows valleys that are oblique."
        )
        self.first, self.second = QComboBox(), QComboBox()
        for box, chosen in zip((self.first, self.second), usual.pair or (), strict=True):
            box.addItems(list(CARM_PARAMETERS))
            box.setCurrentText(chosen)
            box.setToolTip("The first runs upwards, the second to the right.")
            self.mapped.toggled.connect(box.setEnabled)
        self.go = QPushButton("Draw")
        self.go.setToolTip(
            "Render around the present pose of the active radiograph; the other used ones move "
            "along while the rig is locked."
        )
        self.go.clicked.connect(lambda: self.start())
        self.stop = QPushButton("Cancel")
        self.stop.setToolTip("Keep what was computed so far.")
        self.stop.setEnabled(False)
        self.stop.clicked.connect(lambda: self.cancel())
        self.words = SmallPrint()

    def _lay_out(self) -> None:
        for box in (self.measure, self.pixels, self.first, self.second):
            box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(4)
            box.setStyleSheet(_NARROW)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Loss", self.measure)
        form.addRow("Level", self.pixels)
        form.addRow("Range ±", _row(self.degrees, self.millimetres, self.depth_reach))
        form.addRow("Samples", _row(self.samples))
        form.addRow(self.mapped, _row(self.first, self.second))
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(form)
        layout.addWidget(_row(self.go, self.stop))
        layout.addWidget(self.plots)
        layout.addWidget(self.words)
        layout.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scrolled(inside))

    # ------------------------------------------------------------------ computing

    @property
    def settings(self) -> LandscapeSettings:
        """What the controls say."""
        for box in (self.degrees, self.millimetres, self.depth_reach, self.samples):
            box.interpretText()
        pair = (self.first.currentText(), self.second.currentText())
        samples = self.samples.value()
        return LandscapeSettings(
            range_deg=self.degrees.value(),
            range_mm=self.millimetres.value(),
            range_depth_mm=self.depth_reach.value(),
            samples=samples,
            pair=pair if self.mapped.isChecked() else None,
            pair_samples=min(samples, LandscapeSettings().pair_samples),
            measure=cast(Measure, _MEASURES[self.measure.currentText()][0]),
            level=COARSE_TO_FINE[self.pixels.currentIndex()],
        )

    def start(self) -> None:
        """Compute around the present pose; a running one is cancelled first."""
        session = self.workbench.session
        active, volume = session.active, session.rendering
        if active is None or volume is None:
            show_warning("A landscape needs a CT and a radiograph: load them in the Data widget.")
            return
        try:
            settings = self.settings
        except ValueError as error:
            show_warning(f"{str(error)[:1].upper()}{str(error)[1:]}.")
            return
        self.cancel()
        others = [e for e in session.exposures if e.used and e is not active]
        entries = [active, *(others if session.rig_locked else ())]
        views = tuple(View(entry.masked, entry.world_from_camera) for entry in entries)
        request = LandscapeRequest(volume, views, settings, session.isocenter)
        self._id, self._carm = active.id, active.radiograph.carm
        shown = self._shown = request.empty()
        self.plots.begin(shown)
        self._mark()
        self.words.setText("Computing; the picture sharpens as samples arrive.")
        self._job = self.workbench.jobs.start(
            "Landscape",
            lambda control: landscape(request, control=control),
            # A job that was cancelled for this one fills in its own landscape, not this.
            on_event=lambda _, samples: _fill(shown, samples),
            on_result=lambda result: self._end(result, shown),
            total=settings.total,
            description="Loss around the pose",
        )
        self._job.finished.connect(self._switch)
        self._timer.start()
        self._switch()

    def cancel(self) -> None:
        """End a running computation; what was computed stays."""
        if self._job is not None:
            self._job.cancel()

    def _end(self, result: Landscape, shown: Landscape) -> None:
        if self._shown is shown:
            self._timer.stop()
            self._draw()
            self.words.setText(landscape_words(shown, complete=result.complete))

    def _switch(self) -> None:
        if not self.running:
            self._timer.stop()
        ready = self.workbench.session.active is not None
        self.go.setEnabled(not self.running and ready)
        self.stop.setEnabled(self.running)

    # ------------------------------------------------------------------ showing

    def _draw(self) -> None:
        if not self.torn_down:
            self.plots.draw()

    def _mark(self) -> None:
        """The line that shows the present pose, as offsets from where the landscape was made."""
        shown = self._shown
        if shown is None or self._carm is None:
            return
        exposure = next((e for e in self.workbench.session.exposures if e.id == self._id), None)
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
        name = session.named(self._id)
        if name is None:
            return
        pose = shifted(self._carm, shown.center, offsets)
        where = ", ".join(f"{name} {with_unit(v, name)}" for name, v in offsets.items())
        session.set_pose(pose, f"landscape: {where}", name=name)

    def _forget(self) -> None:
        """Another CT, or other structures of it: what is drawn no longer holds."""
        self.cancel()
        self._shown = None
        self.plots.begin(None)
        self.words.setText("")
        self._switch()

    def _follow(self) -> None:
        if self._shown is not None:
            known = {entry.id: entry for entry in self.workbench.session.exposures}
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


def _fill(shown: Landscape, samples: list[LandscapeSample]) -> None:
    for sample in samples:
        shown.set(sample)


def _number(value: float, low: float, high: float, suffix: str, tip: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(low, high)
    box.setDecimals(1 if suffix == "°" else 0)
    box.setValue(value)
    box.setSuffix(suffix)
    box.setKeyboardTracking(False)
    box.setToolTip(tip)
    # Arrow keys and the wheel step it: buttons would take half of a narrow dock.
    box.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    box.setStyleSheet(_NARROW)
    return box


def _row(*widgets: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget, 1)
    return row
