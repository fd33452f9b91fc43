"""The structures of a label map to be ticked, by name, with a search field."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_xreg.images import LabelMap
from napari_xreg.widgets.parts.rows_shown import fit_rows

ROWS = (3, 8)
"""At least and at most."""


class StructureList(QWidget):
    """Ticks by name.

    Parameters
    ----------
    tip
        What a tick means.
    """

    ticked = Signal()
    """By the user, or by `tick_listed`."""

    def __init__(self, tip: str) -> None:
        super().__init__()
        self.search = QLineEdit()
        self.search.setPlaceholderText("search, for example hip")
        self.search.setClearButtonEnabled(True)
        self.search.setAcceptDrops(False)  # a file dropped here is meant for the widget
        self.search.setToolTip("Show only the structures whose name holds these letters")
        self.search.textChanged.connect(lambda _: self._filter())
        self.list = QListWidget()
        self.list.setToolTip(tip)
        fit_rows(self.list, *ROWS)
        self.list.itemChanged.connect(lambda _: self.ticked.emit())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.search)
        layout.addWidget(self.list)
        self._labels: LabelMap | None = None

    @property
    def checked(self) -> tuple[int, ...]:
        """Ids of what is ticked, from top to bottom."""
        return tuple(
            item.data(Qt.ItemDataRole.UserRole)
            for item in self._items()
            if item.checkState() == Qt.CheckState.Checked
        )

    @property
    def listed(self) -> bool:
        """Whether there is anything to tick."""
        return self.list.count() > 0

    def show_labels(self, labels: LabelMap | None) -> bool:
        """List what occurs, nothing ticked where it is another map; whether it is known yet."""
        # Which labels occur is found in the background: until then there is nothing to choose.
        ready = labels if labels is None or labels.present_known else None
        if ready is not self._labels:
            self._labels = ready
            self._fill(ready)
        return ready is labels

    def mark(self, ids: tuple[int, ...]) -> None:
        """Tick these and no others; says nothing."""
        self.list.blockSignals(True)
        for item in self._items():
            wanted = item.data(Qt.ItemDataRole.UserRole) in ids
            item.setCheckState(Qt.CheckState.Checked if wanted else Qt.CheckState.Unchecked)
        self.list.blockSignals(False)

    def tick_listed(self, checked: bool) -> None:
        """Tick all that the search shows, or take every tick away."""
        state = Qt.CheckState.Checked if checked else Qt.CheckState.Unchecked
        for item in self._items():
            if not (checked and item.isHidden()):
                item.setCheckState(state)

    def _fill(self, labels: LabelMap | None) -> None:
        self.list.blockSignals(True)
        self.list.clear()
        ids = [] if labels is None else sorted(labels.names) or labels.present()
        for number in ids:
            name = "" if labels is None else labels.names.get(number, "")
            item = QListWidgetItem(name.replace("_", " ") or f"label {number}")
            item.setToolTip(f"label {number}")
            item.setData(Qt.ItemDataRole.UserRole, number)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Unchecked)
            self.list.addItem(item)
        fit_rows(self.list, *ROWS)
        self.list.blockSignals(False)
        self._filter()

    def _items(self) -> list[QListWidgetItem]:
        found = (self.list.item(place) for place in range(self.list.count()))
        return [item for item in found if item is not None]

    def _filter(self) -> None:
        words = self.search.text().lower().replace("_", " ").split()
        for item in self._items():
            text = item.text().lower()
            item.setHidden(not all(word in text for word in words))
