"""The Pose widget: where the C-arm stands, moved by sliders, numbers, mouse and keys."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from torch import Tensor

from napari_xreg.geometry import CArmPose, Pose
from napari_xreg.images import ReadError
from napari_xreg.records import pose_of_text, pose_text
from napari_xreg.session import NamedPose, Preview
from napari_xreg.viewer import OVERLAYS
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.jobs.jobs import Lane
from napari_xreg.widgets.jobs.telling import show_error, show_info
from napari_xreg.widgets.parts.data_buttons import button
from napari_xreg.widgets.parts.number_field import QuietWheel
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.pose.mouse import KEY_WORDS, MOUSE_WORDS, PoseMouse
from napari_xreg.widgets.pose.rows import TERMS, PoseRow, term_of, with_term
from napari_xreg.widgets.pose.shortcuts import PRESETS, key_of
from napari_xreg.widgets.pose.similarity_reading import (
    Similarity,
    SimilarityRequest,
    SmallRadiographs,
)

SETTLE_MS = 400
"""Changes by keys or arrows that follow each other sooner are one step of undo."""
READING_MS = 250
"""The similarity is read at most this often while a pose moves."""
WORDS_MS = 200
"""The numbers follow at most this often while a pose is dragged."""
BLINK_MS = 600

_ISOCENTER, _CURSOR = "Isocenter", "Point under the cursor"


class PoseWidget(Docked):
    """Shows and changes the pose of the active radiograph.

    Parameters
    ----------
    napari_viewer
        The viewer it belongs to.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._session = self.workbench.session
        self._preview = self.workbench.preview
        self._make_controls()
        self._lay_out()
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._settled)
        self._why = ""
        self._compared, self._elsewhere = 0, ""
        self._reading = QTimer(self)
        self._reading.setSingleShot(True)
        self._reading.timeout.connect(self._read_similarity)
        self._words = QTimer(self)
        self._words.setSingleShot(True)
        self._words.timeout.connect(self._show_words)
        self._blinking = QTimer(self)
        self._blinking.setInterval(BLINK_MS)
        self._blinking.timeout.connect(self.workbench.canvas.blink)
        self._lane = Lane(self._show_similarity, name="Similarity")
        self._small = SmallRadiographs()
        self._stale = True
        self.mouse = PoseMouse(
            self.workbench,
            pivot=self._pivot_point,
            step=self.step,
            calls={
                "undo": self.undo,
                "redo": self.redo,
                "flip": self.flip,
                "compare": self.compare,
                **{f"show_{mode}": partial(self.show_overlay, mode) for mode in PRESETS},
            },
        )
        session = self._session
        self.listen(session.poses.changed, self._on_pose)
        self.listen(session.exposures.active_changed, self._on_radiographs)
        self.listen(session.exposures.changed, self._on_radiographs)
        self.listen(session.patient.changed, self._on_radiographs)
        self.listen(session.history_changed, self._on_history)
        self.listen(session.landmarks.changed, self._on_landmarks)
        self.listen(session.exposures.mask_changed, self._on_mask)
        self.listen(self._preview.painted, self._on_painted)
        self._on_radiographs()
        self._on_history()
        self._on_landmarks()
        if self._preview.latest is not None:
            self._on_painted(self._preview.latest)

    # ------------------------------------------------------------------ what the user does

    def step(self, name: str, direction: int) -> None:
        """One step of a C-arm parameter, as a key does; x and y are meant in the picture."""
        pose = self.carm_pose()
        if pose is None:
            return
        row = self.rows[name]
        amount = direction * (self.angle_step if row.term.is_angle else self.shift_step).value()
        active = self._session.exposures.active
        # The picture goes against the C-arm; a mirrored image turns x round once more.
        if name == "y" or (
            name == "x" and active is not None and not active.radiograph.carm.detector.mirrored
        ):
            amount = -amount
        self._change(name, term_of(pose, name) + amount)

    def undo(self) -> None:
        """Back by one change."""
        self._settled()
        self._session.undo()

    def redo(self) -> None:
        """Forth by one change."""
        self._session.redo()

    def reset(self) -> None:
        """Every radiograph back to its start."""
        self._settled()
        self._session.poses.reset()

    def show_overlay(self, mode: str) -> None:
        """One way of comparing, as its key does."""
        self.overlay.setCurrentText(mode)
        self._choose_overlay(mode)
        self.workbench.viewer.status = f"Shown: {mode}"

    def flip(self) -> None:
        """The radiograph alone, then the DRR alone, by turns."""
        self.show_overlay("DRR" if self.workbench.canvas.overlay == "radiograph" else "radiograph")

    def compare(self) -> None:
        """The start, the newest result, the current pose: the next one of them; nothing is moved."""
        active = self._session.exposures.active
        if active is None:
            return
        poses: list[tuple[str, Pose | None]] = [("start", active.start)]
        for result in reversed(self._session.results.all):
            if active.id in result.poses:
                poses.append((result.name, result.poses[active.id]))
                break
        poses.append(("current pose", None))
        self._compared = (self._compared + 1 if self._preview.elsewhere else 0) % len(poses)
        name, pose = poses[self._compared]
        self._preview.look_at(pose)
        self.workbench.viewer.status = f"Shown: {name}"
        self._elsewhere = f"Shown: {name}. {key_of('compare')}: the next."
        self._hint()

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
        self._settled()
        self._session.poses.set(pose, "pose pasted")

    def carm_pose(self) -> CArmPose | None:
        """The active radiograph's pose in C-arm terms."""
        active = self._session.exposures.active
        if active is None:
            return None
        return active.radiograph.carm.carm_pose(
            active.world_from_camera.to(dtype=torch.float64), self._session.patient.isocenter
        )

    def _change(self, name: str, value: float) -> None:
        pose, active = self.carm_pose(), self._session.exposures.active
        if pose is None or active is None:
            return
        if value == term_of(pose, name):
            return
        row = self.rows[name]
        self._why = f"{row.term.label.lower()} changed"
        moved = active.radiograph.carm.pose_from(with_term(pose, name, value))
        self._session.poses.move(moved)
        if not row.slider.isSliderDown():
            self._settle.start()

    def _hold(self, _: str) -> None:
        self._preview.begin_drag()

    def _let_go(self, name: str) -> None:
        self._preview.end_drag()
        self._why = f"{self.rows[name].term.label.lower()} changed"
        self._settled()

    def _settled(self) -> None:
        """What was changed in steps is now one step of undo."""
        self._settle.stop()
        if self._session.exposures.active is not None and self._why:
            self._session.poses.record(self._why)
        self._why = ""

    def _pivot_point(self) -> Float[Tensor, "3"] | None:
        """Where rotations by the mouse are about; None: under the cursor."""
        chosen = self.pivot.currentData()
        if chosen == _CURSOR:
            return None
        for mark in self._session.landmarks.all:
            if chosen == f"landmark {mark.name}" and mark.position is not None:
                return torch.tensor(mark.position, dtype=torch.float64)
        return self._session.patient.isocenter

    def _keep_named(self) -> None:
        self._settled()
        try:
            self._session.poses.save(self.named.currentText().strip())
        except ValueError as error:
            show_error(f"The pose cannot be kept: {error}.")

    def _recall_named(self) -> None:
        kept = self._kept()
        if kept is not None:
            self._settled()
            self._session.poses.load(kept.id)

    def _forget_named(self) -> None:
        kept = self._kept()
        if kept is not None:
            self._settled()
            self._session.poses.delete(kept.id)

    def _kept(self) -> NamedPose | None:
        name = self.named.currentText().strip()
        return next((kept for kept in self._session.poses.named if kept.name == name), None)

    def _choose_radiograph(self, index: int) -> None:
        id = self.radiograph.itemData(index)
        if id is not None:
            self._settled()
            self._session.exposures.activate(id)

    def _choose_overlay(self, mode: str) -> None:
        self.workbench.canvas.overlay = mode
        if mode == "blink":
            self._blinking.start()
        else:
            self._blinking.stop()

    def _lock_rig(self, locked: bool) -> None:
        self._session.poses.rig_locked = locked

    # ------------------------------------------------------------------ what is shown

    def _on_pose(self) -> None:
        """While it is dragged the numbers change with some pictures: one repaint for both."""
        self._stale = True
        self.similarity.setEnabled(False)  # grey: it is of a pose before this one
        if not self._preview.dragging or self._session.patient.volume is None:
            self._show_pose()

    def _show_pose(self) -> None:
        self._stale = False
        pose = self.carm_pose()
        if pose is not None:
            for row in self.rows.values():
                row.show_value(term_of(pose, row.term.name))

    def _on_painted(self, preview: Preview) -> None:
        """While dragging, numbers and words follow a few times a second: each repaint of a
        widget makes Qt compose the whole window anew, canvas included."""
        if not self._preview.dragging:
            self._words.stop()
            self._show_words()
        elif not self._words.isActive():
            self._words.start(WORDS_MS)
        if not self._reading.isActive():
            self._reading.start(READING_MS if self._preview.dragging else 0)

    def _show_words(self) -> None:
        preview = self._preview.latest
        if self._stale:
            self._show_pose()
        if preview is None:
            return
        self._judge_beam(preview.image)
        rows, columns = preview.image.shape
        full = preview.request.carm.detector.shape
        active = self._session.exposures.active
        if active is not None:
            full = active.radiograph.carm.detector.shape
        share = max(preview.image.shape) / max(full)
        words = f"DRR {rows} × {columns} px in {1000 * preview.seconds:.0f} ms"
        if share < 0.999:
            words += f", {100 * share:.0f} % of the radiograph's pixels a side"
        if words != self.drr_words.words:
            self.drr_words.setText(words)

    def _judge_beam(self, image: NDArray[np.float32]) -> None:
        """A DRR with nothing where the radiograph has pixels says so, and how to get one."""
        seen, words = image > 0, ""
        if not seen.any():
            words = "⚠ The beam misses the CT: the DRR is empty. Press Centre."
        elif not self._usable(image.shape)[seen].any():
            words = "⚠ The beam misses the CT where the radiograph has usable pixels. Press Centre."
        self._empty = words
        self._hint()

    def _hint(self) -> None:
        """What is missing, or what went wrong."""
        if self._session.exposures.active is None:
            self.hint.setText("Load a radiograph in the Data widget: it has the pose.")
        elif self._session.patient.volume is None:
            self.hint.setText("Load a CT in the Data widget to see its DRR at this pose.")
        else:
            self.hint.setText(self._elsewhere if self._preview.elsewhere else self._empty)

    def _usable(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Pixels of the radiograph that are compared, at the size of the DRR."""
        active = self._session.exposures.active
        mask = None if active is None else active.masked.mask
        if mask is None:
            return np.ones(shape, bool)
        rows, columns = (
            np.arange(n) * full // n for n, full in zip(shape, mask.shape, strict=True)
        )
        usable: NDArray[np.bool_] = mask.cpu().numpy()[np.ix_(rows, columns)]
        return usable

    def centre(self) -> None:
        """Bring the middle of the CT to where the isocenter of the C-arm is; the angles stay."""
        active, volume = self._session.exposures.active, self._session.patient.volume
        if active is None or volume is None:
            return
        self._settled()
        pose = active.world_from_camera
        away = active.radiograph.carm.source_to_isocenter * pose.rotation[:, 2]
        middle = volume.center.detach().cpu().double()
        self._session.poses.set(replace(pose, translation=middle - away), "centre the CT")

    def _read_similarity(self) -> None:
        active, preview = self._session.exposures.active, self._preview.latest
        if self._empty:
            self._lane.drop()
            self._show_similarity(None)
            return
        if active is not None and preview is not None:
            self._lane.ask(SimilarityRequest(active.masked, preview, self._small))

    def _show_similarity(self, reading: Similarity | None) -> None:
        if (
            reading is None
            or self._session.exposures.active is None
            or self._preview.latest is None
        ):
            self.similarity.setText("—")
            return
        self.similarity.setEnabled(not self._preview.busy)
        self.similarity.setText(
            f"NCC {reading.ncc:.3f}     gradient NCC {reading.gradient_ncc:.3f}"
        )

    def _on_mask(self) -> None:
        if self._preview.latest is not None:
            self._judge_beam(self._preview.latest.image)
        self._reading.start(READING_MS)

    def _on_radiographs(self) -> None:
        active = self._session.exposures.active
        entries = self._session.exposures.all
        choice = self.radiograph
        before = choice.blockSignals(True)
        choice.clear()
        for entry in entries:
            choice.addItem(entry.name, entry.id)
        if active is None:
            choice.addItem("no radiograph is loaded", None)
        else:
            choice.setCurrentIndex(entries.index(active))
        choice.blockSignals(before)
        choice.setEnabled(len(entries) > 1)
        self.rig.setVisible(len(entries) > 1)
        before = self.rig.blockSignals(True)
        self.rig.setChecked(self._session.poses.rig_locked)
        self.rig.blockSignals(before)
        # Undo and Redo stay: they may bring the last radiograph back.
        for part in (
            self._terms_box,
            self.reset_button,
            self.copy_button,
            self.paste_button,
            self.named,
            self.keep_button,
            self.go_button,
            self.forget_button,
        ):
            part.setEnabled(active is not None)
        self.centre_button.setEnabled(
            active is not None and self._session.patient.volume is not None
        )
        if active is None or self._session.patient.volume is None:
            self._empty = ""
        self._hint()
        self._lane.drop()
        if active is None or self._session.patient.volume is None:
            self.similarity.setText("—")
            self.drr_words.setText("")
        self._show_pose()

    def _on_history(self) -> None:
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

    def _on_landmarks(self) -> None:
        chosen = self.pivot.currentData()
        self.pivot.clear()
        self.pivot.addItem(_ISOCENTER, _ISOCENTER)
        self.pivot.addItem(_CURSOR, _CURSOR)
        for mark in self._session.landmarks.all:
            self.pivot.addItem(mark.name, f"landmark {mark.name}")
        self.pivot.setCurrentIndex(max(0, self.pivot.findData(chosen)))

    def _set_steps(self) -> None:
        for row in self.rows.values():
            row.set_step((self.angle_step if row.term.is_angle else self.shift_step).value())

    # ------------------------------------------------------------------ the controls

    def _make_controls(self) -> None:
        self.radiograph = _choice("The radiograph that is shown and moved")
        self.radiograph.activated.connect(self._choose_radiograph)
        self.rig = QCheckBox("Move all radiographs together")
        self.rig.setToolTip(
            "A calibrated rig: moving one C-arm position moves the others by the same motion of "
            "the patient. Off: only the radiograph chosen above moves."
        )
        self.rig.toggled.connect(self._lock_rig)
        self.hint = SmallPrint(lines=2)
        self._empty = ""
        self.centre_button = button(
            "Centre",
            "Move the C-arm so that the middle of the CT is at its isocenter; the angles stay",
            self.centre,
        )
        self.rows = {term.name: PoseRow(term, self) for term in TERMS}
        for row in self.rows.values():
            row.changed.connect(self._change)
            row.held.connect(self._hold)
            row.let_go.connect(self._let_go)
        self.angle_step = _step(
            1.0, 0.01, 45.0, "°", "Angle of one step of an arrow or key, degrees"
        )
        self.shift_step = _step(
            2.0, 0.01, 100.0, " mm", "Length of one step of an arrow or key, mm at the C-arm"
        )
        for step in (self.angle_step, self.shift_step):
            step.valueChanged.connect(lambda _: self._set_steps())
        self._set_steps()
        self.pivot = _choice(
            "What stays in place when the mouse rotates (Control+Shift+drag): the isocenter, the "
            "point under the cursor at the isocenter's depth, or a landmark of the patient"
        )
        self.overlay = _choice("How radiograph and DRR are compared on the canvas")
        self.overlay.addItems(list(OVERLAYS))
        self.overlay.setCurrentText(self.workbench.canvas.overlay)
        self.overlay.textActivated.connect(self._choose_overlay)
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
        self.named = _choice("A name for the current pose, or a saved pose")
        self.named.setEditable(True)
        self.named.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        line = self.named.lineEdit()
        if line is not None:
            line.setPlaceholderText("name of a pose")
        self.keep_button = button(
            "Save pose", "Save the current pose under this name", self._keep_named
        )
        self.go_button = button("Load pose", "Move to the pose of this name", self._recall_named)
        self.forget_button = button(
            "Delete pose", "Delete the pose of this name", self._forget_named
        )
        self.similarity = QLabel("—")
        self.similarity.setToolTip(
            "How alike radiograph and DRR are, inside the mask. NCC: normalised cross-correlation "
            "of the whole images. Gradient NCC: mean over 11 × 11 windows of their Sobel images, "
            "as xvr refines with. Both at most 1, higher is better; at 256 pixels a side at most."
        )
        self.drr_words = SmallPrint(lines=1)
        self.drr_words.setToolTip(
            "Size of the DRR shown and how long it took to render. While a pose is dragged it has "
            "fewer pixels where all of them would take longer than 33 ms."
        )

    def _lay_out(self) -> None:
        top = QVBoxLayout()
        top.addWidget(self.radiograph)
        top.addWidget(self.rig)
        top.addWidget(self.hint)
        self._terms_box = QGroupBox("C-arm")
        terms = QGridLayout(self._terms_box)
        terms.setColumnStretch(1, 1)
        for number, row in enumerate(self.rows.values()):
            row.place(terms, number)
        steps = QHBoxLayout()
        steps.addWidget(QLabel("Step"))
        steps.addWidget(self.angle_step, 1)
        steps.addWidget(self.shift_step, 1)
        terms.addLayout(steps, len(self.rows), 0, 1, 4)
        look = QGroupBox("View")
        form = QFormLayout(look)
        form.addRow("Show", self.overlay)
        form.addRow("Rotate about", self.pivot)
        form.addRow(self.similarity)
        form.addRow(self.drr_words)
        poses_box = QGroupBox("Poses")
        poses = QVBoxLayout(poses_box)
        for buttons in (
            (self.undo_button, self.redo_button, self.reset_button),
            (self.copy_button, self.paste_button, self.centre_button),
        ):
            poses.addLayout(_side_by_side(*buttons))
        poses.insertWidget(1, self.undo_words)
        poses.addWidget(self.named)
        poses.addLayout(_side_by_side(self.keep_button, self.go_button, self.forget_button))
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(0, 0, 4, 0)
        layout.addLayout(top)
        for box in (self._terms_box, look, poses_box):
            layout.addWidget(box)
        layout.addWidget(SmallPrint(MOUSE_WORDS))
        layout.addWidget(SmallPrint(KEY_WORDS))
        layout.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(6, 6, 6, 6)
        whole.addWidget(scrolled(body))

    def teardown(self) -> None:
        """Take mouse and keys off the viewer, end the thread."""
        self._settled()
        if self._preview.elsewhere and not self.workbench.closed:
            self._preview.ask()  # nobody could end the comparison any more
        for timer in (self._settle, self._reading, self._blinking):
            timer.stop()
        self.mouse.close()
        self._lane.close(wait_seconds=1.0)


def _side_by_side(*buttons: QWidget) -> QHBoxLayout:
    line = QHBoxLayout()
    for one in buttons:
        line.addWidget(one, 1)
    return line


def _choice(tip: str) -> QComboBox:
    box = QComboBox()
    box.setToolTip(tip)
    box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    box.setMinimumContentsLength(8)
    box.installEventFilter(QuietWheel(box))
    return box


def _step(value: float, least: float, most: float, unit: str, tip: str) -> QDoubleSpinBox:
    field = QDoubleSpinBox()
    field.setRange(least, most)
    field.setDecimals(2)
    field.setValue(value)
    field.setSuffix(unit)
    field.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    field.setMinimumWidth(60)
    field.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
    field.setToolTip(tip)
    return field
