"""What the Refine widget offers is one table: what is added there is offered, and can be chosen."""

import re
from pathlib import Path

import pytest
import torch

from napari_xreg.widgets.refine import choices as refine_choices
from napari_xreg.widgets.refine.choices import ADAM, LEVENBERG_MARQUARDT, metrics_of
from napari_xreg.widgets.refine.settings import RefineSettingsPanel

DOCS = Path(__file__).resolve().parents[3] / "docs"


def negative_distance(fixed, moving, *, mask=None):
    """Minus the mean squared difference.

    What comes after the first line is for programmers.
    """
    return -torch.mean((fixed - moving) ** 2)


def taught_table():
    """The table that the docs say a similarity is added to."""
    words = (DOCS / "architecture.md").read_text(encoding="utf-8")
    name, file = re.search(r"a line in\s+`(\w+)` of `widgets/(\w+)\.py`", words).groups()
    assert file == "refine_choices"
    return getattr(refine_choices, name)


def test_a_similarity_added_as_the_docs_teach_is_offered(qtbot, monkeypatch):
    monkeypatch.setitem(taught_table(), "negative distance", negative_distance)
    panel = RefineSettingsPanel()
    qtbot.addWidget(panel)
    panel.optimiser.setCurrentText(ADAM)
    panel.measure.setCurrentText("negative distance")
    assert panel.measure.toolTip() == "Minus the mean squared difference."
    assert panel.choices().settings().similarity is negative_distance
    panel.optimiser.setCurrentText(LEVENBERG_MARQUARDT)
    assert panel.measure.findText("negative distance") == -1


def test_a_similarity_without_words_is_offered_too(qtbot, monkeypatch):
    monkeypatch.setitem(refine_choices.SIMILARITIES, "bare", lambda fixed, moving, mask=None: 0.0)
    panel = RefineSettingsPanel()
    qtbot.addWidget(panel)
    panel.optimiser.setCurrentText(ADAM)
    assert panel.measure.findText("bare") == len(refine_choices.SIMILARITIES) - 1


@pytest.mark.parametrize("optimiser", [LEVENBERG_MARQUARDT, ADAM])
def test_every_metric_is_explained(optimiser):
    for name, words in metrics_of(optimiser).items():
        assert len(words.split()) >= 3, name


@pytest.mark.parametrize("table", ["CHANNELS", "SCALES"])
def test_other_tables_need_one_line_too(qtbot, monkeypatch, table):
    entries = getattr(refine_choices, table)
    monkeypatch.setitem(entries, "another", next(iter(entries.values())))
    panel = RefineSettingsPanel()
    qtbot.addWidget(panel)
    combo = panel.measure if table == "CHANNELS" else panel.scales
    assert combo.findText("another") == len(entries) - 1
