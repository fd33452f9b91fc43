"""A bench on which RayEmb is right by construction, and what a hand does to a RayEmb widget."""

import ideal_encoder
import torch
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_xreg.geometry import CArmPose
from napari_xreg.rayemb import Looks, Polarity, PreparedNetwork, TemplateSettings, WeightsFile


def prepare_ideally(session, truth):
    """As the Prepare button leaves it, but every heatmap peaks where the point really is.

    Parameters
    ----------
    truth
        Where the active radiograph was taken.
    """
    encoder, active, center = (
        ideal_encoder.IdealEncoder(),
        session.exposures.active,
        session.patient.volume.center.double(),
    )
    carm = active.radiograph.carm
    prepared = PreparedNetwork(
        encoder,
        session.patient.volume,
        active.masked,
        center,
        ideal_encoder.ideal_templates(encoder, carm, center),
        ideal_encoder.ideal_radiograph(encoder, carm, truth, center),
        Polarity(Looks.RIGHT, 9.0),
        WeightsFile(),
        key=(None, TemplateSettings(), None),
    )
    session.ray_points.set_prepared(prepared, active)


def pose_at(session, **terms):
    """A pose about the CT's middle."""
    x, y, z = (float(v) for v in session.patient.volume.center)
    return session.exposures.active.radiograph.carm.pose_from(
        CArmPose(isocenter=(x, y, z), **terms)
    )


def pixel_of(session, point, pose):
    """Where a point is on the active radiograph, (row, column)."""
    at = torch.tensor([point], dtype=torch.float64)
    return session.exposures.active.radiograph.carm.project(at, pose)[0].tolist()


def in_slices(slices, row, column):
    """The place of a voxel of the slice shown, in the viewport of the plot."""
    down, right, _ = slices.grid.spacing
    scene = slices.pane.view.mapViewToScene(QPointF(column * right, row * down))
    return slices.pane.mapFromScene(scene)


def settled(qtbot, slices):
    """Wait until the window has given the slice its place: a busy machine takes its time."""
    seen = []

    def steady():
        seen.append((in_slices(slices, 0, 0), in_slices(slices, 10, 10)))
        return slices.pane.isVisible() and len(seen) > 3 and len(set(map(str, seen[-4:]))) == 1

    qtbot.waitUntil(steady, timeout=20_000)


def drag(qtbot, widget, places, button=Qt.MouseButton.LeftButton):
    """Press at the first place, move over the others, let go at the last."""
    pressed, none = button, Qt.MouseButton.NoButton

    def send(kind, at, button, held):
        event = QMouseEvent(
            kind, QPointF(at), QPointF(widget.mapToGlobal(at)), button, held,
            Qt.KeyboardModifier.NoModifier,
        )  # fmt: skip
        QApplication.sendEvent(widget, event)
        qtbot.wait(5)

    send(QEvent.Type.MouseButtonPress, places[0], pressed, pressed)
    for place in places[1:]:
        send(QEvent.Type.MouseMove, place, none, pressed)
    send(QEvent.Type.MouseButtonRelease, places[-1], pressed, none)
