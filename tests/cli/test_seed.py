"""--seed of every command arrives where numbers are drawn: looked at there, and stopped there."""

from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from napari_xreg import training
from napari_xreg.cli.arguments.parser import build_parser
from napari_xreg.cli.commands import (
    detect as detect_command,
    heatmap as heatmap_command,
    register as register_command,
)
from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Landmark, read_radiograph, write_landmarks
from napari_xreg.rayemb import PreparedNetwork
from napari_xreg.registration import Attention
from napari_xreg.registration.refinement.second_order import tracks
from napari_xreg.workflows import RECIPES, InitialiseRequest, StartingPose
from napari_xreg.workflows.starting import by_landmarks, by_points, several


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


def ended(done):
    assert done.code == 2
    assert done.err.strip().endswith("error: enough")


@pytest.mark.slow
def test_register_spreads_its_starts_by_it(call, case, monkeypatch):
    spread, seen = tracks.spread_starts, []

    def starts(*arguments):
        seen.append(torch.stack([pose.matrix() for pose in spread(*arguments)]))
        raise ValueError("enough")

    monkeypatch.setattr(tracks, "spread_starts", starts)
    for seed in ((), ("--seed", 0), ("--seed", 7), ("--seed", 7), ("--seed", 8)):
        ended(call("register", case.ct, case.xray, "--multi-start", 3, *seed, "--quiet"))
    unsaid, zero, seven, again, eight = seen
    assert torch.equal(unsaid, zero)
    assert torch.equal(seven, again)
    for one, other in ((zero, seven), (seven, eight), (zero, eight)):
        assert torch.equal(one[0], other[0])  # the start that was given
        assert (one[1:] - other[1:]).abs().amax((1, 2)).min() > 0.01


def test_starts_left_to_the_program(call, case, stop):
    calls = stop(register_command, "refine_shown")
    for starts in ((), ("--multi-start", "auto"), ("--multi-start", 1)):
        ended(call("register", case.ct, case.xray, *starts, "--seed", 3, "--quiet"))
    asked = [request.settings for ((request, _), _) in calls]
    assert [each.starts for each in asked] == [0, 0, 1]
    assert {(each.rounds, each.seed) for each in asked} == {((1, 16, 128, 256), 3)}


def test_a_start_that_was_found_is_not_spread_where_something_is_locked():
    nowhere = torch.zeros(3, dtype=torch.float64)
    found = StartingPose(Pose(torch.eye(3).double(), nowhere), nowhere, "a network", starts=16)
    line = ["register", "ct.nii.gz", "xray.npz", "--init", "rayemb"]
    for words, starts in (
        ((), 16),
        (("--lock", "depth"), 1),
        (("--lock", "depth", "--multi-start", "4"), 4),
    ):
        arguments = build_parser().parse_args([*line, *words])
        assert register_command.chosen_settings(arguments, found).starts == starts


def test_where_a_network_looked_reaches_the_solver_that_asks():
    nowhere, arm = (
        torch.zeros(3, dtype=torch.float64),
        CArm(1000.0, 700.0, Detector((4, 5), (1, 1))),
    )
    looked = Attention(torch.rand(4, 5), arm)
    pose = Pose(torch.eye(3).double(), nowhere)
    found = StartingPose(pose, nowhere, "a network", starts=16, attention=looked)
    line = ["register", "ct.nii.gz", "xray.npz", "--init", "regression", "--method", "diffpose"]
    settings = register_command.chosen_settings(build_parser().parse_args(line), found)
    assert settings.attention is looked


def test_detect(call, case, stop):
    calls = stop(detect_command, "detect")
    ended(call("detect", case.xray, "--weights", "w", "--seed", 7, "--quiet"))
    (((request,), _),) = calls
    assert request.settings.seed == 7


@pytest.mark.slow
@pytest.mark.parametrize("method", ["rayemb", "landmarks"])
def test_a_start_that_is_found(call, case, stop, tmp_path, method):
    calls = stop(several, "initialise")
    write_landmarks(tmp_path / "a.csv", [Landmark("a", (1.0, 2.0, 3.0))])
    words = ("--weights", case.truth, "--landmarks", tmp_path / "a.csv", "--seed", 8, "--quiet")
    ended(call("register", case.ct, case.xray, "--init", method, "--labels", case.labels, *words))
    (((request,), _),) = calls
    assert (request.method, request.seed) == (method, 8)


@pytest.mark.parametrize(
    ("module", "drawing"),
    [(by_points, "find_points"), (by_landmarks, "detect")],
)
def test_what_finds_it_draws_by_it(case, monkeypatch, stop, module, drawing):
    def prepared(*_, **__):
        yield from ()
        return Mock(spec=PreparedNetwork)

    monkeypatch.setattr(by_points, "prepare_network", prepared)
    calls = stop(module, drawing)
    request = InitialiseRequest(
        "any", case.volume, read_radiograph(case.xray), weights=Path("w"), seed=9
    )
    with pytest.raises(ValueError, match="enough"):
        list(module.find_start(request))
    (((inner,), _),) = calls
    assert inner.settings.seed == 9


def test_heatmap(call, case, stop, monkeypatch):
    calls = stop(heatmap_command, "heatmaps")
    ready = Mock(polarity=Mock(sentence="as it should be"))
    monkeypatch.setattr(heatmap_command, "shown", lambda *_: ready)
    monkeypatch.setattr(heatmap_command, "HeatmapRequest", Mock())
    point = ("--point", *case.isocenter, "--labels", case.labels, "--seed", 7, "--quiet")
    ended(call("heatmap", case.ct, case.xray, *point))
    assert calls
    assert heatmap_command.HeatmapRequest.call_args.kwargs["seed"] == 7


@pytest.mark.slow
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
