"""A form made by magicgui from a settings dataclass: every field that is described as an `Option`."""

import dataclasses
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, LineEdit, SpinBox
from magicgui.widgets.bases import ValueWidget
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QSizePolicy,
    QWidget,
)

from napari_xreg.options import Setting, settings_of
from napari_xreg.widgets.parts.number_field import QuietWheel

Settings = TypeVar("Settings")

_LARGEST = 1e6


class SettingsForm(QWidget, Generic[Settings]):
    """Shows settings and says what is set.

    magicgui makes a widget for each number; Qt's form lays them out, names in one column.

    Parameters
    ----------
    settings
        To begin with: an instance of the dataclass. What is not offered stays as it is here.
    names
        Which fields, in which order; None: all that are described.
    """

    changed = Signal()
    """The user or the program set something else."""

    def __init__(
        self,
        settings: Settings,
        names: Iterable[str] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._settings = settings
        self._quiet = QuietWheel(self)
        self.fields: dict[str, tuple[ValueWidget[Any], ...]] = {}
        """Field of the dataclass: its magicgui widget, or several where it is a tuple."""
        self.form = narrow_form()
        self.setLayout(self.form)
        self.form.setContentsMargins(0, 0, 0, 0)
        described = settings_of(type(settings))
        for name in names or described:
            setting = described[name]
            made = tuple(_field(setting) for _ in range(setting.count))
            self.fields[name] = made
            for field in made:
                _fit(field.native, self._quiet)
                field.changed.connect(self._say)
            if setting.kind == "flag":
                made[0].native.setText(setting.option.label)
                self.form.addRow("", made[0].native)
            else:
                self.form.addRow(setting.option.label, side_by_side(f.native for f in made))
                label = self.form.labelForField(self._row(name))
                if label is not None:
                    label.setToolTip(setting.option.explained)
        self.show_value(settings)

    def __getitem__(self, name: str) -> Any:
        """The magicgui widget of a field: its `value`, `enabled`, `native`."""
        return self.fields[name][0]

    def value(self) -> Settings:
        """What is set, with what is being typed; raises ValueError where the settings do so."""
        given = {}
        for name, fields in self.fields.items():
            for field in fields:
                if isinstance(field.native, QAbstractSpinBox):
                    field.native.interpretText()
                if isinstance(field, SpinBox):
                    field.native.stepBy(0)  # superqt's box interprets here, and there nothing
            given[name] = fields[0].value if len(fields) == 1 else tuple(f.value for f in fields)
        return dataclasses.replace(self._settings, **given)  # type: ignore[type-var]

    def show_value(self, settings: Settings) -> None:
        """Take over other settings, those that are not offered included; says nothing."""
        self._settings = settings
        self.blockSignals(True)
        for name, fields in self.fields.items():
            value = getattr(settings, name)
            for field, part in zip(fields, (value,) if len(fields) == 1 else value, strict=True):
                field.value = part
        self.blockSignals(False)

    def enable(self, name: str, enabled: bool) -> None:
        """Whether a field may be changed."""
        for field in self.fields[name]:
            field.enabled = enabled

    def _row(self, name: str) -> QWidget:
        fields = self.fields[name]
        native: QWidget = fields[0].native
        row = native if len(fields) == 1 else native.parentWidget()
        assert row is not None
        return row

    def _say(self) -> None:
        self.changed.emit()


def narrow_form() -> QFormLayout:
    """Names beside fields that take the room there is."""
    form = QFormLayout()
    form.setSpacing(4)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return form


def side_by_side(widgets: Iterable[QWidget]) -> QWidget:
    """One widget as it is; several in one that holds them, sharing the width."""
    several = list(widgets)
    if len(several) == 1:
        return several[0]
    both = QWidget()
    layout = QHBoxLayout(both)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for widget in several:
        layout.addWidget(widget, 1)
    return both


def _field(setting: Setting) -> ValueWidget[Any]:
    option = setting.option
    common: dict[str, Any] = {"name": setting.name, "tooltip": option.explained}
    low = -_LARGEST if option.low is None else option.low
    high = _LARGEST if option.high is None else option.high
    field: ValueWidget[Any]
    match setting.kind:
        case "flag":
            field = CheckBox(**common)
        case "choice":
            choices = [(choice.title, value) for value, choice in setting.choices.items()]
            field = ComboBox(choices=choices, **common)
        case "whole":
            step = int(option.step or 1)
            field = SpinBox(value=int(low), min=int(low), max=int(high), step=step, **common)
        case "number":
            field = FloatSpinBox(value=low, min=low, max=high, step=option.step or 1.0, **common)
            field.native.setDecimals(option.decimals)
        case "text":
            field = LineEdit(**common)
    return field


def _fit(native: QWidget, quiet: QuietWheel) -> None:
    """Into a narrow dock, and into one that scrolls: the wheel turns what has the focus."""
    native.installEventFilter(quiet)
    native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    if isinstance(native, QAbstractSpinBox):
        native.setKeyboardTracking(False)
        # Arrow keys step it; napari's themes ask for 90 pixels, room for buttons included.
        native.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        native.setStyleSheet("min-width: 40px; padding: 1px 4px;")
    elif isinstance(native, QComboBox):
        native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        native.setMinimumContentsLength(4)
        native.setStyleSheet("min-width: 40px;")
