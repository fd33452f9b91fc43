"""Whom a network learns: this CT, the CTs of a folder, or simulated pelves."""

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_xreg.images import LabelMap
from napari_xreg.session import Session
from napari_xreg.training import CTsOfFolder, OneCT, Patients, Phantoms
from napari_xreg.widgets.parts.file_dialogs import choose_folder
from napari_xreg.widgets.parts.form import narrow_form
from napari_xreg.widgets.parts.quantity import Quantity
from napari_xreg.widgets.train.fields import combo, path_line

THIS_CT, FOLDER, PHANTOMS = "this CT", "CTs of a folder", "simulated pelves"
_PATIENTS = {
    THIS_CT: "The CT of this session: minutes, and it knows this patient only.",
    FOLDER: "Every CT of a folder, mixed with simulated pelves: for patients to come; hours.",
    PHANTOMS: "The simulator's pelves alone: needs no CT.",
}
STRUCTURES, ABOVE = "in structures", "above HU"
_POINTS = {
    STRUCTURES: "3D points to learn lie in the label map's structures: those chosen in Data, else all.",
    ABOVE: "3D points to learn lie where the CT is denser than this: bone.",
}


class PatientsForm(QWidget):
    """Shows only what belongs to the choice made.

    Parameters
    ----------
    session
        Whose CT is "this CT".
    """

    changed = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.patients = combo(_PATIENTS)
        self.points = combo(_POINTS)
        self.above = Quantity(
            250.0, -1000.0, 3000.0, " HU", "Points to learn lie in voxels above this.", decimals=0,
            step=50.0,
        )  # fmt: skip
        self.folder, self._browse = path_line(
            "folder", "CTs, or folders with ct.nii.gz, labels.nii.gz and landmarks each.",
            self._choose_folder,
        )  # fmt: skip
        self.phantoms = Quantity(
            0.5, 0.0, 100.0, " per CT", "Simulated pelves drawn for each CT; 0: none.", step=0.5
        )
        self._form = narrow_form()
        self.setLayout(self._form)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.addRow("On", self.patients)
        self._form.addRow("Points", self.points)
        self._form.addRow("Bone", self.above)
        self._form.addRow("Folder", self._browse)
        self._form.addRow("Phantoms", self.phantoms)
        for choice in (self.patients, self.points):
            choice.currentTextChanged.connect(self._choose)
        for number in (self.above, self.phantoms):
            number.valueChanged.connect(lambda _: self.changed.emit())
        self.folder.textChanged.connect(lambda _: self.changed.emit())
        self.follow_session()

    def value(self) -> Patients:
        """Whom to learn.

        Raises
        ------
        ValueError
            In words for the user.
        """
        on = self.patients.currentText()
        if on == PHANTOMS:
            return Phantoms()
        if on == FOLDER:
            text = self.folder.text().strip()
            if not text:
                raise ValueError("choose a folder of CTs first")
            if not Path(text).expanduser().is_dir():
                raise ValueError(f"there is no folder {text}")
            return CTsOfFolder(Path(text).expanduser(), self.phantoms.number, self.above.number)
        session = self._session
        if session.patient.volume is None:
            raise ValueError("there is no CT: load one first (Data), or train on simulated pelves")
        labels: LabelMap | None = None
        ids: tuple[int, ...] | None = None
        if session.patient.labels is not None and self.points.currentText() == STRUCTURES:
            labels, ids = session.patient.labels, session.patient.structures or None
        return OneCT(
            ct_name(session),
            session.patient.volume,
            labels,
            ids,
            self.above.number,
            session.landmarks.all,
        )

    def follow_session(self) -> None:
        """Without a label map there are no structures to choose from."""
        labelled = self._session.patient.labels is not None
        self.points.setEnabled(labelled)
        if not labelled:
            self.points.setCurrentText(ABOVE)
        self._follow()

    def _follow(self) -> None:
        on = self.patients.currentText()
        by_threshold = self.points.currentText() == ABOVE
        shown = {
            self.points: on == THIS_CT,
            self.above: on == FOLDER or (on == THIS_CT and by_threshold),
            self._browse: on == FOLDER,
            self.phantoms: on == FOLDER,
        }
        for field, visible in shown.items():
            self._form.setRowVisible(field, visible)

    def _choose(self, _: str) -> None:
        self._follow()
        self.changed.emit()

    def _choose_folder(self) -> None:
        choose_folder(self, "Folder of CTs", self.folder.setText, at=self.folder.text())


def ct_name(session: Session) -> str:
    """Of the file, as the model card gives it."""
    source = session.patient.volume_source
    return "CT in memory" if source is None else Path(source.path).name
