"""The six numbers of a C-arm pose, each with a slider and a field."""

from dataclasses import dataclass, replace

from qtpy.QtCore import QObject, QSize, Qt, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QSizePolicy, QSlider, QWidget

from napari_xreg.geometry import CArmPose
from napari_xreg.widgets.parts.number_field import QuietWheel


@dataclass(frozen=True)
class Term:
    """One degree of freedom as it is shown.

    Parameters
    ----------
    name
        As in `CARM_PARAMETERS`.
    label
        What the user reads.
    unit
        "°" or "mm".
    slider
        The slider runs from this much below the present value to this much above.
    limit
        The field does too.
    tip
        Meaning, sign, source.
    """

    name: str
    label: str
    unit: str
    slider: float
    limit: float
    tip: str

    @property
    def is_angle(self) -> bool:
        return self.unit == "°"


TERMS = (
    Term(
        "primary", "Primary", "°", 2.0, 180.0,
        "Primary positioner angle, degrees (DICOM 0018,1510): + LAO, - RAO; 0 has the detector in "
        "front of the chest",
    ),
    Term(
        "secondary", "Secondary", "°", 2.0, 90.0,
        "Secondary positioner angle, degrees (DICOM 0018,1511): + cranial, - caudal",
    ),
    Term(
        "roll", "Roll", "°", 2.0, 180.0,
        "Rotation of the detector about the central ray, degrees, right-handed from source to "
        "detector",
    ),
    Term(
        "x", "x", "mm", 6.0, 5000.0,
        "How far the C-arm has moved from the isocenter along its own x axis (along the detector's "
        "rows; against the columns in a mirrored image), mm",
    ),
    Term(
        "y", "y", "mm", 6.0, 5000.0,
        "How far the C-arm has moved from the isocenter along its own y axis (down the image), mm: "
        "the picture goes up",
    ),
    Term(
        "depth", "Depth", "mm", 10.0, 5000.0,
        "How far the C-arm has moved from the isocenter along the central ray, mm; positive away "
        "from the source, so that the picture grows",
    ),
)  # fmt: skip


def term_of(pose: CArmPose, name: str) -> float:
    """One of the six, degrees or mm."""
    if name in ("x", "y", "depth"):
        return pose.offset_mm[("x", "y", "depth").index(name)]
    return float(getattr(pose, f"{name}_deg"))


def with_term(pose: CArmPose, name: str, value: float) -> CArmPose:
    """The pose with one of the six replaced."""
    if name == "primary":
        return replace(pose, primary_deg=value)
    if name == "secondary":
        return replace(pose, secondary_deg=value)
    if name == "roll":
        return replace(pose, roll_deg=value)
    offset = list(pose.offset_mm)
    offset[("x", "y", "depth").index(name)] = value
    return replace(pose, offset_mm=(offset[0], offset[1], offset[2]))


def side_of(name: str, value: float) -> str:
    """What radiographers call the side an angle is turned to; empty at zero and for the others."""
    sides = {"primary": ("LAO", "RAO"), "secondary": ("cranial", "caudal")}.get(name)
    if sides is None or round(value, 2) == 0.0:
        return ""
    return sides[0] if value > 0 else sides[1]


class PoseRow(QObject):
    """A slider and a field that show one number and report what the user makes of it.

    The slider is fine: its middle is the value it was last let go at, its ends are `Term.slider`
    away, and it goes back to the middle when it is let go. The field goes everywhere.

    Parameters
    ----------
    term
        Which one.
    parent
        Widget that holds them.
    """

    changed = Signal(str, float)
    """Name and value, by the user; many times while the slider is dragged."""
    held = Signal(str)
    """The slider is being dragged from now on."""
    let_go = Signal(str)
    """The slider was let go."""

    _TICKS = 100  # of the slider, per degree or mm

    def __init__(self, term: Term, parent: QWidget) -> None:
        super().__init__(parent)
        self.term = term
        self.label = QLabel(term.label)
        self.side = QLabel()
        self.side.setMinimumWidth(self.side.fontMetrics().horizontalAdvance("cranial") + 2)
        self._middle = 0.0
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(round(-term.slider * self._TICKS), round(term.slider * self._TICKS))
        self.slider.setMinimumWidth(28)
        self.slider.setAccessibleName(f"{term.label} slider")
        self.field = _Field()
        self.field.setDecimals(2)
        self.field.setRange(-term.limit, term.limit)
        self.field.setWrapping(term.limit == 180.0)
        self.field.setSuffix("°" if term.is_angle else " mm")
        self.field.setKeyboardTracking(False)
        self.field.setAccessibleName(term.label)
        quiet = QuietWheel(self)
        for control in (self.label, self.slider, self.field, self.side):
            control.setToolTip(term.tip)
        for control in (self.slider, self.field):
            control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            control.installEventFilter(quiet)
        self.slider.valueChanged.connect(self._slid)
        self.slider.sliderPressed.connect(lambda: self.held.emit(term.name))
        self.slider.sliderReleased.connect(self._released)
        self.field.valueChanged.connect(lambda value: self.changed.emit(term.name, value))

    def place(self, grid: QGridLayout, row: int) -> None:
        """Into four columns: the last says LAO or RAO, cranial or caudal."""
        for column, control in enumerate((self.label, self.slider, self.field, self.side)):
            grid.addWidget(control, row, column)

    def show_value(self, value: float) -> None:
        """Show a number that came from elsewhere."""
        for control in (self.field, self.slider):
            control.blockSignals(True)
        self.field.setValue(value)
        self.side.setText(side_of(self.term.name, value))
        if not self.slider.isSliderDown():  # then it stays under the finger
            self._middle = value
            self.slider.setValue(0)
        for control in (self.field, self.slider):
            control.blockSignals(False)

    def set_step(self, step: float) -> None:
        """Of the field's arrows and of the slider's keys."""
        self.field.setSingleStep(step)
        self.slider.setSingleStep(max(1, round(step * self._TICKS)))
        self.slider.setPageStep(max(1, round(10 * step * self._TICKS)))

    def _slid(self, ticks: int) -> None:
        self.changed.emit(self.term.name, self._meant(ticks))

    def _meant(self, ticks: int) -> float:
        low, high = -self.term.limit, self.term.limit
        value = self._middle + ticks / self._TICKS
        if self.field.wrapping():
            value = (value - low) % (high - low) + low
        return min(max(value, low), high)

    def _released(self) -> None:
        """The value is kept, and is the middle from now on."""
        reached = self._meant(self.slider.value())  # the field may still lag
        self.let_go.emit(self.term.name)
        self.show_value(reached)


class _Field(QDoubleSpinBox):
    """As wide as "-180.00 mm" needs, not as the largest number there could be."""

    def __init__(self) -> None:
        super().__init__()
        # Arrow keys and the wheel step it: buttons would take half of a narrow dock.
        self.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)

    def sizeHint(self) -> QSize:
        """Asked anew whenever napari's theme changes the font."""
        width = self.fontMetrics().horizontalAdvance("-1888.88 mm") + 12
        return QSize(width, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """The same."""
        return self.sizeHint()
