"""Published checkpoints: what they say, in words, and what is refused."""

import datetime
import os
import pathlib

import pytest
import seeded_xvr as seeded
import torch

from napari_xreg.regression import generation, load_pose_network, network_of_published
from napari_xreg.training import CheckpointError


@pytest.fixture(scope="module")
def twist():
    return seeded.checkpoint_of("twist")


RANGES = (
    "trained on poses of first angle -45 to 45 °, second angle -30 to 30 °, third angle -15 to 15 °, "
    "x -50 to 50 mm, y 600 to 900 mm, z -50 to 50 mm"
)


def without(checkpoint, *names):
    config = {key: value for key, value in checkpoint["config"].items() if key not in names}
    return {**checkpoint, "config": config}


def test_a_file_says_in_words_what_it_holds(twist, tmp_path):
    saved = {**twist, "config": {**twist["config"], "maskpath": pathlib.Path("/data/mask.nii.gz")}}
    torch.save(saved, tmp_path / "0042.pth")
    network, about = load_pose_network(tmp_path / "0042.pth")
    assert about["source"] == "0042.pth"
    assert about["words"] == [
        "xvr 0.1.0: resnet18 with group normalisation, rotation as se3_log_map",
        "sees 64 x 64 pixels of 3.5 mm, 1020 mm from the source; orientation AP",
        RANGES,
        "trained on patient/volume.nii.gz",
        "saved on 01 September 2026",
        "after 1500 iterations",
    ]
    assert not network.training
    assert network.frame.center == "volume"
    assert network.frame.reverse_x_axis
    assert not network.framing.mirrored


def test_generations_differ_by_what_they_do_not_say(twist):
    assert generation(twist) == "xvr 0.1.0"
    february = without(twist, "geodesic_only")
    assert generation(february) == "xvr of February 2026"
    march = without(twist, "geodesic_only", "unit_conversion_factor", "orientation")
    assert generation(march) == "xvr of March 2025"
    network, _ = network_of_published(march, "march.pth")
    # Millimetres, and a patient seen from the front, where the first files say nothing.
    assert network.frame.unit_mm == 1.0
    assert network.frame.orientation == "PA"


def test_one_of_diffpose_has_its_own_frame_and_values(twist):
    content = {
        "model_state_dict": twist["model_state_dict"], "model_name": "resnet18", "height": 256,
        "parameterization": "se3_log_map", "convention": None, "norm_layer": "groupnorm", "epoch": 7,
    }  # fmt: skip
    network, about = network_of_published(content, "specimen_01_best.ckpt")
    assert about["words"] == [
        "DiffPose: resnet18 with group normalisation, rotation as se3_log_map",
        "after 7 epochs",
    ]
    assert network.frame.meant == "diffpose"
    assert (network.look.mean, network.look.deviation) == (0.3080, 0.1494)
    # 1436 pixels of 0.194 mm on 256.
    assert network.framing.pixel_mm == pytest.approx(1.08821875)
    assert network.framing.mirrored


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("kind 'convnextv2_femto', which is not known here: resnet18 and resnet34", {"model_name": "convnextv2_femto"}),
        ("says resnet34, and has the weights of another network", {"model_name": "resnet34"}),
        ("says 'default' for its normalisation, and its weights are those of group", {"norm_layer": "default"}),
        ("rotation is said as", {"parameterization": "gibbs"}),
        ("do not fit", {"parameterization": "rotation_6d"}),
        ("1 to 4096 pixels", {"height": 10**9}),
        ("AP, PA or None", {"orientation": "sideways"}),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(twist, words, changes):
    with pytest.raises(CheckpointError, match=words):
        network_of_published({**twist, "config": {**twist["config"], **changes}}, "some.pth")


@pytest.mark.parametrize(
    "content", [{}, [], {"model_state_dict": {"a": torch.tensor([torch.nan])}}]
)
def test_what_is_no_checkpoint_is_refused(content):
    with pytest.raises(CheckpointError, match="no network of xvr or DiffPose"):
        network_of_published(content, "some.pth")


class Runs:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-checkpoint",)


def test_nothing_in_a_file_is_run(twist, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({**twist, "date": Runs()}, tmp_path / "bad.pth")
    with pytest.raises(CheckpointError, match="program objects are refused"):
        load_pose_network(tmp_path / "bad.pth")
    assert not (tmp_path / "made-by-a-checkpoint").exists()
    # And what is let in here is let in here alone.
    torch.save(datetime.datetime(2026, 1, 1), tmp_path / "date.pth")
    with pytest.raises(Exception, match="datetime"):
        torch.load(tmp_path / "date.pth", weights_only=True)
