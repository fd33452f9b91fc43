"""What the tests of the Landmarks widget share: a mouse on the radiograph, exact picks."""

import numpy as np
import torch
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_xreg.geometry import CArmPose
from napari_xreg.images import Landmark

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
PLAIN = Qt.KeyboardModifier.NoModifier
TRUTH = {"primary_deg": 7.0, "secondary_deg": -4.0, "roll_deg": 2.0, "offset_mm": (6.0, -9.0, 14.0)}


def truth_of(session):
    """The pose at which the fixture's radiograph was made."""
    isocenter = tuple(float(v) for v in session.patient.volume.center)
    return session.exposures.active.radiograph.carm.pose_from(
        CArmPose(isocenter=isocenter, **TRUTH)
    )


def exact(session, names=None):
    """Where every landmark of the patient is on the active radiograph, by hand: pinhole and pose.

    No projection of the library: column to the left for +x, for the detector is mirrored.
    """
    pose, carm = truth_of(session), session.exposures.active.radiograph.carm
    rotation, source = pose.rotation.numpy(), pose.translation.numpy()
    row, column = carm.detector.principal_point  # of the image as stored
    s_row, s_column = carm.detector.spacing
    found = {}
    for mark in session.landmarks.all:
        if names is None or mark.name in names:
            x, y, z = rotation.T @ (np.array(mark.position) - source)
            found[mark.name] = (
                row + carm.source_to_detector * y / z / s_row,
                column - carm.source_to_detector * x / z / s_column,
            )
    return found


def pick_exactly(session, names=None, **shifts):
    """Pick landmarks where they are, but for those shifted by (row, column)."""
    marks = []
    for name, (row, column) in exact(session, names).items():
        d_row, d_column = shifts.get(name, (0.0, 0.0))
        marks.append(Landmark(name, pixel=(row + d_row, column + d_column)))
    session.landmarks.set_picked(session.exposures.active.id, marks)


def solved(qtbot, widget):
    """Wait until what is shown is the answer to what is there."""
    qtbot.waitUntil(lambda: not widget.busy, timeout=10_000)
    return widget.solved


def angle_deg(a, b):
    """Between two rotations."""
    turn = a.rotation.double().T @ b.rotation.double()
    return float(torch.rad2deg(torch.arccos(((torch.trace(turn) - 1) / 2).clamp(-1, 1))))


def native(bench):
    """napari's canvas, which mouse and keys go to."""
    found = bench.viewer.window._qt_viewer.canvas.native
    QTest.qWait(100)
    return found


def on_canvas(bench, pixel):
    """Canvas pixels of a (row, column) of the radiograph."""
    spacing = np.array(bench.session.exposures.active.radiograph.carm.detector.spacing)
    camera = bench.viewer.scene.camera
    canvas = native(bench)
    away = (np.array(pixel) * spacing - np.array(camera.center[-2:])) * camera.zoom
    ratio = canvas.devicePixelRatioF()
    return QPoint(
        round(canvas.width() / 2 + away[1] / ratio), round(canvas.height() / 2 + away[0] / ratio)
    )


def send(canvas, kind, point, button, buttons, modifiers=PLAIN):
    event = QMouseEvent(
        kind, QPointF(point), QPointF(canvas.mapToGlobal(point)), button, buttons, modifiers
    )
    QApplication.sendEvent(canvas, event)
    QApplication.processEvents()


def click(canvas, point):
    send(canvas, QEvent.Type.MouseMove, point, NONE, NONE)
    send(canvas, QEvent.Type.MouseButtonPress, point, LEFT, LEFT)
    send(canvas, QEvent.Type.MouseButtonRelease, point, LEFT, NONE)


def press(canvas, point):
    send(canvas, QEvent.Type.MouseMove, point, NONE, NONE)
    send(canvas, QEvent.Type.MouseButtonPress, point, LEFT, LEFT)


def move(canvas, point):
    send(canvas, QEvent.Type.MouseMove, point, NONE, LEFT)
    QTest.qWait(20)  # vispy drops moves that come within 10 ms


def release(canvas, point):
    send(canvas, QEvent.Type.MouseButtonRelease, point, LEFT, NONE)
