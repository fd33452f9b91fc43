"""A patient who moves in front of two cameras: found in every frame, or left open; never guessed.

Radiographs are made by the simulator's own integrator, not by the renderer that is tested.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from trial_maker import CAMERAS, SHAPE, STACK, TRACKED, seen, write_trial

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Cine, ReadError, read_radiograph, read_volume
from napari_xreg.progress import Control, run
from napari_xreg.records import read_jointtrack, read_tra, read_track, viewer_from_camera
from napari_xreg.registration import smoothed, step_between
from napari_xreg.session import FrameState, Rendering, Track, TrackedFrame
from napari_xreg.simulation import CLEAN, phantom, simulate_radiograph
from napari_xreg.workflows import (
    TrackExport,
    TrackRequest,
    TrackSettings,
    TrialRequest,
    export_track,
    frames_of,
    only,
    track,
    trial_cines,
    trial_files,
    write_autoscoper,
)
from napari_xreg.workflows.tracking import sought

PATIENT = phantom(spacing_mm=3.0, seed=4)
CENTER = PATIENT.volume.center.double()
FRONT = CArm(1020.0, 740.0, Detector((96, 104), (2.9, 3.1), (44.0, 55.0)))
SIDE = CArm(980.0, 700.0, Detector((88, 80), (3.2, 3.4), (40.0, 44.0)))
NUMBERS = (3, 4, 5, 6, 7, 9)  # frame 8 was never written
QUICK = TrackSettings(pixels=96, retry_starts=0)


def truth(number: int) -> Pose:
    """How the patient has moved: by 2.3 degrees and 3 mm a frame."""
    at = float(number - 5)
    twist = torch.tensor([0.02, 0.03, -0.02, 2.0, -2.0, 1.0], dtype=torch.float64) * at
    return Pose.identity().left_perturb(twist, CENTER)


RIG = (
    FRONT.world_from_camera(14.0, -8.0, 3.0, isocenter=CENTER),
    SIDE.world_from_camera(98.0, 4.0, -6.0, isocenter=CENTER),
)


def seen_by(arm, pose, **more):
    made = simulate_radiograph(PATIENT.volume, None, arm, pose, severity=CLEAN, seed=5)
    return replace(made.radiograph, **({"nominal": None} | more))


@pytest.fixture(scope="module")
def volume():
    return PATIENT.volume


@pytest.fixture(scope="module")
def images():
    return [
        {n: seen_by(arm, truth(n) @ pose) for n in NUMBERS}
        for arm, pose in zip((FRONT, SIDE), RIG, strict=True)
    ]


def cine(images, numbers=NUMBERS, **more):
    return Cine(tuple(numbers), lambda number: images[number], source="made", **more)


def off(found: Pose, number: int) -> tuple[float, float]:
    """Degrees and mm of the body from where it was, at its middle."""
    beside = step_between(truth(number) @ RIG[0], found, CENTER)
    return math.degrees(float(beside[:3].norm())), float(beside[3:].norm())


def started(pose: Pose) -> Pose:
    """A start that is off."""
    return pose.left_perturb(
        torch.tensor([0.02, -0.01, 0.02, 2.0, 2.0, -2.0], dtype=torch.float64), CENTER
    )


@pytest.fixture(scope="module")
def both(volume, images):
    """Two cameras, started in the middle frame; where frame 6 says when it comes."""
    cines = [cine(images[0], times_s=(0.1, 0.2, 0.3, 0.4, 0.5, 0.7)), cine(images[1])]
    rig = [started(pose) for pose in RIG]
    frames = frames_of(cines, rig, 5, CENTER)
    events = []
    found = run(
        track(TrackRequest(volume, frames, 5, isocenter=CENTER, settings=QUICK)), events.append
    )
    return found, events


@pytest.mark.slow
def test_every_frame_is_found_in_both_directions(both):
    found, events = both
    assert [frame.number for frame in events] == [5, 6, 7, 9, 4, 3]
    assert found.counts[FrameState.TRACKED] == 6
    assert found.complete
    assert found.simulated
    assert found.words == "6 simulated frames: 6 tracked."
    for frame in found.frames:
        degrees, mm = off(frame.world_from_camera, frame.number)
        assert degrees < 0.1
        assert mm < 0.3


@pytest.mark.slow
def test_times_begin_at_the_first_frame(both):
    assert [frame.time_s for frame in both[0].frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.6])


@pytest.mark.slow
def test_the_smooth_motion_lies_in_the_frames_it_belongs_to(both):
    """Also after the frame that is missing, where it has gone twice as far."""
    found, _ = both
    for place, frame in enumerate(found.frames):
        degrees, mm = off(found.smooth_pose(place), frame.number)
        assert degrees < 0.1
        assert mm < 0.3


@pytest.mark.slow
def test_it_expects_the_body_to_go_on(volume, images, monkeypatch):
    """Frame 9 comes two frames after 7: twice the step, in what is expected and in what is smoothed."""
    from napari_xreg.workflows.tracking import smooth_motion, sought

    asked = {}

    def told(request, *, control, judge=True):
        if not (judge and asked):  # the first look at each frame
            asked[len(asked)] = request.views[0].world_from_camera
        found = yield from original(request, control=control, judge=judge)
        return found

    gaps = []

    def smooth(poses, covariances, pivot, steps):
        gaps.extend(steps)
        return smoothed(poses, covariances, pivot, steps)

    monkeypatch.setattr(smooth_motion, "smoothed", smooth)
    original = sought.refine
    monkeypatch.setattr(sought, "refine", told)
    frames = frames_of([cine(images[0])], [truth(5) @ RIG[0]], 5, CENTER)
    run(track(TrackRequest(volume, only(frames, 5), 5, isocenter=CENTER, settings=QUICK)))
    expected = [
        off(pose, number)[1] for pose, number in zip(asked.values(), (5, 6, 7, 9), strict=True)
    ]
    assert expected[0] == pytest.approx(0.0, abs=1e-6)
    assert expected[1] == pytest.approx(3.0, abs=0.6)  # nothing is known of the velocity yet
    assert max(expected[2:]) < 1.5
    assert gaps == [1, 1, 1, 2]


@pytest.mark.slow
def test_scatter_is_judged_in_whole_pictures_that_a_coarse_look_has_brought_near(
    volume, images, monkeypatch
):
    """Not at the coarse look, and not of bone above water: that is no whole patient."""
    asked = []

    def refine(request, *, control, judge=True):
        asked.append(request.settings.begun_near)
        raise InterruptedError

    monkeypatch.setattr(sought, "refine", refine)
    monkeypatch.setattr(sought, "as_bright", lambda settings, before: settings)
    nothing = sought.Found(())
    frames = frames_of([cine(images[0])], [RIG[0]], 5, CENTER)
    seen = [frames.views(5)]
    for what in (volume, Rendering(volume, None, attenuation="above water")):
        body = sought.OneBody(TrackRequest(what, frames, 5, settings=QUICK), Control())
        for look in (body.rough, body.fine):
            with pytest.raises(InterruptedError):
                look(seen, nothing)
    assert asked == [False, True, False, False]


def test_a_frame_that_shows_nothing_is_left_open_and_the_next_is_found(volume, images):
    """A dropped frame: flat grey with noise. Keys stay as they are, to the bit."""
    shown = dict(images[0])
    noise = torch.rand(shown[6].line_integrals.shape, generator=torch.Generator().manual_seed(1))
    shown[6] = replace(shown[6], line_integrals=noise)
    frames = frames_of([cine(shown)], [started(RIG[0])], 5, CENTER)
    key = (truth(5) @ RIG[0]).left_perturb(torch.full((6,), 1e-3).double(), CENTER)
    found = run(track(TrackRequest(volume, frames, 5, {5: key}, isocenter=CENTER, settings=QUICK)))
    states = {frame.number: frame.state for frame in found.frames}
    assert states.pop(6) in (FrameState.OPEN, FrameState.DOUBTFUL)
    assert states.pop(5) is FrameState.KEY
    assert set(states.values()) == {FrameState.TRACKED}
    given = found.frames[2]
    assert torch.equal(given.world_from_camera.matrix(), key.matrix())
    assert not found.complete
    lacking = found.frames[3]
    assert lacking.words
    if lacking.state is FrameState.OPEN:
        assert lacking.world_from_camera is None
    # The smooth motion passes through the frame that shows nothing.
    assert off(found.smooth_pose(3), 6)[1] < 1.0


@pytest.mark.slow
def test_what_is_lost_is_not_looked_for_for_ever(volume, images):
    """The patient is gone after frame 5; the way back is gone all the same."""
    blank = {n: replace(images[0][n], line_integrals=torch.zeros(96, 104)) for n in (6, 7, 9)}
    frames = frames_of([cine(images[0] | blank)], [RIG[0]], 5, CENTER)
    events = []
    settings = replace(QUICK, lost_after=2)
    found = run(
        track(TrackRequest(volume, frames, 5, isocenter=CENTER, settings=settings)), events.append
    )
    assert [frame.number for frame in events] == [5, 6, 7, 4, 3]
    assert [frame.state for frame in found.frames[3:]] == [FrameState.OPEN] * 3
    assert "no usable content" in found.frames[3].words
    assert found.frames[-1].words == "Lost before this frame."
    assert found.frames[-1].world_from_camera is None


@pytest.mark.slow
def test_a_file_that_cannot_be_read_is_one_frame_that_is_open(volume, images):
    """Not the end of an hour's work; where it is the frame to start from, that is said."""

    def read(number):
        if number == 6:
            raise ReadError("frame_6.tif: is cut off")
        return images[0][number]

    frames = frames_of([Cine(NUMBERS, read)], [RIG[0]], 5, CENTER)
    request = TrackRequest(volume, frames, 5, isocenter=CENTER, settings=QUICK)
    found = run(track(replace(request, frames=only(frames, 5))))
    states = [(frame.state, frame.words) for frame in found.frames]
    assert states[1] == (FrameState.OPEN, "frame_6.tif: is cut off")
    assert [state for state, _ in states[2:]] == [FrameState.TRACKED] * 2
    with pytest.raises(ReadError, match="is cut off"):
        run(track(replace(request, start=6)))


@pytest.mark.slow
def test_a_key_frame_mends_what_came_before_it(volume, images):
    """Frame 7 jumps by 40 mm: it cannot be expected from 6, but from the key in 9."""
    far = Pose.identity().left_perturb(torch.tensor([0, 0, 0, 30.0, 0, -30.0]).double(), CENTER)
    jumped = {n: seen_by(FRONT, far @ truth(n) @ RIG[0]) for n in (7, 9)}
    frames = only(frames_of([cine(images[0] | jumped)], [RIG[0]], 5, CENTER), 5)
    request = TrackRequest(volume, frames, 5, isocenter=CENTER, settings=QUICK)
    alone = run(track(request))
    assert not alone.frames[2].state.sure
    key = far @ truth(9) @ RIG[0]
    found = run(track(replace(request, keys={9: key})))
    assert found.frames[2].state is FrameState.TRACKED
    beside = step_between(far @ truth(7) @ RIG[0], found.frames[2].world_from_camera, CENTER)
    assert float(beside[3:].norm()) < 2.0
    assert found.frames[1].state is FrameState.TRACKED


@pytest.mark.slow
def test_a_c_arm_that_moves_by_its_header(volume):
    """The patient lies still, but not as the header thinks; the camera goes 4 degrees a frame."""
    lies = Pose.identity().left_perturb(
        torch.tensor([0.1, -0.15, 0.1, 8.0, -5.0, 6.0]).double(), CENTER
    )
    shown, stood = {}, {}
    for number in NUMBERS[:3]:
        said = FRONT.world_from_camera(4.0 * number, 0.0, 0.0, isocenter=CENTER)
        stood[number] = lies @ said
        nominal = FRONT.carm_pose(said, CENTER)
        shown[number] = seen_by(FRONT, stood[number], nominal=nominal)
    frames = frames_of([cine(shown, NUMBERS[:3])], [stood[3]], 3, CENTER)
    for number in NUMBERS[:3]:
        (view,) = frames.views(number)
        torch.testing.assert_close(view.world_from_camera.matrix(), stood[number].matrix())
    found = run(track(TrackRequest(volume, frames, 3, isocenter=CENTER, settings=QUICK)))
    assert found.complete
    for frame in found.frames:
        moved = step_between(Pose.identity(), frame.world_from_rig, CENTER)
        # From one view, pixels of 3 mm: mostly depth.
        assert float(moved[3:].norm()) < 1.0


@pytest.mark.slow
def test_cancelled_it_keeps_what_it_has(volume, images):
    control = Control()
    frames = frames_of([cine(images[0])], [RIG[0]], 5, CENTER)
    found = run(
        track(TrackRequest(volume, frames, 5, isocenter=CENTER, settings=QUICK), control=control),
        lambda frame: control.cancel() if frame.number == 6 else None,
    )
    assert found.cancelled
    assert [frame.number for frame in found.frames if frame.state is FrameState.TRACKED] == [5, 6]
    assert found.frames[-1].words == "Cancelled before this frame was done."


def test_cancelled_before_the_first_frame_nothing_is_refined(volume, images):
    control = Control()
    control.cancel()
    frames = frames_of([cine(images[0])], [RIG[0]], 5, CENTER)
    request = TrackRequest(volume, frames, 5, isocenter=CENTER, settings=QUICK)
    found = run(track(request, control=control))
    assert found.cancelled
    assert {frame.state for frame in found.frames} == {FrameState.OPEN}


@pytest.mark.slow
def test_a_key_beyond_a_loss_takes_the_body_up_again(volume, images):
    """Also where its own picture cannot be read: the pose was checked. What follows it is tracked from it."""
    far = Pose.identity().left_perturb(torch.tensor([0, 0, 0, 30.0, 0, -30.0]).double(), CENTER)
    lost = {n: replace(images[0][n], line_integrals=torch.zeros(96, 104)) for n in (4,)}
    jumped = {n: seen_by(FRONT, far @ truth(n) @ RIG[0]) for n in (6, 7)}
    shown = images[0] | lost | jumped

    def read(number):
        if number == 5:
            raise ReadError("frame_5.tif: is cut off")
        return shown[number]

    numbers = (3, 4, 5, 6, 7)
    frames = frames_of([Cine(numbers, read)], [truth(3) @ RIG[0]], 3, CENTER)
    keys = {5: far @ truth(5) @ RIG[0]}
    settings = replace(QUICK, lost_after=1)
    found = run(track(TrackRequest(volume, frames, 3, keys, isocenter=CENTER, settings=settings)))
    states = [frame.state for frame in found.frames]
    assert states[1] is FrameState.OPEN
    assert states[2:] == [FrameState.KEY, FrameState.TRACKED, FrameState.TRACKED]
    beside = step_between(far @ truth(7) @ RIG[0], found.frames[4].world_from_camera, CENTER)
    assert float(beside[3:].norm()) < 2.0


@pytest.mark.slow
def test_a_correction_is_no_motion(volume, images, monkeypatch):
    """After a key that corrects by 9 degrees the body is expected where the key has it."""
    from napari_xreg.workflows.tracking import sought

    asked = []

    def told(request, *, control, judge=True):
        asked.append(request.views[0].world_from_camera)
        found = yield from original(request, control=control, judge=judge)
        return found

    original = sought.refine
    monkeypatch.setattr(sought, "refine", told)
    turn = torch.tensor([0.16, 0.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    key = (truth(6) @ RIG[0]).left_perturb(turn, CENTER)
    frames = only(frames_of([cine(images[0])], [truth(5) @ RIG[0]], 5, CENTER), 5, 7)
    run(track(TrackRequest(volume, frames, 5, {6: key}, isocenter=CENTER, settings=QUICK)))
    torch.testing.assert_close(asked[1].matrix(), key.matrix(), atol=1e-9, rtol=0)


@pytest.mark.slow
def test_a_frame_that_cannot_be_read_does_not_take_the_table_along(both, volume, images, tmp_path):
    def read(number):
        if number == 4:
            raise ReadError("is cut off")
        return images[0][number]

    frames = frames_of([Cine(NUMBERS, read)], RIG[:1], 5, CENTER)
    names = export_track(TrackExport(tmp_path / "out", both[0], frames, volume)).files
    assert names == ("track.csv", "jointtrack.jts", "track.gif")


def test_frames_that_do_not_fit(volume, images):
    one = cine(images[0])
    with pytest.raises(ReadError, match="share no frame"):
        frames_of([one, Cine((1, 2), images[1].__getitem__)], RIG, 5, CENTER)
    with pytest.raises(ReadError, match="has no frame 8: there are 3 to 9"):
        frames_of([one], RIG[:1], 8, CENTER)
    with pytest.raises(ValueError, match="1 cameras and 2 poses"):
        frames_of([one], RIG, 5, CENTER)
    frames = frames_of([one], RIG[:1], 5, CENTER)
    assert only(frames, 4, 7, 2).numbers == (4, 6)
    with pytest.raises(ValueError, match="no frame is left from 10"):
        only(frames, 10)
    with pytest.raises(ValueError, match="there is no frame 8"):
        run(track(TrackRequest(volume, frames, 5, {8: RIG[0]})))


@pytest.mark.slow
def test_what_is_written(both, volume, images, tmp_path):
    found, _ = both
    frames = frames_of([cine(images[0]), cine(images[1])], RIG, 5, CENTER)
    names = export_track(TrackExport(tmp_path / "out", found, frames, volume)).files
    assert names == ("track.csv", "jointtrack.jts", "track.gif")
    rows = read_track(tmp_path / "out" / "track.csv").rows
    assert [row.frame for row in rows] == list(NUMBERS)
    for row, frame, place in zip(rows, found.frames, range(6), strict=True):
        torch.testing.assert_close(row.world_from_camera.matrix(), frame.world_from_camera.matrix())
        torch.testing.assert_close(row.smooth.matrix(), found.smooth_pose(place).matrix())
        torch.testing.assert_close(row.covariance, frame.covariance)
        torch.testing.assert_close(row.smooth_covariance, found.smoothed.covariances[place])
    assert (tmp_path / "out" / "track.gif").read_bytes()[:4] == b"GIF8"
    lines = read_jointtrack(tmp_path / "out" / "jointtrack.jts")
    for line, frame in zip(lines, found.frames, strict=True):
        assert (line is not None) == frame.state.sure
        if line is not None:
            camera_from_world = viewer_from_camera().inverse() @ line
            expected = frame.world_from_camera.to(dtype=torch.float64).inverse().matrix()
            torch.testing.assert_close(camera_from_world.matrix(), expected, rtol=0, atol=1e-4)
    assert any(frame.state.sure for frame in found.frames)


def trial_track(files, pose):
    """A track of two frames, the second not trusted."""
    rows, columns = SHAPE
    first = TrackedFrame(7, None, FrameState.TRACKED, pose, pose)
    second = TrackedFrame(8, None, FrameState.DOUBTFUL, pose, pose)
    arm = CArm(1000.0, 700.0, Detector((rows, columns), (1.0, 1.0)))
    return Track((first, second), torch.zeros(3).double(), arm)


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_autoscoper_sees_the_bone_where_it_was_tracked(tmp_path, scale):
    """In the unit of the calibration; numbers of Autoscoper's own formulas (`seen`)."""
    matrix = TRACKED.copy()
    matrix[:3, 3] *= scale
    trial = write_trial(tmp_path, frames=(6, 7, 8), scale=scale)
    given = tmp_path / "given.tra"
    line = ",".join(f"{v:.12f}" for v in matrix.flatten())
    given.write_text(f"{line}\n" * 3)
    files = trial_files(TrialRequest(trial, 7, "rad", poses=given))
    first = files.radiographs[0]
    radiograph = read_radiograph(first.path, **first.options)
    pose = radiograph.carm.pose_from(radiograph.nominal)
    path = tmp_path / "found.tra"
    write_autoscoper(path, trial_track(files, pose), files, STACK)
    (none,), (found,), (missing,) = read_tra(path, 1)
    np.testing.assert_allclose(found.matrix().numpy(), matrix, atol=1e-9)
    # Frame 6 was not asked for; a line is a frame all the same.
    assert (none, missing) == (None, None)
    volume = read_volume(files.volume.path, **files.volume.options)
    world = volume.world_from_index @ torch.tensor([3.0, 1.0, 2.0, 1.0], dtype=torch.float64)
    assert radiograph.carm.project(world[:3], pose).tolist() == pytest.approx(seen((3, 1, 2), 0))


def test_the_frames_of_a_trial(tmp_path):
    trial = write_trial(tmp_path, frames=(7, 8))
    files = trial_files(TrialRequest(trial, 8, "rad"))
    cines = trial_cines(trial, [dict(each.options) for each in files.radiographs])
    assert [each.numbers for each in cines] == [(7, 8)] * len(CAMERAS)
    for each, named in zip(cines, files.radiographs, strict=True):
        at_start = read_radiograph(named.path, **named.options)
        assert torch.equal(each.read(8).line_integrals, at_start.line_integrals)
        assert not torch.equal(each.read(7).line_integrals, at_start.line_integrals)
