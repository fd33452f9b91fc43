"""Damaged and hostile files of weights: refused in a sentence, or read as what they say."""

import copy
import json
import random
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from napari_xreg.landmarks import CompactDetector, load_detector, resnet_unet_of_published
from napari_xreg.landmarks.resnet_unet import ResNetUNet
from napari_xreg.rayemb import CompactEncoder, load_encoder
from napari_xreg.registration import AdamSteps
from napari_xreg.training import (
    CheckpointError,
    Framing,
    TrainSettings,
    Validation,
    check_state,
    read_checkpoint,
    read_state,
    read_torch_weights,
    save_network,
    train,
    write_state,
)

ENCODER = CompactEncoder(8, (8, 16, 8), Framing(pixel_mm=7.0))
DETECTOR = CompactDetector(("a", "b", "c"), (8, 8, 16, 8), framing=Framing(pixel_mm=4.6))
HUGE = 10**9


def written(file, network, **changes):
    """A file of weights whose header says something else."""
    header = {
        "schema": "napari-xreg/weights", "version": 1, "kind": network.kind,
        "configuration": network.configuration(), "about": {},
    }  # fmt: skip
    weights = changes.pop("weights", network.state_dict())
    text = json.dumps({**json.loads(json.dumps(header)), **changes})
    text = changes.pop("text", text)
    save_file(dict(weights), file, metadata={"napari-xreg": text})
    return file


def configured(network, **changes):
    return {**network.configuration(), **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text": "[1, 2]"}, "expected a JSON object"),
        ({"text": "{"}, "not a file of weights"),
        ({"text": "[" * 3000}, "not a file of weights"),
        ({"text": '{"a":' * 200 + "1" + "}" * 200}, "nests too deeply"),
        ({"version": "1"}, "version '1'"),
        ({"version": True}, "version True"),
        ({"version": 0}, "version 0"),
        ({"version": 2}, "update napari-xreg"),
        ({"schema": ["napari-xreg/weights"]}, "schema"),
        ({"kind": 3}, "its header: kind should be a text: got 3"),
        ({"kind": "other"}, "kind 'other'"),
        ({"configuration": []}, r"configuration should be an object: got \[\]"),
        ({"about": "good"}, "about should be an object: got 'good'"),
    ],
)
def test_a_header_of_another_kind(tmp_path, changes, words):
    with pytest.raises(CheckpointError, match=words):
        load_encoder(written(tmp_path / "w.safetensors", ENCODER, **changes))


@pytest.mark.parametrize(
    "changed",
    [
        {"widths": [8, HUGE, 8]}, {"widths": [8, 16]}, {"widths": "abc"}, {"widths": [8, 16.0, 8]},
        {"widths": [8, -16, 8]}, {"dimensions": HUGE}, {"dimensions": "8"}, {"dimensions": None},
        {"framing": None}, {"framing": {}}, {"framing": {"shape": [64]}}, {"colour": 1},
        {"framing": {**vars(Framing()), "largest": HUGE}},
        {"framing": {**vars(Framing()), "pixel_mm": 0.0}},
        {"framing": {**vars(Framing()), "pixel_mm": "7"}},
        {"framing": {**vars(Framing()), "multiple": 0}},
        {"framing": {**vars(Framing()), "shape": [64, HUGE]}},
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_meant(tmp_path, changed):
    file = written(
        tmp_path / "w.safetensors", ENCODER, configuration=configured(ENCODER, **changed)
    )
    with pytest.raises(CheckpointError, match="do not fit the network they name"):
        load_encoder(file)


@pytest.mark.parametrize(
    "changed",
    [
        {"names": []}, {"names": ["a", "a", "b"]}, {"names": "abc"}, {"names": [1, 2, 3]},
        {"names": ["a", "b"]}, {"dropout": 2.0}, {"dropout": "x"}, {"trusted_mm": -1.0},
        {"trusted_mm": True}, {"trusted_mm": "5"}, {"widths": [8, 8, 16, 8, 8]},
    ],
)  # fmt: skip
def test_a_detector_that_cannot_be_meant(tmp_path, changed):
    changed = configured(DETECTOR, **changed)
    with pytest.raises(CheckpointError, match="do not fit the network they name"):
        load_detector(written(tmp_path / "w.safetensors", DETECTOR, configuration=changed))


@pytest.mark.slow
def test_a_network_of_a_thousand_million_blocks_is_not_begun(tmp_path):
    small = ResNetUNet(("x", "y"), (1, 1, 1, 1), 4, (8, 8, 4, 4, 4))
    changed = configured(small, blocks=[HUGE, 1, 1, 1])
    with pytest.raises(CheckpointError, match="a larger network than the file holds"):
        load_detector(written(tmp_path / "w.safetensors", small, configuration=changed))
    for odd in ({"inputs": "photograph"}, {"flipped": "no"}):
        with pytest.raises(CheckpointError, match="do not fit the network they name"):
            load_detector(
                written(tmp_path / "w.safetensors", small, configuration=configured(small, **odd))
            )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(tmp_path, value):
    weights = {k: v.clone() for k, v in ENCODER.state_dict().items()}
    weights["head.2.bias"][3] = value
    with pytest.raises(CheckpointError, match=r"weights head\.2\.bias are not finite"):
        load_encoder(written(tmp_path / "w.safetensors", ENCODER, weights=weights))
    torch.save({"state_dict": weights}, tmp_path / "w.ckpt")
    with pytest.raises(CheckpointError, match="finite tensors by parameter name"):
        read_torch_weights(tmp_path / "w.ckpt")


def test_weights_of_another_shape_name_or_kind(tmp_path):
    good = ENCODER.state_dict()
    for weights, words in (
        ({**good, "head.2.bias": torch.zeros(9)}, r"\(8,\) .* \(9,\)"),
        ({k: v for k, v in good.items() if k != "head.2.bias"}, "has head.2.bias, unlike the file"),
        ({**good, "tail": torch.zeros(1)}, "does not have tail"),
        ({**good, "head.2.bias": torch.zeros(8, dtype=torch.int32)}, "of torch.int32 in the file"),
    ):
        with pytest.raises(CheckpointError, match=words):
            load_encoder(written(tmp_path / "w.safetensors", ENCODER, weights=weights))


def test_a_tensor_that_repeats_one_number_for_ever_is_refused(tmp_path):
    endless = torch.zeros(1).expand(10**6, 10**7)
    torch.save({"state_dict": {"w": endless}}, tmp_path / "w.ckpt")
    assert (tmp_path / "w.ckpt").stat().st_size < 4000
    with pytest.raises(CheckpointError, match="no state dict"):
        read_torch_weights(tmp_path / "w.ckpt")


def test_a_packed_file_is_not_unpacked(tmp_path):
    torch.save({"state_dict": {"w": torch.zeros(300_000)}}, tmp_path / "w.ckpt")
    with (
        zipfile.ZipFile(tmp_path / "w.ckpt") as plain,
        zipfile.ZipFile(tmp_path / "bomb.ckpt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for member in plain.infolist():
            packed.writestr(member.filename, plain.read(member))
    with pytest.raises(CheckpointError, match="packed in a way that torch does not"):
        read_torch_weights(tmp_path / "bomb.ckpt")


def test_published_weights_that_are_none():
    network = ResNetUNet(("x", "y"), (1, 1, 1, 1), 4, (8, 8, 4, 4, 4))
    good = network.state_dict()
    first = "encoder.conv1.weight"
    for weights in (
        {**good, first: torch.zeros(())},
        {**good, first: torch.zeros(1).expand(10**9, 3, 7, 7)},
        {**good, "decoder.blocks.0.conv2.0.weight": torch.zeros(())},
        {**good, "encoder.layer1.999.conv1.weight": torch.zeros(1)},
        {k: v for k, v in good.items() if not k.startswith("encoder.layer3")},
    ):
        with pytest.raises(CheckpointError):
            resnet_unet_of_published(weights, ("x", "y"))


class Line:
    """Two numbers to learn."""

    def __init__(self):
        self.network = nn.Linear(2, 1)

    def losses(self, generator):
        x = torch.randn(4, 2, generator=generator)
        return {"loss": self.network(x).square().mean()}

    def validate(self):
        return {"score": 1.0}, None

    def state(self):
        return {"steps": 3}

    def restore(self, state):
        assert state["steps"] == 3


def kept_state():
    """After three steps."""
    control = train(Line(), TrainSettings(steps=3, validate_every=3))
    return next(event for event in control if isinstance(event, Validation)).state


def changed(path, value):
    """The state with one thing changed; a value of None takes it out."""
    state = copy.deepcopy(dict(kept_state()))
    *way, last = path.split(".")
    at = state
    for step in way:
        at = at[int(step) if step.isdigit() else step]
    key = int(last) if last.isdigit() else last
    if value is None:
        del at[key]
    else:
        at[key] = value
    return state


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("network", None), ("mean", None), ("best", []), ("optimiser", None), ("generator", None),
        ("generator", torch.zeros(3, dtype=torch.uint8)), ("generator", torch.zeros(5056)),
        ("steps", -1), ("steps", 1.5), ("steps", True), ("steps", 10**30), ("seconds", "3"),
        ("seconds", float("nan")), ("best_score", float("nan")), ("best_score", None),
        ("network.weight", torch.full((1, 2), torch.nan)), ("network.weight", 3),
        ("mean.bias", torch.zeros(1).expand(10**12)), ("task", 3), ("task", None),
        ("optimiser.state", None), ("optimiser.state.0.exp_avg", torch.zeros(7)),
        ("optimiser.state.1.step", torch.tensor(-2.0)), ("network.weight", torch.zeros(3, 2)),
        ("network.other", torch.zeros(1)), ("mean.weight", None), ("task.steps", None),
        ("validations", None),
    ],
)  # fmt: skip
def test_a_damaged_state_is_refused_in_a_sentence(tmp_path, path, value):
    file = tmp_path / "w.resume"
    state = changed(path, value)
    if path == "validations":
        write_state(file, changed("steps", 3))
        content = torch.load(file, weights_only=True)
        content["state"]["validations"] = [{"index": 1}]
        torch.save(content, file)
    else:
        write_state(file, state)
    task = Line()
    before = {k: v.clone() for k, v in task.network.state_dict().items()}
    with pytest.raises(CheckpointError):
        next(train(task, TrainSettings(steps=9), resume=read_state(file)))
    for name, weights in task.network.state_dict().items():
        assert torch.equal(weights, before[name])


def test_the_undamaged_state_is_read_and_one_of_the_first_version(tmp_path):
    file = tmp_path / "w.resume"
    write_state(file, kept_state())
    resumed = Line()
    check_state(read_state(file), resumed.network)
    assert next(train(resumed, TrainSettings(steps=9), resume=read_state(file))).index == 4
    # Version 1 was written with torch's own optimiser: with its groups, which nobody needs.
    content = torch.load(file, weights_only=True)
    content["version"] = 1
    content["state"]["optimiser"]["param_groups"] = [{"lr": 0.1, "params": [0, 1]}]
    torch.save(content, file)
    assert next(train(Line(), TrainSettings(steps=9), resume=read_state(file))).index == 4
    steps = AdamSteps(list(resumed.network.parameters()))
    steps.restore(read_state(file)["optimiser"])
    assert int(steps.state()["state"][0]["step"]) == 3


@pytest.mark.slow
@pytest.mark.parametrize("what", ["w.safetensors", "w.ckpt", "w.resume"])
def test_bytes_that_changed_give_a_sentence_or_finite_weights(tmp_path, what):
    file = tmp_path / what
    if what == "w.safetensors":
        save_network(file, ENCODER, {"steps": 3})
    elif what == "w.ckpt":
        torch.save({"state_dict": ENCODER.state_dict()}, file)
    else:
        write_state(file, kept_state())
    whole = file.read_bytes()
    draws = random.Random(11)
    refused = 0
    for turn in range(120):
        data = bytearray(whole)
        if turn % 3 == 0:
            data = data[: draws.randrange(len(data))]
        else:
            # Half of them in the header, which is where structure is.
            for _ in range(1 + turn % 5):
                data[draws.randrange(len(data) if turn % 2 else 1500)] = draws.randrange(256)
        file.write_bytes(data)
        try:
            if what == "w.safetensors":
                network, _ = load_encoder(file)
                found = dict(network.state_dict())
            elif what == "w.ckpt":
                found = read_torch_weights(file)
            else:
                found = read_state(file)["network"]
        except CheckpointError:
            refused += 1
            continue
        assert all(bool(torch.isfinite(value).all()) for value in found.values())
    assert refused >= 60


def test_a_folder_or_nothing_is_refused(tmp_path):
    for read in (read_checkpoint, read_state, read_torch_weights):
        with pytest.raises(CheckpointError):
            read(tmp_path)
        with pytest.raises(CheckpointError):
            read(tmp_path / "none")
