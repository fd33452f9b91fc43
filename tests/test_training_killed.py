"""Killed at any moment, a training has lost one validation interval at most, and goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from napari_xreg.training import TrainSettings, read_checkpoint, read_state

TRAINING = Path(__file__).with_name("training_to_end.py")
EVERY = TrainSettings.validate_every

pytestmark = pytest.mark.slow


def until(line, number, how, out, *resume):
    """Train until it says a line, send a signal; its exit code and all that it said."""
    running = subprocess.Popen(
        [sys.executable, str(TRAINING), how, str(out), *map(str, resume)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    said = []
    try:
        for each in running.stdout:
            said.append(each.strip())
            if each.startswith(line):
                os.kill(running.pid, number)
                break
        said += [each.strip() for each in running.stdout]
        return running.wait(timeout=60), said
    finally:
        running.kill()
        running.stdout.close()


@pytest.mark.parametrize("how", ["command", "window"])
def test_killed_it_loses_one_interval_and_goes_on(tmp_path, how):
    out = tmp_path / "w.safetensors"
    code, said = until(f"step {2 * EVERY}:", signal.SIGKILL, how, out)
    assert code == -signal.SIGKILL, said
    left = sorted(file.name for file in tmp_path.iterdir())
    assert left == ["w.resume", "w.safetensors", "w.train.jsonl"]
    state, weights = read_state(tmp_path / "w.resume"), read_checkpoint(out)
    assert state["steps"] >= 2 * EVERY
    assert state["steps"] % EVERY == 0
    assert weights.about["status"] == "RUNNING"
    assert weights.about["steps"] in (state["steps"], state["steps"] + EVERY)
    # The best of the state are those in the file: the score falls at every validation here.
    if weights.about["steps"] == state["steps"]:
        assert weights.weights["weight"].tolist() == state["best"]["weight"].half().tolist()
    if how == "window":
        return  # the same workflow goes on
    following = state["steps"] + EVERY
    code, said = until(f"step {following}:", signal.SIGKILL, how, out, tmp_path / "w.resume")
    assert code == -signal.SIGKILL, said
    again = read_state(tmp_path / "w.resume")
    assert again["steps"] >= following
    assert again["task"]["batches"] == again["steps"]
    assert [v.index for v in again["validations"]] == list(range(EVERY, again["steps"] + 1, EVERY))


def test_ctrl_c_keeps_what_was_learned_and_says_130(tmp_path):
    out = tmp_path / "w.safetensors"
    code, said = until(f"step {EVERY}:", signal.SIGINT, "command", out)
    assert code == 130, said
    assert read_checkpoint(out).about["status"] == "CANCELLED"
    state = read_state(tmp_path / "w.resume")
    assert state["steps"] >= EVERY
    assert any("can be resumed" in line for line in said)
