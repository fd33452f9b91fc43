"""Confidence: how sure a registered pose is, in the C-arm's terms and in words."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
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

from napari_xreg.geometry.carm import CARM_PARAMETERS
from napari_xreg.registration import carm_covariance, landmark_uncertainty, weakest_direction
from napari_xreg.registration.landscape.sampling import unit_of
from napari_xreg.session import Result, Session
from napari_xreg.widgets.confidence.correlation_grid import CorrelationGrid
from napari_xreg.widgets.parts.docked import Docked
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.pose.words import truth_error_mm

CALIBRATION_WORDS = (
    "How far to trust this: the standard deviations were calibrated on simulated radiographs of "
    "two CTs. On three other CTs (88 simulated cases that converged) the 50 % ellipses held 50 % "
    "of the landmarks and the 95 % ellipses 94 %; in space 52 % and 92 %; on the worst of the three "
    "41 % and 83 %. Nothing was measured on real radiographs. A wrong optimum is not covered: see "
    "Landscape."
)
"""What docs/decisions/0005-calibrated-covariance.md measured."""

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


@dataclass(frozen=True, eq=False)
class Confidence:
    """What there is to say about a result.

    Parameters
    ----------
    deviations
        Of `CARM_PARAMETERS`, degrees and mm.
    correlations
        6 x 6, same order.
    weakest
        In words.
    landmarks
        Predicted target registration error of every landmark, mm, root mean square, by name.
    depth_share
        Of the mean squared error: how much lies along the central ray.
    """

    deviations: npt.NDArray[np.float64]
    correlations: npt.NDArray[np.float64]
    weakest: str
    landmarks: dict[str, float]
    depth_share: float

    @property
    def target_error_mm(self) -> float | None:
        """Root mean square over the landmarks; None without landmarks."""
        if not self.landmarks:
            return None
        return float(np.sqrt(np.mean(np.square(list(self.landmarks.values())))))


def confidence_of(result: Result, session: Session) -> Confidence | None:
    """Worked out from the covariance of a result; None where it has none."""
    registration = result.registration
    names = {entry.name: entry for entry in session.exposures}
    exposure = names.get(result.radiographs[0]) if result.radiographs else None
    if registration.covariance is None or exposure is None:
        return None
    carm, pose = exposure.radiograph.carm, registration.world_from_camera
    covariance, pivot = registration.covariance.double(), registration.pivot
    terms = carm_covariance(carm, pose, covariance, pivot).numpy()
    deviations = np.sqrt(np.maximum(np.diag(terms), 0.0))
    safe = np.maximum(deviations, 1e-12)
    correlations = np.clip(terms / np.outer(safe, safe), -1.0, 1.0)
    marks = [mark for mark in session.landmarks if mark.position is not None]
    errors: dict[str, float] = {}
    share = 0.0
    if marks:
        points = torch.tensor([mark.position for mark in marks], dtype=torch.float64)
        spread = landmark_uncertainty(points, carm, pose, covariance, pivot).camera_covariance
        squared = torch.diagonal(spread, dim1=-2, dim2=-1)
        errors = {m.name: float(s.sum().sqrt()) for m, s in zip(marks, squared, strict=True)}
        share = float(squared[:, 2].sum() / squared.sum().clamp_min(1e-30))
    weakest = weakest_direction(carm, pose, covariance, pivot)
    return Confidence(deviations, correlations, weakest, errors, share)


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
        self.listen(session.results_changed, self._follow_results)
        self.listen(session.landmarks_changed, self._show)
        self._follow_results()

    @property
    def result(self) -> Result | None:
        """The one chosen, else the last."""
        results = {result.name: result for result in self.workbench.session.results}
        return results.get(self.choice.currentText())

    # ------------------------------------------------------------------ making it

    def _make_controls(self) -> None:
        self.choice = QComboBox()
        self.choice.setToolTip("Which refinement of this session; the last one comes by itself.")
        self.choice.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.choice.setMinimumWidth(100)
        self.choice.currentTextChanged.connect(self._show)
        self.status = _wrapped()
        self.status.setToolTip("How the refinement ended.")
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
        layout.addWidget(_title("Correlations"))
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
        names = [result.name for result in self.workbench.session.results]
        old = [self.choice.itemText(i) for i in range(self.choice.count())]
        if names != old:
            chosen = self.choice.currentText()
            fresh = [name for name in names if name not in old]
            self.choice.blockSignals(True)
            self.choice.clear()
            self.choice.addItems(names)
            if fresh:
                self.choice.setCurrentText(fresh[-1])
            elif chosen in names:
                self.choice.setCurrentText(chosen)
            elif names:
                self.choice.setCurrentText(names[-1])
            self.choice.blockSignals(False)
        self.choice.setEnabled(bool(names))
        self._show()

    def _show(self, *_: object) -> None:
        result = self.result
        found = None if result is None else confidence_of(result, self.workbench.session)
        if result is None:
            self.status.setText("No result yet: run Refine first.")
        else:
            words = [result.registration.status.value, *result.registration.notes]
            if result.registration.simulated:
                words.append("A radiograph here was simulated.")
            self.status.setText(" ".join(words))
        for i, (name, label) in enumerate(self.deviations.items()):
            unit = "°" if unit_of(name) == "degrees" else " mm"
            label.setText("–" if found is None else f"{found.deviations[i]:.2g}{unit}")
        self.grid.show_values(None if found is None else found.correlations)
        self.weakest.setVisible(result is not None)
        if found is None:
            self.weakest.setText(
                "This result has no covariance: a refinement that was cancelled, lost the patient "
                "or used Adam gives none."
            )
        else:
            self.weakest.setText(f"Weakest direction: {found.weakest}.")
        words = [_target_words(found)]
        error = self._true_error(result)
        if error is not None:
            words.append(f"Its true mean error, known because it is simulated: {error:.2f} mm.")
        self.target.setText(" ".join(words))
        self.ellipses.setEnabled(found is not None and bool(found.landmarks))
        self._draw_ellipses()

    def _true_error(self, result: Result | None) -> float | None:
        if result is None:
            return None
        pose = result.registration.world_from_camera
        return truth_error_mm(self.workbench.session, result.radiographs[0], pose)

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


def _target_words(found: Confidence | None) -> str:
    if found is None:
        return "Nothing to predict from."
    error = found.target_error_mm
    if error is None:
        return "No landmarks with a position: load or place some to see their predicted error."
    worst = max(found.landmarks, key=lambda name: found.landmarks[name])
    return (
        f"Predicted target registration error: {error:.2f} mm root mean square over "
        f"{len(found.landmarks)} landmarks, {100 * found.depth_share:.0f} % of its square along "
        f"the central ray. Largest at {worst}: {found.landmarks[worst]:.2f} mm."
    )


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
