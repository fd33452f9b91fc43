"""The six numbers of the C-arm, and how far one step of an arrow or key goes."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QGroupBox, QHBoxLayout, QLabel

from napari_xreg.geometry import CArmPose
from napari_xreg.widgets.pose.rows import TERMS, PoseRow, term_of


class CArmGroup(QGroupBox):
    """Shows a pose and reports what the user makes of it."""

    changed = Signal(str, float)
    """Name and value of one of the six."""
    held = Signal()
    """A slider is being dragged from now on."""
    let_go = Signal(str)
    """The slider of this name was let go."""

    def __init__(self) -> None:
        super().__init__("C-arm")
        self.rows = {term.name: PoseRow(term, self) for term in TERMS}
        for row in self.rows.values():
            row.changed.connect(self.changed)
            row.held.connect(lambda _: self.held.emit())
            row.let_go.connect(self.let_go)
        self.angle_step = _step(
            1.0, 0.01, 45.0, "°", "Angle of one step of an arrow or key, degrees"
        )
        self.shift_step = _step(
            2.0, 0.01, 100.0, " mm", "Length of one step of an arrow or key, mm at the C-arm"
        )
        for step in (self.angle_step, self.shift_step):
            step.valueChanged.connect(lambda _: self._set_steps())
        self._set_steps()
        grid = QGridLayout(self)
        grid.setColumnStretch(1, 1)
        for number, row in enumerate(self.rows.values()):
            row.place(grid, number)
        steps = QHBoxLayout()
        steps.addWidget(QLabel("Step"))
        steps.addWidget(self.angle_step, 1)
        steps.addWidget(self.shift_step, 1)
        grid.addLayout(steps, len(self.rows), 0, 1, 4)

    def show_pose(self, pose: CArmPose) -> None:
        """Show numbers that came from elsewhere."""
        for name, row in self.rows.items():
            row.show_value(term_of(pose, name))

    def step(self, name: str) -> float:
        """How far one step goes, degrees or mm."""
        angle = self.rows[name].term.is_angle
        return float((self.angle_step if angle else self.shift_step).value())

    def words(self, name: str) -> str:
        """What was done, for the list of undo."""
        return f"{self.rows[name].term.label.lower()} changed"

    def dragging(self, name: str) -> bool:
        """Whether its slider is held."""
        return bool(self.rows[name].slider.isSliderDown())

    def _set_steps(self) -> None:
        for name, row in self.rows.items():
            row.set_step(self.step(name))


def _step(value: float, least: float, most: float, unit: str, tip: str) -> QDoubleSpinBox:
    field = QDoubleSpinBox()
    field.setRange(least, most)
    field.setDecimals(2)
    field.setValue(value)
    field.setSuffix(unit)
    field.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    field.setMinimumWidth(60)
    field.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
    field.setToolTip(tip)
    return field
