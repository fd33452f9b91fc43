"""The part of the Landmarks widget where one says how much each landmark counts."""

import math

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QWidget,
)

from napari_xreg.geometry import CArm
from napari_xreg.registration import OUTLIER_MM, PnPSettings, Weighting
from napari_xreg.widgets.parts.quiet_choice import quiet_slider
from napari_xreg.workflows import HAND_SIGMA_PX

NONE, SELECTION, CONTINUOUS, NORMALISED, INVERSE, RANK, COVARIANCE = (
    *("uniform", "selection", "continuous (pixels)", "continuous (normalised)"),
    *("inverse", "rank", "covariance"),
)
MODES = {
    NONE: "Every landmark counts the same.",
    SELECTION: "Discrete selection of the paper: the K most uncertain are left out, the rest alike.",
    CONTINUOUS: "exp(−β u), u the spread of its pixel in pixels: as the paper's released code does.",
    NORMALISED: (
        "exp(−β u / max u): the paper's equation 6. With its best β (0.001 to 0.01) every weight is "
        "above 0.99."
    ),
    INVERSE: "1 / u.",
    RANK: "From 1 for the most certain in even steps to 0 for the least, which then says nothing.",
    COVARIANCE: (
        "The inverse covariance of each pixel: an error along a long axis of its ellipse counts less."
    ),
}
"""How uncertainty becomes weight, and what that means."""

_LOWEST, _STEPS, _PER_DECADE = -4.0, 100, 20
"""β from 10^-4 to 10 on a logarithmic slider."""


class WeightingPanel(QWidget):
    """Emits `changed`; `weighting`, `settings` and `hand_sigma_px` say what is set."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.untouched = True  # nobody has chosen a mode
        self.mode = QComboBox()
        for name, tip in MODES.items():
            self.mode.addItem(name)
            self.mode.setItemData(self.mode.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.mode.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.discard = quiet_slider()
        self.discard.setRange(0, 10)
        self.discard.setValue(3)
        self.discard.setPageStep(1)
        self.discard.setToolTip("K: this many of the most uncertain landmarks are left out.")
        self.discard_words = QLabel()
        self.beta_slider = quiet_slider()
        self.beta_slider.setRange(0, _STEPS)
        self.beta_slider.setValue(round((math.log10(0.1) - _LOWEST) * _PER_DECADE))
        self.beta_slider.setToolTip(
            "β: how fast the weight falls with the spread; 1 / pixel in the pixel form, a number in "
            "the normalised one."
        )
        self.beta_words = QLabel()
        self.robust = QCheckBox("use")
        self.robust.setChecked(True)
        self.robust.setToolTip(
            "Find the landmarks that agree and fit only those (Barath et al. 2020); off: fit all."
        )
        self.threshold = _spin(
            OUTLIER_MM,
            " mm",
            "A landmark farther than this from its projection, in mm on the detector (and beyond\n"
            "its 99.9 % ellipse, where covariances count), does not agree with the others.",
        )
        self.sigma = _spin(
            HAND_SIGMA_PX,
            " px",
            "Standard deviation of a landmark picked by hand, along rows and along columns, pixels\n"
            "of the radiograph; single ones are changed in the table.",
        )
        self._lay_out()
        self.mode.currentIndexChanged.connect(self._touch)
        self.robust.toggled.connect(self._say)
        for slider in (self.discard, self.beta_slider):
            slider.valueChanged.connect(self._say)
        for spin in (self.threshold, self.sigma):
            spin.valueChanged.connect(self._say)
        self._follow()

    @property
    def beta(self) -> float:
        """Of the slider."""
        return float(10 ** (_LOWEST + self.beta_slider.value() / _PER_DECADE))

    @beta.setter
    def beta(self, value: float) -> None:
        self.beta_slider.setValue(round((math.log10(value) - _LOWEST) * _PER_DECADE))

    @property
    def hand_sigma_px(self) -> float:
        """Of a pixel whose covariance nobody knows."""
        return float(self.sigma.value())

    def suggest(self, mode: str) -> None:
        """Choose a mode where nobody has chosen one; that is no wish of the user's to be obeyed."""
        if self.untouched:
            with QSignalBlocker(self):
                self.mode.setCurrentText(mode)

    def weighting(self) -> Weighting:
        """Of the library."""
        match self.mode.currentText():
            case "selection":
                return Weighting.selection(self.discard.value())
            case "continuous (pixels)":
                return Weighting("continuous", beta=self.beta, form="pixel")
            case "continuous (normalised)":
                return Weighting("continuous", beta=self.beta, form="normalised")
            case "inverse":
                return Weighting("inverse")
            case "rank":
                return Weighting("rank")
            case "covariance":
                return Weighting("covariance")
        return Weighting("none")

    def settings(self, carm: CArm) -> PnPSettings:
        """Of the library; the threshold in pixels of this radiograph."""
        if not self.robust.isChecked():
            return PnPSettings(selection="none")
        s_row, s_column = carm.detector.spacing
        return PnPSettings(threshold_px=self.threshold.value() / math.sqrt(s_row * s_column))

    def _lay_out(self) -> None:
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(4)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Weights", self.mode)
        for title, slider, words in (
            ("Drop the K worst", self.discard, self.discard_words),
            ("Weighting strength β", self.beta_slider, self.beta_words),
        ):
            words.setMinimumWidth(self.fontMetrics().horizontalAdvance("0.0001"))
            line = QHBoxLayout()
            line.addWidget(slider, 1)
            line.addWidget(words)
            form.addRow(title, line)
        line = QHBoxLayout()
        line.addWidget(self.robust)
        line.addWidget(self.threshold, 1)
        form.addRow("Outlier limit", line)
        form.addRow("Picking error", self.sigma)

    def _touch(self, *_: object) -> None:
        self.untouched = False
        self._say()

    def _say(self, *_: object) -> None:
        self._follow()
        self.changed.emit()

    def _follow(self) -> None:
        mode = self.mode.currentText()
        self.mode.setToolTip(MODES[mode])
        self.discard.setEnabled(mode == SELECTION)
        self.beta_slider.setEnabled(mode in (CONTINUOUS, NORMALISED))
        self.threshold.setEnabled(self.robust.isChecked())
        self.discard_words.setText(str(self.discard.value()))
        self.beta_words.setText(f"{self.beta:.2g}")


def _spin(value: float, suffix: str, tip: str) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setRange(0.1, 200.0)
    spin.setDecimals(1)
    spin.setValue(value)
    spin.setSuffix(suffix)
    spin.setToolTip(tip)
    spin.setKeyboardTracking(False)
    spin.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    spin.setStyleSheet("min-width: 58px;")
    return spin
