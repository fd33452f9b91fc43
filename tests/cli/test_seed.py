"""--seed of every command arrives where numbers are drawn: looked at there, and stopped there."""

import importlib
from unittest.mock import Mock

import pytest
import torch

from napari_xreg import training
from napari_xreg.cli import detect_command, heatmap_command, landmark_start, rayemb_start
from napari_xreg.images import Landmark, write_landmarks
from napari_xreg.rayemb import RayEncoder
from napari_xreg.workflows import RECIPES

# The package's name `refine` is the function.
REFINE = importlib.import_module("napari_xreg.registration.refinement.refining")


@pytest.fixture
def stop(monkeypatch):
    """Replace a function by one that keeps what it was given and ends the command."""

    def at(module, name):
        calls = []

        def stopped(*arguments, **options):
            calls.append((arguments, options))
            raise ValueError("enough")

        monkeypatch.setattr(module, name, stopped)
        return calls

    return at


@pytest.fixture
def weights(monkeypatch):
    """Networks that nobody asks anything."""
    for module in (detect_command, landmark_start):
        monkeypatch.setattr(module, "chosen_detector", lambda *_: (Mock(), {}))
    encoder = Mock(spec=RayEncoder)
    for module in (heatmap_command, rayemb_start):
        monkeypatch.setattr(module, "chosen_encoder", lambda *_: (encoder, {}))


def ended(done):
    assert done.code == 2
    assert done.err.strip().endswith("error: enough")


def test_register_spreads_its_starts_by_it(call, case, monkeypatch):
    spread, seen = REFINE.spread_starts, []

    def starts(*arguments):
        seen.append(torch.stack([pose.matrix() for pose in spread(*arguments)]))
        raise ValueError("enough")

    monkeypatch.setattr(REFINE, "spread_starts", starts)
    for seed in ((), ("--seed", 0), ("--seed", 7), ("--seed", 7), ("--seed", 8)):
        ended(call("register", case.ct, case.xray, "--multi-start", 3, *seed, "--quiet"))
    unsaid, zero, seven, again, eight = seen
    assert torch.equal(unsaid, zero)
    assert torch.equal(seven, again)
    for one, other in ((zero, seven), (seven, eight), (zero, eight)):
        assert torch.equal(one[0], other[0])  # the start that was given
        assert (one[1:] - other[1:]).abs().amax((1, 2)).min() > 0.01


def test_detect_and_a_start_from_landmarks(call, case, stop, weights, tmp_path):
    calls = stop(detect_command, "detected")
    ended(call("detect", case.xray, "--weights", "w", "--seed", 7, "--quiet"))
    write_landmarks(tmp_path / "a.csv", [Landmark("a", (1.0, 2.0, 3.0))])
    calls_of_register = stop(landmark_start, "detected")
    ended(
        call(
            "register", case.ct, case.xray, "--init", "landmarks", "--weights", case.truth,
            "--landmarks", tmp_path / "a.csv", "--seed", 8, "--quiet",
        )
    )  # fmt: skip
    assert [arguments[2].seed for arguments, _ in (*calls, *calls_of_register)] == [7, 8]


def test_a_start_from_points(call, case, stop, weights):
    calls = stop(rayemb_start, "locate")
    words = ("--init", "rayemb", "--seed", 7, "--quiet")
    ended(call("register", case.ct, case.xray, "--labels", case.labels, *words))
    ((_, options),) = calls
    assert options["settings"].seed == 7


def test_heatmap(call, case, stop, weights, monkeypatch):
    calls = stop(heatmap_command, "point_heatmaps")
    for name in ("make_templates", "templates_for", "run_events", "embed"):
        monkeypatch.setattr(heatmap_command, name, Mock())
    monkeypatch.setattr(heatmap_command, "polarity_of", lambda *_: Mock(sentence="as it should be"))
    point = ("--point", *case.isocenter, "--labels", case.labels, "--seed", 7, "--quiet")
    ended(call("heatmap", case.ct, case.xray, *point))
    ((_, options),) = calls
    assert options["seed"] == 7


@pytest.mark.parametrize("method", ["rayemb", "landmarks"])
def test_train_draws_its_network_and_its_views_by_it(call, stop, monkeypatch, method):
    calls = stop(training, "train")
    networks, seeds = [], []

    def task(recipe, network, patients, **asked):
        networks.append(torch.cat([p.detach().flatten() for p in network.parameters()]))
        seeds.append(asked["seed"])

    monkeypatch.setattr(type(RECIPES[method]()), "task", task)
    for seed in (7, 7, 8):
        out = ("--out", "w.safetensors", "--seed", seed, "--quiet")
        ended(call("train", method, "phantoms", *out))
    assert [arguments[1].seed for arguments, _ in calls] == seeds == [7, 7, 8]
    one, again, other = networks
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
