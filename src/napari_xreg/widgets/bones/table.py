"""What was found of each bone: a row with its colour, its verdict, and how far it moved."""

import textwrap
from collections.abc import Mapping

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_xreg.registration import likelihood_of
from napari_xreg.workflows import PATIENT, SessionBones, bone_words, moved_since_ct

COLUMNS = {
    "bone": "Ticked: drawn over the radiograph, in this colour",
    "verdict": "How likely the bone lies near enough there (fitted on simulated radiographs)",
    "turned": "Against the rest of the patient, since the CT",
    "shifted": "The middle of the bone against the rest of the patient, since the CT, mm",
}
_ROW, _ROWS, _LETTERS = 22, 8, 100


class BonesTable(QTableWidget):
    """A row is chosen by a click; a tick makes a bone visible."""

    switched = Signal(str, bool)
    """A bone's tick, by the user."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(COLUMNS), parent)
        self.setHorizontalHeaderLabels(list(COLUMNS))
        for column, tip in enumerate(COLUMNS.values()):
            title = self.horizontalHeaderItem(column)
            assert title is not None
            title.setToolTip(tip)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setWordWrap(False)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None and columns is not None
        rows.setVisible(False)
        rows.setDefaultSectionSize(_ROW)
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        columns.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        columns.setMinimumSectionSize(24)
        self.itemChanged.connect(self._tell)
        self.setVisible(False)

    @property
    def chosen(self) -> str | None:
        """The name of the bone of the selected row."""
        model = self.selectionModel()
        rows = [] if model is None else model.selectedRows()
        return self._name(rows[0].row()) if rows else None

    def show_bones(self, bones: SessionBones | None, colours: Mapping[str, str]) -> None:
        """The rows, all of them ticked and the first bone chosen; None: no table."""
        names = () if bones is None else bones.found.names
        self.blockSignals(True)
        self.setRowCount(len(names))
        if bones is not None:
            for row, name in enumerate(names):
                self._fill(row, name, bones, colours[name])
        self.blockSignals(False)
        self.setVisible(bool(names))
        titles = self.horizontalHeader()
        assert titles is not None
        self.setFixedHeight(titles.sizeHint().height() + _ROW * min(len(names), _ROWS) + 4)
        if names:
            self.selectRow(len(names) > 1)

    def tick(self, name: str, on: bool) -> None:
        """As if the user had not done it here."""
        for row in range(self.rowCount()):
            item = self.item(row, 0)
            if item is not None and self._name(row) == name:
                self.blockSignals(True)
                item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
                self.blockSignals(False)

    def _fill(self, row: int, name: str, bones: SessionBones, colour: str) -> None:
        registration = bones.found[name]
        likelihood = likelihood_of(registration)
        about = "\n".join(textwrap.wrap(registration.words, _LETTERS))
        turned = shifted = "–"
        if name != PATIENT:
            moved = moved_since_ct(bones.found, name)
            turned, shifted = f"{moved.turn_deg:.1f}°", f"{moved.shift_mm:.1f} mm"
            about += f"\nSince the CT, against the rest of the patient: {moved.words}."
        for column, text in enumerate((bone_words(name), likelihood.short, turned, shifted)):
            item = QTableWidgetItem(text)
            item.setToolTip(about)
            if column == 0:
                chip = QPixmap(12, 12)
                chip.fill(QColor(colour))
                item.setIcon(QIcon(chip))
                item.setData(Qt.ItemDataRole.UserRole, name)
                item.setCheckState(Qt.CheckState.Checked)
            elif column == 1:
                item.setForeground(QColor(likelihood.color))
            else:
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.setItem(row, column, item)

    def _name(self, row: int) -> str:
        item = self.item(row, 0)
        return "" if item is None else str(item.data(Qt.ItemDataRole.UserRole))

    def _tell(self, item: QTableWidgetItem) -> None:
        if item.column() == 0:
            self.switched.emit(self._name(item.row()), item.checkState() == Qt.CheckState.Checked)
