"""A trial of Autoscoper opened whole: every voxel is seen where Autoscoper's own formulas see it."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from trial_maker import CAMERAS, SHAPE, STACK, TRACKED, VOXEL, seen, voxels, write_trial

from napari_xreg.files import ReadError
from napari_xreg.geometry import Pose
from napari_xreg.images import read_radiograph, read_volume
from napari_xreg.records import autoscoper_from_world
from napari_xreg.workflows import (
    SeveralTrialFrames,
    SeveralVolumes,
    TrialRequest,
    inspect,
    trial_files,
)
from napari_xreg.workflows.opening import trial_volumes
from napari_xreg.workflows.opening.trials import nearest_to_rays


def _tra(folder, matrix=TRACKED, name="poses.tra", lines=1, order="C"):
    text = ",".join(f"{v:.12f}" for v in np.asarray(matrix).flatten(order=order))
    path = folder / name
    path.write_text(f"{text}\n" * lines)
    return path


def _check_seen(files, tolerance=1e-7):
    volume = read_volume(files.volume.path, **files.volume.options)
    for number, each in enumerate(files.radiographs):
        radiograph = read_radiograph(each.path, **each.options)
        pose = radiograph.carm.pose_from(radiograph.nominal)
        for index in ((0.0, 0.0, 0.0), (3.0, 1.0, 2.0), (1.0, 4.0, 5.0)):
            world = volume.world_from_index @ torch.tensor([*index, 1.0], dtype=torch.float64)
            pixel = radiograph.carm.project(world[:3], pose).tolist()
            assert pixel == pytest.approx(seen(index, number), abs=tolerance)
        assert not radiograph.carm.detector.mirrored


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_tracked_bone_is_seen_where_autoscoper_sees_it(tmp_path, order):
    trial = write_trial(tmp_path)
    files = trial_files(TrialRequest(trial, volume="rad", poses=_tra(tmp_path, order=order)))
    _check_seen(files)
    assert files.posed == "poses.tra, line 1"
    assert files.frame == 7
    assert [each.path.name for each in files.radiographs] == ["x_cam1.0007.tif", "x_cam2.0007.tif"]


def test_all_lengths_in_cm(tmp_path):
    in_cm = TRACKED.copy()
    in_cm[:3, 3] *= 0.1
    files = trial_files(
        TrialRequest(write_trial(tmp_path, scale=0.1), volume="rad", poses=_tra(tmp_path, in_cm))
    )
    _check_seen(files)
    assert read_volume(files.volume.path, **files.volume.options).spacing == pytest.approx(
        (0.5, 0.7, 1.3)
    )


def test_poses_of_another_trial_are_refused(tmp_path):
    away = TRACKED.copy()
    away[:3, 3] = (190.0, -120.0, 34.0)
    with pytest.raises(ReadError, match="not all cameras see it"):
        trial_files(TrialRequest(write_trial(tmp_path), volume="rad", poses=_tra(tmp_path, away)))


def test_six_numbers_are_lengths_yaw_pitch_and_roll(tmp_path):
    path = tmp_path / "six.tra"
    path.write_text("19 -12 34 36.86989764584402 0 0\n")
    _check_seen(trial_files(TrialRequest(write_trial(tmp_path), volume="rad", poses=path)))


def test_the_poses_of_the_trial_are_found(tmp_path):
    """By the name of the bone in its folder; of all bones side by side, by its place."""
    trial = write_trial(tmp_path)
    (tmp_path / "Tracking").mkdir()
    beside = np.hstack([np.eye(4).reshape(1, 16), TRACKED.reshape(1, 16)])
    text = ",".join(f"{v:.12f}" for v in beside.flatten())
    (tmp_path / "Tracking" / "trial_rad.tra").write_text(
        ",".join(f"{v:.12f}" for v in TRACKED.flatten())
    )
    files = trial_files(TrialRequest(trial, volume="rad"))
    assert files.posed == "trial_rad.tra, line 1"
    _check_seen(files)
    assert trial_files(TrialRequest(trial, volume="uln")).posed == ""
    both = tmp_path / "both.tra"
    both.write_text(text)
    _check_seen(trial_files(TrialRequest(trial, volume="uln", poses=both)))


def test_poses_are_found_by_the_beginning_of_the_bone_s_name_and_what_is_not_found_is_said(
    tmp_path,
):
    trial = write_trial(tmp_path, bones=("rad_cropped", "uln_cropped"))
    (tmp_path / "Tracking").mkdir()
    for name in ("rad.tra", "uln.tra"):
        _tra(tmp_path / "Tracking", name=name)
    for bone in ("rad", "uln"):
        files = trial_files(TrialRequest(trial, volume=bone))
        assert files.posed == f"{bone}.tra, line 1"
        assert not any("not used" in note for note in files.notes)
    (tmp_path / "Tracking" / "rad.tra").rename(tmp_path / "Tracking" / "one.tra")
    (tmp_path / "Tracking" / "uln.tra").rename(tmp_path / "Tracking" / "two.tra")
    files = trial_files(TrialRequest(trial, volume="rad"))
    assert files.posed == ""
    assert (
        "none of one.tra, two.tra in Tracking is called after rad_cropped alone: its poses were not used"
        in files.notes
    )


WHOSE = (
    # Bones; files; whose is which. The longer bone has no file, or one of its own.
    ("femur femur_component", "femur", {"femur": "femur"}),
    ("femur femur_component", "femur femur_component", {"femur": "femur", "femur_component": "femur_component"}),
    ("femur femur_component", "trial_femur_component", {"femur_component": "trial_femur_component"}),
    ("rad radius", "rad", {"rad": "rad"}),
    ("rad radius", "Radius_2", {"radius": "Radius_2"}),
    ("mc mc3", "mc mc3", {"mc": "mc", "mc3": "mc3"}),
    ("mc mc3", "mc31", {}),
    ("tibia tibia_tray", "tibia tibia_tray", {"tibia": "tibia", "tibia_tray": "tibia_tray"}),
    ("talus tibia", "t", {}),
    ("talus tibia", "ti ta", {"talus": "ta", "tibia": "ti"}),
    # The nearest of several; two that are as near as each other are nobody's.
    ("talus tibia", "tibia tibia_old ti", {"tibia": "tibia"}),
    ("talus tibia", "tibia_old ti", {"tibia": "tibia_old"}),
    ("talus tibia", "tibia_old tibia_new", {}),
    # One bone's numbers under no bone's name, or under two: whose are they?
    ("talus tibia", "poses", {}),
    ("talus tibia", "talus_tibia", {}),
    ("talus", "poses", {"talus": "poses"}),
)  # fmt: skip


@pytest.mark.parametrize(("bones", "files", "whose"), WHOSE)
def test_no_bone_takes_the_poses_of_another(tmp_path, bones, files, whose):
    trial = write_trial(tmp_path, bones=tuple(bones.split()))
    (tmp_path / "Tracking").mkdir()
    for name in files.split():
        _tra(tmp_path / "Tracking", name=f"{name}.tra")
    for bone in bones.split():
        found = trial_files(TrialRequest(trial, volume=bone))
        taken = [note for note in found.notes if f"the pose of {bone} is that of" in note]
        own = whose.get(bone)
        assert found.posed == (f"{own}.tra, line 1" if own else "")
        exact = own is None or own == bone
        said = f"the pose of {bone} is that of {own}.tra, which is not called exactly so"
        assert taken == ([] if exact else [said])
        assert any("poses were not used" in note for note in found.notes) == (own is None)


def test_a_file_under_no_bone_s_name_holds_all_of_them(tmp_path):
    trial = write_trial(tmp_path)
    (tmp_path / "Tracking").mkdir()
    beside = np.hstack([np.eye(4).reshape(1, 16), TRACKED.reshape(1, 16)])
    text = ",".join(f"{v:.12f}" for v in beside.flatten())
    (tmp_path / "Tracking" / "poses.tra").write_text(text)
    files = trial_files(TrialRequest(trial, volume="uln"))
    _check_seen(files)
    assert "the pose of uln is that of poses.tra, which holds all bones side by side" in files.notes


def test_poses_that_do_not_fit_are_named_and_left(tmp_path):
    trial = write_trial(tmp_path, frames=(7, 8))
    (tmp_path / "Tracking").mkdir()
    _tra(tmp_path / "Tracking", name="trial_rad.tra", lines=5)
    files = trial_files(TrialRequest(trial, 8, "rad"))
    assert files.posed == ""
    assert any("poses of 5 frames, the trial has 2" in note for note in files.notes)
    with pytest.raises(ReadError, match="poses of 5 frames"):
        trial_files(TrialRequest(trial, 8, "rad", poses=tmp_path / "Tracking" / "trial_rad.tra"))


def test_a_frame_that_was_not_tracked(tmp_path):
    path = tmp_path / "rad.tra"
    path.write_text(",".join(["NaN"] * 16) + "\n")
    files = trial_files(TrialRequest(write_trial(tmp_path), volume="rad", poses=path))
    assert files.posed == ""


def test_without_a_pose_the_rig_stays_a_rig_about_the_bone(tmp_path):
    """Cameras as calibrated relative to each other; the middle of the CT where their rays meet."""
    files = trial_files(TrialRequest(write_trial(tmp_path), volume="uln"))
    poses = []
    for each in files.radiographs:
        radiograph = read_radiograph(each.path, **each.options)
        assert radiograph.geometry.isocenter is None
        poses.append(radiograph.carm.pose_from(radiograph.nominal))
        middle = radiograph.carm.project(torch.zeros(3, dtype=torch.float64), poses[-1])
        assert (middle - torch.tensor(radiograph.carm.detector.center)).abs().max() < 30
    expected = []
    for _, rotation, translation in CAMERAS:
        camera = Pose(torch.tensor(rotation).double(), torch.tensor(translation).double())
        expected.append(camera.inverse())
    relative = (poses[0].inverse() @ poses[1]).matrix()
    wanted = (expected[0].inverse() @ expected[1]).matrix()
    assert torch.allclose(relative, wanted, atol=1e-9)


def test_nearest_to_rays_by_hand():
    """Along z through (1, 2), along x through (., 4, 7): halfway between, at (1, 3, 7)."""
    along_z = Pose(torch.eye(3).double(), torch.tensor([1.0, 2.0, -500.0]).double())
    turn = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).double()
    along_x = Pose(turn, torch.tensor([-600.0, 4.0, 7.0]).double())
    assert nearest_to_rays([along_z, along_x]).tolist() == pytest.approx([1.0, 3.0, 7.0])
    assert nearest_to_rays([along_z, along_z]).tolist() == [0.0, 0.0, 0.0]


def test_what_has_to_be_chosen(tmp_path):
    trial = write_trial(tmp_path, frames=(7, 9, 10))
    with pytest.raises(SeveralTrialFrames, match="3 frames, 7 to 10") as frames:
        trial_files(TrialRequest(trial))
    assert frames.value.numbers == (7, 9, 10)
    with pytest.raises(SeveralVolumes) as bones:
        trial_files(TrialRequest(trial, 9))
    assert bones.value.names == ("rad", "uln")
    with pytest.raises(ReadError, match="no frame 8: its frames are 7 to 10"):
        trial_files(TrialRequest(trial, 8, "rad"))
    with pytest.raises(ReadError, match="its volumes are rad, uln: got 'tibia'"):
        trial_files(TrialRequest(trial, 9, "tibia"))


def test_values_and_flips(tmp_path):
    files = trial_files(TrialRequest(write_trial(tmp_path, flip=(0, 1, 0)), volume="rad"))
    assert files.volume.options["values"] == "hu 1 -1024"
    assert files.volume.options["flip"] == (0, 1, 0)
    assert any("Hounsfield units + 1024" in note for note in files.notes)
    said = trial_files(TrialRequest(tmp_path / "trial.cfg", volume="rad", values="linear 0 2000"))
    assert said.volume.options["values"] == "linear 0 2000"
    assert not any("1024" in note for note in said.notes)


def test_a_volume_is_looked_at_once_until_its_file_is_another(tmp_path, monkeypatch):
    """A trial is looked at again for every bone and frame that is shown: not its volumes, gigabytes in all."""
    read = []

    def reading(path, **options):
        read.append((path.stem, options["values"]))
        return read_volume(path, **options)

    monkeypatch.setattr(trial_volumes, "read_volume", reading)
    trial = write_trial(tmp_path)
    poses = _tra(tmp_path)
    request = TrialRequest(trial, volume="rad", poses=poses)
    before = trial_files(request)
    assert read == [("rad", None), ("rad", "hu 1 -1024")]
    assert trial_files(request).volume.options == before.volume.options
    trial_files(TrialRequest(trial, volume="uln", poses=poses))
    assert [name for name, _ in read[2:]] == ["uln", "uln"]
    # One slice more: the middle that Autoscoper's poses are about has moved.
    more = np.concatenate([voxels(0), voxels(0)[:1]])
    tifffile.imwrite(tmp_path / "volumes" / "rad.tif", more, photometric="minisblack")
    after = trial_files(request)
    assert len(read) == 6
    moved = [
        (files.rig_from_bone[7].translation, autoscoper_from_world(shape, VOXEL).translation)
        for files, shape in ((before, STACK), (after, (STACK[0] + 1, *STACK[1:])))
    ]
    turned = torch.tensor(TRACKED[:3, :3]) @ (moved[1][1] - moved[0][1])
    torch.testing.assert_close(moved[1][0] - moved[0][0], turned)


def test_an_image_of_another_size_is_refused(tmp_path):
    trial = write_trial(tmp_path)
    text = (tmp_path / "calibration" / "cam2.txt").read_text()
    (tmp_path / "calibration" / "cam2.txt").write_text(text.replace("80,60", "160,120"))
    with pytest.raises(
        ReadError, match=r"60 x 80 pixels, its calibration cam2\.txt is of 160 x 120"
    ):
        trial_files(TrialRequest(trial, volume="rad"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("CameraRootDir radiographs/cam 2\r\n", ""), "2 calibrations .* and 1 folders"),
        (
            ("VoxelSize 0.5 0.7 1.3", "VoxelSize 0.5 0.7"),
            "VoxelSize should be three numbers above 0",
        ),
        (
            ("VolumeFile volumes/rad.tif", "VolumeFile volumes/rib.tif"),
            "its VolumeFile cannot be used",
        ),
        (("mayaCam_csv", "mayacam"), "is no trial of Autoscoper"),
        (("VolumeFlip 0 0 0", "VolumeFlip a b c"), "VolumeFlip should be three numbers"),
    ],
)
def test_a_broken_trial_is_refused_in_one_sentence(tmp_path, change, said):
    trial = write_trial(tmp_path)
    trial.write_bytes(trial.read_bytes().decode().replace(*change).encode())
    with pytest.raises(ReadError, match=said) as refused:
        trial_files(TrialRequest(trial, volume="rad"))
    assert "\n" not in str(refused.value)


def test_inspect_says_what_is_in_it(tmp_path):
    entry = inspect(write_trial(tmp_path, frames=(7, 9)))
    assert entry["kind"] == "Autoscoper trial"
    assert (entry["frames"], entry["first_and_last_frame"]) == (2, [7, 9])
    assert [volume["name"] for volume in entry["volumes"]] == ["rad", "uln"]
    assert [camera["version"] for camera in entry["cameras"]] == ["MayaCam 2.0"] * 2


@pytest.mark.slow
def test_the_real_wrist(data_dir, tmp_path):
    """The trial as given, each bone at its reference pose: the poses that the reference was found in."""
    folder = data_dir / "wrist_bvr"
    reference = json.loads((folder / "reference.json").read_text())
    names = {"radius": "rad", "ulna": "uln", "mc3": "mc3"}
    for entry in reference["poses"]:
        request = TrialRequest(folder / "trial" / "wrist.cfg", 99, names[entry["bone"]])
        plain = trial_files(request)
        volume = read_volume(plain.volume.path, **plain.volume.options)
        rig = Pose.from_matrix(torch.tensor(entry["rig_from_world"], dtype=torch.float64))
        model = rig @ autoscoper_from_world(volume.shape, volume.spacing).inverse()
        poses = _tra(tmp_path, model.matrix().numpy())
        files = trial_files(TrialRequest(Path(request.path), 99, request.volume, poses=poses))
        for number, each in enumerate(files.radiographs, start=1):
            wanted = np.array(entry["world_from_camera"][f"cam{number}"])
            found = np.array(each.options["geometry"].world_from_camera)
            assert np.abs(found - wanted).max() < 1e-3


def test_shapes_of_this_test_are_odd():
    assert len(set(SHAPE)) == 2
    assert len(set(STACK)) == 3
