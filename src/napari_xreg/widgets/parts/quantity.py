"""A number with its unit that fits into a narrow dock."""

from qtpy.QtCore import QSize
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QDoubleSpinBox, QSizePolicy, QWidget


class Quantity(QDoubleSpinBox):
    """A spin box without buttons (arrow keys step it) that ignores the wheel without the focus.

    Parameters
    ----------
    value, low, high
        To begin with; smallest and largest.
    unit
        With a space before it where it needs one.
    tip
        What it means.
    decimals, step
        As in `QDoubleSpinBox`.
    """

    def __init__(
        self,
        value: float,
        low: float,
        high: float,
        unit: str,
        tip: str,
        *,
        decimals: int = 1,
        step: float = 1.0,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setRange(low, high)
        self.setDecimals(decimals)
        self.setSingleStep(step)
        self.setSuffix(unit)
        self.setValue(value)
        self.setToolTip(tip)
        self.setKeyboardTracking(False)
        self.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        # napari's themes make every spin box 90 pixels wide, room for the buttons included.
        self.setStyleSheet("min-width: 52px; padding: 1px 4px;")

    @property
    def number(self) -> float:
        """The value, with what is being typed."""
        self.interpretText()
        return self.value()

    def minimumSizeHint(self) -> QSize:
        """Small enough for two beside each other."""
        return QSize(60, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        """As small."""
        return QSize(60, super().sizeHint().height())

    def textFromValue(self, value: float) -> str:
        """Without zeros that say nothing."""
        text = super().textFromValue(value)
        point = self.locale().decimalPoint()
        return text.rstrip("0").rstrip(point) if point in text else text

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Only with the focus."""
        if self.hasFocus():
            super().wheelEvent(event)
        elif event is not None:
            event.ignore()
