"""Which network RayEmb uses, and how its templates are made."""

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QGroupBox,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_xreg.rayemb import TemplateSettings, WeightsFile
from napari_xreg.session import Session
from napari_xreg.widgets.parts.collapsible import Collapsible
from napari_xreg.widgets.parts.data_buttons import button, row
from napari_xreg.widgets.parts.file_dialogs import open_file
from napari_xreg.widgets.parts.small_print import SmallPrint

CAUTION = (
    "Learned from simulated pelves alone: a first look. On a real CT it may fail; then train a "
    "network for this patient (Train)."
)
OPEN = "Open file…"
FILES = "Weights (*.safetensors *.ckpt);;All files (*)"
BONE, ISOCENTER = "middle of the bone", "isocenter"


class WeightsGroup(QGroupBox):
    """Choice of weights, settings of the templates, the button that prepares."""

    prepare_wanted = Signal()
    cancel_wanted = Signal()
    chosen = Signal()
    """Other weights or other settings."""

    def __init__(self) -> None:
        super().__init__("Network")
        self.which = QComboBox()
        self.which.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.which.setMinimumContentsLength(10)
        self.which.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.which.setToolTip(
            "Weights: those that come with the plugin, those trained here (Train), a .safetensors "
            "file, or a published rayemb-*.ckpt."
        )
        self.words = SmallPrint()
        self.count = QSpinBox()
        self.count.setRange(4, 400)
        self.count.setValue(TemplateSettings().count)
        self.count.setToolTip(
            "DRRs of the CT at known poses, by which a point is recognised. Published weights "
            "always use their own 18 x 18."
        )
        self.layout_of = QComboBox()
        self.layout_of.addItems(["random", "grid"])
        self.layout_of.setToolTip(
            "Poses of the reference views, over a little more than those the network learned (±50° "
            "primary, ±27° secondary for the plugin's own): drawn at random, or an even grid of "
            "angles."
        )
        self.around = QComboBox()
        self.around.addItems([BONE, ISOCENTER])
        self.around.setToolTip(
            "What the reference views look at. The isocenter of Geometry or Pose is better where the CT "
            "shows much more of the patient than the radiograph."
        )
        self.prepare = button(
            "Prepare",
            "Render reference views of the CT, and compute what the network sees in them and in the "
            "radiograph: once; reference views are kept on disk.",
            self.prepare_wanted.emit,
        )
        self.cancel = button("Cancel", "Stop rendering reference views.", self.cancel_wanted.emit)
        self.status = SmallPrint()
        self._files: list[WeightsFile] = [WeightsFile()]
        self._notes: dict[Path, str] = {}
        self._at = 0
        self._fill()
        self.which.activated.connect(self._choose)
        for change in (
            self.count.valueChanged,
            self.layout_of.currentIndexChanged,
            self.around.currentIndexChanged,
        ):
            change.connect(lambda _: self.chosen.emit())
        self._lay_out()

    @property
    def weights(self) -> WeightsFile:
        """What is chosen."""
        return self._files[self._at]

    @property
    def settings(self) -> TemplateSettings:
        """Of the templates; a grid is as square as its count allows."""
        count = self.count.value()
        if self.layout_of.currentText() == "grid":
            return TemplateSettings(layout="grid", count=max(2, round(count**0.5)) ** 2)
        return TemplateSettings(count=count)

    @property
    def about_isocenter(self) -> bool:
        """Whether templates look at the session's isocenter."""
        return self.around.currentText() == ISOCENTER

    def use(self, file: Path, words: str = "") -> None:
        """Choose weights; another entry of the same file is not made."""
        if words:
            self._notes[file] = words
        wanted = WeightsFile(file)
        if wanted not in self._files:
            self._files.append(wanted)
        self._at = self._files.index(wanted)
        self._fill()
        self.chosen.emit()

    def show_trained(self, session: Session) -> None:
        """List what was trained in this session; take over what is wanted."""
        before = len(self._files)
        for made in session.weights.trained:
            if made.kind == "rayemb":
                self._notes[made.file] = made.words
                if WeightsFile(made.file) not in self._files:
                    self._files.append(WeightsFile(made.file))
        if len(self._files) > before:
            self._fill()
        wanted = session.weights.wanted("rayemb")
        if wanted is not None and self.weights.file != wanted.file:
            self.use(wanted.file, wanted.words)

    def show_state(self, words: str, *, ready: bool, running: bool, possible: bool) -> None:
        """What was prepared, what is being prepared, and what can be."""
        self.status.setText(words)
        self.prepare.setEnabled(possible and not running)
        self.prepare.setText("Prepare again" if ready else "Prepare")
        self.cancel.setEnabled(running)
        self.cancel.setVisible(running)

    # ------------------------------------------------------------------ inside

    def _choose(self, number: int) -> None:
        if number < len(self._files):
            self._at = number
            self._fill()
            self.chosen.emit()
            return
        self.which.setCurrentIndex(self._at)
        open_file(self, "Weights of a RayEmb network", FILES, lambda path: self.use(Path(path)))

    def _fill(self) -> None:
        self.which.blockSignals(True)
        self.which.clear()
        for weights in self._files:
            extra = " (comes with the plugin)" if weights.file is None else ""
            self.which.addItem(weights.words + extra)
        self.which.addItem(OPEN)
        self.which.setCurrentIndex(self._at)
        self.which.blockSignals(False)
        file = self.weights.file
        self.words.setText(CAUTION if file is None else self._notes.get(file, ""))

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(4)
        form.addRow("Reference views", self.count)
        form.addRow("Poses", self.layout_of)
        form.addRow("Around", self.around)
        inner = QWidget()
        inner.setLayout(form)
        self.more = Collapsible("Reference views", inner)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(4)
        layout.addWidget(self.which)
        layout.addWidget(self.words)
        layout.addWidget(self.more)
        layout.addLayout(row((self.prepare, self.cancel)))
        layout.addWidget(self.status)
