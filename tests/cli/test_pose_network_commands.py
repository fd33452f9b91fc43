"""``train pose``, ``register --init regression`` and ``inspect`` of weights, as a user asks for them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import seeded_xvr as seeded
import SimpleITK as sitk
import torch

from napari_xreg.cli.arguments.parser import build_parser
from napari_xreg.cli.arguments.train import RANGES
from napari_xreg.cli.commands import train as train_command
from napari_xreg.cli.commands.train import train_request
from napari_xreg.geometry import Pose
from napari_xreg.images import read_radiograph
from napari_xreg.metrics import rotation_error_deg
from napari_xreg.progress import run
from napari_xreg.records.pose_frames import pose_of_matrix
from napari_xreg.registration.refinement.first_order import diffpose
from napari_xreg.regression import Place, PoseFrame, PoseNetwork
from napari_xreg.training import NAMED_RANGES, FixedCamera, PoseRange, save_network
from napari_xreg.workflows import InitialiseRequest, Interrupted, NoStart, Resume, initialise


@pytest.fixture
def weights(case, tmp_path):
    """Of a network that says the true pose, whatever it sees."""
    center = case.volume.center.double()
    frame = PoseFrame(center=tuple(center.tolist()))
    errors = (1.0, 2.0, 1.5, 4.0, 5.0, 6.0)
    network = PoseNetwork(framing=FixedCamera(pixels=32), frame=frame, errors=errors)
    network.begin_at(case.pose, Place(center))
    for head in (network.rot_regression, network.xyz_regression):
        torch.nn.init.zeros_(head.weight)
    about = {"trained_on": "nothing", "words": "It guesses.", "scores": {"median_mtre_mm": 1.5}}
    save_network(tmp_path / "pose.safetensors", network, about)
    return tmp_path / "pose.safetensors"


@pytest.mark.slow
def test_a_registration_starts_where_the_network_says(case, weights, call, tmp_path):
    done = call(
        "register", case.ct, case.xray, "--init", "regression", "--weights", weights,
        "--multi-start", 2, "--film", "none", "--out", tmp_path / "out", "--json", "--quiet",
    )  # fmt: skip
    answer = json.loads(done.out)
    assert answer["init"]["method"] == "regression"
    assert answer["init"]["weights"]["trained_on"] == "nothing"
    assert answer["start_origin"] == "a pose network"
    found = pose_of_matrix(
        torch.tensor(answer["pose"]["world_from_camera"]).double(), "world_from_camera"
    )
    assert float(rotation_error_deg(found, case.pose)) < 0.5
    assert done.code == 0, done.err


@pytest.mark.slow
def test_patches_are_drawn_where_the_network_looked(case, weights, call, tmp_path, monkeypatch):
    seen = []
    begun = diffpose._Middles.__init__
    monkeypatch.setattr(
        diffpose._Middles, "__init__", lambda *given: (seen.append(given[4]), begun(*given))[1]
    )
    done = call(
        "register", case.ct, case.xray, "--init", "regression", "--weights", weights,
        "--method", "diffpose", "--film", "none", "--out", tmp_path / "out", "--quiet",
    )  # fmt: skip
    assert done.code in (0, 1), done.err
    (looked,) = seen
    assert looked.carm == FixedCamera(pixels=32).carm(read_radiograph(case.xray).carm)
    assert float(looked.cells.max()) == 1.0
    settings = json.loads((tmp_path / "out" / "result.json").read_text())["settings"]
    assert settings["kind"] == "DiffPoseSettings"
    assert "attention" not in settings


def test_a_network_of_a_template_is_brought_to_the_ct(case, call, tmp_path, monkeypatch):
    # It says the true pose as if the template's world were moved against the CT's by -(30, -20, 10) mm.
    shift = torch.tensor([30.0, -20.0, 10.0], dtype=torch.float64)
    network = PoseNetwork(framing=FixedCamera(pixels=32), frame=PoseFrame(center="volume"))
    said = Pose(case.pose.rotation.double(), case.pose.translation.double() - shift)
    network.begin_at(said, Place(torch.zeros(3, dtype=torch.float64)))
    for head in (network.rot_regression, network.xyz_regression):
        torch.nn.init.zeros_(head.weight)
    save_network(
        tmp_path / "of.safetensors", network, {"words": ["trained in the frame of a template"]}
    )
    sitk.WriteTransform(sitk.TranslationTransform(3, shift.tolist()), str(tmp_path / "warp.tfm"))
    volume, radiograph = case.volume, read_radiograph(case.xray)
    asked = InitialiseRequest("regression", volume, radiograph, weights=tmp_path / "of.safetensors")
    found = run(initialise(replace(asked, warp=tmp_path / "warp.tfm")))
    assert torch.allclose(found.pose.matrix(), case.pose.matrix().double(), atol=1e-3)
    assert "as warp.tfm says" in found.notes[0]
    assert "without its warp" in run(initialise(asked)).notes[0]
    # The template is this very CT: what the network says is about its middle.
    network.begin_at(case.pose, Place(volume.center.double()))
    save_network(tmp_path / "of.safetensors", network, {})
    found = run(initialise(replace(asked, template=Path(case.ct))))
    assert (
        "the template was registered to the CT, turned by 0.0° (correlation 1.00" in found.notes[0]
    )
    assert torch.allclose(found.pose.matrix(), case.pose.matrix().double(), atol=0.05)
    # One of ours speaks about the bones of the CT it was trained on, wherever the middle of the grid lies.
    bone = volume.center.double() + torch.tensor([9.0, -14.0, 6.0], dtype=torch.float64)
    network.frame = PoseFrame(center=tuple(bone.tolist()))
    network.begin_at(case.pose, Place(bone))
    save_network(tmp_path / "own.safetensors", network, {})
    own = replace(asked, weights=tmp_path / "own.safetensors", template=Path(case.ct))
    found = run(initialise(own))
    assert torch.allclose(found.pose.matrix(), case.pose.matrix().double(), atol=0.05)
    network.frame = PoseFrame(center=(5000.0, 0.0, 0.0))
    save_network(tmp_path / "own.safetensors", network, {})
    with pytest.raises(NoStart, match="trained on another CT than this template"):
        run(initialise(own))
    refused = call("register", case.ct, case.xray, "--warp", tmp_path / "warp.tfm")
    assert (refused.code, "--warp belong to --init regression" in refused.err) == (2, True)


def test_a_template_of_an_unknown_unit_is_named(case, weights, call, tmp_path):
    image = sitk.GetImageFromArray(torch.arange(6 * 5 * 4).reshape(6, 5, 4).to(torch.uint8).numpy())
    sitk.WriteImage(image, str(tmp_path / "grey.nii.gz"))
    done = call(
        "register", case.ct, case.xray, "--init", "regression", "--weights", weights, "--quiet",
        "--template", tmp_path / "grey.nii.gz", "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.code == 2
    assert "the template " in done.err
    assert "grey.nii.gz" in done.err
    assert "Convert it to Hounsfield units first" in done.err
    assert "--ct-values" not in done.err


def test_one_trained_on_another_ct_is_refused(case, call, tmp_path):
    frame = PoseFrame(center=(5000.0, 0.0, 0.0))
    network = PoseNetwork(framing=FixedCamera(pixels=32), frame=frame)
    save_network(tmp_path / "other.safetensors", network, {})
    words = ("register", case.ct, case.xray, "--out", tmp_path / "out", "--quiet")
    done = call(*words, "--init", "regression", "--weights", tmp_path / "other.safetensors")
    assert done.code == 1
    assert "trained on another CT" in done.err
    done = call(*words, "--init", "regression")
    assert done.code == 2
    assert (
        "--init regression needs --weights: train a network first (napari-xreg train pose)"
        in done.err
    )


def test_weights_are_described(weights, call, tmp_path):
    done = call("inspect", weights, "--json", "--quiet")
    answer = json.loads(done.out)
    assert (answer["kind"], answer["network"]) == ("network weights", "pose")
    assert answer["scores"] == {"median_mtre_mm": 1.5}
    assert answer["words"] == "It guesses."
    torch.save(seeded.checkpoint_of("twist"), tmp_path / "0042.pth")
    done = call("inspect", tmp_path / "0042.pth")
    assert done.code == 0, done.err
    assert "pose, xvr 0.1.0" in done.out
    assert "64 x 64 pixels of 3.5 mm, 1020 mm from the source; orientation AP" in done.out
    torch.save({"state_dict": {"a": torch.zeros(2)}}, tmp_path / "ray.ckpt")
    assert "a published file of 1 tensors" in call("inspect", tmp_path / "ray.ckpt").out
    (tmp_path / "broken.pth").write_bytes(b"no")
    done = call("inspect", tmp_path / "broken.pth")
    assert done.code == 2
    assert "broken.pth cannot be read" in done.err


def request_of(*words):
    return train_request(
        build_parser().parse_args(["train", *map(str, words), "--out", "w.safetensors"])
    )


@pytest.mark.parametrize("kept", [{"similarity": 0.75}, {}])
def test_a_training_goes_on_with_its_own_similarity(monkeypatch, kept, tmp_path):
    found = Interrupted(
        "w.resume", Resume({}), tmp_path / "w.safetensors", (), "pose", kept, "", ""
    )
    monkeypatch.setattr(train_command, "interrupted", lambda file: found)
    words = ("pose", "phantoms", "--resume", "w.resume", "--tensorboard", "runs")
    said = request_of(*words, "--similarity", "0")
    assert (said.recipe.similarity, str(said.tensorboard)) == (0.0, "runs")
    assert said.recipe.overlap == 0.0
    if kept:
        assert request_of(*words).recipe.similarity == 0.75
        assert request_of(*words).recipe.overlap == 0.0  # of a file from before there was one
        assert request_of(*words, "--overlap", "0.5").recipe.overlap == 0.5
        found.settings["overlap"] = 0.25
        assert request_of(*words).recipe.overlap == 0.25
        assert request_of(*words, "--similarity", "1").recipe.overlap == 0.25
    else:
        with pytest.raises(
            ValueError, match=r"w.resume: the file does not say .*: give --similarity"
        ):
            request_of(*words)


def test_ranges_of_the_paper_and_the_similarity():
    assert set(RANGES) == set(NAMED_RANGES)
    named = request_of("pose", "phantoms", "--range", "xvr-skull", "--similarity", "0.5")
    assert named.poses == NAMED_RANGES["xvr-skull"]
    assert named.recipe.similarity == 0.5
    narrower = request_of("pose", "phantoms", "--range", "xvr-pelvis", "--primary", "-10", "20")
    assert narrower.poses.primary_deg == (-10.0, 20.0)
    assert narrower.poses.secondary_deg == (-45.0, 45.0)
    assert narrower.poses.even == NAMED_RANGES["xvr-pelvis"].even
    nearer = request_of("pose", "phantoms", "--range", "xvr-pelvis", "--offset", "7")
    assert nearer.poses == PoseRange((-45.0, 45.0), (-45.0, 45.0), (-15.0, 15.0), 7.0)
    with pytest.raises(ValueError, match="belongs to train pose"):
        request_of("rayemb", "phantoms", "--similarity", "1")
    with pytest.raises(ValueError, match="--overlap belongs to train pose"):
        request_of("rayemb", "phantoms", "--overlap", "1")
