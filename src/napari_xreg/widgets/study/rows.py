"""The registrations of a study as a table: sorted by any column, chosen by words."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt, Signal
from qtpy.QtGui import QBrush, QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_xreg.records import StudyRow
from napari_xreg.study import METRICS, WRONG_MM, claimed, is_refused, is_wrong, likelihood_of_row

_ERROR = METRICS[0]


@dataclass(frozen=True)
class Column:
    """A column.

    Parameters
    ----------
    title, about
        Its head, and what that means.
    value
        What it is sorted by: a number or a text; None where there is none, which comes last.
    words
        What a number looks like.
    """

    title: str
    about: str
    value: Callable[[StudyRow], float | str | None]
    words: Callable[[float], str] = "{:.2f}".format


def _error(row: StudyRow) -> float | None:
    return row.errors.get(_ERROR.name)


def _verdict(row: StudyRow) -> float | None:
    """By probability; what has none, below."""
    return None if row.failure else -1.0 if row.probability is None else row.probability


COLUMNS = (
    Column("case", "Of the manifest", lambda row: row.case),
    Column(f"{_ERROR.title}\n(mm)", f"Of the result, mm: {_ERROR.definition}", _error),
    Column(
        "verdict",
        "How likely the pose is right, as the program judges without knowing the true one; red letters: "
        f"trusted, and {WRONG_MM:g} mm or more off in what it speaks of (from one radiograph: as seen in it)",
        _verdict,
    ),
    Column(
        "start\n(mm)",
        "mTRE of the start, mm: known for cases with a true pose",
        lambda row: row.start_errors.get(_ERROR.name),
        "{:.1f}".format,
    ),
    Column("as seen\n(mm)", "What the verdict speaks of, mm: of one radiograph how far off the result is as seen in it, else mTRE", claimed),
    Column("start", "Where the registration began", lambda row: row.start),
    Column("method", "How it was refined", lambda row: row.method),
    Column("no.", "Which of the draws of this start", lambda row: float(row.repeat), "{:.0f}".format),
    Column("loss", "What was minimised, at the result", lambda row: None if row.failure else row.loss, "{:.3f}".format),
    Column("CPU s", "Processor seconds of start and refinement", lambda row: row.cpu_seconds),
    Column("left out / failed", "Why it is in no figure, or has no result", lambda row: row.failure or row.excluded),
)  # fmt: skip
VERDICT = 2
CASE_WIDTH = 130
"""Of the first column, pixels: what tells cases apart is often at both ends of their names."""


SHOWN: dict[str, Callable[[StudyRow], bool]] = {
    "all": lambda row: True,
    "trusted, but wrong": is_wrong,
    "right, but not trusted": is_refused,
    f"{WRONG_MM:g} mm or more off": lambda row: (
        (error := _error(row)) is not None and error >= WRONG_MM
    ),
    "failed": lambda row: bool(row.failure),
    "left out": lambda row: bool(row.excluded),
}
"""Which rows are shown, by the words for them."""


class RowsModel(QAbstractTableModel):
    """The rows of a study.

    They are sorted here, at once: Qt's proxy would ask for two values at every comparison.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[StudyRow, ...] = ()
        self._given: tuple[StudyRow, ...] = ()
        self._column, self._order = -1, Qt.SortOrder.AscendingOrder

    def put(self, rows: Sequence[StudyRow]) -> None:
        """Other rows."""
        self.beginResetModel()
        self._given = tuple(rows)
        self.rows = self._sorted()
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """By a column of `COLUMNS`, these rows and those to come; -1: as they were given."""
        self.layoutAboutToBeChanged.emit()
        before, self._column, self._order = self.rows, column, order
        self.rows = self._sorted()
        place = {id(row): number for number, row in enumerate(self.rows)}
        kept = self.persistentIndexList()
        now = [self.index(place[id(before[one.row()])], one.column()) for one in kept]
        self.changePersistentIndexList(kept, now)
        self.layoutChanged.emit()

    def _sorted(self) -> tuple[StudyRow, ...]:
        """By number or text; what has none comes last, whichever way it is sorted."""
        if self._column < 0:
            return self._given
        pairs = [(COLUMNS[self._column].value(row), row) for row in self._given]
        known: list[tuple[Any, StudyRow]] = [pair for pair in pairs if not _none(pair[0])]
        known.sort(key=lambda pair: pair[0], reverse=self._order == Qt.SortOrder.DescendingOrder)
        return (*(row for _, row in known), *(row for value, row in pairs if _none(value)))

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Of registrations."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Of `COLUMNS`."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Titles, and what they mean."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section].title
        return COLUMNS[section].about if role == Qt.ItemDataRole.ToolTipRole else None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows."""
        row, column = self.rows[index.row()], COLUMNS[index.column()]
        value = column.value(row)
        if index.column() == VERDICT and not row.failure:
            if role == Qt.ItemDataRole.DisplayRole:
                likelihood = likelihood_of_row(row)
                return "–" if likelihood is None else likelihood.short
            if role == Qt.ItemDataRole.ForegroundRole and is_wrong(row):
                return QBrush(QColor(_RED))
        elif role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            if isinstance(value, float):
                return column.words(value) if math.isfinite(value) else "–"
            return value
        if (
            role == Qt.ItemDataRole.TextAlignmentRole
            and isinstance(value, float)
            and index.column() != VERDICT
        ):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None


_RED = "#d9482b"


class ChosenRows(QSortFilterProxyModel):
    """Only those that were asked for."""

    def __init__(self, model: RowsModel) -> None:
        super().__init__()
        self._model = model
        self._words: tuple[str, ...] = ()
        self._which = SHOWN["all"]
        self.setSourceModel(model)

    def choose(self, which: str, words: str) -> None:
        """Of `SHOWN`, those that hold every one of some words in case, group, start or method."""
        self._which, self._words = SHOWN[which], tuple(words.lower().split())
        self.invalidateFilter()

    def filterAcceptsRow(self, number: int, parent: QModelIndex) -> bool:
        """Whether a row is shown."""
        row = self._model.rows[number]
        text = " ".join((row.case, row.subject, row.group, row.start, row.method)).lower()
        return self._which(row) and all(word in text for word in self._words)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """By a column of `COLUMNS`."""
        self._model.sort(column, order)


def _none(value: float | str | None) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


class RowsTable(QTableView):
    """The table; a double click opens a registration."""

    opened = Signal(object)
    """The `StudyRow`."""
    chosen = Signal(object)
    """The `StudyRow` that the user went to; None: none."""

    def __init__(self) -> None:
        super().__init__()
        self.all = RowsModel()
        self.rows = ChosenRows(self.all)
        self.setModel(self.rows)
        self.setSortingEnabled(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setMinimumHeight(200)
        down, across = self.verticalHeader(), self.horizontalHeader()
        assert down is not None
        assert across is not None
        down.hide()
        down.setDefaultSectionSize(self.fontMetrics().lineSpacing() + 6)
        across.setMinimumSectionSize(24)
        across.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        across.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)  # as in the manifest
        self.doubleClicked.connect(self._open)
        selection = self.selectionModel()
        assert selection is not None
        selection.currentRowChanged.connect(lambda *_: self.chosen.emit(self.row))
        self.resizeColumnsToContents()

    @property
    def row(self) -> StudyRow | None:
        """The one that is chosen."""
        index = self.currentIndex()
        return self.all.rows[self.rows.mapToSource(index).row()] if index.isValid() else None

    def put(self, rows: Sequence[StudyRow]) -> None:
        """Other rows; the chosen one stays chosen where it is still there."""
        kept, first, bar = self.row, not self.all.rows, self.verticalScrollBar()
        assert bar is not None
        stood = bar.value()
        self.all.put(rows)
        if first and rows:
            self.resizeColumnsToContents()
            self.setColumnWidth(0, min(self.columnWidth(0), CASE_WIDTH))
        if kept is not None:
            self.go_to(kept.key)
        bar.setValue(stood)  # who reads further down stays there

    def go_to(self, key: str) -> None:
        """Choose a registration by its key."""
        for number, row in enumerate(self.all.rows):
            if row.key == key:
                self.setCurrentIndex(self.rows.mapFromSource(self.all.index(number, 0)))

    def _open(self, index: QModelIndex) -> None:
        if index.isValid() and self.row is not None:
            self.opened.emit(self.row)
