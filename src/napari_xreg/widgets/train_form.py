"""The part of the Train widget where one says what to train on, how long, and where to."""

from collections.abc import Sequence
from pathlib import Path

import torch
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_xreg.geometry import CArm
from napari_xreg.images import LabelMap
from napari_xreg.rayemb import STANDARD_CARM
from napari_xreg.rendering import thread_count
from napari_xreg.session import Session
from napari_xreg.training import PoseRange
from napari_xreg.widgets.quantity import Quantity
from napari_xreg.widgets.refine_settings import flush
from napari_xreg.widgets.small_print import SmallPrint
from napari_xreg.widgets.train_fields import allow, combo, narrow_form, path_line
from napari_xreg.widgets.train_pose_form import PoseRangeForm
from napari_xreg.widgets.train_recipes import Recipe
from napari_xreg.widgets.train_request import (
    CTsOfFolder,
    OneCT,
    Patients,
    Phantoms,
    Start,
    TrainRequest,
    training_carm,
)
from napari_xreg.widgets.train_resume import Interrupted

THIS_CT, FOLDER, PHANTOMS = "this CT", "CTs of a folder", "simulated pelves"
_PATIENTS = {
    THIS_CT: "The CT of this session: minutes, and it knows this patient only.",
    FOLDER: "Every CT of a folder, mixed with simulated pelves: for patients to come; hours.",
    PHANTOMS: "The simulator's pelves alone: needs no CT.",
}
STRUCTURES, ABOVE = "in structures", "above HU"
SCRATCH, SHIPPED, OWN = "nothing", "shipped weights", "a file"
_STARTS = {
    SCRATCH: "From random weights.",
    SHIPPED: "From the weights that come with the package: finetuning.",
    OWN: "From weights of your own: finetuning.",
}
WEIGHTS = "Weights (*.safetensors)"


class TrainForm(QWidget):
    """What is set, as a frozen request.

    Parameters
    ----------
    session
        Whose CT and C-arm are taken.
    recipes
        What can be trained.
    """

    changed = Signal()
    """Something that the samples depend on."""

    def __init__(
        self, session: Session, recipes: Sequence[Recipe], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._recipes = {recipe.title: recipe for recipe in recipes}
        self.what = combo({title: recipe.help for title, recipe in self._recipes.items()})
        self.patients = combo(_PATIENTS)
        self.points = combo({
            STRUCTURES: "3D points to learn lie in the label map's structures: those chosen in Data, "
            "else all.",
            ABOVE: "3D points to learn lie where the CT is denser than this: bone.",
        })  # fmt: skip
        self.above = Quantity(
            250.0, -1000.0, 3000.0, " HU", "Points to learn lie in voxels above this.", decimals=0,
            step=50.0,
        )  # fmt: skip
        self.folder, self._browse_folder = path_line("folder", "A folder of CTs, or of folders with "
            "ct.nii.gz and labels.nii.gz.", self._choose_folder)  # fmt: skip
        self.phantoms = Quantity(
            0.5, 0.0, 100.0, " per CT", "Simulated pelves drawn for each CT; 0: none.", step=0.5
        )
        self.start = combo(_STARTS)
        self.start_file, self._browse_start = path_line(
            "weights.safetensors", "Weights to begin with.", self._choose_start
        )
        self.poses = PoseRangeForm()
        self.carm_words = SmallPrint()
        self.minutes = Quantity(
            5.0, 0.01, 10_000.0, " min",
            "Minutes of training in all, those before an interruption included.", decimals=2,
        )  # fmt: skip
        self.out, self._browse_out = path_line(
            "weights.safetensors",
            "Where the weights go; what is needed to resume is written beside them (.resume).",
            self._choose_out,
        )
        self.rate = Quantity(
            2e-3, 1e-6, 1.0, "", "Learning rate at its highest (AdamW).", decimals=6, step=5e-4
        )
        self.seed = Quantity(
            0.0, 0.0, 99_999.0, "", "Of poses, appearance and batches.", decimals=0
        )
        spare = max(1, thread_count() - 1)
        self.threads = Quantity(
            spare, 1.0, float(thread_count()), "",
            "Processors that training uses. One is left to the window, or it stutters.", decimals=0,
        )  # fmt: skip
        self.device = combo(dict.fromkeys(devices(), "Where the network is trained."))
        self.replaceable: set[Path] = set()
        self._lay_out()
        self._connect()
        self._follow_recipe()
        self.follow_session()

    @property
    def recipe(self) -> Recipe:
        """What is to be trained."""
        return self._recipes[self.what.currentText()]

    # ------------------------------------------------------------------ what is set

    def chosen_patients(self) -> Patients:
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
            if not Path(text).is_dir():
                raise ValueError(f"there is no folder {text}")
            return CTsOfFolder(Path(text), self.phantoms.number, self.above.number)
        volume, source = self._session.volume, self._session.volume_source
        if volume is None:
            raise ValueError("there is no CT: load one first (Data), or train on simulated pelves")
        name = "CT in memory" if source is None else Path(source.path).name
        labels: LabelMap | None = None
        ids: tuple[int, ...] | None = None
        if self.points.currentText() == STRUCTURES and self.points.isEnabled():
            labels, ids = self._session.labels, self._session.structures or None
        return OneCT(name, volume, labels, ids, self.above.number)

    def pose_range(self) -> PoseRange:
        """Where the C-arm may stand; ValueError where a range runs backwards."""
        return self.poses.value()

    def carm(self) -> CArm:
        """Of the active radiograph, else the standard one."""
        active = self._session.active
        return STANDARD_CARM if active is None else training_carm(active.radiograph.carm)

    def request(self) -> TrainRequest:
        """Everything, as it is set now.

        Raises
        ------
        ValueError
            In words for the user.
        """
        active = self._session.active
        return TrainRequest(
            patients=self.chosen_patients(),
            out=self._chosen_out(),
            start=self._chosen_start(),
            poses=self.pose_range(),
            carm=self.carm(),
            carm_name="standard" if active is None else active.name,
            minutes=self.minutes.number,
            learning_rate=self.rate.number,
            seed=int(self.seed.number),
            device=self.device.currentText(),
            threads=int(self.threads.number),
        )

    def show_interrupted(self, found: Interrupted) -> None:
        """Take over what an interrupted training says about itself."""
        if "primary_deg" in found.settings:
            self.poses.show_value(found.settings)
        for field, key in ((self.rate, "learning_rate"), (self.seed, "seed")):
            if key in found.settings:
                field.setValue(float(found.settings[key]))
        minutes = max(float(found.settings.get("minutes", 0.0)), self.minutes.number)
        if 60 * minutes <= found.resume.seconds:
            minutes = found.resume.seconds / 60 + 5.0
        self.minutes.setValue(minutes)
        self.out.setText(str(found.weights))

    def propose_out(self, folder: Path | None = None) -> None:
        """A name that is not taken yet."""
        folder = folder or Path.cwd()
        number, stem = 1, f"{self.recipe.kind}-weights"
        while any(
            (folder / f"{stem}-{number}{end}").exists() for end in (".safetensors", ".resume")
        ):
            number += 1
        self.out.setText(str(folder / f"{stem}-{number}.safetensors"))

    def _chosen_start(self) -> Start:
        start = self.start.currentText()
        if start == SCRATCH:
            return "scratch"
        if start == SHIPPED:
            return "shipped"
        text = self.start_file.text().strip()
        if not text:
            raise ValueError("choose the weights to begin with first")
        if not Path(text).is_file():
            raise ValueError(f"there is no file {text}")
        return Path(text)

    def _chosen_out(self) -> Path:
        text = self.out.text().strip()
        if not text:
            raise ValueError("say where the weights are to be written")
        path = Path(text).expanduser()
        if path.suffix != ".safetensors":
            path = path.with_name(path.name + ".safetensors")
        if not path.parent.is_dir():
            raise ValueError(f"there is no folder {path.parent} to write weights to")
        return path

    # ------------------------------------------------------------------ what follows what

    def follow_session(self) -> None:
        """The CT, its structures or the radiograph changed."""
        session = self._session
        self.points.setEnabled(session.labels is not None)
        if session.labels is None:
            self.points.setCurrentText(ABOVE)
        active = session.active
        if active is None:
            self.carm_words.setText("C-arm: standard, 1020 mm, detector of 300 mm (no radiograph).")
        else:
            carm = active.radiograph.carm
            height, width = carm.detector.size_mm
            self.carm_words.setText(
                f"C-arm: that of {active.name}, {carm.source_to_detector:.0f} mm to a detector of "
                f"{width:.0f} × {height:.0f} mm."
            )
        self._follow()

    def _follow_recipe(self) -> None:
        recipe = self.recipe
        self.rate.setValue(recipe.learning_rate)
        for row, allowed in ((FOLDER, not recipe.one_ct_only), (PHANTOMS, not recipe.one_ct_only)):
            allow(self.patients, row, allowed)
        allow(self.start, SHIPPED, recipe.shipped)
        self.propose_out(Path(self.out.text()).parent if self.out.text() else None)
        self._follow()
        self.changed.emit()

    def _follow(self) -> None:
        on, start = self.patients.currentText(), self.start.currentText()
        labelled = self._session.labels is not None and self.points.currentText() == STRUCTURES
        shown = {
            self.points: on == THIS_CT,
            self.above: on == FOLDER or (on == THIS_CT and not labelled),
            self._browse_folder: on == FOLDER,
            self.phantoms: on == FOLDER,
            self._browse_start: start == OWN,
        }
        for field, visible in shown.items():
            self._form.setRowVisible(field, visible)

    def _choose(self, _: str) -> None:
        self._follow()
        self.changed.emit()

    def _connect(self) -> None:
        self.what.currentTextChanged.connect(lambda _: self._follow_recipe())
        for choice in (self.patients, self.points, self.start):
            choice.currentTextChanged.connect(self._choose)
        for number in (self.above, self.phantoms):
            number.valueChanged.connect(lambda _: self.changed.emit())
        self.folder.textChanged.connect(lambda _: self.changed.emit())
        self.poses.changed.connect(self.changed.emit)

    def _choose_folder(self) -> None:
        found = QFileDialog.getExistingDirectory(self, "Folder of CTs", self.folder.text())
        if found:
            self.folder.setText(found)

    def _choose_start(self) -> None:
        found, _ = QFileDialog.getOpenFileName(
            self, "Weights to begin with", self.start_file.text(),
            "Weights (*.safetensors *.ckpt *.pth *.pt)",
        )  # fmt: skip
        if found:
            self.start_file.setText(found)

    def _choose_out(self) -> None:
        found, _ = QFileDialog.getSaveFileName(self, "Write weights to", self.out.text(), WEIGHTS)
        if found:
            self.out.setText(found)
            self.replaceable.add(self._chosen_out())  # the dialog has asked

    # ------------------------------------------------------------------ building

    def _lay_out(self) -> None:
        self._form = form = narrow_form()
        form.addRow("Train", self.what)
        form.addRow("On", self.patients)
        form.addRow("Points", self.points)
        form.addRow("Bone", self.above)
        form.addRow("Folder", self._browse_folder)
        form.addRow("Phantoms", self.phantoms)
        form.addRow("Begin with", self.start)
        form.addRow("File", self._browse_start)
        run = narrow_form()
        run.addRow("Minutes", self.minutes)
        run.addRow("Write to", self._browse_out)
        self.more = QCollapsible("More")
        self.more.setToolTip("Learning rate, seed, processors, device.")
        inner = QWidget()
        more = narrow_form()
        inner.setLayout(more)
        more.setContentsMargins(0, 0, 0, 0)
        more.addRow("Learning rate", self.rate)
        more.addRow("Seed", self.seed)
        more.addRow("Processors", self.threads)
        more.addRow("Device", self.device)
        self.more.addWidget(inner)
        flush(self.more)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(form)
        column.addWidget(self.poses)
        column.addWidget(self.carm_words)
        self.below_poses = QVBoxLayout()
        column.addLayout(self.below_poses)
        column.addLayout(run)
        column.addWidget(self.more)


def devices() -> list[str]:
    """What torch can train on here, the quickest first... the processor is always there."""
    found = ["cpu"]
    if torch.cuda.is_available():
        found.insert(0, "cuda")
    if torch.backends.mps.is_available():
        found.insert(0, "mps")
    return found
