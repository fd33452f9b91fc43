"""Landmarks: how many there are, from and to files."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGroupBox, QVBoxLayout

from napari_xreg.session import Session
from napari_xreg.widgets.parts.data_buttons import button, row
from napari_xreg.widgets.parts.small_print import SmallPrint


class LandmarksGroup(QGroupBox):
    """What is known of named points."""

    load_wanted = Signal()
    save_wanted = Signal()

    def __init__(self) -> None:
        super().__init__("Landmarks")
        self.words = SmallPrint()
        self.load_button = button(
            "Load…",
            "Named points: .fcsv or .mrk.json of 3D Slicer, or .csv with x, y, z in mm and row, "
            "column in pixels of the active radiograph",
            self.load_wanted.emit,
        )
        self.save_button = button(
            "Save…",
            "For 3D Slicer (.fcsv, .mrk.json: positions in the patient) or as .csv (positions and "
            "pixels)",
            self.save_wanted.emit,
        )
        layout = QVBoxLayout(self)
        layout.addWidget(self.words)
        layout.addLayout(row((self.load_button, self.save_button)))

    def show_session(self, session: Session) -> None:
        """The session's landmarks."""
        active = session.exposures.active
        text = f"{len(session.landmarks.all)} in the patient"
        if active is not None:
            text += f", {len(active.landmarks)} picked on {active.name}"
        self.words.setText(text)
        self.save_button.setEnabled(
            bool(session.landmarks.all) or (active is not None and bool(active.landmarks))
        )
