"""The Data widget: what the session works on, and every way to bring it in."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from napari.layers import Layer
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QFileDialog,
    QGroupBox,
    QHBoxLayout,
    QMenu,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from napari_xreg.geometry import CArm
from napari_xreg.images import LabelMap, Radiograph, Volume, named, patterns
from napari_xreg.session import Session, Source, opening, supply
from napari_xreg.viewer import adoptable, capture, value_of
from napari_xreg.widgets.data.adopting import AdoptImage, AdoptLabels, AdoptOwn, AdoptVolume
from napari_xreg.widgets.data.answers import (
    CT,
    Choice,
    Found,
    Labelled,
    Marks,
    Requests,
    SessionFile,
    StudyFolder,
    Unfinished,
    Unscaled,
    Xray,
)
from napari_xreg.widgets.data.foreign_images import Foreign, ForeignImages
from napari_xreg.widgets.data.load_queue import LoadQueue
from napari_xreg.widgets.data.making import LoadSample, Simulate
from napari_xreg.widgets.data.opened_layers import Brought, Opened, OpenedLayers, Settled
from napari_xreg.widgets.data.patient_group import PatientGroup
from napari_xreg.widgets.data.questions import (
    MeaningOfValues,
    MissingGeometry,
    OneOf,
    Question,
    SimulationQuestion,
)
from napari_xreg.widgets.data.radiographs_group import RadiographsGroup, removal_words
from napari_xreg.widgets.data.reading import Kind, ReadFile, SeveralFiles, Supply
from napari_xreg.widgets.data.structures_group import StructuresGroup
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.docks.opening import opened
from napari_xreg.widgets.jobs.jobs import Lane
from napari_xreg.widgets.jobs.telling import show_error, show_info, show_warning
from napari_xreg.widgets.landmarks.group import LandmarksGroup
from napari_xreg.widgets.landmarks.pick_panel import FILES as LANDMARK_FILES
from napari_xreg.widgets.parts.data_buttons import button, entry, menu_button, row
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.saving.closing import save
from napari_xreg.widgets.study.opening import show_study
from napari_xreg.workflows import (
    FactsRequest,
    NetworkFile,
    SampleData,
    SampleSettings,
    SimulateRequest,
    available_samples,
    save_landmarks,
    take_landmarks,
)

_CT_FILES = f"CT ({patterns('volume')});;All files (*)"
_LABEL_FILES = f"Label map ({patterns('volume', dicom=False)});;All files (*)"
_XRAY_FILES = f"Radiograph ({patterns('radiograph')});;All files (*)"
_SESSION_FILES = "Session (*.xreg.json)"
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
        self.queue = LoadQueue(self.workbench.jobs, self._take, self)
        self._facts = Lane(lambda _: self._show(), name="Data")
        self.question: Question | None = None
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
        self.progress = QWidget()
        self.progress_words = SmallPrint()
        self.cancel_button = button(
            "Cancel", "Stop loading; what is loaded already stays", self.queue.cancel
        )
        self.setAcceptDrops(True)
        self._opened = OpenedLayers(self.workbench, self.queue, self._take)
        self.at_end(self._opened.close)
        self._foreign = ForeignImages(
            self.workbench.viewer, self._session, self.queue.ask, self._ask_first, self.adopt
        )
        self.at_end(self._foreign.close)
        self._lay_out()
        self._wire()
        self._show()
        self._show_progress()

    def teardown(self) -> None:
        """Nobody takes what is still being read."""
        self.structures.stop()
        self._facts.close()
        self.queue.cancel()
        if self.question is not None:
            self.question.close()

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
        self._foreign.adopted(layer)
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
        self._load_all(sorted(paths, key=_turn))
        if not paths:
            show_warning("Only files on this computer can be dropped here.")

    # ------------------------------------------------------------------ answers, in the main thread

    def _take(self, answer: Any) -> None:
        session = self._session
        match answer:
            case CT():
                self._take_ct(answer.volume, answer.source)
                for note in answer.notes:
                    show_warning(note)
            case Labelled():
                session.patient.set_labels(answer.labels, answer.source)
            case Xray():
                self._take_radiograph(answer)
            case Marks():
                self._take_landmarks(answer)
            case SessionFile():
                self._open(answer.path)
            case Brought():
                self._opened.take(answer)
            case Settled():
                self._opened.settle(answer)
            case Foreign():
                self._foreign.ask(answer)
            case Opened():
                session.restore(answer.session.capture()(), "open session")
            case Requests():
                for note in answer.notes:
                    show_warning(note)
                for file in answer.files:
                    self.queue.ask(file)
            case Found():
                self._take_found(answer)
            case Choice():
                self._ask(OneOf(answer.question, answer.options, self), self.queue.ask)
            case Unfinished():
                request = answer.request
                self._ask(
                    MissingGeometry(answer.stored, self),
                    lambda said: self.queue.ask(request.completed(*said)),
                )
            case Unscaled():
                read = answer.request
                self._ask(
                    MeaningOfValues(answer.question, self),
                    lambda said: self.queue.ask(read.scaled(said)),
                )
            case SampleData():
                self._take_sample(answer)
            case NetworkFile():
                self._take_network(answer)
            case StudyFolder():
                show_study(self.workbench.viewer, answer.path)

    def _take_radiograph(self, xray: Xray) -> None:
        """Add it; one that is there already is shown, not taken twice."""
        exposures = self._session.exposures
        for there in exposures.all:
            if there.radiograph is xray.radiograph:
                exposures.activate(there.id)
                return
        exposures.add(xray.radiograph, name=xray.name, source=xray.source, truth=xray.truth)

    def _take_network(self, network: NetworkFile) -> None:
        from napari_xreg.widgets.starts.widget import StartsWidget  # with it all networks

        opened(self.workbench.viewer, StartsWidget, "Find a pose").use(network)

    def _take_landmarks(self, answer: Marks) -> None:
        if not take_landmarks(self._session, answer.landmarks):
            show_warning(
                f"{answer.file} holds pixels: load the radiograph they were picked on first."
            )

    def _take_ct(self, volume: Volume, source: Source | None) -> None:
        session = self._session
        if not session.patient.in_use:
            session.patient.set_volume(volume, source)
            return
        new = "the new one" if source is None else Path(source.path).name
        self._ask_first(
            f"There is a CT already. Is {new} of the same patient? Either way its label map and the "
            "results go; Undo (Pose widget) brings everything back.",
            {
                "another patient: landmarks go too, each C-arm returns to its start": (
                    partial(session.patient.replace, volume, source)
                ),
                "the same patient: landmarks, radiographs and poses stay": (
                    partial(session.patient.set_volume, volume, source)
                ),
            },
        )

    def _ask_first(self, question: str, answers: Mapping[str, Callable[[], None]]) -> None:
        """What was chosen is done; nothing else is loaded before."""
        self.queue.hold(True)
        asked = OneOf(question, answers, self)
        self._ask(asked, lambda chosen: chosen())
        # Only then: the dialog closes before it hands the answer over.
        asked.finished.connect(lambda _: QTimer.singleShot(0, lambda: self.queue.hold(False)))

    def _take_sample(self, sample: SampleData) -> None:
        if self._session.empty:
            self._fill(sample)
            return
        self._ask_first(
            f"There is a session already. What should become of it with {sample.title}?",
            {
                "start over with the sample (undo brings this session back)": (
                    partial(self._start_over, sample)
                ),
                "keep its radiographs and poses, and add the sample's": partial(self._fill, sample),
            },
        )

    def _start_over(self, sample: SampleData) -> None:
        with self._session.one_step("start over with a sample", work=False):
            for exposure in self._session.exposures.all:
                self._session.exposures.remove(exposure.id)
            self._session.landmarks.set([])
            self._fill(sample)

    def _fill(self, sample: SampleData) -> None:
        if sample.case is not None:
            sample.case.fill(self._session)
            return
        with self._session.one_step("load sample", work=False):
            self._session.patient.set_volume(sample.volume, sample.source)
            if sample.labels is not None:
                self._session.patient.set_labels(sample.labels, sample.labels_source)
            if sample.landmarks:
                self._session.landmarks.set(sample.landmarks)

    def _take_found(self, found: Found) -> None:
        match found.answer:
            case CT(volume=value, source=source):
                supply(self._session, found.name, value, source)
            case Labelled(labels=value, source=source):
                supply(self._session, found.name, value, source)
            case Xray(radiograph=value, source=source):
                supply(self._session, found.name, value, source)
            case other:
                self._take(other)

    def _open(self, path: str) -> None:
        name = Path(path).name

        def take(opened: Session) -> None:
            self._session.restore(opened.capture()(), f"open {name}")
            for problem in opened.problems:
                show_warning(problem)

        self.workbench.jobs.start(f"Opening {name}", lambda _: opening(path), on_result=take)

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
        bar = QProgressBar()
        bar.setRange(0, 0)
        bar.setTextVisible(False)
        line = QHBoxLayout()
        line.addWidget(bar, 1)
        line.addWidget(self.cancel_button)
        below = QVBoxLayout(self.progress)
        below.setContentsMargins(0, 0, 0, 0)
        below.addWidget(self.progress_words)
        below.addLayout(line)
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
        self.queue.changed.connect(self._show_progress)
        patient.file_wanted.connect(lambda: self._choose("Load CT", _CT_FILES, "ct"))
        patient.folder_wanted.connect(self._choose_folder)
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
        self.landmarks.save_wanted.connect(self._choose_landmark_file)

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

    def _show_progress(self) -> None:
        self.progress.setVisible(self.queue.busy)
        self.progress_words.setText(f"{self.queue.words}…" if self.queue.busy else "")

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
            choose = partial(self._choose_missing, gone.name, gone.role)
            entry(menu, f"{gone.name}…", choose, gone.why)

    def _choose_missing(self, name: str, role: Kind) -> None:
        path, _ = QFileDialog.getOpenFileName(self, f"Where is {name}?")
        if path:
            self.queue.ask(Supply(name, ReadFile(path, role)))

    def _choose(self, title: str, files: str, kind: Kind) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, title, "", files)
        self._load_all(paths, kind)

    def _load_all(self, paths: Sequence[str], kind: Kind | None = None) -> None:
        """Files that came together: 300 slices are one CT, read once."""
        if len(paths) > 1:
            self.queue.ask(SeveralFiles(tuple(paths), kind))
        for path in paths if len(paths) == 1 else ():
            self.load(path, kind)

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Folder of a CT series")
        if path:
            self.load(path, "ct")

    def _choose_session(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open session", "", _SESSION_FILES)
        if path:
            self.load(path, "session")

    def _choose_where(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save session", "work.xreg.json", _SESSION_FILES
        )
        if path:
            self.save_session(path)

    def _choose_landmark_file(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save landmarks", "landmarks.csv", LANDMARK_FILES
        )
        if path:
            self.save_landmarks(path)

    def _choose_simulation(self) -> None:
        active = self._session.exposures.active
        like = None if active is None else active.radiograph.carm
        self._ask(
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

    def _ask(self, question: Question, answered: Any) -> None:
        question.answered.connect(answered)
        question.finished.connect(lambda _: self._asked(question))
        self.question = question
        question.open()

    def _asked(self, question: Question) -> None:
        if self.question is question:
            self.question = None


def _turn(path: str) -> int:
    """A CT comes before its label map, and both before radiographs and landmarks."""
    name = Path(path).name.lower()
    if Path(path).is_dir():
        return 0
    if named(Path(path), "volume") is not None:
        return 2 if "label" in name or "seg" in name else 1
    return 3
