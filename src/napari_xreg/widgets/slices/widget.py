"""Slices: the CT cut axially, coronally or sagittally, to place landmarks of the patient."""

from typing import Any

from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout

from napari_xreg.viewer import PLANES, Slices
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.parts.own_canvas import OwnCanvas
from napari_xreg.widgets.parts.small_print import SmallPrint


class SlicesWidget(Docked):
    """The CT on a canvas of its own, in millimetres.

    Parameters
    ----------
    napari_viewer
        Whose session is shown.

    Attributes
    ----------
    slices
        The layers, in a viewer model of their own.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        bench = self.workbench
        self.model = ViewerModel(title="Slices")
        self.canvas = OwnCanvas(self.model)
        self.slices = Slices(self.model, bench.session, bench.canvas.landmarks.colours)
        self.plane = QComboBox()
        self.plane.addItems(list(PLANES))
        self.plane.setToolTip(
            "How the CT is cut. The patient's left is on the right, the front is up in axial slices "
            "and left in\nsagittal ones, the head is up in the others. The slider below goes "
            "through the slices."
        )
        self.plane.currentTextChanged.connect(self._cut)
        self.words = SmallPrint("Click to place the current landmark; drag to move it.")
        line = QHBoxLayout()
        line.addWidget(QLabel("Plane"))
        line.addWidget(self.plane, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(line)
        layout.addWidget(self.canvas, 1)
        layout.addWidget(self.words)
        self.listen(self.slices.point_clicked, self._clicked)
        events = getattr(bench.viewer, "events", None)
        if events is not None:
            self.listen(events.theme, self._follow_theme)
        self._follow_theme()

    def _cut(self, plane: str) -> None:
        self.slices.plane = plane

    def _clicked(self, point: tuple[float, float, float]) -> None:
        x, y, z = point
        self.words.setText(f"x {x:.1f}, y {y:.1f}, z {z:.1f} mm (patient, LPS)")
        self.workbench.point_clicked.emit(point)

    def _follow_theme(self, *_: object) -> None:
        theme = getattr(self.workbench.viewer, "theme", None)
        if theme is not None and self.model.theme != theme:
            self.model.theme = theme

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Escape is the viewer's: it stops picking."""
        if event is not None and event.key() == Qt.Key.Key_Escape:
            action = self.workbench.viewer.keymap.get("Escape")
            if callable(action):
                action(self.workbench.viewer)
                return
        super().keyPressEvent(event)

    def teardown(self) -> None:
        """Nothing outlives the window."""
        self.slices.close()
        self.canvas.let_go()
