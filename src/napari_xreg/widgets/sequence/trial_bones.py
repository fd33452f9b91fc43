"""The bones of a trial of Autoscoper, to be ticked: each has a CT of its own."""

from collections.abc import Iterable

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from napari_xreg.widgets.parts.rows_shown import fit_rows
from napari_xreg.workflows import TrialOfSession, bone_words

ROWS = (2, 8)
"""At least and at most."""


class TrialBones(QListWidget):
    """A tick for each bone; the one that is the CT is always tracked."""

    changed = Signal()
    """By the user."""

    def __init__(self) -> None:
        super().__init__()
        self._trial: TrialOfSession | None = None
        self._wanted: set[str] = set()
        self.setToolTip("Ticked bones are tracked together. The bone that is the CT always is.")
        self.itemChanged.connect(self._tell)
        self.show_trial(None)

    @property
    def bones(self) -> dict[str, tuple[int, ...]]:
        """Names of what is tracked together, without ids; one alone: empty."""
        trial = self._trial
        if trial is None:
            return {}
        names = [n for n in trial.names if n in self._wanted or n == trial.present]
        return dict.fromkeys(names, ()) if len(names) > 1 else {}

    def show_trial(self, trial: TrialOfSession | None) -> None:
        """List its bones, those ticked that were; hidden where there is nothing to choose."""
        before = self._trial
        if trial is None and before is not None:  # bones of the same names may be another patient's
            self._wanted = set()
        if trial is not None and before is not None:
            # The bone that was the CT may be left out from now on, but not by itself.
            self._wanted = self._wanted | set(self.bones) if trial.names == before.names else set()
        self._trial = trial
        names = () if trial is None or len(trial.names) < 2 else trial.names
        self.blockSignals(True)
        self.clear()
        for name in names:
            assert trial is not None
            item = QListWidgetItem(bone_words(name))
            item.setData(Qt.ItemDataRole.UserRole, name)
            here = name == trial.present
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            if here:
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
                item.setToolTip("The CT: it is always tracked.")
            on = here or name in self._wanted
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
            self.addItem(item)
        self.blockSignals(False)
        fit_rows(self, *ROWS)
        self.setVisible(bool(names))

    def choose(self, names: Iterable[str]) -> None:
        """Tick these and no others; says nothing."""
        self._wanted = set(names)
        self.show_trial(self._trial)

    def _tell(self, item: QListWidgetItem) -> None:
        name = item.data(Qt.ItemDataRole.UserRole)
        if item.checkState() == Qt.CheckState.Checked:
            self._wanted.add(name)
        else:
            self._wanted.discard(name)
        self.changed.emit()
