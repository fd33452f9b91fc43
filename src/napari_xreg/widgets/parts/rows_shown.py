"""How high a list is."""

from qtpy.QtWidgets import QListWidget


def fit_rows(shown: QListWidget, least: int, most: int) -> None:
    """As high as its rows, within these numbers of rows; the rest is scrolled to."""
    row = shown.sizeHintForRow(0) if shown.count() else shown.fontMetrics().lineSpacing() + 2
    rows = min(max(shown.count(), least), most)
    shown.setFixedHeight(rows * row + 2 * shown.frameWidth() + 4)
