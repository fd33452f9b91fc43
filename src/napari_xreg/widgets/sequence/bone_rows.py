"""Several bones that are tracked: a row for each, with its colour, and a strip of its frames."""

from collections.abc import Mapping, Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_xreg.widgets.sequence.strip import FrameStrip
from napari_xreg.workflows import bone_words

_ROW, _ROWS, _CHIP = 24, 8, 12
_NAMES = 140
"""Pixels at most for the names."""


class BoneRows(QTableWidget):
    """A row is chosen by a click; a tick makes its bone visible over the radiograph."""

    bone_chosen = Signal(str)
    """By the user: its name."""
    frame_chosen = Signal(int)
    """The number of a frame that was clicked; its bone is chosen before."""
    switched = Signal(str, bool)
    """A bone's tick, by the user."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 2, parent)
        self.strips: dict[str, FrameStrip] = {}
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setWordWrap(False)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None and columns is not None
        rows.setVisible(False)
        rows.setDefaultSectionSize(_ROW)
        columns.setVisible(False)
        columns.setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
        columns.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.setToolTip(
            "The chosen bone is the one that frames, curves and kept poses are of. Ticked: drawn over the radiograph, in its colour."
        )
        self.itemChanged.connect(self._tell)
        self.itemSelectionChanged.connect(self._choose)
        self.setVisible(False)

    def show_bones(
        self, names: Sequence[str], colours: Mapping[str, str], numbers: Sequence[int], chosen: str
    ) -> None:
        """A row for each, ticked unless it was there before and was not; none: no table."""
        before = self.ticked
        self.blockSignals(True)
        self.clearContents()
        self.setRowCount(len(names))
        self.strips = {}
        for row, name in enumerate(names):
            item = QTableWidgetItem(bone_words(name))
            chip = QPixmap(_CHIP, _CHIP)
            chip.fill(QColor(colours[name]))
            icon = QIcon(chip)
            icon.addPixmap(chip, QIcon.Mode.Selected)  # its colour is what it says
            item.setIcon(icon)
            item.setData(Qt.ItemDataRole.UserRole, name)
            item.setToolTip(bone_words(name))
            on = before.get(name, True)
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
            self.setItem(row, 0, item)
            strip = self.strips[name] = FrameStrip()
            strip.begin(numbers)
            strip.chosen.connect(lambda number, row=row: self._clicked(row, number))
            self.setCellWidget(row, 1, strip)
            if name == chosen:
                self.selectRow(row)
        self.blockSignals(False)
        self.setFixedHeight(_ROW * min(len(names), _ROWS) + 4)
        self.resizeColumnToContents(0)
        self.setColumnWidth(0, min(self.columnWidth(0), _NAMES))
        self.setVisible(bool(names))

    def tick(self, name: str, on: bool) -> None:
        """As if the user had not done it here."""
        for row in range(self.rowCount()):
            item = self.item(row, 0)
            if item is not None and item.data(Qt.ItemDataRole.UserRole) == name:
                self.blockSignals(True)
                item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
                self.blockSignals(False)

    @property
    def ticked(self) -> dict[str, bool]:
        """Of every bone whether it is to be seen."""
        return {
            name: (item := self.item(row, 0)) is not None
            and item.checkState() == Qt.CheckState.Checked
            for row, name in enumerate(self.strips)
        }

    def _clicked(self, row: int, number: int) -> None:
        self.selectRow(row)
        self.frame_chosen.emit(number)

    def _choose(self) -> None:
        model = self.selectionModel()
        rows = [] if model is None else model.selectedRows()
        if rows:
            self.bone_chosen.emit(list(self.strips)[rows[0].row()])

    def _tell(self, item: QTableWidgetItem) -> None:
        if item.column() == 0:
            name = item.data(Qt.ItemDataRole.UserRole)
            self.switched.emit(name, item.checkState() == Qt.CheckState.Checked)
