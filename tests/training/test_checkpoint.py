"""Weights on disk: round trips, and sentences for files that are something else."""

import json

import pytest
import torch
from safetensors.torch import save_file

from napari_xreg.training import (
    Checkpoint,
    CheckpointError,
    read_checkpoint,
    read_torch_weights,
    write_checkpoint,
)

WEIGHTS = {"a.weight": torch.tensor([[1.5, -2.25], [0.1, 7.0]]), "n": torch.tensor([3, 5])}


@pytest.mark.parametrize("half", [False, True])
def test_what_is_written_is_read(tmp_path, half):
    file = tmp_path / "deep" / "w.safetensors"
    about = {"steps": 12, "scores": [1.5, None], "text": "µ"}
    write_checkpoint(file, Checkpoint("compact", {"widths": [3, 4]}, WEIGHTS, about), half=half)
    back = read_checkpoint(file)
    assert back.kind == "compact"
    assert back.configuration == {"widths": [3, 4]}
    assert back.about == about
    assert back.weights["a.weight"].dtype == torch.float32
    expected = WEIGHTS["a.weight"].half().float() if half else WEIGHTS["a.weight"]
    assert torch.equal(back.weights["a.weight"], expected)
    assert torch.equal(back.weights["n"], WEIGHTS["n"])
    assert not list(file.parent.glob("*.part"))


def test_weights_that_are_no_numbers_are_not_written(tmp_path):
    too_large = Checkpoint("compact", {}, {"w": torch.tensor([1e6])}, {})
    with pytest.raises(CheckpointError, match="w is not finite"):
        write_checkpoint(tmp_path / "w.safetensors", too_large, half=True)
    assert not list(tmp_path.iterdir())


def test_other_files_are_refused_in_words(tmp_path):
    with pytest.raises(CheckpointError, match="there is no such file"):
        read_checkpoint(tmp_path / "none.safetensors")
    rubbish = tmp_path / "rubbish.safetensors"
    rubbish.write_bytes(b"not weights at all, but long enough to be read")
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        read_checkpoint(rubbish)
    foreign = tmp_path / "foreign.safetensors"
    save_file(dict(WEIGHTS), foreign)
    with pytest.raises(CheckpointError, match="another program"):
        read_checkpoint(foreign)
    later = tmp_path / "later.safetensors"
    header = {"schema": "napari-xreg/weights", "version": 99, "kind": "x"}
    save_file(dict(WEIGHTS), later, metadata={"napari-xreg": json.dumps(header)})
    with pytest.raises(CheckpointError, match="update napari-xreg"):
        read_checkpoint(later)


def test_published_files_are_read_without_running_them(tmp_path):
    lightning = tmp_path / "a.ckpt"
    torch.save({"state_dict": WEIGHTS, "epoch": 3}, lightning)
    assert torch.equal(read_torch_weights(lightning)["n"], WEIGHTS["n"])
    bare = tmp_path / "b.pth"
    torch.save(WEIGHTS, bare)
    assert set(read_torch_weights(bare)) == set(WEIGHTS)
    empty = tmp_path / "c.ckpt"
    torch.save({"state_dict": {"x": 3}}, empty)
    with pytest.raises(CheckpointError, match="no state dict"):
        read_torch_weights(empty)


class Trap:
    """Would run code when unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("code of a checkpoint was run",))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    file = tmp_path / "trap.ckpt"
    torch.save({"state_dict": WEIGHTS, "callbacks": Trap()}, file)
    with pytest.raises(CheckpointError, match="would run code"):
        read_torch_weights(file)
