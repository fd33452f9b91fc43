"""``detect``, ``register --init landmarks`` and ``train landmarks``, with a detector that is right."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from trainings import ToyRecipe

from napari_xreg.cli.arguments.parser import build_parser
from napari_xreg.cli.commands import train as train_command
from napari_xreg.cli.commands.train import train_request
from napari_xreg.images import (
    Landmark,
    read_labels,
    read_landmarks,
    read_radiograph,
    read_volume,
    write_landmarks,
)
from napari_xreg.landmarks import CompactDetector, DetectSettings, Heatmaps, LandmarkDetector
from napari_xreg.metrics import mean_target_registration_error
from napari_xreg.rayemb.template_range import learned_template_poses
from napari_xreg.records import read_pose
from napari_xreg.registration import Spread, Weighting
from napari_xreg.simulation import phantom
from napari_xreg.training import CTsOfFolder, Framing, PoseRange, read_checkpoint, save_network
from napari_xreg.workflows.landmarks import detecting


class TrueDetector(LandmarkDetector):
    """Peaks where the landmarks are, on the radiograph's own pixels; one of them far off."""

    kind = "true"

    def __init__(self, names, pixels, shape):
        super().__init__()
        self.names, self.pixels, self.stride, self.trusted_mm = tuple(names), pixels, 1, None
        self.framing = Framing(shape=shape)
        self.weight = nn.Parameter(torch.zeros(1))

    def inputs(self, images, masks, carm):
        return images[:, None]

    def encode(self, inputs):
        return (inputs,)

    def decode(self, features):
        b, _, rows, columns = features[0].shape
        v = torch.arange(rows) - self.pixels[:, :1]
        u = torch.arange(columns) - self.pixels[:, 1:]
        maps = -0.5 * (v[:, :, None] ** 2 + u[:, None, :] ** 2)
        size = torch.tensor([rows, columns])
        inside = ((self.pixels > 0) & (self.pixels < size - 1)).all(1)
        seen = torch.where(inside, 4.0, -4.0)
        return Heatmaps(maps.float().expand(b, -1, -1, -1), seen.expand(b, -1))

    def spread_logits(self, logits):
        return logits

    def configuration(self):
        return {}


@pytest.fixture
def marks(case, tmp_path):
    """The phantom's landmarks as a file."""
    file = tmp_path / "marks.mrk.json"
    places = phantom(spacing_mm=8.0).landmarks
    write_landmarks(file, [Landmark(name, place) for name, place in places.items()])
    return file


@pytest.fixture
def weights(tmp_path):
    """A file of a detector that never learned anything."""
    torch.manual_seed(0)
    file = tmp_path / "new.safetensors"
    save_network(file, CompactDetector(widths=(8, 8, 8, 8)), {"trained_on": "nothing"})
    return file


@pytest.fixture
def right(case, marks, monkeypatch):
    """A detector that sees every landmark where it is but for one, whatever weights are named."""
    carm = read_radiograph(case.xray).carm
    landmarks = read_landmarks(marks)
    world = torch.tensor([m.position for m in landmarks], dtype=torch.float64)
    pixels = carm.project(world, case.pose)
    at = [m.name for m in landmarks].index("FH-r")
    pixels[at, 0] += 18.0
    detector = TrueDetector([m.name for m in landmarks], pixels, carm.detector.shape)
    monkeypatch.setattr(detecting, "load_detector", lambda _: (detector, {"trained_on": "truth"}))
    return detector


@pytest.mark.slow
def test_detect_writes_landmarks_and_the_pose_without_the_wrong_one(
    case, marks, weights, right, tmp_path, call
):
    out = tmp_path / "found"
    done = call(
        "detect", case.xray, "--weights", weights, "--landmarks", marks, "--out", out,
        "--passes", 2, "--json", "--quiet",
    )  # fmt: skip
    answer = json.loads(done.out)
    assert answer["pose"]["solved"], answer["pose"]["reason"]
    assert answer["pose"]["outliers"] == ["FH-r"]
    # Right as it is, nobody measured up to which spread this detector can be trusted.
    assert answer["trusted"] is None
    assert done.code == 1
    pose = read_pose(out / "pose.json")
    world = torch.tensor([m.position for m in read_landmarks(marks)], dtype=torch.float64)
    assert float(mean_target_registration_error(pose, case.pose, world)) < 1.0
    read = {m.name: m for m in read_landmarks(out / "landmarks.csv")}
    for i, name in enumerate(right.names):
        if read[name].visible:
            assert read[name].pixel == pytest.approx(right.pixels[i].tolist(), abs=0.05)
    assert sum(mark.visible for mark in read.values()) >= 6
    assert (out / "landmarks.png").stat().st_size > 1000
    stored = json.loads((out / "detections.json").read_text())
    assert stored["schema"] == "napari-xreg/detections"
    assert stored["passes"] == 2
    assert stored["simulated"] is True
    assert len(stored["landmarks"]) == 14
    for entry in stored["landmarks"]:
        (rows, both), (_, columns) = entry["covariance_px2"]
        assert read[entry["name"]].covariance == pytest.approx((rows, both, columns))


@pytest.mark.slow
def test_an_untrained_detector_is_not_trusted(case, weights, tmp_path, call):
    done = call("detect", case.xray, "--weights", weights, "--passes", 3)
    assert done.code == 1
    assert "nobody has measured" in done.out or "Only" in done.out
    assert (tmp_path / "xreg-detect" / "landmarks.csv").is_file()
    refused = call("detect", case.xray, "--weights", case.xray)
    assert refused.code == 2
    assert "safetensors" in refused.err


@pytest.mark.slow
def test_register_starts_from_landmarks(case, marks, weights, right, tmp_path, call):
    done = call(
        "register", case.ct, case.xray, "--init", "landmarks", "--weights", weights,
        "--landmarks", marks, "--multi-start", 1, "--out", tmp_path / "r", "--film", "none",
        "--json", "--quiet",
    )  # fmt: skip
    answer = json.loads(done.out)
    assert answer["start_origin"] == "landmarks"
    assert "FH-r" not in answer["init"]["landmarks_used"]
    assert len(answer["init"]["landmarks_used"]) >= 6


def test_what_is_missing_is_said(case, weights, call):
    done = call("register", case.ct, case.xray, "--init", "landmarks")
    assert done.code == 2
    assert "--init landmarks needs --weights" in done.err
    done = call("register", case.ct, case.xray, "--init", "landmarks", "--weights", weights)
    assert done.code == 2
    assert "give the landmarks of the CT: --landmarks FILE" in done.err


def request_of(*words):
    return train_request(
        build_parser().parse_args(["train", *map(str, words), "--out", "w.safetensors"])
    )


@pytest.mark.slow
def test_train_takes_the_names_of_the_file(case, marks):
    names = tuple(m.name for m in read_landmarks(marks))
    one = request_of("landmarks", case.ct, "--landmarks", marks)
    many = request_of("landmarks", "phantoms", "--landmarks", marks)
    for request in (one, many):
        assert request.recipe.network(request.patients, "scratch").names == names
    nameless = request_of("landmarks", case.ct)
    with pytest.raises(ValueError, match="no landmarks to learn: give landmarks with their pos"):
        nameless.recipe.network(nameless.patients, "scratch")


@pytest.mark.parametrize("whom", ["patient", "phantoms"])
def test_train_learns_the_poses_it_is_told(case, whom):
    ct = case.ct if whom == "patient" else "phantoms"
    told = ["--primary", "60", "100", "--secondary", "-5", "12", "--offset", "20"]
    request = request_of("rayemb", ct, *told)
    assert request.poses == PoseRange((60.0, 100.0), (-5.0, 12.0), (-10.0, 10.0), 20.0)
    if whom == "patient":
        assert request.patients.words() == "/".join(Path(case.ct).parts[-2:])
        assert request.patients.volume.shape == read_volume(case.ct).shape


@pytest.mark.slow
def test_train_says_what_else_is_wanted(case, tmp_path):
    (tmp_path / "a.nii").write_bytes(b"")
    words = ("--population", "--phantoms", "0.25", "--above-hu", "321")
    many = request_of("landmarks", tmp_path, *words, "--minutes", "1.5", "--seed", "19")
    assert many.patients == CTsOfFolder(tmp_path, 0.25, 321.0)
    assert (many.settings.by_time, many.settings.seed) == (90.0, 19)
    own = request_of("rayemb", "phantoms", "--finetune", "w.safetensors", "--learning-rate", "3e-4")
    assert (own.start, own.settings.learning_rate) == (Path("w.safetensors"), 3e-4)
    one = request_of("rayemb", case.ct, "--labels", case.labels, "--above-hu", "99")
    assert one.patients.bone_above_hu == 99.0
    assert one.patients.labels.names == read_labels(case.labels).names
    assert len(request_of("landmarks", "phantom:3").patients.landmark_names) == 14


def test_help_names_the_numbers_of_the_library(capsys):
    spread, detect = Spread(), DetectSettings()
    for command, words in (
        ("register", f"{spread.rotation_deg:g} {spread.in_plane_mm:g} {spread.depth_mm:g}, or as"),
        ("detect", f"(default: {detect.passes})"),
        ("detect", f"of continuous (default: {Weighting().beta:g})"),
    ):
        with pytest.raises(SystemExit):
            build_parser().parse_args([command, "--help"])
        assert words in " ".join(capsys.readouterr().out.split())


def test_the_poses_of_train_are_those_its_help_names(capsys):
    usual = PoseRange()
    assert request_of("rayemb", "phantoms").poses == usual
    with pytest.raises(SystemExit):
        build_parser().parse_args(["train", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for low, high in (usual.primary_deg, usual.secondary_deg, usual.roll_deg):
        assert f"(default: {low:g} {high:g})" in shown
    assert f"(default: {usual.offset_mm:g})" in shown
    with pytest.raises(ValueError, match="smallest primary angle"):
        request_of("rayemb", "phantoms", "--primary", "10", "-10")


def test_the_file_says_which_poses_were_learned():
    request = request_of("rayemb", "phantoms", "--primary", "-20", "0", "--secondary", "-5", "12")
    templates = learned_template_poses(request.card(3, 1.5, {}, "FINISHED"))
    # A little more than was learned.
    assert templates.primary_deg == (-25.0, 5.0)
    assert templates.secondary_deg == (-9.5, 16.5)


@pytest.mark.slow
def test_train_trains_and_says_so(case, tmp_path, call, monkeypatch):
    """A toy in place of the network: what is printed, what is written."""
    monkeypatch.setattr(train_command, "RECIPES", {"rayemb": ToyRecipe})
    out = tmp_path / "patient.safetensors"
    words = ("train", "rayemb", case.ct, "--out", str(out), "--minutes", "0.002")
    done = call(*words, "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["schema"] == "napari-xreg/training"
    assert said["files"] == [str(out), str(out.with_suffix(".resume"))]
    about = read_checkpoint(out).about
    assert {name: said[name] for name in about} == about
    assert about["status"] == "FINISHED"
    assert "on simulated radiographs" in about["words"].lower()
    again = call(*words, "--minutes", "0.004", "--resume", str(out.with_suffix(".resume")))
    assert again.code == 0, again.err
    assert "measured on simulated radiographs" in again.out
    assert f"median mtre mm: {about['scores']['median_mtre_mm']:.2f}" not in again.out
    assert read_checkpoint(out).about["steps"] > about["steps"]
