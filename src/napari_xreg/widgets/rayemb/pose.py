"""From correspondences to a pose: settings of the search, the buttons, and how far to trust it."""

from qtpy.QtCore import Signal
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_xreg.rayemb import BONE_HU, POINTS, CorrespondSettings
from napari_xreg.registration import Likelihood
from napari_xreg.session import Session
from napari_xreg.widgets.parts.data_buttons import button, row
from napari_xreg.widgets.parts.form import SettingsForm
from napari_xreg.widgets.parts.small_print import SmallPrint

STRUCTURES, DENSER = "ticked structures", "denser than"


class PosePanel(QWidget):
    """Emits wishes; says what came of them."""

    find_wanted = Signal()
    cancel_wanted = Signal()
    pose_wanted = Signal()
    accept_wanted = Signal()
    refine_wanted = Signal()
    train_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.where = QComboBox()
        self.where.addItems([STRUCTURES, DENSER])
        self.where.setToolTip(
            "Where points are sampled: in the structures chosen in Data (all of the label map "
            "where none is), or in what is denser than a threshold."
        )
        self.above = QDoubleSpinBox()
        self.above.setRange(-500.0, 3000.0)
        self.above.setDecimals(0)
        self.above.setSingleStep(50.0)
        self.above.setValue(BONE_HU)
        self.above.setSuffix(" HU")
        self.above.setToolTip("Hounsfield units; bone from about 250.")
        self.points = _whole(POINTS, 10, 20000, "Points sampled; each gets a heatmap.")
        self.form = SettingsForm(CorrespondSettings(), ("top", "redraws", "per_point", "rank_by"))
        self.find_button = button(
            "Find correspondences",
            "Sample points of the patient, look for them on the radiograph, list the best.",
            self.find_wanted.emit,
        )
        self.cancel = button(
            "Cancel", "End after this round; what was found stays.", self.cancel_wanted.emit
        )
        self.pose = button(
            "Pose",
            "The pose that all points of the list give (MAGSAC, then a fit weighted by their "
            "spread), at the depth where the CT looks most like the radiograph. It moves "
            "nothing yet.",
            self.pose_wanted.emit,
        )
        self.accept = button(
            "Accept pose", "Move the C-arm there; undo takes it back.", self.accept_wanted.emit
        )
        self.refine = button(
            "Pose and refine",
            "Find the pose, move there, and refine from several starts about it (Refine).",
            self.refine_wanted.emit,
        )
        self.train = button(
            "Train for this patient…",
            "A network that learns this very CT: minutes on this machine.",
            self.train_wanted.emit,
        )
        self.train.hide()
        self.words = SmallPrint()
        self.verdict = SmallPrint()
        self._lay_out()
        self.where.currentTextChanged.connect(lambda _: self._follow())
        self._follow()

    @property
    def settings(self) -> CorrespondSettings:
        """What the controls say."""
        for box in (self.points, self.above):
            box.interpretText()
        return self.form.value()

    @property
    def in_structures(self) -> bool:
        """Whether points are sampled in the label map."""
        return self.where.currentText() == STRUCTURES

    def show_session(self, session: Session) -> None:
        """Without a label map there are no structures."""
        model = self.where.model()
        item = model.item(0) if isinstance(model, QStandardItemModel) else None
        if item is not None:
            item.setEnabled(session.patient.labels is not None)
        if session.patient.labels is None:
            self.where.setCurrentText(DENSER)

    def show_state(self, *, ready: bool, finding: bool, listed: int, posed: bool) -> None:
        """What can be done now."""
        self.find_button.setEnabled(ready and not finding)
        self.cancel.setEnabled(finding)
        self.cancel.setVisible(finding)
        enough = ready and not finding and listed >= 4
        self.pose.setEnabled(enough)
        self.refine.setEnabled(enough)
        self.accept.setEnabled(posed and not finding)

    def show_verdict(self, words: str, likelihood: Likelihood | None = None) -> None:
        """How far to trust the pose; None: there is nothing to say it of."""
        self.verdict.setText(words)
        self.verdict.show_color("" if likelihood is None else likelihood.color)
        self.train.setVisible(likelihood is not None and likelihood.trusted is False)

    # ------------------------------------------------------------------ inside

    def _follow(self) -> None:
        self.above.setEnabled(not self.in_structures)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Points in", self.where)
        form.addRow("Threshold", self.above)
        form.addRow("Points tried", self.points)
        form.addRow(self.form)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(form)
        layout.addLayout(row((self.find_button, self.cancel)))
        layout.addWidget(self.words)
        layout.addLayout(row((self.pose, self.accept)))
        layout.addWidget(self.refine)
        layout.addWidget(self.verdict)
        layout.addWidget(self.train)
        layout.addStretch(1)
        for box in (self.where, self.above, self.points):
            box.setMinimumWidth(40)


def _whole(value: int, low: int, high: int, tip: str) -> QSpinBox:
    box = QSpinBox()
    box.setRange(low, high)
    box.setValue(value)
    box.setKeyboardTracking(False)
    box.setToolTip(tip)
    return box
