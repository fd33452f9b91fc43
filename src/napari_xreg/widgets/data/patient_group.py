"""The CT and its label map: what is loaded, and the ways to load another."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from napari.layers import Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGroupBox, QMenu, QVBoxLayout

from napari_xreg.images import Volume, formats_in_words
from napari_xreg.session import Session, Source
from napari_xreg.widgets.parts.data_buttons import button, entry, menu_button, row
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.workflows import available_samples


class PatientGroup(QGroupBox):
    """Shows the session's CT and label map.

    Parameters
    ----------
    layers
        The layers that might be a CT ("ct") or a label map ("labels"), when a menu opens.
    """

    file_wanted = Signal()
    folder_wanted = Signal()
    labels_wanted = Signal()
    layer_chosen = Signal(object, str)
    """A layer, and what its values are: "hu" or "attenuation"."""
    labels_layer_chosen = Signal(object)

    def __init__(self, layers: Callable[[str], Sequence[Layer]]) -> None:
        super().__init__("CT")
        self._layers = layers
        self.ct_words = SmallPrint()
        self.label_words = SmallPrint()
        self.file_button = button(
            "File…",
            f"A CT: {formats_in_words('volume')}; one DICOM file stands for its series",
            self.file_wanted.emit,
        )
        self.folder_button = button(
            "DICOM folder…", "A folder that holds a CT series", self.folder_wanted.emit
        )
        self.layer_button = menu_button(
            "From layer",
            "Take over a three-dimensional image layer of this viewer",
            self._fill_layers,
        )
        self.labels_button = button(
            "Label map…",
            "Which voxel belongs to which bone: whole numbers on the CT's grid, as TotalSegmentator "
            "writes them",
            self.labels_wanted.emit,
        )
        self.labels_layer_button = menu_button(
            "From layer", "Take over a labels layer on the CT's grid", self._fill_labels
        )
        layout = QVBoxLayout(self)
        layout.addWidget(self.ct_words)
        layout.addLayout(row((self.file_button, self.folder_button)))
        layout.addWidget(self.layer_button)
        layout.addWidget(self.label_words)
        layout.addLayout(row((self.labels_button, self.labels_layer_button)))

    def show_session(self, session: Session) -> None:
        """What is loaded now."""
        self.ct_words.setText(ct_words(session))
        labels = session.patient.labels
        if labels is None:
            self.label_words.setText("No label map.")
        else:
            where = _named(session.patient.labels_source)
            known = bool(labels.names) or labels.present_known
            count = (len(labels.names) or len(labels.present())) if known else "…"
            self.label_words.setText(f"{where}: {count} structures")
        has_ct = session.patient.volume is not None
        self.labels_button.setEnabled(has_ct)
        self.labels_layer_button.setEnabled(has_ct)

    def _fill_layers(self, menu: QMenu) -> None:
        for layer in self._layers("ct"):
            inside = menu.addMenu(layer.name)
            if inside is None:
                continue
            for words, values in (
                ("values are HU", "hu"),
                ("values are attenuation (1/mm)", "attenuation"),
            ):
                entry(inside, words, partial(self.layer_chosen.emit, layer, values))

    def _fill_labels(self, menu: QMenu) -> None:
        for layer in self._layers("labels"):
            entry(menu, layer.name, partial(self.labels_layer_chosen.emit, layer))


def ct_words(session: Session) -> str:
    """Name, size, spacing, range and licence of the CT."""
    volume = session.patient.volume
    if volume is None:
        return "Nothing loaded: choose a file, drop one here, or start with a sample."
    z, y, x = volume.shape
    sides = [f"{side:.3g}" for side in volume.spacing]
    size = (
        sides[0] if len(set(sides)) == 1 else " × ".join(sides)
    )  # one line is all there is room for
    grid = f"{x} × {y} × {z} voxels (x, y, z) of {size} mm"
    named = f"{_named(session.patient.volume_source)}: {grid}"
    notes = (f"• {note}" for note in volume.notes)  # what its values were read as, for one
    lines = (named, _range(volume), _licence(session.patient.volume_source), *notes)
    return "\n".join(line for line in lines if line)


def _range(volume: Volume) -> str:
    if not volume.range_known:
        return "range …"
    low, high = volume.value_range
    if volume.hu is None:
        return f"attenuation {low:.3g} to {high:.3g} per mm; HU are not known"
    return f"{low:.0f} to {high:.0f} HU"


def _named(source: Source | None) -> str:
    if source is None:
        return "in memory"
    return f"built-in {source.path}" if source.built_in else Path(source.path).name


def _licence(source: Source | None) -> str:
    """Of a sample; empty for the user's own data."""
    if source is None or source.built_in:
        return "made by this program; no patient" if source is not None else ""
    folders = Path(source.path).parents
    for sample in available_samples():
        if sample.folder is not None and sample.folder.absolute() in folders:
            return f"licence: {sample.licence}"
    return ""
