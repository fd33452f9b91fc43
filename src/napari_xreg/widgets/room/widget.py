"""Room: the patient, the C-arm and its radiograph in 3D, on a canvas of their own."""

import time
from typing import Any

from napari.components import ViewerModel
from napari.qt import QtViewer
from psygnal import SignalInstance
from qtpy.QtCore import QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
)

from napari_xreg.viewer import VIEWS, Room
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.parts.own_canvas import OwnCanvas
from napari_xreg.widgets.parts.small_print import SmallPrint

EVERY_MS = 500
"""The room is drawn at most this often while a pose is dragged: the radiograph matters more."""

_TOGGLES = {
    "bone": ("Bone", "Surface of what is denser than the threshold, from the CT at about 4 mm."),
    "volume": (
        "CT",
        "The CT itself at about 4 mm (attenuated maximum projection); slow without a graphics card.",
    ),
    "landmarks": (
        "Landmarks",
        "Landmarks of the patient (LPS mm). Drag one to move it in the plane of the screen.",
    ),
    "names": ("Names", "Names beside the landmarks."),
    "C-arm": (
        "C-arm",
        "Source, central ray and detector of the active radiograph, which the plane carries.",
    ),
    "rays": (
        "Rays",
        "From the source to landmarks picked on a radiograph and to the peak of a RayEmb heatmap.",
    ),
    "other C-arms": ("Other C-arms", "Where the other radiographs of the session were taken."),
    "ghosts": (
        "Earlier poses",
        "Detector and central ray of the last poses on record (undo and redo).",
    ),
}


class RoomWidget(Docked):
    """The room with its switches.

    Parameters
    ----------
    napari_viewer
        Whose session is shown.

    Attributes
    ----------
    room
        The layers, in a viewer model of their own.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.model = ViewerModel(title="3D view")
        self._own = OwnCanvas(self.model)
        self.room = Room(self.model, self.workbench.session)
        self._lane = Lane(self._show_patient, name="3D view")
        self._last = 0.0
        self._stale = True
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._refresh)
        self._make_controls()
        self._lay_out()
        self._connect()
        self._follow_theme()

    @property
    def point_clicked(self) -> SignalInstance:
        """psygnal: (x, y, z), LPS mm, of a landmark or of the bone that was clicked."""
        return self.room.point_clicked

    @property
    def _canvas(self) -> QtViewer | None:
        return self._own.viewer

    # ------------------------------------------------------------------ making it

    def _make_controls(self) -> None:
        self.switches: dict[str, QCheckBox] = {}
        for part, (title, tip) in _TOGGLES.items():
            box = QCheckBox(title)
            box.setToolTip(tip)
            box.setChecked(self.room.shows(part))
            box.toggled.connect(lambda on, part=part: self.room.show(part, on))
            self.switches[part] = box
        self.view = QComboBox()
        self.view.addItems(list(VIEWS))
        self.view.setToolTip(
            "The side it is seen from. The patient's head is up; from above, the patient's "
            "front is up.\nDrag turns, Shift+drag moves, the wheel zooms."
        )
        self.view.activated.connect(lambda _: self.room.look(self.view.currentText()))
        self.everything = QPushButton("All")
        self.everything.setToolTip("Bring patient and C-arms into the picture; the angles stay.")
        self.everything.clicked.connect(lambda: self.room.look(None))
        self.patient = QPushButton("Patient")
        self.patient.setToolTip("Bring the patient into the picture; the angles stay.")
        self.patient.clicked.connect(lambda: self.room.look(None, at="patient"))
        self.threshold = QDoubleSpinBox()
        self.threshold.setRange(-500.0, 3000.0)
        self.threshold.setDecimals(0)
        self.threshold.setSingleStep(50.0)
        self.threshold.setSuffix(" HU")
        self.threshold.setKeyboardTracking(False)
        self.threshold.setValue(self.room.bone_hu)
        self.threshold.setToolTip(
            "What is denser than this is drawn as bone, Hounsfield units. Attenuation of the "
            "rendered CT\n(ticked structures only) is compared with that of this number."
        )
        self.threshold.valueChanged.connect(self._set_threshold)
        self.words = SmallPrint("Click on bone or on a landmark for its position.")

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self._own, 1)
        layout.addWidget(self.words)
        view = QHBoxLayout()
        view.addWidget(self.view, 1)
        view.addWidget(self.everything)
        view.addWidget(self.patient)
        layout.addLayout(view)
        switches = QGridLayout()
        switches.setHorizontalSpacing(8)
        for number, box in enumerate(self.switches.values()):
            switches.addWidget(box, number // 2, number % 2)
        layout.addLayout(switches)
        bone = QHBoxLayout()
        label = QLabel("Bone from")
        label.setToolTip(self.threshold.toolTip())
        bone.addWidget(label)
        bone.addWidget(self.threshold, 1)
        layout.addLayout(bone)

    def _connect(self) -> None:
        session = self.workbench.session
        for signal in (
            session.patient.changed,
            session.exposures.changed,
            session.exposures.active_changed,
            session.poses.changed,
            session.history_changed,
            session.landmarks.changed,
            session.ray_points.look_changed,
        ):
            self.listen(signal, self._ask)
        self.listen(self.room.point_clicked, self._say_point)
        self.listen(self.model.canvas.events.size, self._resized)
        events = getattr(self.workbench.viewer, "events", None)
        if events is not None:
            self.listen(events.theme, self._follow_theme)

    # ------------------------------------------------------------------ following

    def _ask(self, *_: object) -> None:
        """Draw soon, but not more often than allowed, and not while nobody looks."""
        self._stale = True
        if self.torn_down or not self.isVisible() or self._timer.isActive():
            return
        since = (time.monotonic() - self._last) * 1000
        self._timer.start(max(0, round(EVERY_MS - since)))

    def _refresh(self) -> None:
        if self.torn_down or not self.isVisible():
            return
        self._stale = False
        self._last = time.monotonic()
        self.room.refresh()
        request = self.room.patient_request()
        if request is not None:
            self._lane.ask(request)

    def _show_patient(self, answer: Any) -> None:
        if not self.torn_down:
            self.room.show_patient(answer)

    def _set_threshold(self, value: float) -> None:
        self.room.bone_hu = float(value)
        self._ask()

    def _say_point(self, point: tuple[float, float, float]) -> None:
        x, y, z = point
        names = [
            mark.name
            for mark in self.workbench.session.landmarks.all
            if mark.position is not None
            and all(abs(a - b) < 1e-3 for a, b in zip(mark.position, point, strict=True))
        ]
        where = f"{names[0]}: " if names else ""
        self.words.setText(f"{where}x {x:.1f}, y {y:.1f}, z {z:.1f} mm (patient, LPS)")
        self.workbench.point_clicked.emit(point)

    def _resized(self, *_: object) -> None:
        self.room.fit_again()

    def _follow_theme(self, *_: object) -> None:
        theme = getattr(self.workbench.viewer, "theme", None)
        if theme is not None and self.model.theme != theme:
            self.model.theme = theme

    def showEvent(self, event: QShowEvent | None) -> None:
        """What happened meanwhile is shown now."""
        super().showEvent(event)
        if self._stale:
            self._ask()

    def teardown(self) -> None:
        """Nothing outlives the window."""
        self._timer.stop()
        self._lane.close()
        self.room.close()
        self._own.let_go()
