"""What is said of several radiographs on the command line: once for all, or once for each."""

import json

import numpy as np
import pytest
import torch

from napari_xreg.cli.arguments.parser import build_parser
from napari_xreg.cli.further_views import further_radiographs, starting_views
from napari_xreg.cli.inputs import read_xray, xray_options
from napari_xreg.geometry import Pose
from napari_xreg.records import write_pose
from napari_xreg.workflows import StartingPose

SPACED = ("--pixel-spacing", "0.5", "0.4", "--source-to-isocenter", "700")


def _arguments(*words, files=("a.npy", "b.npy")):
    more = [w for f in files[1:] for w in ("--radiograph", str(f))]
    return build_parser().parse_args(["register", "ct.nii", str(files[0]), *more, *map(str, words)])


def _images(folder):
    files = (folder / "a.npy", folder / "b.npy")
    for path in files:
        np.save(path, np.random.default_rng(3).random((30, 40)).astype(np.float32))
    return files


def test_once_is_for_all_and_twice_for_each():
    said = _arguments("--sdd", 1200, "--principal-point", 3, 4, "--principal-point", 5, 6)
    first, second = (xray_options(said, i, 2) for i in (0, 1))
    assert first["source_to_detector"] == second["source_to_detector"] == 1200.0
    assert (first["principal_point"], second["principal_point"]) == ((3.0, 4.0), (5.0, 6.0))
    assert first["crop"] is None


def test_neither_is_refused(call):
    done = call(
        "register", "phantom", "a.npy", "--radiograph", "b.npy", "--sdd", "1", "--sdd", "2", "--sdd", "3"
    )  # fmt: skip
    assert done.code == 2
    assert "--sdd was given 3 times for 2 radiographs" in done.err


def test_each_radiograph_gets_its_geometry_and_its_crop(tmp_path):
    files = _images(tmp_path)
    sidecars = []
    for number, sdd in enumerate((1000.0, 1300.0)):
        path = tmp_path / f"g{number}.json"
        path.write_text(
            json.dumps(
                {
                    "schema": "napari-xreg/xray-geometry", "version": 1,
                    "camera_matrix": [[2000.0, 0, 19.0], [0, 2500.0, 11.0], [0, 0, 1]],
                    "source_to_detector_mm": sdd, "source_to_isocenter_mm": 700.0,
                    "primary_deg": 90.0 * number, "secondary_deg": 0.0,
                }
            )
        )  # fmt: skip
        sidecars += ["--geometry", path]
    said = _arguments(
        *sidecars, "--read-as", "line_integral", "--crop", 0, 0, 30, 40, "--crop", 5, 7, 20, 30,
        files=files,
    )  # fmt: skip
    first = read_xray(said)
    (second,) = further_radiographs(said, first)
    assert (first.carm.source_to_detector, second.carm.source_to_detector) == (1000.0, 1300.0)
    assert first.carm.detector.spacing == pytest.approx((0.4, 0.5))
    assert second.carm.detector.spacing == pytest.approx((0.52, 0.65))
    assert second.carm.detector.shape == (20, 30)
    assert second.carm.detector.center == (6.0, 12.0)
    assert second.nominal.primary_deg == 90.0


def test_one_calibration_is_not_that_of_two_radiographs(tmp_path):
    files = _images(tmp_path)
    sidecar = {
        "schema": "napari-xreg/xray-geometry", "version": 1, "source_to_detector_mm": 1000.0,
        "source_to_isocenter_mm": 700.0, "pixel_spacing_mm": [0.5, 0.4],
        "primary_deg": 90.0, "secondary_deg": 0.0,
    }  # fmt: skip
    for number, primary in enumerate((90.0, 0.0)):
        said = {**sidecar, "primary_deg": primary}
        (tmp_path / f"g{number}.json").write_text(json.dumps(said))
    words = ("--read-as", "line_integral", "--geometry", tmp_path / "g0.json")
    once = _arguments(*words, files=files)
    first = read_xray(once)
    start = StartingPose(Pose.identity(), torch.zeros(3).double(), "given")
    with pytest.raises(ValueError, match=r"a\.npy and b\.npy would be taken from one place"):
        starting_views(once, start, (first, *further_radiographs(once, first)))
    each = _arguments(*words, "--geometry", tmp_path / "g1.json", files=files)
    (second,) = further_radiographs(each, first)
    assert second.nominal.primary_deg == 0.0
    assert len(starting_views(each, start, (first, second))) == 2


def test_a_pose_for_each(tmp_path):
    """No header has to say where the C-arm stood, if --start says it of each."""
    files = _images(tmp_path)
    starts, poses = [], []
    for number in range(2):
        poses.append(Pose.exp(torch.tensor([0.1, 0.2 * number, 0.3, 4.0, 5.0, -600.0]).double()))
        write_pose(tmp_path / f"p{number}.json", poses[-1])
        starts += ["--start", tmp_path / f"p{number}.json"]
    words = ("--sdd", 1000, *SPACED, "--read-as", "line_integral")
    said = _arguments(*words, *starts, files=files)
    first = read_xray(said)
    radiographs = (first, *further_radiographs(said, first))
    start = StartingPose(poses[0], torch.zeros(3).double(), "p0.json")
    views = starting_views(said, start, radiographs)
    for view, pose in zip(views, poses, strict=True):
        assert torch.allclose(view.world_from_camera.matrix(), pose.matrix())
    once = _arguments(*words, *starts[:2], files=files)
    with pytest.raises(ValueError, match="does not say where the C-arm stood"):
        further_radiographs(once, first)
    thrice = _arguments(*words, *starts, *starts[:2], files=files)
    with pytest.raises(ValueError, match="--start was given 3 times for 2 radiographs"):
        starting_views(thrice, start, radiographs)


def test_a_mask_frame_is_subtracted(tmp_path):
    run = np.random.default_rng(5).random((4, 30, 40)).astype(np.float32)
    np.save(tmp_path / "run.npy", run)
    said = ("--sdd", 1200, *SPACED, "--read-as", "line_integral", "--frame", 4)
    for frames, mask in (("2", run[1]), ("2-3", run[1:3].mean(0)), ("auto", run[0])):
        typed = _arguments(*said, "--mask-frame", frames, files=(tmp_path / "run.npy",))
        found = read_xray(typed)
        np.testing.assert_allclose(found.line_integrals, run[3] - mask, atol=1e-6)
    with pytest.raises(SystemExit):
        _arguments(*said, "--mask-frame", "3-2")
