"""A number with its unit, which may also be unknown."""

from typing import Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtGui import QFocusEvent, QValidator, QWheelEvent
from qtpy.QtWidgets import QDoubleSpinBox, QSizePolicy, QWidget

_UNKNOWN = -1e6
_LARGEST = 99999.0


class NumberField(QDoubleSpinBox):
    """A spin box that can say "not known"; empty it to say so.

    The wheel turns it only while it has the focus, so that scrolling a long form changes nothing.

    Parameters
    ----------
    decimals
        Shown and kept.
    step
        Of the arrows.
    first
        What an unknown value becomes when it is stepped.
    """

    def __init__(
        self,
        *,
        decimals: int = 3,
        step: float = 1.0,
        first: float = 0.0,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._first = first
        self.setRange(_UNKNOWN, _LARGEST)
        self.setDecimals(decimals)
        self.setSingleStep(step)
        self.setSpecialValueText("not known")
        self.setKeyboardTracking(False)
        # Arrow keys and the wheel step it: buttons would take half of a narrow dock.
        self.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        # napari's themes make every spin box 90 pixels wide, room for the buttons included.
        self.setStyleSheet("min-width: 58px; padding: 1px 4px;")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setValue(_UNKNOWN)

    @property
    def number(self) -> float | None:
        """The value, or None where it is not known."""
        return None if self.value() <= _UNKNOWN else self.value()

    def set_number(self, number: float | None) -> None:
        """Show a value, or that it is not known; as a change by the program."""
        self.setValue(_UNKNOWN if number is None else number)

    def minimumSizeHint(self) -> QSize:
        """Room for the words "not known", not for the largest number there could be."""
        width = self.fontMetrics().horizontalAdvance(self.specialValueText()) + 14
        return QSize(width, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        """As small."""
        return QSize(self.minimumSizeHint().width(), super().sizeHint().height())

    def stepBy(self, steps: int) -> None:
        """The first step from "not known" gives a usual value."""
        if self.number is None:
            self.setValue(self._first)
        else:
            self.setValue(max(self.value() + steps * self.singleStep(), _UNKNOWN + 1))

    def validate(self, text: str | None, position: int) -> Any:
        """An empty field is an answer too; what is typed takes the place of "not known"."""
        text, special = text or "", self.specialValueText()
        if special in text and text != special:
            text = text.replace(special, "")
            position = len(text)
        if not text.strip():
            return QValidator.State.Acceptable, text, position
        return super().validate(text, position)

    def valueFromText(self, text: str | None) -> float:
        """Empty: not known."""
        return super().valueFromText(text) if (text or "").strip() else _UNKNOWN

    def textFromValue(self, value: float) -> str:
        """Without zeros that say nothing."""
        text = super().textFromValue(value)
        point = self.locale().decimalPoint()
        return text.rstrip("0").rstrip(point) if point in text else text

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        """Typing replaces what was there."""
        super().focusInEvent(event)
        QTimer.singleShot(0, self.selectAll)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Only with the focus."""
        if self.hasFocus():
            super().wheelEvent(event)
        elif event is not None:
            event.ignore()


class QuietWheel(QObject):
    """Keeps the wheel from changing a control that does not have the focus."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Installed on combo boxes and the like."""
        if event is None or event.type() != QEvent.Type.Wheel or not isinstance(watched, QWidget):
            return False
        if watched.hasFocus():
            return False
        event.ignore()
        return True
