"""The table of landmarks: which are used, where they are known, what became of them."""

from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QBrush, QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_xreg.viewer import LandmarkColours, weight_colour
from napari_xreg.workflows import FATES, LandmarkRow

COLUMNS = {
    "name": "Tick: the pose is fitted to it. Double-click renames it everywhere.",
    "in\nCT": "Whether it has a position in the patient.",
    "in\nX-ray": "Whether it was picked on the active radiograph; hollow: marked as not visible.",
    "uncert.\n(px)": (
        "Standard deviation of its pixel, root mean square of rows and columns, pixels.\n"
        "In brackets: picked by hand, so the picking error below holds. Double-click to give it its own."
    ),
    "weight": "Weight: how much it counts, of 1 for the one that counts most; the colour is its ellipse's.",
    "error\n(px)": "Distance of projection and pick on the radiograph, pixels.",
    "error\n(mm)": "The same in mm on the detector.",
    "used": "Whether the pose was fitted to it, or why not.",
}
_NAMES = tuple(COLUMNS)
NAME, CT, XRAY, SIGMA, WEIGHT, PX, MM, FIT = range(len(_NAMES))
_ALIGN_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_ALIGN_CENTRE = Qt.AlignmentFlag.AlignCenter


class LandmarksModel(QAbstractTableModel):
    """Shows `LandmarkRow`s; what the user changes is only wished for."""

    ticked = Signal(str, bool)
    renamed = Signal(str, str)
    sigma_given = Signal(str, float)

    def __init__(self, colours: LandmarkColours) -> None:
        super().__init__()
        self._colours = colours
        self._rows: tuple[LandmarkRow, ...] = ()

    @property
    def rows(self) -> tuple[LandmarkRow, ...]:
        """What is shown."""
        return self._rows

    def show(self, rows: tuple[LandmarkRow, ...]) -> None:
        """Other rows; where the names are the same the selection stays."""
        if [row.name for row in rows] == [row.name for row in self._rows]:
            if rows != self._rows:
                self._rows = rows
                last = self.index(len(rows) - 1, len(_NAMES) - 1)
                self.dataChanged.emit(self.index(0, 0), last)
            return
        self.beginResetModel()
        self._rows = rows
        self.endResetModel()

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Of landmarks."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Of `COLUMNS`."""
        return 0 if parent.isValid() else len(_NAMES)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Titles, and what they mean."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return _NAMES[section]
        return COLUMNS[_NAMES[section]] if role == Qt.ItemDataRole.ToolTipRole else None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """A name can be ticked and changed, a σ where there is a pixel."""
        flags = super().flags(index)
        if index.column() == NAME:
            flags |= Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEditable
        elif index.column() == SIGMA and self._rows[index.row()].on_radiograph:
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows."""
        row, column = self._rows[index.row()], index.column()
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return _text(row, column)
            case Qt.ItemDataRole.EditRole:
                return row.name if column == NAME else f"{row.sigma_px or 0:.3g}"
            case Qt.ItemDataRole.CheckStateRole if column == NAME:
                return Qt.CheckState.Checked if row.ticked else Qt.CheckState.Unchecked
            case Qt.ItemDataRole.TextAlignmentRole if column != NAME:
                return _ALIGN_CENTRE if column in (CT, XRAY, FIT) else _ALIGN_RIGHT
            case Qt.ItemDataRole.ForegroundRole:
                return self._ink(row, column)
            case Qt.ItemDataRole.BackgroundRole if column == WEIGHT:
                return _paper(row)
            case Qt.ItemDataRole.ToolTipRole if row.verdict is not None and column in (NAME, FIT):
                return f"{row.name}: {FATES[row.verdict.fate]}"
            case Qt.ItemDataRole.ToolTipRole:
                return COLUMNS[_NAMES[column]]
        return None

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Wish for a change; the rows follow when the session has changed."""
        row = self._rows[index.row()]
        if role == Qt.ItemDataRole.CheckStateRole:
            self.ticked.emit(row.name, Qt.CheckState(value) == Qt.CheckState.Checked)
            return True
        if role != Qt.ItemDataRole.EditRole:
            return False
        if index.column() == NAME:
            self.renamed.emit(row.name, " ".join(str(value).split()))
            return True
        try:
            sigma = float(str(value).replace(",", "."))
        except ValueError:
            return False
        if not 0 < sigma < 1e6:
            return False
        self.sigma_given.emit(row.name, sigma)
        return True

    def _ink(self, row: LandmarkRow, column: int) -> QBrush | None:
        if column in (CT, XRAY):
            red, green, blue, _ = self._colours.of(row.name)
            return QBrush(QColor.fromRgbF(red, green, blue))
        if column == WEIGHT and _paper(row) is not None:
            return QBrush(QColor("black"))  # on a colour of ours, whatever the theme
        return None


def _text(row: LandmarkRow, column: int) -> str:
    verdict = row.verdict
    match column:
        case 0:
            return row.name
        case 1:
            return "●" if row.in_patient else "–"
        case 2:
            if not row.on_radiograph:
                return "–"
            return "●" if row.visible else "○"
        case 3:
            if row.sigma_px is None:
                return ""
            return f"({row.sigma_px:.2g})" if row.by_hand else f"{row.sigma_px:.2g}"
    if verdict is None:
        return ""
    match column:
        case 4:
            return "" if verdict.weight is None else f"{verdict.weight:.2f}"
        case 5:
            return "" if verdict.error_px is None else f"{verdict.error_px:.1f}"
        case 6:
            return "" if verdict.error_mm is None else f"{verdict.error_mm:.1f}"
        case _:
            return _FITS.get(verdict.fate, verdict.fate)


_FITS = {"used": "✓", "one side": "", "open": ""}


def _paper(row: LandmarkRow) -> QBrush | None:
    if row.verdict is None or row.verdict.weight is None:
        return None
    red, green, blue, _ = weight_colour(row.verdict.weight)
    return QBrush(QColor.fromRgbF(red, green, blue))


class LandmarksTable(QTableView):
    """The table; one row is chosen at a time."""

    chosen = Signal(str)
    """Name of the row that the user went to."""

    def __init__(self, model: LandmarksModel) -> None:
        super().__init__()
        self._model = model
        self._silent = False
        self.setModel(model)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setMinimumHeight(180)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.hide()
        rows.setDefaultSectionSize(self.fontMetrics().lineSpacing() + 6)
        columns.setMinimumSectionSize(24)
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        selection = self.selectionModel()
        assert selection is not None
        selection.currentRowChanged.connect(self._say)

    @property
    def name(self) -> str | None:
        """Of the chosen row."""
        index = self.currentIndex()
        return self._model.rows[index.row()].name if index.isValid() else None

    def choose(self, name: str) -> None:
        """Go to a landmark, without saying so."""
        names = [row.name for row in self._model.rows]
        if name in names and name != self.name:
            self._silent = True
            try:
                self.selectRow(names.index(name))
            finally:
                self._silent = False

    def _say(self, *_: object) -> None:
        if not self._silent and self.name is not None:
            self.chosen.emit(self.name)
