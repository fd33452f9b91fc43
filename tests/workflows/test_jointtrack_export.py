"""A track as JointTrack reads it: trusted frames only, seen from the first camera."""

import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Volume
from napari_xreg.records import read_jointtrack
from napari_xreg.session import FrameState, Track, TrackedFrame
from napari_xreg.workflows import Frames
from napari_xreg.workflows.tracking.exporting import TrackExport, export_table, export_track

ARM = CArm(1000.0, 700.0, Detector((30, 40), (0.9, 1.3), (12.0, 25.0)))
VOLUME = Volume(torch.zeros(4, 5, 6), torch.eye(4).double())
# From 700 mm before the patient's back, at angles 0 (DESIGN 3: x = -x, y = -z, z = -y), 6 mm to the left.
FRONTAL = Pose(
    torch.tensor([[-1.0, 0, 0], [0, 0, -1], [0, -1, 0]], dtype=torch.float64),
    torch.tensor([6.0, 698.0, 3.0], dtype=torch.float64),
)


def test_frames_that_are_trusted_are_where_the_camera_saw_them(tmp_path):
    states = (FrameState.TRACKED, FrameState.DOUBTFUL, FrameState.KEY, FrameState.OPEN)
    frames = tuple(
        TrackedFrame(n, None, state, FRONTAL, None if state is FrameState.OPEN else FRONTAL)
        for n, state in enumerate(states, start=3)
    )
    export_table(tmp_path / "out", Track(frames, torch.zeros(3).double(), ARM))
    found = read_jointtrack(tmp_path / "out" / "jointtrack.jts")
    assert [pose is None for pose in found] == [False, True, False, True]
    # The point (1, -2, 13) is 6 - 1 mm along the camera's x, 13 - 3 above its middle, 698 + 2 before the source.
    point = torch.tensor([1.0, -2.0, 13.0], dtype=torch.float64)
    for pose in (found[0], found[2]):
        there = pose.apply(point)
        torch.testing.assert_close(
            there, torch.tensor([5.0, 10.0, -700.0], dtype=torch.float64), rtol=0, atol=1e-6
        )


def test_frames_that_were_not_reached_keep_their_lines(tmp_path):
    # Cancelled after two of five frames: JointTrack puts the third line to the third picture.
    frames = tuple(TrackedFrame(n, None, FrameState.TRACKED, FRONTAL, FRONTAL) for n in (13, 14))
    track = Track(frames, torch.zeros(3).double(), ARM, cancelled=True)
    sequence = Frames((11, 12, 13, 14, 17), lambda number: ())
    export_track(TrackExport(tmp_path / "out", track, sequence, VOLUME, film=False))
    found = read_jointtrack(tmp_path / "out" / "jointtrack.jts")
    assert [pose is not None for pose in found] == [False, False, True, True, False]
