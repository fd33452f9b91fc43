"""The Train widget, driven as a person would, with a network that learns in seconds."""

import pytest
from train_parts import click, docked, ended, steps, validations

from napari_xreg.rayemb import load_encoder
from napari_xreg.training import read_state


@pytest.fixture
def widget(bench, viewer, tmp_path):
    return docked(viewer, tmp_path)


def test_start_watch_stop(widget, bench, qtbot, tmp_path):
    import time
    t=time.time()
    click(qtbot, widget.start_button)
    assert widget.running
    assert not widget.form.isEnabled()
    steps(qtbot, widget, 1)
    print("first step", time.time()-t)
    validations(qtbot, widget, 2)
    print("second validation", time.time()-t, len(widget.plots.steps))
    click(qtbot, widget.stop_button)
    ended(qtbot, widget)
    print("ended", time.time()-t, widget.status.words, widget.closing_words.words)
    encoder, about = load_encoder(tmp_path / "weights.safetensors")
    state = read_state(tmp_path / "weights.resume")
    assert state["steps"] == about["steps"] == widget.plots.steps[-1].index
