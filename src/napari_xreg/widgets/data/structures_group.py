"""Which structures of the label map are rendered and registered."""

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QGroupBox, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout

from napari_xreg.images import LabelMap
from napari_xreg.session import Session
from napari_xreg.widgets.parts.data_buttons import button, row
from napari_xreg.widgets.parts.rows_shown import fit_rows
from napari_xreg.widgets.parts.small_print import SmallPrint

ROWS = (3, 8)
"""Of the list, at least and at most."""

_WAIT_MS = 350
"""After the last click, before the CT is restricted: that takes a moment for a large one."""


class StructuresGroup(QGroupBox):
    """A checkable list by name, with a search field."""

    chosen = Signal(tuple)
    """Label ids; none: the whole CT."""

    def __init__(self) -> None:
        super().__init__("Structures")
        self.search = QLineEdit()
        self.search.setPlaceholderText("search, for example hip")
        self.search.setClearButtonEnabled(True)
        self.search.setAcceptDrops(False)  # a file dropped here is meant for the widget
        self.search.setToolTip("Show only the structures whose name holds these letters")
        self.search.textChanged.connect(lambda _: self._filter())
        self.list = QListWidget()
        self.list.setToolTip(
            "What is rendered and registered. Nothing ticked: the whole CT, which explains a "
            "radiograph best; bones alone lack the soft tissue that it shows."
        )
        fit_rows(self.list, *ROWS)
        self.list.itemChanged.connect(lambda _: self._timer.start(_WAIT_MS))
        self.all_button = button(
            "Tick all listed",
            "Check every structure that the search shows",
            lambda: self._check(True),
        )
        self.none_button = button(
            "Use the whole CT", "Untick everything: render and register the whole CT",
            lambda: self._check(False),
        )  # fmt: skip
        self.words = SmallPrint()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._tell)
        self._shown: LabelMap | None = None
        layout = QVBoxLayout(self)
        layout.addWidget(self.search)
        layout.addWidget(self.list)
        layout.addLayout(row((self.all_button, self.none_button)))
        layout.addWidget(self.words)

    @property
    def checked(self) -> tuple[int, ...]:
        """Ids of what is checked."""
        return tuple(
            item.data(Qt.ItemDataRole.UserRole)
            for item in self._items()
            if item.checkState() == Qt.CheckState.Checked
        )

    def show_session(self, session: Session) -> None:
        """The session's label map and choice."""
        labels = session.patient.labels
        self.setVisible(labels is not None)
        # Which labels occur is found in the background: until then there is nothing to choose.
        ready = labels if labels is None or labels.present_known else None
        if ready is not self._shown:
            self._shown = ready
            self._fill(ready)
        if not self._timer.isActive():
            self._mark(session.patient.structures)
        self.words.setText(
            "looking which structures occur …"
            if ready is not labels
            else f"{len(session.patient.structures)} rendered and registered"
            if session.patient.structures
            else "the whole CT is rendered and registered"
        )

    def stop(self) -> None:
        """Tell nothing any more."""
        self._timer.stop()

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

    def _mark(self, ids: tuple[int, ...]) -> None:
        self.list.blockSignals(True)
        for item in self._items():
            wanted = item.data(Qt.ItemDataRole.UserRole) in ids
            item.setCheckState(Qt.CheckState.Checked if wanted else Qt.CheckState.Unchecked)
        self.list.blockSignals(False)

    def _check(self, checked: bool) -> None:
        state = Qt.CheckState.Checked if checked else Qt.CheckState.Unchecked
        for item in self._items():
            if not (checked and item.isHidden()):
                item.setCheckState(state)

    def _filter(self) -> None:
        words = self.search.text().lower().replace("_", " ").split()
        for item in self._items():
            text = item.text().lower()
            item.setHidden(not all(word in text for word in words))

    def _tell(self) -> None:
        self.chosen.emit(self.checked)
