"""Which structures of the label map are rendered and registered."""

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QGroupBox, QVBoxLayout

from napari_xreg.session import Session
from napari_xreg.widgets.parts.data_buttons import button, row
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.parts.structure_list import StructureList

_WAIT_MS = 350
"""After the last click, before the CT is restricted: that takes a moment for a large one."""


class StructuresGroup(QGroupBox):
    """A checkable list by name, with a search field."""

    chosen = Signal(tuple)
    """Label ids; none: the whole CT."""

    def __init__(self) -> None:
        super().__init__("Structures")
        self.structures = StructureList(
            "What is rendered and registered. Nothing ticked: the whole CT, which explains a "
            "radiograph best; bones alone lack the soft tissue that it shows."
        )
        self.search, self.list = self.structures.search, self.structures.list
        self.all_button = button(
            "Tick all listed",
            "Tick every structure that the search shows",
            lambda: self.structures.tick_listed(True),
        )
        self.none_button = button(
            "Use the whole CT", "Untick everything: render and register the whole CT",
            lambda: self.structures.tick_listed(False),
        )  # fmt: skip
        self.words = SmallPrint()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._tell)
        self.structures.ticked.connect(lambda: self._timer.start(_WAIT_MS))
        layout = QVBoxLayout(self)
        layout.addWidget(self.structures)
        layout.addLayout(row((self.all_button, self.none_button)))
        layout.addWidget(self.words)

    @property
    def checked(self) -> tuple[int, ...]:
        """Ids of what is checked."""
        return self.structures.checked

    def show_session(self, session: Session) -> None:
        """The session's label map and choice."""
        self.setVisible(session.patient.labels is not None)
        known = self.structures.show_labels(session.patient.labels)
        if not self._timer.isActive():
            self.structures.mark(session.patient.structures)
        self.words.setText(
            "looking through the label map …"
            if not known
            else f"{len(session.patient.structures)} rendered and registered"
            if session.patient.structures
            else "the whole CT is rendered and registered"
        )

    def stop(self) -> None:
        """Tell nothing any more."""
        self._timer.stop()

    def _tell(self) -> None:
        self.chosen.emit(self.checked)
