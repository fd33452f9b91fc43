"""The Pose widget: where the C-arm stands, moved by sliders, numbers, mouse and keys."""

from functools import partial
from typing import Any

import torch
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_xreg.geometry import CArmPose, Pose
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.parts.quiet_choice import quiet_choice
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.pose.carm_group import CArmGroup
from napari_xreg.widgets.pose.drr_reading import DrrReading
from napari_xreg.widgets.pose.mouse import KEY_WORDS, MOUSE_WORDS, PoseMouse
from napari_xreg.widgets.pose.poses_group import PosesGroup
from napari_xreg.widgets.pose.rows import term_of, with_term
from napari_xreg.widgets.pose.shortcuts import PRESETS, key_of
from napari_xreg.widgets.pose.view_group import ViewGroup

SETTLE_MS = 400
"""Changes by keys or arrows that follow each other sooner are one step of undo."""


class PoseWidget(Docked):
    """Shows and changes the pose of the active radiograph.

    Parameters
    ----------
    napari_viewer
        The viewer it belongs to.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        session = self._session = self.workbench.session
        self._preview = self.workbench.preview
        self._why = ""
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._settled)
        self._compared, self._elsewhere = 0, ""
        self._stale = True
        self.carm = CArmGroup()
        self.reading = DrrReading(session, self._preview, self)
        self.view = ViewGroup(session, self.workbench.canvas, self.reading)
        self.poses = PosesGroup(session, self._settled)
        self._make_top()
        self._lay_out()
        self.mouse = PoseMouse(
            self.workbench,
            pivot=self.view.pivot_point,
            step=self.step,
            calls={
                "undo": self.poses.undo,
                "redo": self.poses.redo,
                "flip": self.flip,
                "compare": self.compare,
                **{f"show_{mode}": partial(self.show_overlay, mode) for mode in PRESETS},
            },
        )
        self._connect()
        self._on_scene()
        self.poses.follow_history()
        self.view.follow_landmarks()
        if self._preview.latest is not None:
            self.reading.follow_picture(self._preview.latest)

    # ------------------------------------------------------------------ what the user does

    def step(self, name: str, direction: int) -> None:
        """One step of a C-arm parameter, as a key does; x and y are meant in the picture."""
        pose = self.carm_pose()
        if pose is None:
            return
        amount = direction * self.carm.step(name)
        active = self._session.exposures.active
        # The picture goes against the C-arm; a mirrored image turns x round once more.
        if name == "y" or (
            name == "x" and active is not None and not active.radiograph.carm.detector.mirrored
        ):
            amount = -amount
        self._change(name, term_of(pose, name) + amount)

    def show_overlay(self, mode: str) -> None:
        """One way of comparing, as its key does."""
        self.view.show_overlay(mode)
        self.workbench.viewer.status = f"Shown: {mode}"

    def flip(self) -> None:
        """The radiograph alone, then the DRR alone, by turns."""
        self.show_overlay("DRR" if self.workbench.canvas.overlay == "radiograph" else "radiograph")

    def compare(self) -> None:
        """The start, the newest result of the whole CT, the current pose: the next one; nothing is moved."""
        active = self._session.exposures.active
        if active is None:
            return
        poses: list[tuple[str, Pose | None]] = [("start", active.start)]
        for result in reversed(self._session.results.all):
            if result.bone is None and active.id in result.poses:
                poses.append((result.name, result.poses[active.id]))
                break
        poses.append(("current pose", None))
        self._compared = (self._compared + 1 if self._preview.elsewhere else 0) % len(poses)
        name, pose = poses[self._compared]
        self._preview.look_at(pose)
        self.workbench.viewer.status = f"Shown: {name}"
        self._elsewhere = f"Shown: {name}. {key_of('compare')}: the next."
        self._hint()

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
        self._why = self.carm.words(name)
        moved = active.radiograph.carm.pose_from(with_term(pose, name, value))
        self._session.poses.move(moved)
        if not self.carm.dragging(name):
            self._settle.start()

    def _let_go(self, name: str) -> None:
        self._preview.end_drag()
        self._why = self.carm.words(name)
        self._settled()

    def _settled(self) -> None:
        """What was changed in steps is now one step of undo."""
        self._settle.stop()
        if self._session.exposures.active is not None and self._why:
            self._session.poses.record(self._why)
        self._why = ""

    def _choose_radiograph(self, index: int) -> None:
        id = self.radiograph.itemData(index)
        if id is not None:
            self._settled()
            self._session.exposures.activate(id)

    def _lock_rig(self, locked: bool) -> None:
        self._session.poses.rig_locked = locked

    # ------------------------------------------------------------------ what is shown

    def _on_pose(self) -> None:
        """While it is dragged the numbers change with some pictures: one repaint for both."""
        self._stale = True
        self.reading.follow_pose()
        if not self._preview.dragging or self._session.patient.volume is None:
            self._show_pose()

    def _show_pose(self) -> None:
        self._stale = False
        pose = self.carm_pose()
        if pose is not None:
            self.carm.show_pose(pose)

    def _show_if_stale(self) -> None:
        if self._stale:
            self._show_pose()

    def _hint(self) -> None:
        """What is missing, or what went wrong."""
        if self._session.exposures.active is None:
            self.hint.setText("Load a radiograph in the Data widget: it has the pose.")
        elif self._session.patient.volume is None:
            self.hint.setText("Load a CT in the Data widget to see its DRR at this pose.")
        else:
            self.hint.setText(self._elsewhere if self._preview.elsewhere else self.reading.empty)

    def _on_scene(self) -> None:
        """Another CT or radiograph, or one fewer or more."""
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
        self.carm.setEnabled(active is not None)
        self.poses.follow_scene()
        self.reading.follow_scene()
        self._show_pose()

    # ------------------------------------------------------------------ building

    def _make_top(self) -> None:
        self.radiograph = quiet_choice("The radiograph that is shown and moved")
        self.radiograph.activated.connect(self._choose_radiograph)
        self.rig = QCheckBox("Move all radiographs together")
        self.rig.setToolTip(
            "A calibrated rig: moving one C-arm position moves the others by the same motion of "
            "the patient. Off: only the radiograph chosen above moves."
        )
        self.rig.toggled.connect(self._lock_rig)
        self.hint = SmallPrint(lines=2)

    def _lay_out(self) -> None:
        top = QVBoxLayout()
        top.addWidget(self.radiograph)
        top.addWidget(self.rig)
        top.addWidget(self.hint)
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(0, 0, 4, 0)
        layout.addLayout(top)
        for box in (self.carm, self.view, self.poses):
            layout.addWidget(box)
        layout.addWidget(SmallPrint(MOUSE_WORDS))
        layout.addWidget(SmallPrint(KEY_WORDS))
        layout.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(6, 6, 6, 6)
        whole.addWidget(scrolled(body))

    def _connect(self) -> None:
        session = self._session
        self.carm.changed.connect(self._change)
        self.carm.held.connect(self._preview.begin_drag)
        self.carm.let_go.connect(self._let_go)
        self.reading.due.connect(self._show_if_stale)
        self.reading.judged.connect(self._hint)
        for signal, slot in (
            (session.poses.changed, self._on_pose),
            (session.exposures.active_changed, self._on_scene),
            (session.exposures.changed, self._on_scene),
            (session.patient.changed, self._on_scene),
            (session.history_changed, self.poses.follow_history),
            (session.landmarks.changed, self.view.follow_landmarks),
            (session.exposures.mask_changed, self.reading.follow_mask),
            (self._preview.painted, self.reading.follow_picture),
        ):
            self.listen(signal, slot)

    def teardown(self) -> None:
        """Take mouse and keys off the viewer, end the thread."""
        self._settled()
        if self._preview.elsewhere and not self.workbench.closed:
            self._preview.ask()  # nobody could end the comparison any more
        self._settle.stop()
        self.view.end()
        self.mouse.close()
        self.reading.close()
