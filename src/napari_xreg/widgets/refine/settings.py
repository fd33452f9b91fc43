"""The part of the Refine widget where one says how."""

from collections.abc import Mapping

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_xreg.geometry import CARM_PARAMETERS
from napari_xreg.registration import SOLVERS, Solver, Spread
from napari_xreg.session import Session
from napari_xreg.widgets.parts.collapsible import Collapsible
from napari_xreg.widgets.parts.form import SettingsForm, narrow_form
from napari_xreg.widgets.refine.choices import (
    OWN,
    SCALES,
    STARTS,
    RefineChoices,
    pixels_of,
)

LOCK_HELP = {
    "primary": "Primary angle, degrees (+ LAO), stays as it is.",
    "secondary": "Secondary angle, degrees (+ cranial), stays as it is.",
    "roll": "Rotation about the central ray, degrees, stays as it is.",
    "x": "Offset along the detector's columns, mm, stays as it is.",
    "y": "Offset along the detector's rows, mm, stays as it is.",
    "depth": "Offset along the central ray, mm, stays as it is.",
}


class RefineSettingsPanel(QWidget):
    """Emits nothing but wishes; `choices` says what is set."""

    paint_requested = Signal()
    used_changed = Signal(str, bool)
    """Name of a radiograph, and whether refinement is to use it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.optimiser = _combo({s.title: s.about for s in SOLVERS.values()}, "optimiser")
        self.measure = _combo(self.solver.compares(), "metric")
        self.scales = _combo(SCALES, "scales")
        self.own = QLineEdit("64, 128, 256")
        self.own.setToolTip("Longer side of the radiograph in pixels, coarse to fine.")
        self.own.setObjectName("custom resolution")
        self.iterations = QSpinBox()
        self.iterations.setRange(1, 2000)
        self.iterations.setValue(self.solver.iterations)
        self.iterations.setToolTip(
            "Maximum iterations per level and start; Levenberg–Marquardt does at most 20 before the last level."
        )
        self.starts = _combo({name: _starts_help(n) for name, n in STARTS.items()}, "starts")
        self.spread = SettingsForm(Spread())
        self.locks = {name: QCheckBox(name) for name in CARM_PARAMETERS}
        for name, box in self.locks.items():
            box.setToolTip(LOCK_HELP[name])
        self.use_mask = QCheckBox("use it")
        self.use_mask.setChecked(True)
        self.use_mask.setToolTip(
            "Leave out the pixels painted over, on top of the radiograph's own mask (collimator)."
        )
        self.paint = QPushButton("Paint")
        self.paint.setToolTip(
            "Paint a mask over what refinement must not look at: an implant, a label."
        )
        self.paint.clicked.connect(lambda _: self.paint_requested.emit())
        self.radiographs = QListWidget()
        self.radiographs.setToolTip(
            "Radiographs to refine together; their poses relative to each other stay as they are."
        )
        self.radiographs.setMaximumHeight(64)
        self.radiographs.itemChanged.connect(self._say_used)
        self.optimiser.currentTextChanged.connect(lambda _: self._follow_optimiser())
        self.scales.currentTextChanged.connect(lambda _: self._follow())
        self.starts.currentTextChanged.connect(lambda _: self._follow())
        self._lay_out()
        self._follow()

    @property
    def solver(self) -> Solver:
        """The one that is chosen."""
        return list(SOLVERS.values())[self.optimiser.currentIndex()]

    def choose_solver(self, name: str) -> None:
        """By its name in `SOLVERS`."""
        self.optimiser.setCurrentIndex(list(SOLVERS).index(name))

    def choices(self) -> RefineChoices:
        """What is set now.

        Raises
        ------
        ValueError
            If the pixels of own scales cannot be read.
        """
        own = self.scales.currentText() == OWN
        solver = self.solver
        return RefineChoices(
            optimiser=solver.name,
            metric=self.measure.currentText(),
            scales=self.scales.currentText(),
            pixels=pixels_of(self.own.text()) if own else (64, 128, 256),
            iterations=self.iterations.value(),
            starts=STARTS[self.starts.currentText()] if solver.several_starts else 1,
            spread=self.spread.value(),
            locked=tuple(name for name, box in self.locks.items() if box.isChecked())
            if solver.locks
            else (),
        )

    def show_radiographs(self, session: Session) -> None:
        """List the session's radiographs with their ticks."""
        self.radiographs.blockSignals(True)
        self.radiographs.clear()
        for exposure in session.exposures.all:
            item = QListWidgetItem(exposure.name)
            item.setData(Qt.ItemDataRole.UserRole, exposure.id)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            checked = Qt.CheckState.Checked if exposure.used else Qt.CheckState.Unchecked
            item.setCheckState(checked)
            self.radiographs.addItem(item)
        self.radiographs.blockSignals(False)

    # ------------------------------------------------------------------ inside

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        form = narrow_form()
        form.addRow("Optimiser", self.optimiser)
        form.addRow("Metric", self.measure)
        form.addRow("Resolution", self.scales)
        form.addRow("Pixels", self.own)
        form.addRow("Starting poses", self.starts)
        self._own_label = form.labelForField(self.own)
        layout.addLayout(form)
        inner = QWidget()
        more = narrow_form()
        inner.setLayout(more)
        more.setContentsMargins(0, 0, 0, 0)
        more.addRow("Iterations", self.iterations)
        more.addRow(self.spread)
        grid = QGridLayout()
        grid.setSpacing(2)
        for index, box in enumerate(self.locks.values()):
            grid.addWidget(box, index % 3, index // 3)
        locks = QLabel("Lock")
        locks.setToolTip("C-arm parameters that stay as they are.")
        more.addRow(locks, grid)
        mask = QHBoxLayout()
        mask.addWidget(self.use_mask)
        mask.addWidget(self.paint)
        more.addRow("Mask", mask)
        more.addRow("Use", self.radiographs)
        self.more = Collapsible("More", inner)
        self.more.setToolTip("Iterations, spread of the starts, locks, mask, radiographs.")
        layout.addWidget(self.more)

    def _follow_optimiser(self) -> None:
        _fill(self.measure, self.solver.compares())
        self.iterations.setValue(self.solver.iterations)
        self._follow()

    def _follow(self) -> None:
        solver = self.solver
        own = self.scales.currentText() == OWN
        self.own.setVisible(own)
        if self._own_label is not None:
            self._own_label.setVisible(own)
        self.starts.setEnabled(solver.several_starts)
        self.spread.setEnabled(solver.several_starts and self.starts.currentText() != "1")
        for box in self.locks.values():
            box.setEnabled(solver.locks)

    def _say_used(self, item: QListWidgetItem) -> None:
        self.used_changed.emit(
            item.data(Qt.ItemDataRole.UserRole), item.checkState() == Qt.CheckState.Checked
        )


def _starts_help(starts: int) -> str:
    if starts == 0:
        return (
            "The current pose alone; where the radiographs do not support its result, 16 poses "
            "spread about it, then 128 and 256 spread wider (near a bone 16, closer)."
        )
    if starts == 1:
        return "The current pose alone."
    return (
        f"The current pose and {starts - 1} spread about it (Sobol); all are refined at the coarsest "
        "level, the best four at the next, the best one to the end."
    )


def _combo(entries: Mapping[str, str], name: str) -> QComboBox:
    combo = QComboBox()
    combo.setObjectName(name)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    combo.currentIndexChanged.connect(
        lambda index: combo.setToolTip(combo.itemData(index, Qt.ItemDataRole.ToolTipRole) or "")
    )
    _fill(combo, entries)
    return combo


def _fill(combo: QComboBox, entries: Mapping[str, str]) -> None:
    combo.clear()
    for text, tip in entries.items():
        combo.addItem(text)
        combo.setItemData(combo.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
    combo.setCurrentIndex(0)
    combo.setToolTip(next(iter(entries.values())))
