"""How radiograph and DRR are compared on the canvas, and what the mouse rotates about."""

from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QFormLayout, QGroupBox, QHBoxLayout
from torch import Tensor

from napari_xreg.session import Session
from napari_xreg.viewer import OVERLAYS, DetectorCanvas
from napari_xreg.widgets.parts.quiet_choice import quiet_choice
from napari_xreg.widgets.pose.drr_reading import DrrReading

BLINK_MS = 600

_open: "WeakKeyDictionary[DetectorCanvas, list[ViewGroup]]" = WeakKeyDictionary()
"""Of each canvas, in the order they came: one contrast and one pair of handles for all of them."""

_ISOCENTER, _CURSOR = "Isocenter", "Point under the cursor"


class ViewGroup(QGroupBox):
    """The overlay, the pivot, and what is read off the DRR.

    Parameters
    ----------
    session
        Whose landmarks may be pivots.
    canvas
        Whose overlay it is.
    reading
        Whose labels stand here.
    """

    def __init__(self, session: Session, canvas: DetectorCanvas, reading: DrrReading) -> None:
        super().__init__("View")
        self._session, self._canvas = session, canvas
        self.pivot = quiet_choice(
            "What stays in place when the mouse rotates (Control+Shift+drag): the isocenter, the "
            "point under the cursor at the isocenter's depth, or a landmark of the patient"
        )
        self.overlay = quiet_choice("How radiograph and DRR are compared on the canvas")
        self.overlay.addItems(list(OVERLAYS))
        self.overlay.setCurrentText(canvas.overlay)
        self.overlay.textActivated.connect(self._choose_overlay)
        self.tied = QCheckBox("Same contrast")
        self.tied.setToolTip(
            "Window and level tied: changing the contrast limits of the radiograph changes those of the "
            "DRR by the same share of its own range, and the other way round. Off: each has its own."
        )
        self.tied.setChecked(canvas.tied_contrast)
        self.tied.toggled.connect(self._tie)
        self.handles = QCheckBox("Handles")
        self.handles.setToolTip(
            "A cross and a ring on the radiograph, about the point of “Rotate about”: drag the cross to "
            "shift the patient, the ring to roll"
        )
        self.handles.toggled.connect(self._turn_handles)
        self.pivot.currentIndexChanged.connect(lambda _: self._show_handles())
        self._together = _open.setdefault(canvas, [])
        self._together.append(self)
        self.handles.setChecked(self._together[0].handles.isChecked())
        self._show_handles()
        self._blinking = QTimer(self)
        self._blinking.setInterval(BLINK_MS)
        self._blinking.timeout.connect(canvas.blink)
        form = QFormLayout(self)
        form.addRow("Show", self.overlay)
        form.addRow("Rotate about", self.pivot)
        switches = QHBoxLayout()
        switches.addWidget(self.handles)
        switches.addWidget(self.tied)
        switches.addStretch(1)
        form.addRow(switches)
        form.addRow("NCC", reading.profile)
        form.addRow("Gradient NCC", reading.similarity)
        form.addRow(reading.words)

    def show_overlay(self, mode: str) -> None:
        """One way of comparing."""
        self.overlay.setCurrentText(mode)
        self._choose_overlay(mode)

    def pivot_point(self) -> Float[Tensor, "3"] | None:
        """Where rotations by the mouse are about, LPS mm; None: under the cursor."""
        chosen = self.pivot.currentData()
        if chosen == _CURSOR:
            return None
        for mark in self._session.landmarks.all:
            if chosen == f"landmark {mark.name}" and mark.position is not None:
                return torch.tensor(mark.position, dtype=torch.float64)
        return self._session.patient.isocenter

    def follow_landmarks(self) -> None:
        """Offer those that there are."""
        chosen = self.pivot.currentData()
        self.pivot.clear()
        self.pivot.addItem(_ISOCENTER, _ISOCENTER)
        self.pivot.addItem(_CURSOR, _CURSOR)
        for mark in self._session.landmarks.all:
            self.pivot.addItem(mark.name, f"landmark {mark.name}")
        self.pivot.setCurrentIndex(max(0, self.pivot.findData(chosen)))

    def end(self) -> None:
        """Blink no more; the last one takes handles and tied contrast along."""
        self._blinking.stop()
        if self in self._together:
            self._together.remove(self)
        if not self._together:
            self._canvas.tied_contrast = False
        self._show_handles()

    def _tie(self, tied: bool) -> None:
        self._canvas.tied_contrast = tied
        for group in self._together:
            group.tied.setChecked(tied)

    def _turn_handles(self, on: bool) -> None:
        for group in self._together:
            group.handles.setChecked(on)
        self._show_handles()

    def _show_handles(self) -> None:
        """About the pivot of the newest, whose mouse is obeyed."""
        if self._together and self._together[-1].handles.isChecked():
            self._canvas.handles.turn_on(self._together[-1].pivot_point)
        else:
            self._canvas.handles.turn_off()

    def _choose_overlay(self, mode: str) -> None:
        self._canvas.overlay = mode
        if mode == "blink":
            self._blinking.start()
        else:
            self._blinking.stop()
