"""What a session knows of a tracked sequence: saved, opened again, undone, and gone with what it is of."""

import json
from dataclasses import replace

import pytest
import torch
from session_parts import make_radiograph, twist

from napari_xreg.files import ReadError
from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import write_radiograph
from napari_xreg.registration import Smoothed
from napari_xreg.session import (
    ALONE,
    Autosave,
    BodiesTrack,
    FrameState,
    SequenceTrack,
    Session,
    Source,
    Track,
    TrackedFrame,
    file_source,
    read_session,
    write_session,
)

ARM = CArm(1010.0, 620.0, Detector((12, 17), (2.7, 1.9), (5.25, 9.5)))
RIG = twist(0.1, -0.2, 0.3, 4.0, 5.0, 600.0)


def at(number: float) -> Pose:
    return twist(0.01 * number, 0.02, -0.03 * number, number, -2.0, 3.0) @ RIG


def body(off: float) -> Track:
    covariance = torch.diag(torch.arange(1.0, 7.0, dtype=torch.float64)) + off
    frames = (
        TrackedFrame(4, 0.0, FrameState.KEY, RIG, at(off)),
        TrackedFrame(
            5, 0.125, FrameState.DOUBTFUL, RIG, at(off + 1), covariance, 0.375, 0.5, 1.75, "why", 1
        ),
        TrackedFrame(7, None, FrameState.OPEN, RIG, words="lost"),
    )
    smooth = Smoothed(tuple(at(off + k) for k in range(3)), (covariance,) * 3, 0.25, 1.5)
    pivot = torch.tensor([1.5, -2.5, off], dtype=torch.float64)
    return Track(frames, pivot, ARM, smooth, True, False, ("a note",))


@pytest.fixture
def tracked(session, tmp_path):
    """Two bones in three frames of the radiographs "frontal" and "lateral"; a key of one of them."""
    ids = tuple(entry.id for entry in session.exposures.all)
    for name in ("a_4.npz", "b_4.npz"):
        write_radiograph(tmp_path / name, make_radiograph())
    joint = torch.arange(144.0, dtype=torch.float64).reshape(12, 12) + 1.0
    joint[:6], joint[:, :6] = torch.nan, torch.nan
    found = BodiesTrack(("patient", "hip_left"), (body(0.0), body(10.0)), (None, joint, None))
    sources = (
        file_source(tmp_path / "a_4.npz"),
        Source(str(tmp_path / "b_4.npz"), options={"frame": 4}),
    )
    track = SequenceTrack(
        ids, sources, 4, (4, 5, 7), {"patient": (), "hip_left": (77,)}, found, chosen="hip_left", voxels="ab12"
    ).keep("hip_left", 5, {ids[0]: at(2.5), ids[1]: at(3.5)})  # fmt: skip
    session.sequence.set(track, "track the sequence")
    return track


def same(one: Pose, other: Pose) -> bool:
    return torch.allclose(one.matrix(), other.matrix(), rtol=0, atol=1e-12)


def check(read: SequenceTrack | None, tracked: SequenceTrack) -> None:
    assert read is not None
    assert (read.radiographs, read.start, read.numbers) == (tracked.radiographs, 4, (4, 5, 7))
    assert (read.chosen, read.voxels) == ("hip_left", "ab12")
    assert dict(read.bones) == {"patient": (), "hip_left": (77,)}
    assert read.found.names == ("patient", "hip_left")
    for one, other in zip(read.found.tracks, tracked.found.tracks, strict=True):
        for now, was in zip(one.frames, other.frames, strict=True):
            assert replace(now, rig_from_camera=RIG, world_from_camera=None, covariance=None).__dict__ == replace(
                was, world_from_camera=None, covariance=None
            ).__dict__  # fmt: skip
            assert same(now.rig_from_camera, RIG)
            assert (now.world_from_camera is None) == (was.world_from_camera is None)
            assert now.world_from_camera is None or same(
                now.world_from_camera, was.world_from_camera
            )
        assert torch.equal(one.frames[1].covariance, other.frames[1].covariance)
        assert torch.equal(one.pivot, other.pivot)
        assert one.carm == ARM
        assert (one.simulated, one.cancelled, one.notes) == (True, False, ("a note",))
        assert (one.smoothed.turn_deg, one.smoothed.way_mm) == (0.25, 1.5)
        assert all(map(same, one.smoothed.poses, other.smoothed.poses))
        assert torch.equal(one.smoothed.covariances[2], other.smoothed.covariances[2])
    joint = read.found.covariances[1]
    assert bool(joint[:6].isnan().all())
    assert bool(joint[:, :6].isnan().all())
    assert torch.equal(joint[6:, 6:], tracked.found.covariances[1][6:, 6:])
    assert read.found.covariances[0] is None
    (key,) = read.keys("hip_left").items()
    assert key[0] == 5
    assert same(key[1][tracked.radiographs[1]], at(3.5))
    assert read.keys("patient") == {}


def test_it_is_saved_and_opened_again(session, tracked, tmp_path):
    (tmp_path / "there").mkdir()
    file, *_ = write_session(tmp_path / "work.xreg.json", session)
    opened = read_session(file)
    assert opened.problems == ()
    check(opened.sequence.track, tracked)
    sources = opened.sequence.track.sources
    assert [source.path for source in sources] == [str(tmp_path / f"{c}_4.npz") for c in "ab"]
    assert sources[1].options == {"frame": 4}
    assert not opened.unsaved


def test_its_files_are_found_where_they_were_moved_with_the_session(session, tracked, tmp_path):
    write_session(tmp_path / "work.xreg.json", session)
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    tmp_path.rename(moved)
    opened = read_session(moved / "work.xreg.json")
    assert [source.path for source in opened.sequence.track.sources] == [
        str(moved / f"{c}_4.npz") for c in "ab"
    ]


def test_a_copy_of_the_work_has_it(session, tracked, tmp_path):
    assert session.unsaved
    autosave = Autosave(tmp_path)
    autosave.write(session.capture()())
    check(read_session(autosave.folder / "session.xreg.json").sequence.track, tracked)
    autosave.clear()


def test_a_file_of_before_opens_and_a_damaged_track_is_said(session, tracked, tmp_path):
    file, *_ = write_session(tmp_path / "work.xreg.json", session)
    data = json.loads(file.read_text(encoding="utf-8"))
    entry = data.pop("track")
    file.write_text(json.dumps(data), encoding="utf-8")
    assert read_session(file).sequence.track is None
    older = {name: value for name, value in entry.items() if name not in ("chosen", "voxels")}
    file.write_text(json.dumps({**data, "track": older}), encoding="utf-8")
    assert read_session(file).sequence.track.chosen == ALONE
    for damage, words in (
        ({"radiographs": ["frontal", "gone"]}, "gone"),
        ({"found": {**entry["found"], "tracks": entry["found"]["tracks"][:1]}}, "1 tracks of 2"),
        ({"sources": entry["sources"][:1]}, "not there"),
        ({"start": "4"}, "start"),
    ):
        file.write_text(json.dumps({**data, "track": {**entry, **damage}}), encoding="utf-8")
        with pytest.raises(ReadError, match="the track of the sequence is damaged") as error:
            read_session(file)
        assert words in str(error.value)


def test_undo_takes_it_back_and_it_goes_with_what_it_is_of(session, tracked):
    heard = []
    session.sequence.changed.connect(lambda: heard.append(session.sequence.track))
    ids = tracked.radiographs
    assert tracked.forget("hip_left", 5).keys("hip_left") == {}
    session.exposures.remove(ids[0])
    assert session.sequence.track is None
    session.undo()
    assert session.sequence.track is tracked
    session.patient.set_volume(None)
    assert session.sequence.track is None
    session.undo()
    assert session.undo() == "track the sequence"
    assert session.sequence.track is None
    session.redo()
    assert heard == [None, tracked, None, tracked, None, tracked]
    with pytest.raises(KeyError):
        Session().sequence.set(tracked, "of no radiograph")
