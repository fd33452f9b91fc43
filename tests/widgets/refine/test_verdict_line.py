"""The verdict in colour and words."""

from dataclasses import replace

import pytest
import torch

from napari_xreg.geometry import Pose
from napari_xreg.registration import Registration, Status, likelihood_of
from napari_xreg.widgets.refine.verdict_line import VerdictLine, verdict_words

POSE = Pose(torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
FOUND = Registration(
    POSE, Status.CONVERGED, {"loss": 0.1}, (), torch.zeros(3, dtype=torch.float64), probability=0.97
)


@pytest.mark.parametrize(
    ("status", "probability", "words"),
    [
        (Status.CONVERGED, 0.97, "✓ Trusted: 97 % likely to lie within 2 mm (fitted on simulated radiographs)."),
        (Status.CONVERGED, 0.9999, "✓ Trusted: more than 99 % likely to lie within 2 mm (fitted on simulated radiographs)."),
        (Status.STALLED, 0.95, "! Look again: 95 % likely to lie within 2 mm (fitted on simulated radiographs)."),
        (Status.NOT_TRUSTED, 0.95, "! Look again: 95 % likely to lie within 2 mm (fitted on simulated radiographs), but the distances contradict the header."),
        (Status.NOT_TRUSTED, 0.12, "✗ Not trusted: 12 % likely to lie within 2 mm (fitted on simulated radiographs)."),
        (Status.NO_OVERLAP, None, "✗ Not trusted."),
        (Status.CANCELLED, None, "Not judged."),
    ],
)  # fmt: skip
def test_colour_and_words_say_the_same(qtbot, status, probability, words):
    found = replace(FOUND, status=status, probability=probability)
    line = VerdictLine()
    qtbot.addWidget(line)
    line.show_verdict(found)
    color = likelihood_of(found).color
    assert color in line.styleSheet()
    assert {"✓": "#1a9c5b", "!": "#c98a00", "✗": "#d9482b", "N": "#808080"}[words[0]] == color
    assert verdict_words(found) == words


def test_words_that_come_do_not_move_what_lies_below(qtbot):
    line = VerdictLine()
    qtbot.addWidget(line)
    line.resize(200, line.sizeHint().height())
    before = line.sizeHint()
    assert line.words == "No result yet."
    line.show_verdict(FOUND)
    assert line.sizeHint() == before
    line.show_verdict(None)
    assert line.words == "No result yet."
