"""The Data widget: what the session works on, and every way to bring it in."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from napari.layers import Layer
from qtpy.QtCore import Qt
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QFileDialog,
    QGroupBox,
    QMenu,
    QVBoxLayout,
    QWidget,
)

from napari_xreg.geometry import CArm
from napari_xreg.images import LabelMap, Radiograph, Volume, named, patterns
from napari_xreg.session import Missing, Session, Source
from napari_xreg.viewer import adoptable, capture, value_of
from napari_xreg.widgets.data.adopting import AdoptImage, AdoptLabels, AdoptOwn, AdoptVolume
from napari_xreg.widgets.data.load_progress import LoadProgress
from napari_xreg.widgets.data.making import LoadSample, MenuSample, Simulate
from napari_xreg.widgets.data.patient_group import PatientGroup
from napari_xreg.widgets.data.questions import Question, SimulationQuestion
from napari_xreg.widgets.data.radiographs_group import RadiographsGroup, removal_words
from napari_xreg.widgets.data.reading import Kind, ReadFile, SeveralFiles, Supply, called_labels
from napari_xreg.widgets.data.structures_group import StructuresGroup
from napari_xreg.widgets.data.taking import Taking
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.telling import show_error, show_info, show_warning
from napari_xreg.widgets.landmarks.group import LandmarksGroup
from napari_xreg.widgets.landmarks.pick_panel import FILES as LANDMARK_FILES
from napari_xreg.widgets.parts.data_buttons import button, entry, menu_button, row
from napari_xreg.widgets.parts.file_dialogs import choose_folder, file_to_save, open_file
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.saving.closing import FILES as SESSION_FILES, choose_file, save
from napari_xreg.workflows import (
    FactsRequest,
    SampleSettings,
    SimulateRequest,
    available_samples,
    save_landmarks,
)

_CT_FILES = f"CT ({patterns('volume')});;All files (*)"
_LABEL_FILES = f"Label map ({patterns('volume', dicom=False)});;All files (*)"
_XRAY_FILES = f"Radiograph ({patterns('radiograph')});;All files (*)"
_KINDS = {"hu": Volume, "attenuation": Volume, "labels": LabelMap, "radiograph": Radiograph}
"""What a layer of ours is taken over as."""


class DataWidget(Docked):
    """CT, label map, structures, radiographs, landmarks, sessions, samples.

    Files and folders may be dropped anywhere on it. Everything is read off the main thread; what
    fails says so in one sentence and leaves what was loaded as it was.

    Parameters
    ----------
    napari_viewer
        The viewer whose session is filled.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._session: Session = self.workbench.session
        self._taking = Taking(self.workbench, self, self.adopt)
        self.queue = self._taking.queue
        self.queue.began.connect(super()._forget_words)
        self._facts = Lane(lambda _: self._show(), name="Data")
        self.sample_button = menu_button(
            "Sample data", "A patient to start with; nothing is downloaded", self._fill_samples
        )
        self.open_button = button(
            "Open session…", "Everything as it was saved (*.xreg.json)", self._choose_session
        )
        self.save_button = button(
            "Save session…",
            "Poses, history, landmarks and results, and where the data lie (*.xreg.json)",
            self._choose_where,
        )
        self.missing = QGroupBox("Not found")
        self.missing_words = SmallPrint()
        self.find_button = menu_button(
            "Find", "Say where a file of this session lies now", self._fill_missing
        )
        self.patient = PatientGroup(self._layers)
        self.structures = StructuresGroup()
        self.radiographs = RadiographsGroup(self._layers)
        self.landmarks = LandmarksGroup()
        self.progress = LoadProgress(self.queue)
        self.setAcceptDrops(True)
        self._lay_out()
        self._wire()
        self._show()

    def teardown(self) -> None:
        """Nobody takes what is still being read."""
        self.structures.stop()
        self._facts.close()
        self._taking.close()

    @property
    def question(self) -> Question | None:
        """That is open; None: none is."""
        return self._taking.question

    # ------------------------------------------------------------------ what a script may call too

    def load(self, path: str | Path, kind: Kind | None = None, **options: Any) -> None:
        """Load a file or folder as if it had been chosen here.

        Parameters
        ----------
        path
            What to read.
        kind
            "ct", "labels", "radiograph", "landmarks", "session"; None: by its looks.
        **options
            Keywords of the reader.
        """
        self.queue.ask(ReadFile(str(path), kind, options))

    def load_together(self, paths: Sequence[str]) -> None:
        """Load files and folders that came together: a CT before what belongs to it, a series once."""
        self._load_all(sorted(paths, key=_turn))

    def load_sample(self, name: str) -> None:
        """Load a sample by its name in napari's menu: "case", "phantom", "folder" or "wrist"."""
        self.queue.ask(MenuSample(name))

    def adopt(self, layer: Layer, values: str) -> None:
        """Take over a layer of the viewer; one of ours with what was edited in it.

        Parameters
        ----------
        layer
            Three-dimensional image or labels, or two-dimensional image.
        values
            "hu", "attenuation", "labels" or "radiograph".
        """
        carry = value_of(layer)
        if carry is not None and _KINDS.get(values) is type(carry.value):
            data, attributes, _ = layer.as_layer_data_tuple()
            self.queue.ask(AdoptOwn(carry, data, attributes))
            return
        try:
            captured = capture(layer)
        except ValueError as error:
            show_error(f"{error}.")
            return
        if values == "labels":
            self.queue.ask(AdoptLabels(captured))
            return
        self._taking.foreign.adopted(layer)
        if values == "radiograph":
            self.queue.ask(AdoptImage(captured))
        else:
            self.queue.ask(AdoptVolume(captured, "hu" if values == "hu" else "attenuation"))

    def save_session(self, path: str | Path) -> None:
        """Write the session, off the main thread."""
        save(self._session, self.workbench.jobs, path)

    def remove_radiograph(self, id: str) -> None:
        """Take a radiograph out, and say what went with it: undo brings all of it back."""
        words = removal_words(self._session, id)
        self._session.exposures.remove(id)
        show_info(f"Removed {words}; Undo (Pose widget, Control+Z) brings it back.")

    def save_landmarks(self, path: str | Path) -> None:
        """Write the landmarks of the patient and, as .csv, those of the active radiograph."""
        try:
            count = save_landmarks(self._session, path)
        except (OSError, ValueError) as error:
            show_error(f"Landmarks cannot be written: {error}.")
            return
        show_info(f"{count} landmarks written to {Path(path).name}")

    # ------------------------------------------------------------------ drag and drop

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Files and folders are welcome."""
        data = None if event is None else event.mimeData()
        if event is not None and data is not None and data.hasUrls():
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Load them, a CT before what belongs to it."""
        data = None if event is None else event.mimeData()
        if event is None or data is None:
            return
        paths = [url.toLocalFile() for url in data.urls() if url.isLocalFile()]
        event.acceptProposedAction()
        self.load_together(paths)
        if not paths:
            show_warning("Only files on this computer can be dropped here.")

    # ------------------------------------------------------------------ what is shown

    def _lay_out(self) -> None:
        body = QWidget()
        inside = QVBoxLayout(body)
        inside.setContentsMargins(0, 0, 4, 0)
        inside.addWidget(self.sample_button)
        inside.addLayout(row((self.open_button, self.save_button)))
        missing = QVBoxLayout(self.missing)
        missing.addWidget(self.missing_words)
        missing.addWidget(self.find_button)
        groups = (self.missing, self.patient, self.structures, self.radiographs, self.landmarks)
        for group in groups:
            inside.addWidget(group)
        inside.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(scrolled(body), 1)
        layout.addWidget(self.progress)

    def _wire(self) -> None:
        session, patient, radiographs = self._session, self.patient, self.radiographs
        for signal in (
            session.patient.changed,
            session.exposures.changed,
            session.exposures.active_changed,
            session.landmarks.changed,
        ):
            self.listen(signal, self._show)
        patient.file_wanted.connect(lambda: self._choose("Load CT", _CT_FILES, "ct"))
        patient.folder_wanted.connect(
            lambda: choose_folder(self, "Folder of a CT series", partial(self.load, kind="ct"))
        )
        patient.labels_wanted.connect(lambda: self._choose("Label map", _LABEL_FILES, "labels"))
        patient.layer_chosen.connect(self.adopt)
        patient.labels_layer_chosen.connect(lambda layer: self.adopt(layer, "labels"))
        self.structures.chosen.connect(lambda ids: self._tell(session.patient.set_structures, ids))
        radiographs.file_wanted.connect(
            lambda: self._choose("Add radiograph", _XRAY_FILES, "radiograph")
        )
        radiographs.layer_chosen.connect(lambda layer: self.adopt(layer, "radiograph"))
        radiographs.simulation_wanted.connect(self._choose_simulation)
        radiographs.activated.connect(session.exposures.activate)
        radiographs.use_changed.connect(session.exposures.set_used)
        radiographs.renamed.connect(lambda id, new: self._tell(session.exposures.rename, id, new))
        radiographs.removed.connect(self.remove_radiograph)
        self.landmarks.load_wanted.connect(
            lambda: self._choose("Load landmarks", LANDMARK_FILES, "landmarks")
        )
        self.landmarks.save_wanted.connect(
            lambda: file_to_save(
                self, "Save landmarks", "landmarks.csv", LANDMARK_FILES, self.save_landmarks
            )
        )

    def _forget_words(self) -> None:
        """Not while more is loaded: what was said of one file outlasts the others that came with it."""
        if not self.queue.at_work:
            super()._forget_words()

    def _show(self) -> None:
        facts = FactsRequest(self._session.patient.volume, self._session.patient.labels)
        if not facts.known:
            self._facts.ask(facts)
        for group in (self.patient, self.structures, self.radiographs, self.landmarks):
            group.show_session(self._session)
        gone = self._session.missing
        self.missing.setVisible(bool(gone))
        self.missing_words.setText("\n".join(f"{item.name}: {item.why}" for item in gone))
        empty = self._session.patient.volume is None and not self._session.exposures.all
        self.save_button.setEnabled(not empty)

    def _tell(self, change: Any, *arguments: Any) -> None:
        """What the session refuses is a sentence, and the widget shows what holds."""
        try:
            change(*arguments)
        except ValueError as error:
            show_error(f"{error}.")
            self._show()

    # ------------------------------------------------------------------ choices

    def _layers(self, kind: str) -> list[Layer]:
        ours = {id(layer) for layer in self.workbench.canvas.layers}
        layers = [layer for layer in self.workbench.viewer.layers if id(layer) not in ours]
        return adoptable(layers, kind)  # type: ignore[arg-type]

    def _fill_samples(self, menu: QMenu) -> None:
        for sample in available_samples():
            ask = partial(self.queue.ask, LoadSample(sample))
            entry(menu, sample.title, ask, sample.licence)

    def _fill_missing(self, menu: QMenu) -> None:
        for gone in self._session.missing:
            choose = partial(self._choose_missing, gone)
            entry(menu, f"{gone.name}…", choose, gone.why)

    def _choose_missing(self, gone: Missing) -> None:
        before = gone.source
        if before is None or before.built_in:
            before = Source("")

        def ask(path: str) -> None:
            self.queue.ask(Supply(gone.name, gone.role, replace(before, path=path, sha256="")))

        open_file(self, f"Where is {gone.name}?", "", ask)

    def _choose(self, title: str, files: str, kind: Kind) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, title, "", files)
        self._load_all(paths, kind)

    def _load_all(self, paths: Sequence[str], kind: Kind | None = None) -> None:
        """Files that came together: 300 slices are one CT, read once."""
        if len(paths) > 1:
            self.queue.ask(SeveralFiles(tuple(paths), kind))
        for path in paths if len(paths) == 1 else ():
            self.load(path, kind)

    def _choose_session(self) -> None:
        open_file(self, "Open session", SESSION_FILES, partial(self.load, kind="session"))

    def _choose_where(self) -> None:
        path = choose_file(self)
        if path:
            self.save_session(path)

    def _choose_simulation(self) -> None:
        active = self._session.exposures.active
        like = None if active is None else active.radiograph.carm
        self._taking.ask(
            SimulationQuestion(self, like=like), lambda settings: self._simulate(settings, like)
        )

    def _simulate(self, settings: SampleSettings, like: CArm | None) -> None:
        session = self._session
        if session.patient.volume is not None:
            self.queue.ask(
                Simulate(
                    SimulateRequest(
                        session.patient.volume,
                        session.patient.labels,
                        session.patient.isocenter,
                        settings,
                        like,
                    )
                )
            )


def _turn(path: str) -> int:
    """A CT comes before its label map, and both before radiographs and landmarks."""
    if Path(path).is_dir():
        return 0
    if named(Path(path), "volume") is not None:
        return 2 if called_labels(Path(path).name) else 1
    return 3
