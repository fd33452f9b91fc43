"""Confidence: how sure a registered pose is, in the C-arm's terms and in words."""

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_xreg.geometry import CARM_PARAMETERS
from napari_xreg.registration import CAUTION, likelihood_of, unit_of
from napari_xreg.session import Result
from napari_xreg.widgets.confidence.correlation_grid import CorrelationGrid
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.pose.words import result_error_mm
from napari_xreg.workflows import (
    CALIBRATION_WORDS,
    Confidence,
    confidence_of,
    target_words,
)

_LEVELS = {"95 %": 0.95, "50 %": 0.5}
_SIZES = {"× 1": 1.0, "× 3": 3.0, "× 10": 10.0}
_HELP = {
    "primary": "Standard deviation of the primary angle (+ LAO), degrees.",
    "secondary": "Standard deviation of the secondary angle (+ cranial), degrees.",
    "roll": "Standard deviation of the roll about the central ray, degrees.",
    "x": "Standard deviation of the offset along the camera's x axis (across the image), mm.",
    "y": "Standard deviation of the offset along the camera's y axis (down the image), mm.",
    "depth": "Standard deviation of the offset along the central ray, mm: the loosest from one view.",
}


class ConfidenceWidget(Docked):
    """Standard deviations, correlations, error ellipses, and what they are worth.

    Parameters
    ----------
    napari_viewer
        Whose results are shown.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._drawn = False
        self._make_controls()
        self._lay_out()
        session = self.workbench.session
        self.listen(session.results.changed, self._follow_results)
        self.listen(session.landmarks.changed, self._show)
        self._follow_results()

    @property
    def result(self) -> Result | None:
        """The one chosen, else the last."""
        return self.workbench.session.results.find(self.choice.currentData())

    # ------------------------------------------------------------------ making it

    def _make_controls(self) -> None:
        self.choice = QComboBox()
        self.choice.setToolTip(
            "Which refinement of this session; the latest is selected automatically."
        )
        self.choice.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.choice.setMinimumWidth(100)
        self.choice.currentIndexChanged.connect(self._show)
        self.status = _wrapped()
        self.status.setToolTip("How the refinement ended.")
        self.caution = SmallPrint()
        self.deviations: dict[str, QLabel] = {}
        for name in CARM_PARAMETERS:
            label = QLabel("–")
            label.setToolTip(_HELP[name])
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self.deviations[name] = label
        self.weakest = _wrapped()
        self.weakest.setToolTip(
            "The parameter that moves a point 100 mm from the isocenter the most before the image "
            "shows it."
        )
        self.grid_title = _title("Correlations")
        self.grid = CorrelationGrid(CARM_PARAMETERS)
        self.grid.setToolTip(
            "Correlation of the errors, −1 to 1. Strong ones are traded for each other: a wrong x "
            "is made up for by a wrong primary angle."
        )
        self.target = _wrapped()
        self.target.setToolTip(
            "Predicted target registration error of the session's landmarks, in space, from the "
            "covariance\n(to first order), mm; root of the mean square."
        )
        self.ellipses = QCheckBox("Draw error ellipses")
        self.ellipses.setToolTip(
            "On the radiograph: where the landmarks would be projected, with this probability,\nif the "
            "covariance were right."
        )
        self.ellipses.toggled.connect(self._draw_ellipses)
        self.level = QComboBox()
        self.level.addItems(list(_LEVELS))
        self.level.setToolTip("Probability of an ellipse.")
        self.level.currentTextChanged.connect(self._draw_ellipses)
        self.magnified = QComboBox()
        self.magnified.addItems(list(_SIZES))
        self.magnified.setCurrentText("× 10")
        self.magnified.setToolTip(
            "How much larger than predicted the ellipses are drawn. At × 1 they are true to scale: "
            "those of\na good result are smaller than the points that mark the landmarks."
        )
        self.magnified.currentTextChanged.connect(self._draw_ellipses)
        self.drawn_words = _wrapped()
        self.calibration = SmallPrint(CALIBRATION_WORDS)

    def _lay_out(self) -> None:
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(6, 6, 6, 6)
        row = QHBoxLayout()
        row.addWidget(QLabel("Result"))
        row.addWidget(self.choice, 1)
        layout.addLayout(row)
        layout.addWidget(self.status)
        layout.addWidget(_title("Standard deviations"))
        layout.addWidget(self.caution)
        table = QGridLayout()
        table.setHorizontalSpacing(8)
        for number, (name, label) in enumerate(self.deviations.items()):
            title = QLabel(name)
            title.setToolTip(_HELP[name])
            column = 2 * (number // 3)
            table.addWidget(title, number % 3, column)
            table.addWidget(label, number % 3, column + 1)
        table.setColumnStretch(1, 1)
        table.setColumnStretch(3, 1)
        layout.addLayout(table)
        layout.addWidget(self.weakest)
        layout.addWidget(self.grid_title)
        layout.addWidget(self.grid)
        layout.addWidget(_title("At the landmarks"))
        layout.addWidget(self.target)
        layout.addWidget(self.ellipses)
        row = QHBoxLayout()
        row.addWidget(self.level, 1)
        row.addWidget(QLabel("drawn"))
        row.addWidget(self.magnified, 1)
        layout.addLayout(row)
        layout.addWidget(self.drawn_words)
        layout.addWidget(self.calibration)
        layout.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scrolled(inside))

    # ------------------------------------------------------------------ showing

    def _follow_results(self) -> None:
        """The newest result comes forward; one that the user chose stays until another comes."""
        results = self.workbench.session.results.all
        ids = [result.id for result in results]
        old = [self.choice.itemData(i) for i in range(self.choice.count())]
        if ids != old:
            chosen = self.choice.currentData()
            fresh = [id for id in ids if id not in old]
            self.choice.blockSignals(True)
            self.choice.clear()
            for result in results:
                self.choice.addItem(result.name, result.id)
            if ids:
                shown = chosen if chosen in ids and not fresh else (fresh or ids)[-1]
                self.choice.setCurrentIndex(ids.index(shown))
            self.choice.blockSignals(False)
        self.choice.setEnabled(bool(ids))
        self._show()

    def _show(self, *_: object) -> None:
        result = self.result
        found = None if result is None else self._found(result)
        self.caution.setText("")
        if result is None:
            self.status.setText("No result yet: run Refine first.")
        else:
            words = [result.registration.words]
            if result.registration.simulated:
                words.append("A radiograph here was simulated.")
            self.status.setText(" ".join(words))
            likelihood = likelihood_of(result.registration)
            if result.registration.covariance is not None and likelihood.trusted is False:
                self.caution.setText(CAUTION)
            self.caution.show_color(likelihood.color)
        for i, (name, label) in enumerate(self.deviations.items()):
            unit = "°" if unit_of(name) == "degrees" else " mm"
            label.setText("–" if found is None else f"{found.deviations[i]:.2g}{unit}")
        self.grid.show_values(None if found is None else found.correlations)
        for part in (self.grid_title, self.grid):
            part.setVisible(found is not None)
        self.weakest.setVisible(result is not None)
        if found is None:
            self.weakest.setText(
                "This result has no covariance: a refinement that was cancelled, left the field of view "
                "or used Adam gives none."
            )
        else:
            self.weakest.setText(f"Least constrained direction: {found.weakest}.")
        words = [target_words(found)]
        error = self._true_error(result)
        if error is not None:
            words.append(f"Its true mean error, known because it is simulated: {error:.2f} mm.")
        self.target.setText(" ".join(words))
        self.ellipses.setEnabled(found is not None and bool(found.landmarks))
        self._draw_ellipses()

    def _found(self, result: Result) -> Confidence | None:
        session = self.workbench.session
        exposure = session.exposures.find(result.radiographs[0]) if result.radiographs else None
        if exposure is None:
            return None
        return confidence_of(result.registration, exposure.radiograph.carm, session.landmarks.all)

    def _true_error(self, result: Result | None) -> float | None:
        return None if result is None else result_error_mm(self.workbench.session, result)

    def _draw_ellipses(self, *_: object) -> None:
        wanted = self.ellipses.isChecked() and self.ellipses.isEnabled()
        if wanted or self._drawn:
            canvas = self.workbench.canvas
            canvas.show_uncertainty(
                self.result if wanted else None,
                _LEVELS[self.level.currentText()],
                magnified=_SIZES[self.magnified.currentText()],
            )
            self._drawn = wanted
        self.drawn_words.setText(self._words_on_size() if wanted else "")
        self.drawn_words.setVisible(wanted)

    def _words_on_size(self) -> str:
        times = _SIZES[self.magnified.currentText()]
        if times == 1:
            return "Drawn as large as predicted."
        return f"Drawn {times:g} times as large as predicted, to be seen; × 1 is true to scale."

    def teardown(self) -> None:
        """The ellipses go with the widget that explains them."""
        if self._drawn and not self.workbench.closed:
            self._drawn = False
            self.workbench.canvas.show_uncertainty(None)


def _wrapped() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setMinimumWidth(40)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _title(text: str) -> QLabel:
    label = QLabel(text)
    label.setStyleSheet("font-weight: bold;")
    return label
