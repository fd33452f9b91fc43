"""Bones of a trial in a session: each from its own CT, placed where Autoscoper's own formulas see it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from trial_maker import STACK, TRACKED, seen
from trial_session import BONES, ULNA, opened, shifted, tracked_trial

from napari_xreg.images import ReadError
from napari_xreg.progress import run
from napari_xreg.records import read_tra
from napari_xreg.session import (
    ALONE,
    BodiesTrack,
    FrameState,
    Track,
    TrackedFrame,
)
from napari_xreg.workflows import (
    SequenceExport,
    TrackSettings,
    export_sequence,
    find_sequence,
    poses_in,
    track_request,
    track_session,
    trial_of,
    with_said,
)

INDEX = (1.0, 4.0, 5.0)


@pytest.fixture
def trial(tmp_path):
    return tracked_trial(tmp_path)


def found_in(session, *bones, known=None):
    return find_sequence(
        track_request(session, TrackSettings(), dict.fromkeys(bones, ()), known=known)
    )


def pixel_of(session, id, volume, pose, index=INDEX):
    world = volume.world_from_index.double() @ torch.tensor([*index, 1.0], dtype=torch.float64)
    return session.exposures[id].radiograph.carm.project(world[:3], pose).tolist()


@pytest.mark.parametrize("first", [0, 1])
def test_each_bone_stands_where_autoscoper_has_it_and_has_its_own_voxels(trial, first):
    session, ids = opened(trial, first=first)
    found = found_in(session, "uln")
    assert [body.name for body in found.bodies] == ["rad", "uln"]
    assert found.nowhere == ()
    assert found.sequence.ids == (ids[first], ids[1 - first])
    for body, matrix in zip(found.bodies, (TRACKED, ULNA), strict=True):
        own = found.own[body.name]
        for camera, pose in zip(found.sequence.ids, body.world_from_camera, strict=True):
            pixel = pixel_of(session, camera, own.volume, pose)
            assert pixel == pytest.approx(seen(INDEX, ids.index(camera), matrix), abs=1e-6)
    assert found.own["rad"].volume is session.patient.volume
    assert not torch.equal(found.own["uln"].volume.lac, session.patient.volume.lac)
    # Asked again with what was read, no CT is read anew.
    again = found_in(session, "uln", known=found.own)
    assert [again.own[n].volume for n in ("rad", "uln")] == [
        found.own[n].volume for n in ("rad", "uln")
    ]
    assert again.track.voxels == found.track.voxels != ""
    assert again.is_of(found.track)


def test_a_bone_that_nobody_has_placed_is_not_tracked_from_a_guess(trial):
    session, _ = opened(trial)
    request = track_request(session, TrackSettings(), {"uln": (), "mc3": ()})
    assert find_sequence(request).nowhere == ("mc3",)
    with pytest.raises(ValueError, match=r"in frame 7 no pose of mc3 is known: choose it"):
        run(track_session(request))


def test_which_bone_the_ct_is(trial, tmp_path):
    session, _ = opened(trial, "uln")
    assert trial_of(session.patient.volume_source).present == "uln"
    assert trial_of(session.patient.volume_source).names == BONES
    assert trial_of(None) is None
    elsewhere = replace(session.patient.volume_source, path=str(tmp_path / "volumes"))
    with pytest.raises(ReadError, match="volumes is none of its volumes"):
        trial_of(elsewhere)


def test_a_trial_that_is_gone_leaves_the_bone_that_is_open(trial):
    session, _ = opened(trial)
    trial.unlink()
    found = found_in(session)
    assert list(found.track.bones) == [ALONE]
    assert any("Its trial is not used" in note for note in found.notes)
    with pytest.raises(ReadError):
        found_in(session, "uln")


def test_the_trial_s_poses_are_shown_in_other_frames_and_kept_where_asked(trial):
    session, ids = opened(trial, first=1)
    found = found_in(session, "uln")
    rig = {id: session.exposures[id].world_from_camera for id in reversed(ids)}
    said = found.own["rad"].said(8, ids[1])
    poses = poses_in(found.track, None, "rad", 8, rig, said)
    for camera in (0, 1):
        pixel = pixel_of(session, ids[camera], found.own["rad"].volume, poses[ids[camera]])
        assert pixel == pytest.approx(seen(INDEX, camera, shifted(TRACKED, 8)), abs=1e-6)
    assert found.own["rad"].said(6, ids[1]) is None
    # What the user has kept stays; of the ulna there is one pose.
    mine = {id: pose @ pose.inverse() for id, pose in rig.items()}
    kept, count = with_said(found.track.keep("rad", 7, mine), found.own, rig)
    assert count == 2
    assert {name: sorted(frames) for name, frames in kept.kept.items() if frames} == {
        "rad": [7, 8], "uln": [7],
    }  # fmt: skip
    assert kept.keys("rad")[7] is mine
    session.sequence.set(kept, "keep")
    again = found_in(session, "uln")
    assert sorted(again.request.keys) == [7, 8]
    assert again.request.keys[8][1] is None


def test_poses_that_were_kept_of_one_bone_alone_are_still_of_it_among_several(trial):
    session, ids = opened(trial)
    poses = {id: session.exposures[id].world_from_camera for id in ids}
    alone = found_in(session).track.keep(ALONE, 8, poses)
    session.sequence.set(alone, "keep")
    several = found_in(session, "uln").track
    assert several.keys("rad")[8] is poses
    session.sequence.set(several.forget("rad", 8).keep("uln", 7, poses), "forget")
    assert found_in(session).track.keys(ALONE) == {}
    assert found_in(session, "uln").track.keys("uln")[7] is poses


@pytest.mark.parametrize("bones", [("uln",), ()])
def test_what_is_exported_is_read_by_autoscoper_as_it_was(trial, tmp_path, bones):
    """Of the second camera, which is the active one; frame 8 is not trusted."""
    session, ids = opened(trial, first=1)
    found = found_in(session, *bones)
    states = {6: FrameState.TRACKED, 7: FrameState.KEY, 8: FrameState.DOUBTFUL}
    arm = session.exposures[ids[1]].radiograph.carm
    matrices = {"rad": TRACKED, "uln": ULNA, ALONE: TRACKED}

    def track_of(name):
        pose = found.own[name].said(7, ids[1])
        frames = (TrackedFrame(n, None, state, pose, pose) for n, state in states.items())
        return Track(tuple(frames), torch.zeros(3).double(), arm)

    names = tuple(found.track.bones)
    tracks = BodiesTrack(names, tuple(map(track_of, names)), (None,) * 3)
    written = export_sequence(SequenceExport(tmp_path / "out", found, tracks, ids[1]))
    assert written.missing == {}
    for name in names:
        (first,), (second,), (none,) = read_tra(tmp_path / "out" / name / "autoscoper.tra", 1)
        for line in (first, second):
            np.testing.assert_allclose(line.matrix().numpy(), matrices[name], atol=1e-8)
        assert none is None
    assert STACK == tuple(session.patient.volume.shape)
