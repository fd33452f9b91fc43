"""The radiographs of a session: which is shown, which are used, what each is called."""

from collections.abc import Callable, Sequence
from functools import partial

from napari.layers import Layer
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QGroupBox,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QVBoxLayout,
)

from napari_xreg.session import Exposure, Session
from napari_xreg.widgets.parts.data_buttons import button, entry, menu_button, row
from napari_xreg.widgets.parts.pixel_values import pixel_values
from napari_xreg.widgets.parts.rows_shown import fit_rows
from napari_xreg.widgets.parts.small_print import SmallPrint

ROWS = (2, 6)
"""Of the list, at least and at most."""


class RadiographsGroup(QGroupBox):
    """A list: the selected one is active, the ticked ones are used; double-click renames.

    Parameters
    ----------
    layers
        The layers that might be an X-ray image, when the menu opens.
    """

    file_wanted = Signal()
    simulation_wanted = Signal()
    layer_chosen = Signal(object)
    activated = Signal(str)
    use_changed = Signal(str, bool)
    renamed = Signal(str, str)
    removed = Signal(str)

    def __init__(self, layers: Callable[[str], Sequence[Layer]]) -> None:
        super().__init__("Radiographs")
        self._layers = layers
        self._names: dict[str, str] = {}
        self.list = QListWidget()
        self.list.setToolTip(
            "The selected radiograph is shown and moved; the ticked ones are used together in a "
            "refinement. Double-click to rename."
        )
        fit_rows(self.list, *ROWS)
        self.list.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.EditKeyPressed
        )
        self.list.currentItemChanged.connect(lambda now, _: self._activate(now))
        self.list.itemChanged.connect(self._change)
        self.words = SmallPrint()
        self.add_button = button(
            "Add file…",
            "An X-ray image: DICOM (XA, RF, DX, CR), PNG, TIFF, NPY or NPZ; what its file does not "
            "say about the geometry is asked for",
            self.file_wanted.emit,
        )
        self.simulate_button = button(
            "Simulate…",
            "Make a radiograph of the loaded CT whose true pose is known",
            self.simulation_wanted.emit,
        )
        self.layer_button = menu_button(
            "From layer",
            "Take over a two-dimensional image layer of this viewer",
            self._fill_layers,
        )
        self.remove_button = button(
            "Remove",
            "Take out the selected radiograph, with its picks, mask and the results that used it; "
            "undo brings all of it back",
            self._remove,
        )
        layout = QVBoxLayout(self)
        layout.addWidget(self.list)
        # Before the words, which are long: on a small screen the buttons are to be seen.
        layout.addLayout(row((self.add_button, self.simulate_button)))
        layout.addLayout(row((self.layer_button, self.remove_button)))
        layout.addWidget(self.words)

    def show_session(self, session: Session) -> None:
        """The session's radiographs."""
        self.list.blockSignals(True)
        if self.list.count() != len(session.exposures.all):
            self.list.clear()
            for _ in session.exposures.all:
                item = QListWidgetItem()
                item.setFlags(
                    item.flags() | Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEditable
                )
                self.list.addItem(item)
        self._names = {exposure.id: exposure.name for exposure in session.exposures.all}
        for place, exposure in enumerate(session.exposures.all):
            shown = self.list.item(place)
            if shown is None:
                continue
            shown.setText(exposure.name)
            shown.setData(Qt.ItemDataRole.UserRole, exposure.id)
            used = Qt.CheckState.Checked if exposure.used else Qt.CheckState.Unchecked
            shown.setCheckState(used)
            shown.setToolTip(exposure_words(exposure))
            if exposure is session.exposures.active:
                self.list.setCurrentItem(shown)
        fit_rows(self.list, *ROWS)
        self.list.blockSignals(False)
        active = session.exposures.active
        self.words.setText("None loaded." if active is None else exposure_words(active))
        self.remove_button.setEnabled(active is not None)
        self.simulate_button.setEnabled(
            session.patient.volume is not None and session.patient.volume.hu is not None
        )

    def _fill_layers(self, menu: QMenu) -> None:
        for layer in self._layers("radiograph"):
            entry(menu, layer.name, partial(self.layer_chosen.emit, layer))

    def _activate(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.activated.emit(item.data(Qt.ItemDataRole.UserRole))

    def _change(self, item: QListWidgetItem) -> None:
        id = item.data(Qt.ItemDataRole.UserRole)
        if item.text() != self._names.get(id):
            self.renamed.emit(id, item.text())
        else:
            self.use_changed.emit(id, item.checkState() == Qt.CheckState.Checked)

    def _remove(self) -> None:
        item = self.list.currentItem()
        if item is not None:
            self.removed.emit(item.data(Qt.ItemDataRole.UserRole))


def removal_words(session: Session, id: str) -> str:
    """A radiograph, and what would go with it: "lateral with 5 picks, its mask and 2 results"."""
    exposure = session.exposures[id]
    name = exposure.name
    picks = len(exposure.landmarks)
    results = sum(id in result.radiographs for result in session.results.all)
    parts = [f"{picks} pick{'s' * (picks > 1)}"] if picks else []
    if exposure.painted is not None:
        parts.append("its mask")
    if results:
        parts.append(f"{results} result{'s' * (results > 1)}")
    if not parts:
        return name
    return f"{name} with " + " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def exposure_words(exposure: Exposure) -> str:
    """Size, spacing, where it came from, and what a careful reader should know."""
    radiograph = exposure.radiograph
    rows, columns = radiograph.carm.detector.shape
    row_mm, column_mm = radiograph.carm.detector.spacing
    kind = "simulated" if radiograph.simulated else pixel_values(radiograph)
    grid = f"{rows} × {columns} pixels of {row_mm:.3g} × {column_mm:.3g} mm (rows, columns)"
    lines = [f"{kind}: {grid}, source to detector {radiograph.carm.source_to_detector:g} mm"]
    if radiograph.source:
        lines.append(f"source: {radiograph.source}")
    usable = float(radiograph.usable.double().mean())
    if usable < 1:
        lines.append(f"{100 * usable:.0f} % of the pixels are usable")
    lines += [f"• {note}" for note in radiograph.notes]
    return "\n".join(lines)
