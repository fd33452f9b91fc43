"""Who is asked for a pose: a line each, of networks with the file of their weights."""

from collections.abc import Mapping
from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_xreg.session import Session, Weights
from napari_xreg.widgets.parts.data_buttons import button
from napari_xreg.widgets.parts.file_dialogs import open_file
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.starts.template_files import TemplateFiles
from napari_xreg.workflows import INITIALISERS, Initialiser, speaks_of_template

PACKAGED = "comes with the plugin"
_FILES = "Weights (*.safetensors *.pth *.pt *.ckpt);;All files (*)"


class AskedRow(QWidget):
    """One initialiser.

    Parameters
    ----------
    initialiser
        Of the table.
    """

    changed = Signal()
    file_chosen = Signal(str)
    """A file of weights, not read yet."""

    def __init__(self, initialiser: Initialiser) -> None:
        super().__init__()
        self.initialiser = initialiser
        self.tick = QCheckBox(initialiser.title)
        line = initialiser.line.partition(" (--")[0]
        self.tick.setToolTip(f"{line[:1].upper()}{line[1:]}.")
        self.tick.toggled.connect(lambda _: self.changed.emit())
        self.words = SmallPrint()
        self.which: QComboBox | None = None
        self._wanted: Weights | None = None  # that were taken over
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.tick)
        if initialiser.recipe:
            layout.addLayout(self._weights())
        layout.addWidget(self.words)

    @property
    def weights(self) -> Path | None:
        """The file that is chosen; None: none, or those of the package."""
        found = None if self.which is None else self.which.currentData()
        return found if isinstance(found, Path) else None

    @property
    def asked(self) -> bool:
        """Whether it is to be asked, and can be."""
        return self.tick.isEnabled() and self.tick.isChecked()

    def show_session(self, session: Session) -> None:
        """What it can do with what is loaded; weights that were trained or opened."""
        if self.which is not None:
            self._list(session)
        missing = _missing(self.initialiser, session, self.weights)
        self.tick.setEnabled(not missing)
        self.words.setText(missing or self._about(session))

    def _about(self, session: Session) -> str:
        file = self.weights
        known = (made for made in session.weights.trained if made.file == file)
        return next((made.words for made in known), "")

    def _list(self, session: Session) -> None:
        which, kind = self.which, self.initialiser.recipe
        assert which is not None
        wanted = session.weights.wanted(kind)
        files: list[Path | None] = [] if "weights" in self.initialiser.needs else [None]
        files += [made.file for made in session.weights.trained if made.kind == kind]
        there = [which.itemData(at) or None for at in range(which.count())]
        taken_over = wanted is not None and wanted is not self._wanted and wanted.file in files
        self._wanted = wanted
        chosen = wanted.file if wanted is not None and taken_over else self.weights
        with QSignalBlocker(which):
            if files != there:
                which.clear()
                for file in files:
                    which.addItem(PACKAGED if file is None else file.name, file or "")
            if chosen in files:
                which.setCurrentIndex(files.index(chosen))
        if taken_over:
            self.tick.setChecked(True)

    def _weights(self) -> QHBoxLayout:
        self.which = QComboBox()
        self.which.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.which.setToolTip("Weights of the network: trained here (Train), or from a file.")
        self.which.currentIndexChanged.connect(lambda _: self.changed.emit())
        line = QHBoxLayout()
        line.setContentsMargins(18, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(self.which, 1)
        line.addWidget(button("File…", "Weights from a file.", self._choose))
        return line

    def _choose(self) -> None:
        open_file(self, "Weights of a network", _FILES, self.file_chosen.emit)


def _missing(initialiser: Initialiser, session: Session, weights: Path | None) -> str:
    """Why it cannot be asked; empty where it can."""
    active = session.exposures.active
    if initialiser.name == "dicom" and active is not None and active.radiograph.nominal is None:
        return "The radiograph's file does not say where the C-arm stood."
    if "landmarks" in initialiser.needs and not session.landmarks.all:
        return "Needs landmarks of the CT (Landmarks, or a file in Data)."
    if "weights" in initialiser.needs and weights is None:
        return "Needs weights: train a network (Train), or choose a file (ours, xvr's, DiffPose's)."
    return ""


class AskedRows(QWidget):
    """All of the table.

    Parameters
    ----------
    session
        Whose data and weights there are.
    """

    changed = Signal()
    file_chosen = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.rows = {name: AskedRow(row) for name, row in INITIALISERS.items()}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for row in self.rows.values():
            layout.addWidget(row)
            row.changed.connect(self._row_changed)
            row.file_chosen.connect(self.file_chosen)
        # A part of its row: what it says is meant in a frame that one of these files ties to the CT.
        self.template = TemplateFiles()
        self._of: tuple[object, Path | None] = (None, None)
        of_network = self.rows["regression"].layout()
        assert of_network is not None
        of_network.addWidget(self.template)
        self.template.changed.connect(self.changed)
        self.rows["manual"].tick.setChecked(True)

    @property
    def asked(self) -> Mapping[str, Path | None]:
        """Who is asked, with the file of its weights."""
        return {name: row.weights for name, row in self.rows.items() if row.asked}

    @property
    def of_template(self) -> tuple[Path | None, Path | None]:
        """Warp and CT of the template, where the network that is asked speaks of one."""
        if self.template.isHidden():
            return None, None
        return self.template.warp, self.template.template

    def show_session(self) -> None:
        """Data, landmarks or weights changed."""
        for row in self.rows.values():
            row.show_session(self._session)
        network = self.rows["regression"]
        # They tie one network to one CT.
        of = (self._session.patient.volume, network.weights)
        if self._of[0] is not of[0] or self._of[1] != of[1]:
            self._of = of
            self.template.forget()
        self.template.setVisible(network.asked and speaks_of_template(network.words.words))
        self.changed.emit()

    def _row_changed(self) -> None:
        self.show_session()
