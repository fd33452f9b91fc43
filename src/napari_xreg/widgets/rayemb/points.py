"""The list of points that RayEmb looks for, with what is known of each."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from qtpy.QtCore import (
    QAbstractTableModel,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QMenu, QTableView, QVBoxLayout, QWidget

from napari_xreg.geometry import CArm, Pose
from napari_xreg.session import PointList
from napari_xreg.widgets.parts.data_buttons import button, entry, menu_button, row

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("Point", "", "{}"),
    ("Simi-\nlarity", "Height of the heatmap's peak, 0 to 1.", "{:.2f}"),
    ("In\nimage\n(%)", "Probability that the point is in the image at all.", "{:.0f}"),
    (
        "Spread\n(mm)",
        "Standard deviation of where it may be, mm at the isocenter.",
        "{:.1f}",
    ),
    (
        "To proj.\n(mm)",
        "Distance of the peak from the projection at the current pose, mm at the isocenter.",
        "{:.1f}",
    ),
    (
        "Error\n(mm)",
        "Distance of the peak from the true projection, mm at the isocenter (if simulated).",
        "{:.1f}",
    ),
)
"""Title, tooltip, format."""
SIMILARITY, IN_IMAGE, SPREAD, TO_POSE, ERROR = range(1, 6)
UNKNOWN = "–"
Here = QModelIndex


def numbers_of(
    points: PointList, carm: CArm | None, pose: Pose | None, truth: Pose | None
) -> Float[ndarray, "n 5"]:
    """Every number of the table, without the names; NaN where it is not known."""
    values = np.full((len(points), 5), np.nan)
    found = points.found
    if found is None or carm is None:
        return values
    values[:, SIMILARITY - 1] = found.similarity.cpu().numpy()
    values[:, IN_IMAGE - 1] = 100 * found.in_image.cpu().numpy()
    values[:, SPREAD - 1] = found.spread_mm(carm).numpy()
    for column, at in ((TO_POSE, pose), (ERROR, truth)):
        if at is not None:
            values[:, column - 1] = found.distances_mm(carm, at).numpy()
    return values


class PointTable(QAbstractTableModel):
    """`PointList` as a table."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.points = PointList()
        self.values = np.zeros((0, 5))

    def show(self, points: PointList, values: Float[ndarray, "n 5"]) -> None:
        """Another list."""
        self.beginResetModel()
        self.points, self.values = points, values
        self.endResetModel()

    def update(self, values: Float[ndarray, "n 5"]) -> None:
        """Other numbers of the same points."""
        if len(values) != len(self.values):
            return
        self.values = values
        if len(values):
            last = self.index(len(values) - 1, len(COLUMNS) - 1)
            self.dataChanged.emit(self.index(0, SIMILARITY), last)

    def rowCount(self, parent: Here = Here()) -> int:  # noqa: B008
        """Points."""
        return 0 if parent.isValid() else len(self.points)

    def columnCount(self, parent: Here = Here()) -> int:  # noqa: B008
        """Of `COLUMNS`."""
        return 0 if parent.isValid() else len(COLUMNS)

    def data(self, index: Here, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Text, what to sort by, alignment."""
        if not index.isValid():
            return None
        at, column = index.row(), index.column()
        if role == Qt.ItemDataRole.TextAlignmentRole and column:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.ToolTipRole and not column:
            x, y, z = self.points.positions[at].tolist()
            return f"{self.points.names[at]}: x {x:.1f}, y {y:.1f}, z {z:.1f} mm (LPS)"
        if role not in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.UserRole):
            return None
        if not column:
            # As they came, not by the letters: "bone 10" after "bone 9".
            return self.points.names[at] if role == Qt.ItemDataRole.DisplayRole else at
        value = float(self.values[at, column - 1])
        if role == Qt.ItemDataRole.UserRole:
            return value if np.isfinite(value) else float("inf")
        return COLUMNS[column][2].format(value) if np.isfinite(value) else UNKNOWN

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> object:
        """Titles with units."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        title, tip, _ = COLUMNS[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return title
        return tip if role == Qt.ItemDataRole.ToolTipRole else None


class PointsPanel(QWidget):
    """The table and its buttons; it tells what is wanted and changes nothing itself."""

    selected = Signal(int)
    """The user went to a row."""
    add_wanted = Signal()
    landmark_wanted = Signal(str)
    """Look at a landmark of the patient."""
    landmarks_wanted = Signal()
    """Add all landmarks of the patient."""
    remove_wanted = Signal(list)
    accept_wanted = Signal(list)

    def __init__(self) -> None:
        super().__init__()
        self.model = PointTable(self)
        self.sorted = QSortFilterProxyModel(self)
        self.sorted.setSourceModel(self.model)
        self.sorted.setSortRole(Qt.ItemDataRole.UserRole)
        self.table = QTableView()
        self.table.setModel(self.sorted)
        self.table.setSortingEnabled(True)
        self.sorted.sort(-1)  # as they came
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setWordWrap(False)
        self.table.setMinimumHeight(150)
        down = self.table.verticalHeader()
        if down is not None:
            down.hide()
            down.setDefaultSectionSize(20)
        across = self.table.horizontalHeader()
        if across is not None:
            across.setMinimumSectionSize(30)
            across.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self._marks: tuple[str, ...] = ()
        self.add = button("Add", "Keep the point looked at in the list.", self.add_wanted.emit)
        self.from_landmarks = menu_button(
            "Landmark", "Look at a landmark of the patient, or list them all.", self._fill_marks
        )
        self.remove = button(
            "Remove", "Take the selected points out of the list (Delete).", self._remove
        )
        self.accept = button(
            "Copy to Landmarks",
            "Keep the selected points as landmarks: their position in the patient, and their peak "
            "on this radiograph with its covariance.",
            lambda: self.accept_wanted.emit(self.rows()),
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.table, 1)
        layout.addLayout(row((self.add, self.from_landmarks)))
        layout.addLayout(row((self.remove, self.accept)))
        selection = self.table.selectionModel()
        if selection is not None:
            selection.currentRowChanged.connect(self._tell)
            self.table.clicked.connect(lambda index: self._tell(index, index))  # the same row again
            selection.selectionChanged.connect(lambda *_: self._follow())
        self._quiet = False
        self._follow()

    def rows(self) -> list[int]:
        """Selected rows of the list, ascending."""
        selection = self.table.selectionModel()
        if selection is None:
            return []
        chosen = {self.sorted.mapToSource(index).row() for index in selection.selectedRows()}
        return sorted(chosen)

    def select(self, rows: Sequence[int]) -> None:
        """Select rows without telling."""
        selection = self.table.selectionModel()
        if selection is None:
            return
        self._quiet = True
        try:
            selection.clearSelection()
            flags = QItemSelectionModel.SelectionFlag
            for at in rows:
                index = self.sorted.mapFromSource(self.model.index(at, 0))
                selection.select(index, flags.Select | flags.Rows)
                self.table.scrollTo(index)
        finally:
            self._quiet = False
        self._follow()

    def show_points(self, points: PointList, values: Float[ndarray, "n 5"]) -> None:
        """Another list; what was selected by name stays selected."""
        before = {self.model.points.names[i] for i in self.rows()}
        self._quiet = True
        try:
            self.model.show(points, values)
        finally:
            self._quiet = False
        if before:
            self.select([i for i, name in enumerate(points.names) if name in before])
        self._follow()

    def show_marks(self, names: Sequence[str]) -> None:
        """Landmarks of the patient."""
        self._marks = tuple(names)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Delete removes."""
        if event is not None and event.key() == Qt.Key.Key_Delete and self.rows():
            self._remove()
            return
        super().keyPressEvent(event)

    # ------------------------------------------------------------------ inside

    def _remove(self) -> None:
        rows = self.rows()
        if rows:
            self.remove_wanted.emit(rows)

    def _tell(self, current: QModelIndex, _: QModelIndex) -> None:
        if not self._quiet and current.isValid():
            self.selected.emit(self.sorted.mapToSource(current).row())

    def _follow(self) -> None:
        some = bool(self.rows())
        self.remove.setEnabled(some)
        self.accept.setEnabled(some and self.model.points.found is not None)

    def _fill_marks(self, menu: QMenu) -> None:
        if self._marks:
            entry(menu, "All into the list", self.landmarks_wanted.emit)
            menu.addSeparator()
        for name in self._marks:
            entry(menu, name, partial(self.landmark_wanted.emit, name))
