"""The registrations of a session, to compare, accept and discard."""

from collections.abc import Sequence

import torch
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_xreg.metrics import mean_target_registration_error, rotation_error_deg
from napari_xreg.registration import Registration, Status, likelihood_of
from napari_xreg.session import Result, Session
from napari_xreg.widgets.pose.words import carm_words, error_points, result_error_mm
from napari_xreg.widgets.refine.matches import Matches
from napari_xreg.widgets.refine.verdict_line import VerdictLine, verdict_words

SHORT = {
    Status.CONVERGED: "converged",
    Status.ITERATION_LIMIT: "limit",
    Status.STALLED: "stuck",
    Status.CANCELLED: "cancelled",
    Status.NO_OVERLAP: "no overlap",
    Status.NOT_TRUSTED: "not trusted",
    Status.AMBIGUOUS: "ambiguous",
}
COLUMNS = {
    "#": "Number of the result in this session; what else than a refinement it came from",
    "verdict": "How it ended, and how likely the pose is right (fitted on simulated radiographs); the "
    "sentence below the table says what to do",
    "NCC": "Normalised cross-correlation of radiograph and DRR over all pixels of the detector inside "
    "the mask, mean over the radiographs: the same figure for every optimiser, metric and "
    "resolution; 1 is best",
    "mTRE": "Mean target registration error in camera axes, mm: known for simulated radiographs "
    "only, measured at the landmarks (without landmarks: at eight points about the isocenter)",
    "s": "Wall time, seconds",
}


class ResultsPanel(QWidget):
    """Lists results; accepting, discarding and exporting are wishes.

    Their buttons are a row of their own, `button_row`, for the widget to lay out where it stays in
    sight.
    """

    accept_requested = Signal(str)
    discard_requested = Signal(str)
    export_requested = Signal(str)
    figures_changed = Signal()
    """The NCC of a result is known now, or not any more."""
    shown = Signal(object)
    """The id of the result selected first, or None."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.matches = Matches(session, self.refresh_figures)
        self.verdict = VerdictLine()
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setHorizontalHeaderLabels(list(COLUMNS))
        for column, tip in enumerate(COLUMNS.values()):
            header = self.table.horizontalHeaderItem(column)
            assert header is not None
            header.setToolTip(tip)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        self.table.setToolTip("Select one to see its iterations; select two to compare them.")
        rows, columns = self.table.verticalHeader(), self.table.horizontalHeader()
        assert rows is not None and columns is not None
        rows.setVisible(False)
        rows.setDefaultSectionSize(22)
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        columns.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        columns.setMinimumSectionSize(24)
        self.table.itemSelectionChanged.connect(self._selected)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.accept = QPushButton("Accept")
        self.accept.setToolTip("Set the C-arm to the pose that is shown (undo: ⟲).")
        self.accept.clicked.connect(lambda _: self._accept())
        self.discard = QPushButton("Discard")
        self.discard.setToolTip("Delete the selected results and their iterations.")
        self.discard.clicked.connect(lambda _: self._discard())
        self.export = QPushButton("Export…")
        self.export.setToolTip(
            "Write the selected result into a folder: pose, report, pictures, film, iterations. "
            "(Bones of a CT: Save… in Bones.)"
        )
        self.export.clicked.connect(lambda _: self._export())
        self.undo = QPushButton("⟲ Undo")
        self.undo.setToolTip("Take the last change back.")
        self.undo.clicked.connect(lambda _: session.undo())
        self.button_row = QWidget()
        rows_of_buttons = QVBoxLayout(self.button_row)
        rows_of_buttons.setContentsMargins(6, 2, 6, 6)
        rows_of_buttons.setSpacing(4)
        rows_of_buttons.addWidget(self.verdict)
        rows_of_buttons.addWidget(self.accept)
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self.discard, self.export, self.undo):
            buttons.addWidget(button)
        rows_of_buttons.addLayout(buttons)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.words)
        self.refresh()
        self.matches.follow()

    @property
    def selected(self) -> tuple[str, ...]:
        """Ids, from top to bottom."""
        model = self.table.selectionModel()
        rows = sorted(index.row() for index in model.selectedRows()) if model is not None else []
        return tuple(self._id(row) for row in rows)

    def refresh(self) -> None:
        """Show the session's results; the selection stays where it can."""
        selected = set(self.selected)
        results = self._session.results.all
        self.table.blockSignals(True)
        self.table.setRowCount(len(results))
        titles = self.table.horizontalHeader()
        assert titles is not None
        rows_in_sight = min(max(len(results), 1), 4)
        self.table.setFixedHeight(titles.sizeHint().height() + 22 * rows_in_sight + 4)
        for row, result in enumerate(results):
            for column, text in enumerate(self._cells(result)):
                item = QTableWidgetItem(text)
                if column == 0:
                    item.setData(Qt.ItemDataRole.UserRole, result.id)
                    item.setToolTip(f"{result.name}: {result.registration.status.value}")
                elif column == 1:
                    item.setForeground(QColor(likelihood_of(result.registration).color))
                    item.setToolTip(verdict_words(result.registration))
                elif column == 2:
                    loss = result.registration.losses["loss"]
                    item.setToolTip(f"The loss that was minimised ended at {loss:.3g}.")
                self.table.setItem(row, column, item)
        self.table.clearSelection()
        for row, result in enumerate(results):
            if result.id in selected:
                self._select_row(row)
        self.table.blockSignals(False)
        simulated = any(result.registration.simulated for result in results)
        header = self.table.horizontalHeaderItem(3)
        assert header is not None
        header.setText("mTRE, sim." if simulated else "mTRE")
        self.table.setColumnHidden(3, not any(e.truth for e in self._session.exposures.all))
        self._say()
        self.matches.follow()

    def select(self, id: str) -> None:
        """As if the user had clicked it."""
        self.table.clearSelection()
        for row in range(self.table.rowCount()):
            if self._id(row) == id:
                self.table.selectRow(row)
                item = self.table.item(row, 0)
                if item is not None:
                    self.table.scrollToItem(item)

    def refresh_figures(self) -> None:
        """Another NCC is known, or none is any more."""
        for row, result in enumerate(self._session.results.all):
            item = self.table.item(row, 2)
            if item is not None and self._id(row) == result.id:
                item.setText(self.figure(result))
        self.figures_changed.emit()

    def figure(self, result: Result) -> str:
        """Its NCC; dots while it is computed, a dash where there is none."""
        known = self.matches.of(result.registration)
        if known is not None:
            return f"{known:.4f}"
        return "…" if self.matches.waiting(result) else "–"

    def show_accept(self, what: str) -> None:
        """What the button takes: "iteration 28 of result 1"; empty: nothing."""
        self.accept.setText(f"Accept {what}" if what else "Accept")
        self.accept.setEnabled(bool(what))

    def refresh_undo(self) -> None:
        """Whether there is something to undo, and what."""
        history = self._session.history
        self.undo.setEnabled(history.can_undo)
        if history.can_undo:
            self.undo.setToolTip(f"Undo: {history.undoes}.")

    # ------------------------------------------------------------------ inside

    def _cells(self, result: Result) -> tuple[str, ...]:
        registration = result.registration
        error = result_error_mm(self._session, result)
        return (
            result.name.removeprefix("result "),
            _ended(registration),
            self.figure(result),
            "–" if error is None else f"{error:.2f} mm",
            f"{seconds_of(registration):.1f}",
        )

    def _id(self, row: int) -> str:
        item = self.table.item(row, 0)
        return "" if item is None else str(item.data(Qt.ItemDataRole.UserRole))

    def _select_row(self, row: int) -> None:
        for column in range(self.table.columnCount()):
            item = self.table.item(row, column)
            if item is not None:
                item.setSelected(True)

    def _selected(self) -> None:
        self._say()
        chosen = self.selected
        self.shown.emit(chosen[0] if chosen else None)

    def _say(self) -> None:
        chosen = self.selected
        one = self._session.results.find(chosen[0]) if len(chosen) == 1 else None
        if one is None:
            there = bool(self._session.results.all)
            self.verdict.show_verdict(None, "Select a result in the table." if there else "")
        else:
            self.verdict.show_verdict(one.registration)
        self.show_accept("" if one is None else one.name)
        self.export.setEnabled(one is not None and one.bone is None)
        self.discard.setEnabled(bool(chosen))
        self.refresh_undo()
        if not chosen:
            self.words.setText("")  # the verdict's line says that there is none
        elif len(chosen) == 1:
            self.words.setText(self._about(self._session.results[chosen[0]]))
        else:
            self.words.setText(
                compared(self._session, [self._session.results[id] for id in chosen[:2]])
            )

    def _about(self, result: Result) -> str:
        registration = result.registration
        simulated = "Simulated radiograph. " if registration.simulated else ""
        notes = " ".join(registration.notes)
        return f"{simulated}{registration.status.value} {notes}".strip()

    def _accept(self) -> None:
        if len(self.selected) == 1:
            self.accept_requested.emit(self.selected[0])

    def _export(self) -> None:
        if len(self.selected) == 1:
            self.export_requested.emit(self.selected[0])

    def _discard(self) -> None:
        for id in self.selected:
            self.discard_requested.emit(id)


def _ended(registration: Registration) -> str:
    """The verdict, where how it ended leaves that the last word."""
    judged = registration.status in (Status.CONVERGED, Status.NOT_TRUSTED)
    if judged and registration.probability is not None:
        return likelihood_of(registration).short
    return SHORT[registration.status]


def seconds_of(registration: Registration) -> float:
    """Wall time of the whole refinement, as its last iterate says."""
    return registration.trajectory[-1].seconds if registration.trajectory else 0.0


def compared(session: Session, pair: Sequence[Result]) -> str:
    """How far two results are from each other, in words."""
    one, other = pair
    shared = next((id for id in one.radiographs if id in other.radiographs), None)
    exposure = session.exposures.find(shared)
    if shared is None or exposure is None:
        return "These two refinements share no radiograph: their poses do not compare."
    poses = [result.poses[shared].to(dtype=torch.float64) for result in pair]
    points, where = error_points(session)
    apart = float(mean_target_registration_error(poses[0], poses[1], points))
    turned = float(rotation_error_deg(poses[0], poses[1]))
    carm = exposure.radiograph.carm
    apart_words = (
        f"{other.name} and {one.name} are {apart:.2f} mm apart (mean over {where}), "
        f"rotated by {turned:.2f}°."
    )
    words = [apart_words]
    for result, pose in zip(pair, poses, strict=True):
        words.append(
            f"{result.name}: {carm_words(carm.carm_pose(pose, session.patient.isocenter))}"
        )
    if one.settings != other.settings:
        ncc = ", their NCC does" if one.bone is None and other.bone is None else ""
        words.append(f"Their settings differ: their losses do not compare{ncc}.")
    return "\n".join(words)
