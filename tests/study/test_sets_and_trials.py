"""Entries of a manifest that stand for many cases: radiographs of a data set, bones of a trial."""

import pytest
import torch
from trial_maker import TRACKED, write_trial
from twins import write_deepfluoro

from napari_xreg.records import StudyFile
from napari_xreg.study import plan_of
from napari_xreg.study.registering import rows_of
from napari_xreg.study.worst import around

CHEAP = {"name": "a few steps", "starts": 1, "pixels": [32], "iterations": 2, "near_bone_mm": 0}


def planned(folder, **entries):
    said = {"starts": [{"name": "own", "kind": "header"}], "methods": [CHEAP]} | entries
    return plan_of(StudyFile.of(said, "a manifest"), folder)


def keys(plan):
    return [item.key for job in plan.jobs for item in job.items]


def test_radiographs_of_a_data_set(tmp_path):
    write_deepfluoro(tmp_path / "full.h5", specimens=("17-1882",))
    entry = {"path": "full.h5", "group": "pelves"}
    near = [{"name": "near", "spread": 0.5}]
    plan = planned(tmp_path, sets=[entry], starts=near)
    (job,) = plan.jobs
    assert (job.case.name, job.case.subject, job.case.excluded) == ("17-1882 000", "17-1882", "")
    (left,) = plan.left_out
    assert left.startswith("17-1882 003: ")
    (row,) = rows_of(job)
    assert row.failure == ""
    assert (row.group, row.simulated) == ("pelves", False)
    # Half the usual: 1.5 degrees, 5 mm, 7.5 mm in depth.
    assert 1.0 < row.start_errors["mtre_mm"] < 30.0
    assert 0.2 < row.start_errors["rotation_deg"] < 8.0
    assert row.errors["mpd_mm"] < row.start_errors["mpd_mm"]
    everything = planned(tmp_path, sets=[entry | {"with_excluded": True}], starts=near)
    # Taken in: it counts in every figure.
    assert [job.case.excluded for job in everything.jobs] == ["", ""]
    assert everything.left_out == ()
    assert keys(everything)[0] == keys(plan)[0]
    named = planned(tmp_path, sets=[entry | {"views": ["003"]}], starts=near)
    assert keys(named) == keys(everything)[1:]


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trial")
    path = write_trial(folder, frames=(7, 9))
    for name, lines in (("rad", 2), ("short", 1)):
        line = ",".join(repr(value) for value in TRACKED.ravel().tolist())
        (folder / f"{name}.tra").write_text((line + "\n") * lines)
    return path


def test_bones_of_a_trial(trial):
    entry = {"path": "trial.cfg", "volumes": ["rad"], "frame": 9, "poses": "rad.tra"}
    at_it = [{"name": "at it", "kind": "truth", "spread": 0}]
    plan = planned(trial.parent, trials=[entry | {"cameras": [[1], [2], [1, 2]]}], starts=at_it)
    assert [job.case.name for job in plan.jobs] == [
        "trial rad frame 9 camera 1", "trial rad frame 9 camera 2", "trial rad frame 9 camera 1+2",
    ]  # fmt: skip
    assert [job.case.group for job in plan.jobs] == ["camera 1", "camera 2", "camera 1+2"]
    bones = planned(trial.parent, trials=[entry | {"volumes": ["rad", "uln"]}], starts=at_it)
    assert [job.case.group for job in bones.jobs] == ["rad, camera 1+2", "uln, camera 1+2"]
    first, second, both = (rows_of(job)[0] for job in plan.jobs)
    for row, count in ((first, 1), (second, 1), (both, 2)):
        assert row.failure == ""
        assert not row.simulated
        assert len(row.poses) == len(row.start_poses) == count
        # The trial's own pose is the truth.
        assert row.start_errors["mtre_mm"] < 1e-6
        assert "the truth is the pose of rad.tra, line 2" in row.notes
    (camera_2,) = plan.jobs[1].case.described.prepare().radiographs
    assert camera_2.source == "x_cam2.0009.tif"
    for single, of_pair in zip((first, second), both.start_poses, strict=True):
        torch.testing.assert_close(single.start_poses[0].matrix(), of_pair.matrix())


@pytest.mark.parametrize(
    ("kind", "said"),
    [("header", "is the true pose itself"), ("file", "names no pose to start from")],
)
def test_the_truth_of_a_trial_is_no_start(trial, kind, said):
    entry = {"path": "trial.cfg", "volumes": ["rad"], "frame": 9, "poses": "rad.tra"}
    (job,) = planned(trial.parent, trials=[entry], starts=[{"name": "s", "kind": kind}]).jobs
    (row,) = rows_of(job)
    assert said in row.failure
    assert row.truth_known


def test_a_small_bone_is_shown_large(trial):
    entry = {"path": "trial.cfg", "volumes": ["rad"], "frame": 9, "poses": "rad.tra"}
    (job,) = planned(trial.parent, trials=[entry]).jobs
    prepared = job.case.described.prepare()
    first, volume = prepared.radiographs[0], prepared.patient.volume
    for moved in (0.0, -30.0):  # in the middle, and beyond where the rows end
        pose = prepared.truth.left_perturb(
            torch.tensor([0, 0, 0, moved, 0, 0]).double(), torch.zeros(3)
        )
        near = around(volume, first, [pose])
        rows, columns = near.carm.detector.shape
        assert rows == columns < 30 < min(first.carm.detector.shape)
        seen = near.carm.project(volume.corners, pose)
        middle = (seen.amin(0) + seen.amax(0)) / 2
        expected = torch.full((2,), (rows - 1) / 2)
        torch.testing.assert_close(middle, expected, atol=1.1, rtol=0, check_dtype=False)
    behind = prepared.truth.left_perturb(
        torch.tensor([0, 0, 0, 0, 0, -5000.0]).double(), torch.zeros(3)
    )
    assert around(volume, first, [prepared.truth, behind]) is first


def test_without_poses_there_is_no_error(trial):
    entry = {"path": "trial.cfg", "volumes": ["uln"], "frame": 7}
    (job,) = planned(trial.parent, trials=[entry]).jobs
    (row,) = rows_of(job)
    assert row.failure == ""
    assert (row.errors, row.truth_known, len(row.poses)) == ({}, False, 2)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"frame": None}, "holds 2 frames, 7 to 9: choose one"),
        ({"frame": 8}, "has no frame 8: its frames are 7 to 9"),
        ({"volumes": ["scaphoid"]}, "its volumes are rad, uln: got 'scaphoid'"),
        ({"cameras": [[3]]}, "has 2 cameras: got number 3"),
        ({"poses": "short.tra"}, "holds poses of 1 frames, the trial has 2"),
    ],
)
def test_what_a_trial_has_not_is_a_row_with_its_sentence(trial, changed, said):
    entry = {"path": "trial.cfg", "volumes": ["rad"], "frame": 9, "poses": "rad.tra"}
    (job,) = planned(trial.parent, trials=[entry | changed]).jobs
    (row,) = rows_of(job)
    assert said in row.failure


def test_a_case_of_a_trial_depends_on_what_is_read_of_it(tmp_path):
    path = write_trial(tmp_path, frames=(7, 9))

    def now():
        entry = {"path": "trial.cfg", "volumes": ["rad"], "frame": 9}
        return keys(planned(tmp_path, trials=[entry]))

    before = now()
    # A study that is written into the trial's own folder, another frame, another bone.
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "row.json").write_text("{}")
    for file in ("radiographs/cam 1/x_cam1.0007.tif", "volumes/uln.tif"):
        with (tmp_path / file).open("ab") as stream:
            stream.write(b"\0")
    assert now() == before
    for file in (
        "radiographs/cam 2/x_cam2.0009.tif",
        "volumes/rad.tif",
        "calibration/cam2.txt",
        path.name,
    ):
        with (tmp_path / file).open("ab") as stream:
            stream.write(b"\n")
        assert now() != before, file
        before = now()


def test_a_case_of_a_trial_depends_on_what_its_file_of_poses_is_called(tmp_path):
    """A new name alone: the same contents in the same order, and another truth."""
    write_trial(tmp_path)
    tracking = tmp_path / "Tracking"
    tracking.mkdir()
    (tracking / "uln.tra").write_text(",".join(map(repr, TRACKED.ravel().tolist())))

    def now():
        made = planned(tmp_path, trials=[{"path": "trial.cfg", "volumes": ["rad"]}])
        return keys(made), made.jobs[0].case.described.prepare().truth

    before, none = now()
    (tracking / "uln.tra").rename(tracking / "rad.tra")
    after, found = now()
    assert none is None
    assert found is not None
    assert after != before
