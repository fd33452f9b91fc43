"""What `simulate` says of bones that it has moved, and who reads it."""

import json
from dataclasses import replace

import pytest
import torch
from session_parts import make_registration

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import read_labels, read_volume
from napari_xreg.records import read_truth
from napari_xreg.simulation import simulate_radiograph
from napari_xreg.study.own_cases import truth_of
from napari_xreg.workflows import NONE_SEEN, SEVERAL_MOVED, errors_by_truth

GEOMETRY = ("--pixels", 40, 48, "--pixel-spacing", 6, 5.5, "--sdd", 1010, "--source-to-isocenter", 690)  # fmt: skip
ARM = CArm(1010.0, 690.0, Detector((40, 48), (6.0, 5.5)))


def test_moved_bones_stand_in_the_truth_and_are_read(call, case, tmp_path):
    labels = case.folder / "labels.nii.gz"
    words = (
        "simulate",
        case.ct,
        "--out",
        "s.npz",
        *GEOMETRY,
        "--primary",
        12,
        "--seed",
        7,
        "--json",
    )
    done = call(*words, "--severity", "hard", "--labels", labels)
    assert done.code == 0, done.err
    assert set(json.loads(done.out)["bones"]) == {"femur_left", "femur_right"}
    truth = read_truth(tmp_path / "s.npz.truth.json")
    # As the simulator itself has it, for the bone that is named.
    volume, ids = read_volume(case.ct), read_labels(labels)
    pose = ARM.world_from_camera(12.0, 0.0, isocenter=volume.center.double())
    own = simulate_radiograph(
        volume, ids, ARM, pose, severity="hard", seed=7, named_bone="femur_right"
    )
    bone = truth.bones["femur_right"]
    assert bone.label == 76
    assert torch.allclose(
        bone.world_from_camera.matrix(), own.world_from_camera.matrix(), atol=1e-6
    )
    assert not torch.allclose(bone.world_from_camera.matrix(), pose.matrix(), atol=1e-2)
    # Voxels of that bone, where the picture shows them.
    index = volume.index_from_world.double()
    at = (bone.fiducials_mm @ index[:3, :3].T + index[:3, 3]).round().long()
    assert len(at) > 5
    assert (ids.ids[at[:, 2], at[:, 1], at[:, 0]] == 76).all()
    pixels = ARM.project(bone.fiducials_mm, bone.world_from_camera)
    assert bool(((pixels >= 0) & (pixels <= torch.tensor([39.0, 47.0]))).all())
    seen = json.loads(call("inspect", "s.npz.truth.json", "--json").out)
    assert seen["kind"] == "truth of a simulated radiograph"
    assert seen["moved_bones"]["femur_right"] == f"label 76, {len(at)} fiducials in the picture"
    # Nothing has moved at a lower severity.
    done = call(*words, "--severity", "clean", "--labels", labels)
    assert json.loads(done.out)["bones"] == {}


@pytest.mark.parametrize(
    ("ids", "own"), [((76,), True), ((77, 78), False), ((), False), ((77,), False)]
)
def test_which_pose_is_true_of_which_structures(case, tmp_path, ids, own):
    data = json.loads((case.folder / "truth.json").read_text())
    moved = Pose(torch.eye(3, dtype=torch.float64), torch.tensor([1.0, 2.0, 3.0]).double())
    bone = {"label": 76, "world_from_camera": moved.matrix().tolist(), "fiducials_mm": []}
    (tmp_path / "t.json").write_text(json.dumps({**data, "bones": {"femur_right": bone}}))
    truth = read_truth(tmp_path / "t.json")
    pose, points = truth.true_of(ids)
    assert torch.equal(pose.translation, moved.translation) == own
    assert (points is not None and len(points) == 0) == own
    # Of it and another, no one pose is true.
    assert truth.true_of((76, 77)) is None
    # Files from before say nothing of bones.
    assert read_truth(case.folder / "truth.json").true_of((76,))[1] is None


def test_why_there_are_no_errors_is_said(case, tmp_path):
    """Of several of which one moved; of a moved bone that the picture does not show; a study reads the same."""
    data = json.loads((case.folder / "truth.json").read_text())
    moved = Pose(torch.eye(3, dtype=torch.float64), torch.tensor([1.0, 2.0, 3.0]).double())
    bone = {"label": 76, "world_from_camera": moved.matrix().tolist(), "fiducials_mm": []}
    path = tmp_path / "t.json"
    path.write_text(json.dumps({**data, "bones": {"femur_right": bone}}))
    truth, volume = read_truth(path), read_volume(case.ct)
    own = replace(make_registration([moved]), pivot=torch.zeros(3, dtype=torch.float64))

    def told(labels):
        return errors_by_truth(truth, labels, volume, ARM, moved, own)

    assert told((76, 77)) == SEVERAL_MOVED
    assert told((76,)) == NONE_SEEN
    assert told(())["fiducials"] == len(truth.fiducials_mm)
    assert truth_of(path, (76, 77)) is None
    pose, points = truth_of(path, (76,))
    assert torch.equal(pose.translation, moved.translation)
    assert len(points) == 0
    pose, points = truth_of(path, (77,))
    assert torch.equal(pose.matrix(), truth.world_from_camera.matrix())
    assert points is None
    assert torch.equal(truth_of(path)[1], truth.fiducials_mm)
