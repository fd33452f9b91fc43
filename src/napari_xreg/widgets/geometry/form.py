"""The geometry of a radiograph as a form: each value with its unit, its origin and a way back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_xreg.images import GeometryRecord, given_geometry
from napari_xreg.widgets.parts.number_field import NumberField, QuietWheel
from napari_xreg.widgets.parts.small_print import SmallPrint

GIVEN = "given by hand"
NEEDED = ("source_to_detector", "source_to_isocenter", "pixel_spacing")
"""What no radiograph can do without."""


@dataclass(frozen=True)
class _Entry:
    """How a value is shown: its words, unit, meaning, and the numbers it has."""

    title: str
    unit: str
    meaning: str
    parts: tuple[str, ...] = ("",)
    decimals: int = 2
    step: float = 1.0
    first: float = 0.0


ENTRIES: Mapping[str, _Entry] = {
    "source_to_detector": _Entry(
        "Source to detector", "mm",
        "Distance from the X-ray source to the detector, mm. DICOM calls it SID (0018,1110).",
        step=5.0, first=1000.0,
    ),
    "source_to_isocenter": _Entry(
        "Source to isocenter", "mm",
        "Distance from the X-ray source to the point the C-arm turns about, mm. DICOM: (0018,1111), "
        "also called SOD.",
        step=5.0, first=700.0,
    ),
    "pixel_spacing": _Entry(
        "Pixel spacing", "mm",
        "Distance of neighbouring pixels at the detector: between rows, then between columns, mm. "
        "DICOM: Imager Pixel Spacing (0018,1164), not Pixel Spacing (0028,0030), which may be scaled "
        "to the patient.",
        ("rows", "columns"), decimals=5, step=0.01, first=0.3,
    ),
    "principal_point": _Entry(
        "Principal point", "px",
        "Where the central ray meets the detector: row, then column, in pixels of the image as "
        "stored; whole numbers are pixel centres. Not known: the middle of the image.",
        ("row", "column"),
    ),
    "mirrored": _Entry(
        "Patient's left on the right", "",
        "Whether the image is seen as if facing the patient, the patient's left on the right side. "
        "Most are.",
    ),
    "field_diameter": _Entry(
        "Field diameter", "mm",
        "Diameter of a circular field of view at the detector, mm (image intensifiers). Not known: "
        "the whole image.",
        step=5.0, first=300.0,
    ),
    "primary_deg": _Entry(
        "Primary angle, LAO(+)/RAO", "°",
        "Degrees about the patient's long axis; 0 is a frontal view with the detector in front of "
        "the chest, + towards the patient's left (LAO). DICOM (0018,1510). Only a start.",
    ),
    "secondary_deg": _Entry(
        "Secondary angle, cranial(+)/caudal", "°",
        "Degrees towards the head (+, cranial) or the feet (-, caudal). DICOM (0018,1511). Only a "
        "start.",
    ),
    "roll_deg": _Entry(
        "Roll", "°", "Degrees about the central ray, applied first. Only a start.",
    ),
    "offset_mm": _Entry(
        "Offset", "mm",
        "Shift of the C-arm along the camera's own axes: x, y, depth, mm. Only a start.",
        ("x", "y", "depth"),
    ),
    "isocenter": _Entry(
        "Isocenter", "mm",
        "Where the C-arm turns about, in the CT's patient axes: x to the left, y to the back, z to "
        "the head, mm. No X-ray file knows it; not known: the middle of the CT, or of the ticked structures.",
        ("x", "y", "z"),
    ),
}  # fmt: skip


GEOMETRY_FILES = "Geometry, or a calibration (*.json *.txt *.csv *.yaml)"


class GeometryForm(QWidget):
    """Shows a `GeometryRecord` and collects what the user says instead.

    Parameters
    ----------
    names
        Which values, in order; None: all.
    """

    changed = Signal()
    """The user changed a value."""

    def __init__(self, names: tuple[str, ...] | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.base = GeometryRecord()
        self.fields: dict[str, GeometryField] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for name in names or tuple(ENTRIES):
            field = GeometryField(name, self)
            field.changed.connect(self.changed)
            self.fields[name] = field
            layout.addWidget(field)

    def show_record(self, record: GeometryRecord) -> None:
        """Start from this record; what the user had typed is dropped."""
        self.base = record
        for name, field in self.fields.items():
            origin = record.provenance.get(name, "")
            field.show_value(getattr(record, name), origin, record.problems.get(name, ""))

    def load(self, read: GeometryRecord) -> None:
        """Show what another record says instead, as if typed; what the form has no field for comes along."""
        self.base = self.base.override(read).complete()
        for name, field in self.fields.items():
            field.propose(getattr(self.base, name))

    @property
    def touched(self) -> tuple[str, ...]:
        """Names of the values that differ from the record's."""
        return tuple(name for name, field in self.fields.items() if field.touched)

    def record(self) -> GeometryRecord:
        """The record with the user's values, whose origin is "given by hand".

        Raises
        ------
        ValueError
            If only some of the numbers of a value are given.
        """
        return edited(self.base, self.fields.values())


def edited(base: GeometryRecord, fields: Iterable["GeometryField"]) -> GeometryRecord:
    """A record with what fields show instead, whose origin is "given by hand".

    Raises
    ------
    ValueError
        If only some of the numbers of a value are given.
    """
    whole = base.complete()
    values = {each.name: each.value() for each in fields if each.differs(getattr(whole, each.name))}
    gone = [name for name, value in values.items() if value is None]
    if gone:
        kept = {k: v for k, v in base.provenance.items() if k not in gone}
        unknown: dict[str, Any] = dict.fromkeys(gone)
        base = replace(base, **unknown | {"provenance": kept})
    return base.override(given_geometry(GIVEN, **values)).complete()


class GeometryField(QWidget):
    """One value: title, number boxes, a button that takes the override back, and its origin."""

    changed = Signal()

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        entry = ENTRIES[name]
        self.name, self._entry = name, entry
        self._value: Any = None
        self._origin = ""
        self.setToolTip(entry.meaning)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setVerticalSpacing(1)
        parts = f": {', '.join(entry.parts)}" if len(entry.parts) > 1 else ""
        unit = f" ({entry.unit})" if entry.unit else ""
        label = QLabel(f"{entry.title}{parts}{unit}")
        label.setWordWrap(True)
        self.reset = QToolButton()
        self.reset.setText("reset")
        self.reset.setAutoRaise(True)
        self.reset.setToolTip("Back to the value that was read")
        self.reset.clicked.connect(lambda _=False: self._back())
        policy = self.reset.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.reset.setSizePolicy(policy)
        self.origin = SmallPrint()
        self.boxes: list[NumberField] = []
        self.choice: QComboBox | None = None
        row = QHBoxLayout()
        row.setSpacing(4)
        if name == "mirrored":
            self.choice = QComboBox()
            for text, value in (("not known", None), ("yes", True), ("no", False)):
                self.choice.addItem(text, value)
            self.choice.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            self.choice.installEventFilter(QuietWheel(self))
            self.choice.currentIndexChanged.connect(lambda _: self._edited())
            self.choice.setAccessibleName(entry.title)
            row.addWidget(self.choice)
        else:
            for part in entry.parts:
                box = NumberField(decimals=entry.decimals, step=entry.step, first=entry.first)
                box.setAccessibleName(f"{entry.title} {part}".strip())
                box.setToolTip(f"{part}: {entry.meaning}" if part else entry.meaning)
                box.valueChanged.connect(lambda _: self._edited())
                self.boxes.append(box)
                row.addWidget(box, 1)
        wide = len(entry.parts) > 1
        layout.addWidget(label, 0, 0)
        if wide:
            layout.addLayout(row, 1, 0, 1, 3)
        else:
            layout.addLayout(row, 0, 1)
        layout.addWidget(self.reset, 0, 2)
        layout.addWidget(self.origin, 2, 0, 1, 3)
        layout.setColumnStretch(0, 1)
        self._describe()

    @property
    def touched(self) -> bool:
        """Whether the user's value differs from the one that was read."""
        return self._numbers() != self._shown(self._value)

    def differs(self, value: Any) -> bool:
        """Whether this shows another value than that one."""
        return self._numbers() != self._shown(value)

    def value(self) -> Any:
        """Number, tuple, bool, or None where it is not known.

        Raises
        ------
        ValueError
            If only some of the numbers are given.
        """
        if not self.touched:
            return self._value
        numbers = self._numbers()
        if self.choice is not None or len(numbers) == 1:
            return numbers[0]
        missing = [part for part, n in zip(self._entry.parts, numbers, strict=True) if n is None]
        if len(missing) == len(numbers):
            return None
        if missing:
            raise ValueError(f"{self._entry.title}: {' and '.join(missing)} is not given")
        return numbers

    def show_value(self, value: Any, origin: str, problem: str = "") -> None:
        """Show what was read, and where it came from or why it is not known."""
        self._value, self._origin = value, origin or problem
        self._back()

    def propose(self, value: Any) -> None:
        """Show another value as if the user had typed it."""
        self._set(self._shown(value))

    def _numbers(self) -> tuple[Any, ...]:
        if self.choice is not None:
            return (self.choice.currentData(),)
        return tuple(box.number for box in self.boxes)

    def _shown(self, value: Any) -> tuple[Any, ...]:
        """What the boxes hold when they show this value: rounded to their decimals."""
        if value is None:
            return (None,) * max(1, len(self.boxes))
        if self.choice is not None:
            return (value,)
        numbers = value if isinstance(value, tuple) else (value,)
        return tuple(round(float(n), self._entry.decimals) for n in numbers)

    def _back(self) -> None:
        self._set(self._shown(self._value))

    def _set(self, numbers: tuple[Any, ...]) -> None:
        for box, number in zip(self.boxes, numbers, strict=False):
            box.blockSignals(True)
            box.set_number(number)
            box.blockSignals(False)
        if self.choice is not None:
            self.choice.blockSignals(True)
            self.choice.setCurrentIndex(self.choice.findData(numbers[0]))
            self.choice.blockSignals(False)
        self._edited()

    def _edited(self) -> None:
        self._describe()
        self.changed.emit()

    def _describe(self) -> None:
        self.reset.setVisible(self.touched)
        if self.touched:
            shown = ", ".join(
                "not known" if n is None else f"{n:g}" for n in self._shown(self._value)
            )
            if self.choice is not None:
                shown = {None: "not known", True: "yes", False: "no"}[self._value]
            self.origin.setText(f"by hand; was {shown} ({self._origin or 'not given'})")
        else:
            unknown = "needed" if self.name in NEEDED else "not given"
            self.origin.setText(self._origin or unknown)
