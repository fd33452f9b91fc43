"""The verdict in colour and words."""

from dataclasses import replace

import pytest
import torch

from napari_xreg.geometry import Pose
from napari_xreg.registration import Registration, Status
from napari_xreg.widgets.refine.verdict_line import (
    BAD,
    DOUBTFUL,
    GOOD,
    UNKNOWN,
    VerdictLine,
    verdict_colour,
    verdict_words,
)

POSE = Pose(torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
FOUND = Registration(
    POSE, Status.CONVERGED, {"loss": 0.1}, (), torch.zeros(3, dtype=torch.float64), probability=0.97
)


@pytest.mark.parametrize(
    ("status", "probability", "colour", "words"),
    [
        (Status.CONVERGED, 0.97, GOOD, "✓ Trusted: 97 % likely within 2 mm (fitted on simulated radiographs)."),
        (Status.CONVERGED, 0.9999, GOOD, "✓ Trusted: more than 99 % likely within 2 mm (fitted on simulated radiographs)."),
        (Status.STALLED, 0.95, DOUBTFUL, "! Look again: 95 % likely within 2 mm (fitted on simulated radiographs)."),
        (Status.NOT_TRUSTED, 0.95, DOUBTFUL, "! Look again: 95 % likely within 2 mm (fitted on simulated radiographs), but the distances contradict the header."),
        (Status.NOT_TRUSTED, 0.12, BAD, "✗ Do not rely on this pose: 12 % likely within 2 mm (fitted on simulated radiographs)."),
        (Status.NOT_TRUSTED, 0.001, BAD, "✗ Do not rely on this pose: less than 1 % likely within 2 mm (fitted on simulated radiographs)."),
        (Status.NO_OVERLAP, None, BAD, "✗ Do not rely on this pose."),
        (Status.CANCELLED, None, UNKNOWN, "Not judged."),
    ],
)  # fmt: skip
def test_colour_and_words_say_the_same(status, probability, colour, words):
    found = replace(FOUND, status=status, probability=probability)
    assert verdict_colour(found) == colour
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
