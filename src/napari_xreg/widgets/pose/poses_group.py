"""Undo and redo, copy and paste, and poses that are kept under a name."""

from collections.abc import Callable
from dataclasses import replace

from qtpy.QtWidgets import QApplication, QComboBox, QGroupBox, QHBoxLayout, QVBoxLayout, QWidget

from napari_xreg.images import ReadError
from napari_xreg.records import pose_of_text, pose_text
from napari_xreg.session import NamedPose, Session
from napari_xreg.widgets.jobs.telling import show_error, show_info
from napari_xreg.widgets.parts.data_buttons import button
from napari_xreg.widgets.parts.quiet_choice import quiet_choice
from napari_xreg.widgets.parts.small_print import SmallPrint


class PosesGroup(QGroupBox):
    """Where the C-arm stood, and may stand again.

    Parameters
    ----------
    session
        Whose poses.
    settle
        Makes one step of undo of what is being changed just now; called before another change.
    """

    def __init__(self, session: Session, settle: Callable[[], None]) -> None:
        super().__init__("Poses")
        self._session, self._settle = session, settle
        self.undo_button = button("Undo", "Nothing to undo", self.undo)
        self.redo_button = button("Redo", "Nothing to redo", self.redo)
        self.reset_button = button(
            "Reset", "Every radiograph back to where it started: its file's angles", self.reset
        )
        self.undo_words = SmallPrint(lines=1)
        self.copy_button = button(
            "Copy", "Put this pose into the clipboard, as JSON (patient LPS, mm)", self.copy
        )
        self.paste_button = button(
            "Paste", "Take the pose from JSON in the clipboard: a pose or a result", self.paste
        )
        self.centre_button = button(
            "Centre",
            "Move the C-arm so that the middle of the CT, or of the ticked structures, is at its isocenter; the "
            "angles stay",
            self.centre,
        )
        self.named = quiet_choice("A name for the current pose, or a saved pose")
        self.named.setEditable(True)
        self.named.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        line = self.named.lineEdit()
        if line is not None:
            line.setPlaceholderText("name of a pose")
        self.keep_button = button("Save pose", "Save the current pose under this name", self._keep)
        self.go_button = button("Load pose", "Move to the pose of this name", self._recall)
        self.forget_button = button("Delete pose", "Delete the pose of this name", self._forget)
        column = QVBoxLayout(self)
        column.addLayout(_side_by_side(self.undo_button, self.redo_button, self.reset_button))
        column.addWidget(self.undo_words)
        column.addLayout(_side_by_side(self.copy_button, self.paste_button, self.centre_button))
        column.addWidget(self.named)
        column.addLayout(_side_by_side(self.keep_button, self.go_button, self.forget_button))

    def undo(self) -> None:
        """Back by one change."""
        self._settle()
        self._session.undo()

    def redo(self) -> None:
        """Forth by one change."""
        self._session.redo()

    def reset(self) -> None:
        """Every radiograph back to its start."""
        self._settle()
        self._session.poses.reset()

    def copy(self) -> None:
        """The pose as JSON into the clipboard."""
        clipboard = QApplication.clipboard()
        if self._session.poses.current is not None and clipboard is not None:
            clipboard.setText(pose_text(self._session.poses.current))
            show_info("The pose was copied as JSON.")

    def paste(self) -> None:
        """The pose that the clipboard holds as JSON."""
        clipboard = QApplication.clipboard()
        if self._session.poses.current is None or clipboard is None:
            return
        try:
            pose = pose_of_text(clipboard.text())
        except ReadError as error:
            show_error(f"The pose cannot be pasted: {error}.")
            return
        self._settle()
        self._session.poses.set(pose, "pose pasted")

    def centre(self) -> None:
        """Bring the middle of what is registered to where the isocenter of the C-arm is; the angles stay."""
        active, patient = self._session.exposures.active, self._session.patient
        if active is None or patient.volume is None:
            return
        self._settle()
        pose = active.world_from_camera
        away = active.radiograph.carm.source_to_isocenter * pose.rotation[:, 2]
        self._session.poses.set(replace(pose, translation=patient.middle - away), "centre the CT")

    def follow_scene(self) -> None:
        """What can be done with the radiograph and the CT that there are."""
        there = self._session.exposures.active is not None
        # Undo and Redo stay: they may bring the last radiograph back.
        for part in (
            self.reset_button,
            self.copy_button,
            self.paste_button,
            self.named,
            self.keep_button,
            self.go_button,
            self.forget_button,
        ):
            part.setEnabled(there)
        self.centre_button.setEnabled(there and self._session.patient.volume is not None)

    def follow_history(self) -> None:
        """What can be undone, and the names that there are."""
        history = self._session.history
        self.undo_button.setEnabled(history.can_undo)
        self.redo_button.setEnabled(history.can_redo)
        self.undo_button.setToolTip(
            f"Undo: {history.undoes} (Control+Z on the picture)"
            if history.can_undo
            else "Nothing to undo"
        )
        self.redo_button.setToolTip(
            f"Redo: {history.redoes} (Control+Shift+Z on the picture)"
            if history.can_redo
            else "Nothing to redo"
        )
        self.undo_words.setText(f"Undo: {history.undoes}" if history.can_undo else "")
        names = [kept.name for kept in self._session.poses.named]
        if names != [self.named.itemText(k) for k in range(self.named.count())]:
            typed = self.named.currentText()
            self.named.clear()
            self.named.addItems(names)
            self.named.setEditText(typed)

    def _keep(self) -> None:
        self._settle()
        try:
            self._session.poses.save(self.named.currentText().strip())
        except ValueError as error:
            show_error(f"The pose cannot be saved: {error}.")

    def _recall(self) -> None:
        kept = self._chosen()
        if kept is not None:
            self._settle()
            self._session.poses.load(kept.id)

    def _forget(self) -> None:
        kept = self._chosen()
        if kept is not None:
            self._settle()
            self._session.poses.delete(kept.id)

    def _chosen(self) -> NamedPose | None:
        name = self.named.currentText().strip()
        return next((kept for kept in self._session.poses.named if kept.name == name), None)


def _side_by_side(*buttons: QWidget) -> QHBoxLayout:
    line = QHBoxLayout()
    for one in buttons:
        line.addWidget(one, 1)
    return line
