"""What only the user can say: one of several, the geometry of an image, what to simulate.

The dialogs are opened, not executed: nothing waits for them, and a signal brings the answer.
"""

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_xreg.geometry import CArm
from napari_xreg.images import (
    ReadError,
    StoredImage,
    UnknownSpacing,
    UnknownValues,
    ValueScale,
    read_geometry,
)
from napari_xreg.widgets.geometry.form import ENTRIES, GEOMETRY_FILES, NEEDED, GeometryForm
from napari_xreg.widgets.jobs.telling import reason_first
from napari_xreg.widgets.parts.data_buttons import button
from napari_xreg.widgets.parts.file_dialogs import open_file
from napari_xreg.widgets.parts.form import SettingsForm
from napari_xreg.widgets.parts.number_field import NumberField
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.workflows import SampleSettings


class Question(QDialog):
    """A dialog with its content above "OK" and "Cancel"; deleted when it is closed.

    Parameters
    ----------
    title
        Of the window.
    parent
        The widget that asks.
    """

    answered = Signal(object)
    """The user said OK: the answer."""

    def __init__(self, title: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.body = QVBoxLayout(self)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.accepted.connect(lambda: self.finish())
        self.buttons.rejected.connect(lambda: self.reject())

    @property
    def ok(self) -> Any:
        """The button."""
        return self.buttons.button(QDialogButtonBox.StandardButton.Ok)

    def value(self) -> Any:
        """The answer as it stands."""
        raise NotImplementedError

    def finish(self) -> None:
        """Hand the answer over and close."""
        answer = self.value()
        self.accept()
        self.answered.emit(answer)


class OneOf(Question):
    """One of several.

    Parameters
    ----------
    question
        In words.
    options
        What each is called, and what it stands for.
    """

    def __init__(self, question: str, options: Mapping[str, Any], parent: QWidget) -> None:
        super().__init__("Choose one", parent)
        label = QLabel(question)
        label.setWordWrap(True)
        label.setTextFormat(Qt.TextFormat.PlainText)
        self.choice = QComboBox()
        for words, value in options.items():
            self.choice.addItem(words, [value])  # Qt would turn some values into its own
        for widget in (label, self.choice, self.buttons):
            self.body.addWidget(widget)

    def value(self) -> Any:
        """What was chosen."""
        return self.choice.currentData()[0]


class MissingGeometry(Question):
    """The geometry and meaning that an image does not state: by name, with unit, never guessed.

    The answer is ``(geometry, read_as, bone)``: a record of what is known by now, and None where
    the file itself says how its values are meant.

    Parameters
    ----------
    stored
        The image as far as it was understood.
    """

    def __init__(self, stored: StoredImage, parent: QWidget) -> None:
        super().__init__("What is known about this image?", parent)
        rows, columns = stored.pixels.shape
        words = QLabel(
            f"{stored.file}, {rows} × {columns} pixels, does not say everything that is needed. "
            "Only what is marked as needed has to be filled in; nothing is guessed."
        )
        words.setTextFormat(Qt.TextFormat.PlainText)
        words.setWordWrap(True)
        self.body.addWidget(words)
        self.meaning: QComboBox | None = None
        inside = QWidget()
        layout = QVBoxLayout(inside)
        if stored.meaning is None:
            self.meaning = QComboBox()
            for text, choice in (
                ("choose…", None),
                ("intensity: bone dark, as the detector counted", ("intensity", "dark")),
                ("intensity, inverted for display: bone bright", ("intensity", "bright")),
                ("line integrals: bone bright, after the logarithm", ("line_integral", "bright")),
            ):
                self.meaning.addItem(text, choice)
            self.meaning.setToolTip(
                "What the values are: line integrals are −log(I / I₀), which an X-ray detector "
                "does not measure; most files hold intensities"
            )
            self.meaning.currentIndexChanged.connect(lambda _: self._judge())
            layout.addWidget(QLabel("Values (needed)"))
            layout.addWidget(self.meaning)
        self.form = GeometryForm()
        self.form.show_record(stored.geometry.complete())
        for field in self.form.fields.values():
            for box in field.boxes:
                # A click on OK, still grey, would not end the typing of the last needed value.
                box.setKeyboardTracking(True)
        self.form.changed.connect(self._judge)
        self.load_button = button(
            "From a file…",
            "Values from a geometry file (JSON) or a calibration of XMALab, Autoscoper or JointTrack",
            self._choose_file,
        )
        layout.addWidget(self.load_button)
        layout.addWidget(self.form)
        layout.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(inside)
        self.body.addWidget(scroll, 1)
        self.problem = SmallPrint()
        self.body.addWidget(self.problem)
        self.body.addWidget(self.buttons)
        self._shape = (rows, columns)
        self.resize(420, 620)
        self._judge()

    def load(self, path: str) -> None:
        """Show what a file says of the geometry."""
        try:
            self.form.load(read_geometry(path, shape=self._shape))
        except ReadError as error:
            self.problem.setText(f"⚠ {error}")

    def _choose_file(self) -> None:
        open_file(self, "Load geometry", GEOMETRY_FILES, self.load)

    def value(self) -> Any:
        """Geometry, meaning, polarity."""
        choice = (None, None) if self.meaning is None else self.meaning.currentData()
        read_as, bone = choice or (None, None)
        return self.form.record(), read_as, bone

    def _judge(self) -> None:
        words = self._problem()
        self.problem.setText(words)
        self.ok.setEnabled(not words)

    def _problem(self) -> str:
        try:
            record = self.form.record()
            needed = [
                f"{ENTRIES[name].title.lower()} ({ENTRIES[name].unit})"
                for name in NEEDED
                if name in record.needed
            ]
            if self.meaning is not None and self.meaning.currentData() is None:
                needed.insert(0, "what the values are")
            if needed:
                return "Needed: " + ", ".join(needed)
            record.carm(self._shape)
        except ValueError as error:
            return f"⚠ {error}"
        return ""


class MeaningOfValues(Question):
    """What the values of a CT mean, and how far apart its voxels are, where its file does not say.

    The answer is what `read_volume` is to be told: ``values``, and ``spacing`` where it is needed.

    Parameters
    ----------
    unknown
        What was found.
    """

    def __init__(self, unknown: UnknownValues, parent: QWidget) -> None:
        super().__init__("What is known about this CT?", parent)
        # What a script or the command line is told to say of it is asked for below.
        label = QLabel(reason_first(str(unknown).partition(". Say ")[0]))
        label.setWordWrap(True)
        label.setTextFormat(Qt.TextFormat.PlainText)
        self.meaning = QComboBox()
        for words, of in (
            ("choose…", None),
            ("Hounsfield units", "hu"),
            ("from nothing to cortical bone, in proportion", ""),
            ("from nothing to water, in proportion", " water"),
            ("Hounsfield units: slope times value plus intercept", "slope"),
        ):
            self.meaning.addItem(words, [of])
        span = max(abs(unknown.lowest), abs(unknown.highest), 1.0)
        self.air, self.material = _value(unknown.lowest, span), _value(unknown.highest, span)
        self.air.setToolTip("The value where nothing is: outside the patient, or the background")
        self.material.setToolTip(
            "The value of pure cortical bone, or of water: read it off in the CT. What comes out is "
            "attenuation; a wrong value makes all of it stronger or weaker"
        )
        self.slope, self.intercept = _value(1.0, span), _value(-1024.0, max(span, 1024.0))
        self.slope.setDecimals(6)
        self.slope.setToolTip("Hounsfield units per step of the values: mostly 1")
        self.intercept.setToolTip(
            "Hounsfield units of the value 0: stacks of whole numbers from 0 mostly hold HU + 1024"
        )
        self.spacing: list[NumberField] = []
        form = QFormLayout()
        if isinstance(unknown, UnknownSpacing):
            for axis in ("x, along rows", "y, down columns", "z, from page to page"):
                box = NumberField(decimals=5, step=0.1, first=1.0)
                box.setKeyboardTracking(True)
                box.setAccessibleName(f"Voxel spacing {axis}")
                box.valueChanged.connect(lambda _: self._judge())
                self.spacing.append(box)
                form.addRow(f"Voxel spacing {axis} (mm)", box)
        form.addRow("Values are", self.meaning)
        form.addRow("Slope", self.slope)
        form.addRow("Intercept (HU)", self.intercept)
        form.addRow("Value of nothing", self.air)
        form.addRow("Value of the material", self.material)
        self.body.addWidget(label)
        self.body.addLayout(form)
        self.body.addWidget(
            SmallPrint("What you choose is kept in the session and written into results.")
        )
        self.problem = SmallPrint()
        self.body.addWidget(self.problem)
        self.body.addWidget(self.buttons)
        self.meaning.currentIndexChanged.connect(lambda _: self._judge())
        for number in (self.air, self.material, self.slope, self.intercept):
            number.valueChanged.connect(lambda _: self._judge())
        self._judge()

    def value(self) -> Any:
        """Keywords of `read_volume`; ``values`` is None before the choice."""
        said: dict[str, Any] = {"values": self._scale()}
        if self.spacing:
            said["spacing"] = tuple(box.number for box in self.spacing)
        return said

    def _scale(self) -> str | None:
        of = self.meaning.currentData()[0]
        if of is None or of == "hu":
            return of
        if of == "slope":
            return str(ValueScale(slope=self.slope.value(), intercept=self.intercept.value()))
        return str(ValueScale.parse(f"linear {self.air.value()!r} {self.material.value()!r}{of}"))

    def _judge(self) -> None:
        words, of = "", self.meaning.currentData()[0]
        for box in (self.air, self.material):
            box.setEnabled(of not in (None, "hu", "slope"))
        for box in (self.slope, self.intercept):
            box.setEnabled(of == "slope")
        try:
            if self._scale() is None:
                words = "Needed: what the values mean"
            if any(box.number is None or box.number <= 0 for box in self.spacing):
                words = "Needed: the spacing of the voxels along x, y and z, above 0 mm"
        except ValueError as error:
            words = f"⚠ {error}"
        self.problem.setText(words)
        self.ok.setEnabled(not words)


def _value(start: float, span: float) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setDecimals(6 if span < 100 else 1)
    box.setRange(-1000 * span, 1000 * span)
    box.setValue(start)
    return box


class SimulationQuestion(Question):
    """What a simulated radiograph should look like; the answer is `SampleSettings`.

    Parameters
    ----------
    like
        The image is to be as large as this C-arm's; None: it may be chosen.
    """

    def __init__(self, parent: QWidget, *, like: CArm | None = None) -> None:
        super().__init__("Simulate a radiograph", parent)
        self.form = SettingsForm(SampleSettings())
        if like is not None:
            rows, columns = like.detector.shape
            self.form.enable("pixels", False)
            self.form["pixels"].tooltip = f"As the active radiograph: {rows} × {columns}"
        note = SmallPrint(
            "The image is simulated from the CT by an integrator of its own; its true pose is kept "
            "so that a result can be judged. How well a method does on it is no promise for real "
            "images."
        )
        for widget in (self.form, note, self.buttons):
            self.body.addWidget(widget)
        self.resize(340, self.body.totalHeightForWidth(340))

    def value(self) -> SampleSettings:
        """As set."""
        return self.form.value()
