"""Colours of lines on the paper of a theme."""

import pytest
from qtpy.QtGui import QColor

from napari_xreg.widgets.parts.readable import CONTRAST, contrast, readable

WHITE, BLACK = QColor("#ffffff"), QColor("#000000")


def test_contrast_is_that_of_the_guidelines():
    """White on black is 21; grey 0x77 on white 4.48, the known near miss of 4.5."""
    assert contrast(BLACK, WHITE) == pytest.approx(21.0)
    assert contrast(QColor("#777777"), WHITE) == pytest.approx(4.48, abs=0.01)


def test_yellow_is_darkened_on_white_until_it_is_seen_and_stays_yellow():
    yellow = QColor("#F0E442")
    assert readable(yellow, BLACK, WHITE) == yellow
    seen = readable(yellow, WHITE, BLACK)
    assert contrast(seen, WHITE) >= CONTRAST
    assert contrast(seen, WHITE) < 1.3 * CONTRAST
    assert abs(seen.hue() - yellow.hue()) <= 3
    assert seen.saturation() >= yellow.saturation() - 3


def test_what_is_seen_nowhere_is_drawn_in_ink():
    grey = QColor("#707070")
    assert readable(grey, grey, QColor("#808080")) == QColor("#808080")
