"""napari-animation beside the plugin: key frames hold our layers, and going back to one moves nothing of ours."""

import pytest
import torch

from napari_xreg.geometry import Pose
from napari_xreg.widgets import PoseWidget

animation = pytest.importorskip("napari_animation")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # napari-animation's own
def test_two_key_frames_are_captured_and_gone_back_to(
    make_napari_viewer, qtbot, patient, radiograph
):
    viewer = make_napari_viewer(show=True)
    widget = PoseWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Pose")
    session, preview = widget.workbench.session, widget.workbench.preview
    session.patient.set_volume(patient.volume)
    session.exposures.add(radiograph, name="xray")
    qtbot.waitUntil(lambda: "DRR" in viewer.layers and not preview.busy, timeout=30_000)
    made = animation.Animation(viewer)
    made.capture_keyframe(steps=2)
    start = session.poses.current
    moved = Pose(start.rotation, start.translation + torch.tensor([7.0, -3.0, 2.0]))
    session.poses.set(moved, "moved")
    qtbot.waitUntil(lambda: not preview.busy, timeout=30_000)
    viewer.layers["xray"].opacity = 0.5
    viewer.camera.zoom *= 1.5
    made.capture_keyframe(steps=2)
    assert len(made.key_frames) == 2
    shown = viewer.layers["DRR"].data.copy()
    made.set_to_keyframe(0)
    assert viewer.layers["xray"].opacity == 1.0
    # The look of a key frame comes back; the pose and its picture are the session's.
    torch.testing.assert_close(session.poses.current.translation, moved.translation)
    assert (viewer.layers["DRR"].data == shown).all()
    frames = [frame.shape for frame in made._frames.iter_frames(viewer, canvas_only=True)]
    assert len(frames) == 3
