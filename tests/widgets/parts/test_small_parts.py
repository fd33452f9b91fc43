"""Headings that open, lists as high as their rows, words that stay with their numbers."""

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QColor, QPalette, QWheelEvent
from qtpy.QtWidgets import QApplication, QLabel, QListWidget

from napari_xreg.widgets.parts.collapsible import Collapsible
from napari_xreg.widgets.parts.quiet_choice import quiet_slider
from napari_xreg.widgets.parts.rows_shown import fit_rows
from napari_xreg.widgets.parts.small_print import SmallPrint


def arrow(group):
    """Its pixels: of what colour, and whether it is wider at the top than at the bottom."""
    image = group.toggleButton().icon().pixmap(24, 24).toImage()
    filled = [
        (x, y) for y in range(image.height()) for x in range(image.width())
        if image.pixelColor(x, y).alpha() > 250
    ]  # fmt: skip
    rows = [y for _, y in filled]
    low, high = min(rows), max(rows)
    widths = [sum(y == row for y in rows) for row in (low + 1, high - 1)]
    return image.pixelColor(*filled[len(filled) // 2]).name(), widths[0] > widths[1] + 2


@pytest.mark.parametrize("ink", ["#f0f1f2", "#101112"])
def test_the_arrow_has_the_colour_of_the_letters_and_points_to_what_opens(qtbot, ink):
    group = Collapsible("More", QLabel("inside"))
    qtbot.addWidget(group)
    palette = group.palette()
    palette.setColor(QPalette.ColorRole.ButtonText, QColor(ink))
    group.toggleButton().setPalette(palette)
    group.setPalette(palette)
    assert arrow(group) == (ink, False)
    group.expand(animate=False)
    assert arrow(group) == (ink, True)
    group.collapse(animate=False)
    assert arrow(group) == (ink, False)


def test_a_list_is_as_high_as_its_rows_within_bounds(qtbot):
    shown = QListWidget()
    qtbot.addWidget(shown)
    heights = []
    for count in (0, 1, 2, 4, 5, 9):
        shown.clear()
        shown.addItems([f"row {n}" for n in range(count)])
        fit_rows(shown, 2, 5)
        heights.append(shown.height())
    row = shown.sizeHintForRow(0)
    assert heights[1] == heights[2]
    assert heights[3] - heights[2] == 2 * row
    assert heights[5] == heights[4] == heights[3] + row
    assert heights[0] > 0


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("spacing of 3 mm each", ["3 mm"]),
        ("137 × 90 voxels of 1.17 × 1.3 mm", ["137 × 90", "1.17 × 1.3 mm"]),
        ("83 % of 5 structures in 12 s", ["83 %", "12 s"]),
    ],
)
def test_a_number_is_not_parted_from_its_unit(qtbot, text, whole):
    label = SmallPrint(text)
    qtbot.addWidget(label)
    assert label.words == text
    for part in whole:
        assert part.replace(" ", "\u00a0") in label.text()
    assert ("5 structures" in text) == ("5 structures" in label.text())


def test_the_wheel_goes_past_a_slider_that_has_not_the_focus(qtbot):
    """Who scrolls a column does not look back at another iteration by it."""
    slider = quiet_slider()
    qtbot.addWidget(slider)
    slider.setRange(0, 50)
    slider.setValue(28)
    slider.show()
    turned = QWheelEvent(
        QPointF(3, 3), QPointF(3, 3), QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    slider.clearFocus()
    QApplication.sendEvent(slider, turned)
    assert slider.value() == 28
    assert not turned.isAccepted()  # what it stands in scrolls
    assert slider.focusPolicy() == Qt.FocusPolicy.StrongFocus
