"""What the Refine widget offers is the library's tables: what is added there can be chosen."""

from dataclasses import dataclass, replace

import pytest
import torch

from napari_xreg.metrics import SIMILARITIES
from napari_xreg.registration import SOLVERS
from napari_xreg.widgets.refine import choices as refine_choices
from napari_xreg.widgets.refine.settings import RefineSettingsPanel


def negative_distance(fixed, moving, *, mask=None):
    """Minus the mean squared difference.

    What comes after the first line is for programmers.
    """
    return -torch.mean((fixed - moving) ** 2)


@pytest.fixture
def panel(qtbot):
    made = RefineSettingsPanel()
    qtbot.addWidget(made)
    return made


def test_a_similarity_of_the_table_is_offered(panel, monkeypatch):
    monkeypatch.setitem(SIMILARITIES, "negative distance", negative_distance)
    panel.choose_solver("adam")
    panel.measure.setCurrentText("negative distance")
    assert panel.measure.toolTip() == "Minus the mean squared difference."
    assert panel.choices().settings().similarity is negative_distance
    panel.choose_solver("lm")
    assert panel.measure.findText("negative distance") == -1


def test_starting_poses_may_be_left_to_the_program(panel):
    panel.choose_solver("lm")
    assert panel.starts.currentText() == "auto"
    assert panel.choices().settings().starts == 0
    assert panel.spread.isEnabled()
    assert panel.choices().as_json()["starts"] == "auto"
    panel.starts.setCurrentText("16")
    assert panel.choices().settings().starts == 16


def test_a_similarity_without_words_is_offered_too(panel, monkeypatch):
    monkeypatch.setitem(SIMILARITIES, "bare", lambda fixed, moving, mask=None: 0.0)
    panel.choose_solver("adam")
    assert panel.measure.findText("bare") == len(SIMILARITIES) - 1


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_every_comparison_is_explained(solver):
    for name, words in solver.compares().items():
        assert len(words.split()) >= 3, name


@dataclass(frozen=True)
class StandStill:
    """Settings of a solver that goes nowhere."""

    pixels: tuple[int, ...] = (17,)


def test_a_solver_of_the_table_is_offered_with_what_it_can_do(qtbot, monkeypatch):
    still = replace(
        SOLVERS["adam"],
        name="still",
        title="Standing still",
        settings=StandStill,
        iterations=3,
        locks=True,
        compares=lambda: {"nothing": "It compares nothing at all."},
        configure=lambda wanted: StandStill(wanted.pixels or (17,)),
    )
    monkeypatch.setitem(SOLVERS, "still", still)
    panel = RefineSettingsPanel()
    qtbot.addWidget(panel)
    panel.optimiser.setCurrentText("Standing still")
    assert panel.iterations.value() == 3
    assert panel.measure.currentText() == "nothing"
    assert panel.locks["depth"].isEnabled()
    assert not panel.starts.isEnabled()
    assert panel.choices().settings() == StandStill()


def test_scales_need_one_line_too(qtbot, monkeypatch):
    monkeypatch.setitem(refine_choices.SCALES, "another", "In words.")
    panel = RefineSettingsPanel()
    qtbot.addWidget(panel)
    assert panel.scales.findText("another") == len(refine_choices.SCALES) - 1
