"""The part of the Landmarks widget that says what pose came of it, and hands it on."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QPushButton, QVBoxLayout, QWidget

from napari_xreg.session import Session
from napari_xreg.widgets.parts.data_buttons import button, row
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.pose.words import carm_words, truth_error_mm
from napari_xreg.workflows import Solved

_LINES = 5
"""Of small print: a sentence, the pose in two, how well it fits; or why there is no pose."""


class LandmarksResult(QWidget):
    """The pose in the C-arm's terms, and what can be done with it."""

    use_wanted = Signal()
    refine_wanted = Signal()
    other_wanted = Signal()
    follow_changed = Signal(bool)
    ellipses_changed = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.status, self.pose, self.fit = SmallPrint(), SmallPrint(), SmallPrint()
        self.pose.setToolTip(
            "Angles in degrees (DICOM: primary + LAO, secondary + cranial), offsets in mm along "
            "the camera axes."
        )
        self.other: QPushButton = button(
            "Other solution",
            "Two poses explain the landmarks about equally well: go to the other one and compare.",
            self.other_wanted.emit,
        )
        self.other.hide()  # until there is one
        self.follow = QCheckBox("Update the pose while picking")
        self.follow.setChecked(True)
        self.follow.setToolTip(
            "The C-arm moves with every solution while you pick, drag, tick or change a setting "
            "here.\nOff: only the projected landmarks and their residuals do."
        )
        self.follow.toggled.connect(self.follow_changed.emit)
        self.ellipses = QCheckBox("Predicted ellipses")
        self.ellipses.setToolTip(
            "On the radiograph: 95 % ellipses of the projected landmarks, from the covariance of "
            "the pose."
        )
        self.ellipses.toggled.connect(self.ellipses_changed.emit)
        self.use: QPushButton = button(
            "Use this pose",
            "Move the C-arm there; recorded, so that Undo in Pose comes back. The result is kept.",
            self.use_wanted.emit,
        )
        self.refine: QPushButton = button(
            "Pose and refine",
            "Use this pose, then refine from it as Refine is set.",
            self.refine_wanted.emit,
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        # Room for all that may be said: no button moves when words come and go.
        said = QWidget()
        inside = QVBoxLayout(said)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(4)
        for words in (self.status, self.pose, self.fit):
            inside.addWidget(words)
        inside.addStretch(1)
        said.setMinimumHeight(_LINES * self.status.fontMetrics().lineSpacing() + 10)
        layout.addWidget(said)
        layout.addWidget(self.other)
        layout.addWidget(self.follow)
        layout.addWidget(self.ellipses)
        layout.addLayout(row((self.use, self.refine)))

    def show_solved(self, solved: Solved | None, session: Session, why_not: str = "") -> None:
        """A solution, or why there is none."""
        pose = None if solved is None else solved.pose
        self.status.setText(why_not if solved is None else solved.reason)
        self.use.setEnabled(pose is not None)
        self.refine.setEnabled(pose is not None and session.patient.volume is not None)
        self.other.setVisible(solved is not None and solved.other is not None)
        if solved is None or pose is None:
            self.pose.setText("")
            self.fit.setText("")
            return
        request, solution = solved.request, solved.solution
        terms = request.carm.carm_pose(pose, session.patient.isocenter)
        self.pose.setText(carm_words(terms))
        used, considered = int(solution.used.sum()), int(solution.considered.sum())
        words = [f"Fitted to {used} of {considered}, {solution.rms_px:.2f} px root mean square"]
        error = truth_error_mm(session, request.radiograph, pose)
        if error is not None:
            words.append(f"true error {error:.2f} mm (mTRE; simulated)")
        self.fit.setToolTip(f"Solved in {1000 * solved.seconds:.0f} ms.")
        self.fit.setText("; ".join(words) + ".")
