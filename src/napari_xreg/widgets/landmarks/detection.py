"""The part of the Landmarks widget that lets a network pick, pass after pass."""

from dataclasses import replace
from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_xreg.landmarks import Detections, DetectSettings, PassesDone
from napari_xreg.session import Exposure, Session, Weights
from napari_xreg.widgets.jobs.jobs import Job, Jobs
from napari_xreg.widgets.jobs.telling import sentence
from napari_xreg.widgets.parts.data_buttons import button
from napari_xreg.widgets.parts.file_dialogs import open_file
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.workflows import Detected, DetectRequest, WeightsRead, detect

_FILES = "Weights of a landmark detector (*.safetensors *.pth *.pt *.ckpt)"


class DetectionPanel(QWidget):
    """Weights, passes, start and cancel.

    Parameters
    ----------
    session
        Whose active radiograph is read.
    jobs
        Of the viewer.
    """

    found = Signal(object, bool)
    """`Detections` of the radiograph `name`; True where they are final and to be trusted."""
    samples_wanted = Signal(bool)

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__()
        self._session, self._jobs = session, jobs
        self._job: Job | None = None
        self._request: DetectRequest | None = None
        self.detections: Detections | None = None
        self.choice = QComboBox()
        self.choice.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.choice.setMinimumWidth(80)
        self.choice.setToolTip("Weights of a landmark detector: trained here, or from a file.")
        self.file_button = button("File…", "Weights from a file.", self._choose_file)
        self.passes = QSpinBox()
        self.passes.setRange(1, 500)
        self.passes.setValue(DetectSettings().passes)
        self.passes.setSuffix(" passes")
        self.passes.setStyleSheet("min-width: 58px;")
        self.passes.setToolTip(
            "How often the network reads the radiograph, each time with other neurons left out\n"
            "(Monte Carlo dropout; the paper: 100). Their spread is the uncertainty."
        )
        self.start_button = button("Detect", "Pick landmarks on this radiograph.", self.toggle)
        self.samples = QCheckBox("Show samples")
        self.samples.setToolTip("A dot for every pass, in the colour of its landmark.")
        self.samples.toggled.connect(self.samples_wanted.emit)
        self.words = SmallPrint()
        line = QHBoxLayout()
        line.setSpacing(4)
        line.addWidget(self.choice, 1)
        line.addWidget(self.file_button)
        grid = QGridLayout()
        grid.setSpacing(4)
        grid.addWidget(self.passes, 0, 0)
        grid.addWidget(self.start_button, 0, 1)
        grid.addWidget(self.samples, 1, 0, 1, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(line)
        layout.addLayout(grid)
        layout.addWidget(self.words)
        self.show_weights()

    @property
    def running(self) -> bool:
        """Whether a radiograph is being read."""
        return self._job is not None

    @property
    def radiograph(self) -> Exposure | None:
        """The one that `detections` belong to, as long as it is there."""
        return None if self._request is None else self._session.exposures.find(self._request.id)

    def show_weights(self) -> None:
        """Those that the session knows; one that was just asked for comes forward."""
        known = [
            weights for weights in self._session.weights.trained if weights.kind == "landmarks"
        ]
        wanted = self._session.weights.wanted("landmarks")
        chosen = self.choice.currentData() if wanted is None else wanted.file
        with QSignalBlocker(self.choice):
            self.choice.clear()
            for weights in known:
                self.choice.addItem(weights.file.name, weights.file)
                tip = f"{weights.file}\n{weights.words}".strip()
                self.choice.setItemData(self.choice.count() - 1, tip, 3)  # ToolTipRole
            for number in range(self.choice.count()):
                if self.choice.itemData(number) == chosen:
                    self.choice.setCurrentIndex(number)
        if not known:
            self.words.setText("No detector yet: train one (Train, landmarks), or choose a file.")
        elif self.words.words.startswith("No detector"):
            self.words.setText("")
        self.follow()

    def follow(self) -> None:
        """What can be pressed now."""
        ready = self.choice.currentData() is not None and self._session.exposures.active is not None
        self.start_button.setEnabled(ready or self.running)
        self.start_button.setText("Cancel" if self.running else "Detect")
        active = self._session.exposures.active
        here = active is not None and active is self.radiograph
        self.samples.setEnabled(here and self.detections is not None)

    def toggle(self) -> None:
        """Start or cancel."""
        if self._job is not None:
            self._job.cancel()
        else:
            self.start()

    def start(self) -> None:
        """Read the active radiograph."""
        file, active = self.choice.currentData(), self._session.exposures.active
        if file is None or active is None or self._job is not None:
            return
        request = DetectRequest(file, active.masked, id=active.id)
        settings = replace(request.settings, passes=self.passes.value())
        self._request = request = replace(request, settings=settings)
        self.detections = None
        self.words.show_color()
        self.words.setText("Reading the weights …")
        self._job = self._jobs.start(
            "Detection",
            lambda control: detect(request, control=control),
            on_event=self._advance,
            on_result=self._finish,
            on_error=self._fail,
            total=1 + -(-settings.passes // settings.batch),
            description="Detecting landmarks",
        )
        self.follow()

    def let_go(self) -> None:
        """Cancel; nobody looks any more."""
        job, self._job = self._job, None
        if job is not None:
            job.abandon()

    def _choose_file(self) -> None:
        open_file(
            self,
            "Weights of a landmark detector",
            _FILES,
            lambda path: self._session.weights.want(Weights("landmarks", Path(path))),
        )

    def _still_there(self) -> bool:
        request = self._request
        known = {entry.id: entry for entry in self._session.exposures.all}
        return (
            request is not None
            and request.id in known
            and known[request.id].radiograph.carm is request.radiograph.carm
        )

    def _advance(self, newest: WeightsRead | PassesDone, _all: list[object]) -> None:
        if isinstance(newest, PassesDone) and self._job is not None and self._still_there():
            self.words.setText(f"Pass {newest.done} of {newest.of}")
            self._take(newest.detections, final=False)

    def _finish(self, answer: Detected | None) -> None:
        self._job = None
        if not self._still_there():
            self.words.setText("The radiograph changed meanwhile: detect again.")
        elif answer is None:
            self.words.setText("Cancelled before the first pass.")
        else:
            self.words.setText(f"{answer.trust.reason} ({answer.detections.passes} passes)")
            self.words.show_color(answer.trust.likelihood.color)
            self._take(answer.detections, final=bool(answer.trust))
        self.follow()

    def _fail(self, error: Exception) -> None:
        self._job = None
        self.words.setText(sentence(error))
        self.follow()

    def _take(self, found: Detections, *, final: bool) -> None:
        self.detections = found
        self.follow()
        self.found.emit(found, final)
