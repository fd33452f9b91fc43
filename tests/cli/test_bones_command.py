"""Several bones on the command line: a bar that has moved since the CT, by whole voxels, and its patient."""

import csv
import json

import nibabel
import numpy as np
import pytest
import torch
from moved_bar import MOVED, ORIGIN, SIZE, patient, pose_of_a, radiographs, world_from_index
from trial_maker import TRACKED, write_trial

from napari_xreg.geometry import Pose
from napari_xreg.geometry.axis_conventions import lps_from_ras
from napari_xreg.images import write_radiograph
from napari_xreg.records import write_pose
from napari_xreg.workflows import exporting


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """ct, labels, and two radiographs with the bar moved; both headers are off by the same motion of the rig."""
    folder = tmp_path_factory.mktemp("bones")
    matrix = world_from_index()
    affine = lps_from_ras(matrix).numpy()
    hu, ids = patient()
    for name, values in (("ct", hu), ("labels", ids)):
        stored = np.ascontiguousarray(values.numpy().transpose(2, 1, 0)).astype(np.int16)
        image = nibabel.Nifti1Image(stored, affine)
        image.header.set_xyzt_units("mm")
        nibabel.save(image, folder / f"{name}.nii.gz")
    for name, radiograph in radiographs().items():
        write_radiograph(folder / f"{name}.npz", radiograph)
    return folder


@pytest.mark.slow
def test_a_bone_that_moved_is_found_beside_its_patient(call, case, tmp_path, monkeypatch):
    write = exporting.write_picture

    def no_picture_of_the_patient(path, picture):
        if path.parent.parent.name == "patient":
            raise OSError(28, "No space left on device", str(path))
        write(path, picture)

    monkeypatch.setattr(exporting, "write_picture", no_picture_of_the_patient)
    # As `simulate` writes it: the bar moved by whole voxels, so the camera about it by as much the other way.
    truth = pose_of_a()
    bar = Pose(truth.rotation, truth.translation - torch.tensor(MOVED) * torch.tensor(SIZE))
    _, ids = patient()
    places = torch.nonzero(ids == 76).flip(1).double().numpy() * SIZE + ORIGIN
    known = {"label": 76, "fiducials_mm": places[::40].tolist()}
    head = {"schema": "napari-xreg/simulated-truth", "version": 1}
    (tmp_path / "truth.json").write_text(
        json.dumps(
            {
                **head,
                "world_from_camera": truth.matrix().tolist(),
                "fiducials_mm": [[0.0, 60.0, 300.0], [10.0, 90.0, 320.0]],
                "bones": {"bar": {**known, "world_from_camera": bar.matrix().tolist()}},
            }
        )
    )
    done = call(
        "bones", case / "ct.nii.gz", case / "a.npz", "--radiograph", case / "b.npz", "--labels",
        case / "labels.nii.gz", "--move", "76", "--multi-start", "1", "--out", tmp_path / "o", "--json",
        "--truth", tmp_path / "truth.json",
    )  # fmt: skip
    assert done.code == 1, done.err
    answer = json.loads(done.out)
    full = "No space left on device"
    assert answer["missing"] == {"patient/overlay.png": full, "patient/overlay-2.png": full}
    assert "could not be written: patient/overlay.png (No space left" in done.err
    assert [bone["name"] for bone in answer["bones"]] == ["patient", "76"]
    assert answer["simulated"]
    for bone, fiducials in zip(answer["bones"], (2, len(places[::40])), strict=True):
        assert bone["truth"]["fiducials"] == fiducials
        errors = [
            bone["truth"][when]["mean_target_registration_error_mm"] for when in ("start", "final")
        ]
        assert errors[0] > 2.5
        assert errors[1] < 0.5
        assert bone["as_seen_in"] is None
        assert min(bone["shown"]) > 0.5
        saved = json.loads((tmp_path / "o" / bone["name"] / "result.json").read_text())
        assert saved["truth"]["final"]["mean_target_registration_error_mm"] == errors[1]
        assert [view["shown"] for view in saved["views"]] == bone["shown"]
    lines = (tmp_path / "o" / "between.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# napari-xreg/bones version 1; simulated yes; one_from_other")
    (row,) = csv.DictReader(lines[1:])
    assert (row["one"], row["other"]) == ("patient", "76")
    found = np.array([[float(row[f"m{i}{j}"]) for j in range(4)] for i in range(3)])
    # Where the bar's own voxels are now: by whole voxels from where the CT has them.
    now = places @ found[:, :3].T + found[:, 3]
    error = np.linalg.norm(now - (places + np.multiply(MOVED, SIZE)), axis=1).mean()
    assert error < 0.5
    assert all(0 < float(row[name]) < 5 for name in row if "_sd_" in name)
    for name in ("patient", "76"):
        result = json.loads((tmp_path / "o" / name / "result.json").read_text())
        assert len(result["views"]) == 2
        assert (tmp_path / "o" / name / "overlay-2.png").exists() == (name == "76")


@pytest.mark.slow
def test_the_bones_of_a_trial(call, tmp_path):
    """Of noise nothing is found; what is read, started from and written is what counts."""
    trial = write_trial(tmp_path / "a")
    tracking = tmp_path / "a" / "tracking"
    tracking.mkdir()
    for bone in ("rad", "uln"):
        (tracking / f"{bone}.tra").write_text(" ".join(f"{v:.12f}" for v in TRACKED.flatten()))
    done = call("bones", trial, "--multi-start", "1", "--out", tmp_path / "r", "--json")
    assert done.code == 1, done.err
    answer = json.loads(done.out)
    assert answer["missing"] == {}
    assert [bone["name"] for bone in answer["bones"]] == ["rad", "uln"]
    assert not answer["simulated"]
    for bone in ("rad", "uln"):
        inputs = json.loads((tmp_path / "r" / bone / "result.json").read_text())["inputs"]
        assert sum(entry["path"].endswith(f"{bone}.tif") for entry in inputs) == 1
        assert "trial" in {entry["role"] for entry in inputs}
    for words, said in (
        (("--move", "rad", "--out", tmp_path / "r"), "results of other bones (uln)"),
        (("--start", tracking / "rad.tra", "--out", tmp_path / "t"), "pose of one bone"),
        (("--move", "rad,uln", "--out", tmp_path / "t"), "by itself"),
        (("--labels", trial, "--out", tmp_path / "t"), "leave --labels out"),
    ):
        done = call("bones", trial, *words)
        assert done.code == 2
        assert said in done.err
        assert not (tmp_path / "t").exists()
    done = call(
        "bones", trial, "--move", "rad", "--multi-start", "1", "--out", tmp_path / "s", "--json"
    )
    assert [bone["name"] for bone in json.loads(done.out)["bones"]] == ["rad"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--move NAME"),
        (("--move", "76"), "--labels FILE"),
        (("--move", "77", "--labels", "labels.nii.gz"), "77"),
        (("--move", "76", "--move", "76", "--labels", "labels.nii.gz"), "given twice"),
        (("--move", "25 76", "--move", "25-76", "--labels", "labels.nii.gz"), "in one folder"),
        (("--move", "76", "--labels", "labels.nii.gz", "--near-bone", "3"), "bones of a trial"),
        (("--move", "patient", "--labels", "labels.nii.gz"), "by its number"),
        (
            ("--move", "25", "--move", "25,76", "--labels", "labels.nii.gz"),
            "label 25 is in two bones",
        ),
    ],
)
def test_what_cannot_be_is_said(call, case, monkeypatch, tmp_path, words, said):
    monkeypatch.chdir(case)
    done = call("bones", "ct.nii.gz", "a.npz", *words, "--out", tmp_path / "o")
    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "o").exists()


def test_poses_are_given_of_one_of_several_bones(call, case, tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    for number in (0, 1):
        (tmp_path / "a" / f"f_{number}.npz").write_bytes((case / "a.npz").read_bytes())
    pose = pose_of_a()
    write_pose(tmp_path / "bar.json", pose)
    asked = []

    def shown(request, console):
        asked.append(request.keys)
        raise ValueError("so far")

    monkeypatch.setattr("napari_xreg.cli.commands.track.track_shown", shown)
    words = (
        "track", case / "ct.nii.gz", tmp_path / "a", "--labels", case / "labels.nii.gz", "--out", tmp_path / "o",
    )  # fmt: skip
    key = ("--key-of", "76", "1", tmp_path / "bar.json")
    assert "so far" in call(*words, "--move", "76", *key).err
    ((number, (of_patient, of_bar)),) = asked[0].items()
    assert (number, of_patient) == (1, None)
    torch.testing.assert_close(of_bar.matrix(), pose.matrix().double(), rtol=0, atol=1e-6)
    both = (*key, "--key-of", "patient", "1", tmp_path / "bar.json")
    assert "so far" in call(*words, "--move", "76", *both).err
    assert None not in asked[1][1]
    for more, said in (
        ((*key,), "give --move, or use --key; got '76'"),
        (("--move", "25", *key), "there are patient, 25; got '76'"),
        (("--move", "76", "--key-of", "76", "x", tmp_path / "bar.json"), "the number of a frame"),
        (("--move", "76", *key, *key), "--key-of 76 1 was given twice"),
    ):
        done = call(*words, *more)
        assert done.code == 2
        assert said in done.err


def test_bones_start_in_the_frame_that_their_poses_are_of(call, case, tmp_path, monkeypatch):
    """Not in the first that is asked for: the start is of frame 0 unless another is named."""
    (tmp_path / "a").mkdir()
    for number in (0, 1, 2):
        (tmp_path / "a" / f"f_{number}.npz").write_bytes((case / "a.npz").read_bytes())
    asked = []

    def shown(request, console):
        asked.append((request.start, request.frames.numbers))
        raise ValueError("so far")

    monkeypatch.setattr("napari_xreg.cli.commands.track.track_shown", shown)
    words = (
        "track", case / "ct.nii.gz", tmp_path / "a", "--labels", case / "labels.nii.gz", "--move", "76",
        "--out", tmp_path / "o",
    )  # fmt: skip
    for more in ((), ("--first", "1"), ("--first", "1", "--frame", "2"), ("--frame", "0")):
        assert "so far" in call(*words, *more).err
    assert asked == [(0, (0, 1, 2)), (0, (1, 2)), (2, (1, 2)), (0, (0, 1, 2))]
    monkeypatch.undo()
    done = call(*words, "--first", "1")
    assert done.code == 2
    assert "there is no frame 0: the frames are 1 to 2" in done.err


@pytest.mark.slow
def test_bones_are_tracked_through_a_sequence(call, case, tmp_path):
    """Two frames, the same picture twice: the bar stays where it has moved to."""
    for camera in ("a", "b"):
        (tmp_path / camera).mkdir()
        for number in (3, 4):
            (tmp_path / camera / f"f_{number}.npz").write_bytes(
                (case / f"{camera}.npz").read_bytes()
            )
    words = (
        "track", case / "ct.nii.gz", tmp_path / "a", "--radiograph", tmp_path / "b", "--labels",
        case / "labels.nii.gz", "--move", "76", "--pixels", "96", "--retry-starts", "0", "--no-film",
    )  # fmt: skip
    done = call(*words, "--out", tmp_path / "o", "--json")
    assert done.code in (0, 1), done.err
    answer = json.loads(done.out)
    assert answer["missing"] == {}
    assert [bone["name"] for bone in answer["bones"]] == ["patient", "76"]
    assert [sum(bone["frames"].values()) for bone in answer["bones"]] == [2, 2]
    assert answer["files"] == [
        str(tmp_path / "o" / name)
        for name in (
            "patient/track.csv", "patient/jointtrack.jts", "76/track.csv", "76/jointtrack.jts", "between.csv",
        )
    ]  # fmt: skip
    lines = (tmp_path / "o" / "between.csv").read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(lines[1:]))
    assert [(row["frame"], row["one"], row["other"]) for row in rows] == [
        ("3", "patient", "76"), ("4", "patient", "76"),
    ]  # fmt: skip
    _, ids = patient()
    places = torch.nonzero(ids == 76).flip(1).double().numpy() * SIZE + ORIGIN
    for row in rows:
        found = np.array([[float(row[f"m{i}{j}"]) for j in range(4)] for i in range(3)])
        now = places @ found[:, :3].T + found[:, 3]
        assert np.linalg.norm(now - (places + np.multiply(MOVED, SIZE)), axis=1).mean() < 0.6
    for more, said in (
        (("--key", "4", tmp_path / "none.json"), "--key-of NAME"),
        (("--structures", "25"), "leave --structures out"),
        (("--move", "76"), "--move 76 was given twice"),
        (("--move", "patient"), "give the structure by its number"),
    ):
        done = call(*words, *more, "--out", tmp_path / "p")
        assert done.code == 2
        assert said in done.err
        assert not (tmp_path / "p").exists()
