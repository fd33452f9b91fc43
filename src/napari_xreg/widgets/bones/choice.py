"""Which structures move, and which of them as one bone."""

from collections.abc import Iterable

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xreg.images import LabelMap
from napari_xreg.widgets.parts.data_buttons import button, row
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.parts.structure_list import StructureList
from napari_xreg.workflows import bone_words, bones_of_structures


class BonesChoice(QWidget):
    """Ticked structures are a bone each, or joined with others."""

    changed = Signal()
    """By the user."""

    def __init__(self) -> None:
        super().__init__()
        self._labels: LabelMap | None = None
        self._joined: list[tuple[int, ...]] = []
        self.structures = StructureList(
            "Each ticked structure is cut out of the CT and moves by itself; the rest of the CT is one more bone."
        )
        self.join_button = button(
            "Join into one bone",
            "The ticked structures that are a bone each move as one, as tibia and fibula do.",
            self.join,
        )
        self.part_button = button("Take apart", "Each ticked structure is a bone again.", self.part)
        self.words = SmallPrint()
        self.structures.ticked.connect(self._follow)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.structures)
        layout.addLayout(row([self.join_button, self.part_button]))
        layout.addWidget(self.words)
        self._follow()

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The ids of each bone: those that were joined first."""
        return (*self._joined, *((id,) for id in self._alone))

    def show_labels(self, labels: LabelMap | None) -> bool:
        """List what occurs; whether it is known yet. Hidden where it is not, or there is no map."""
        known = self.structures.show_labels(labels)
        self._labels = labels if known else None
        self.setVisible(self._labels is not None)
        self._follow()
        return known

    def choose(self, groups: Iterable[tuple[int, ...]]) -> None:
        """Tick these bones and no others; says nothing."""
        groups = tuple(groups)
        self._joined = [group for group in groups if len(group) > 1]
        self.structures.mark(tuple(id for group in groups for id in group))
        self.blockSignals(True)
        self._follow()
        self.blockSignals(False)

    def join(self) -> None:
        """What is ticked, and not joined yet, is one bone."""
        if len(self._alone) > 1:
            self._joined.append(self._alone)
            self._follow()

    def part(self) -> None:
        """Every structure is a bone."""
        self._joined.clear()
        self._follow()

    @property
    def _alone(self) -> tuple[int, ...]:
        joined = {id for group in self._joined for id in group}
        return tuple(id for id in self.structures.checked if id not in joined)

    def _follow(self) -> None:
        ticked = set(self.structures.checked)
        still = (tuple(id for id in group if id in ticked) for group in self._joined)
        self._joined = [group for group in still if len(group) > 1]
        self.join_button.setEnabled(len(self._alone) > 1)
        self.part_button.setEnabled(bool(self._joined))
        names = () if self._labels is None else bones_of_structures(self._labels, self.groups)
        self.words.setText(f"Bones: {', '.join(map(bone_words, names))}." if self._joined else "")
        self.changed.emit()
