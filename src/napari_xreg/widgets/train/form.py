"""The part of the Train widget where one says what to train, how long, and where to."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_xreg.geometry import CArm
from napari_xreg.rendering import thread_count
from napari_xreg.session import Session
from napari_xreg.training import STANDARD_CARM, Recipe, Start
from napari_xreg.widgets.parts.collapsible import Collapsible
from napari_xreg.widgets.parts.form import narrow_form
from napari_xreg.widgets.parts.quantity import Quantity
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.train.fields import allow, combo, path_line
from napari_xreg.widgets.train.patients_form import PatientsForm
from napari_xreg.widgets.train.pose_form import PoseRangeForm
from napari_xreg.workflows import Interrupted, TrainRequest, recipe_as_it_was, training_carm

SCRATCH, SHIPPED, OWN = "scratch", "shipped weights", "a file"
_STARTS = {
    SCRATCH: "From random weights.",
    SHIPPED: "From the weights that come with the package: finetuning.",
    OWN: "From weights of your own: finetuning.",
}
_WEIGHTS = "Weights (*.safetensors)"


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
        self._usual = {recipe.title: recipe for recipe in recipes}
        self._recipes = dict(self._usual)
        self.what = combo({title: recipe.help for title, recipe in self._recipes.items()})
        self.who = PatientsForm(session)
        self.start = combo(_STARTS)
        self.start_file, self._browse_start = path_line(
            "weights.safetensors", "Weights to start from.", self._choose_start
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
        self.seed = Quantity(0.0, 0.0, 99_999.0, "", "Of poses, appearance, batches.", decimals=0)
        self.threads = Quantity(
            max(1, thread_count() - 1), 1.0, float(thread_count()), "",
            "Processors that training uses. One is left to the window, or it stutters.", decimals=0,
        )  # fmt: skip
        self.device = combo(dict.fromkeys(devices(), "Where the network is trained."))
        self.replaceable: set[Path] = set()
        """Files that the user has said may be written over."""
        self._lay_out()
        self._connect()
        self._follow_recipe()
        self.follow_session()

    @property
    def recipe(self) -> Recipe:
        """What is to be trained."""
        return self._recipes[self.what.currentText()]

    def carm(self) -> CArm:
        """Of the active radiograph, else the standard one."""
        active = self._session.exposures.active
        return STANDARD_CARM if active is None else training_carm(active.radiograph.carm)

    def request(self) -> TrainRequest:
        """Everything, as it is set now.

        Raises
        ------
        ValueError
            In words for the user.
        """
        return TrainRequest(
            recipe=self.recipe,
            patients=self.who.value(),
            out=self._chosen_out(),
            start=self._chosen_start(),
            poses=self.poses.value(),
            carm=self.carm(),
            minutes=self.minutes.number,
            learning_rate=self.rate.number,
            seed=int(self.seed.number),
            device=self.device.currentText(),
            threads=int(self.threads.number),
        )

    def show_interrupted(self, found: Interrupted) -> None:
        """Take over what an interrupted training says about itself."""
        if not found.kind:  # it may be of what is chosen, and says nothing else
            self.as_usual()
        for title, recipe in self._usual.items():
            if recipe.kind == found.kind:
                self._recipes[title] = _as_it_was(recipe, found)
                self.what.setCurrentText(title)
        if "primary_deg" in found.settings:
            self.poses.show_described(found.settings)
        for field, key in ((self.rate, "learning_rate"), (self.seed, "seed")):
            if key in found.settings:
                field.setValue(float(found.settings[key]))
        minutes = max(float(found.settings.get("minutes", 0.0)), self.minutes.number)
        if 60 * minutes <= found.resume.seconds:
            minutes = found.resume.seconds / 60 + 5.0
        self.minutes.setValue(minutes)
        self.out.setText(str(found.weights))

    def as_usual(self) -> Recipe:
        """What is to be trained, and no longer as an interrupted training was asked."""
        title = self.what.currentText()
        self._recipes[title] = self._usual[title]
        return self.recipe

    def lock(self, locked: bool) -> None:
        """Whether what is set may be changed; samples may be looked at all the while."""
        for field in (
            *(self.what, self.who, self.start, self._browse_start, self.poses, self.minutes),
            *(self._browse_out, self.rate, self.seed, self.threads, self.device),
        ):
            field.setEnabled(not locked)

    def propose_out(self) -> None:
        """A name that is not taken yet, where there may be written."""
        text = self.out.text().strip()
        folder = Path(text).parent if text else Path.cwd()
        if not os.access(folder, os.W_OK):
            folder = Path.home()
        number, stem = 1, f"{self.recipe.kind}-weights"
        ends = (".safetensors", ".resume")
        while any((folder / f"{stem}-{number}{end}").exists() for end in ends):
            number += 1
        self.out.setText(str(folder / f"{stem}-{number}.safetensors"))

    def follow_session(self) -> None:
        """The CT, its structures or the radiograph changed."""
        self.who.follow_session()
        active = self._session.exposures.active
        if active is None:
            self.carm_words.setText("C-arm: 1020 mm, detector of 300 mm (there is no radiograph).")
            return
        carm = active.radiograph.carm
        height, width = carm.detector.size_mm
        self.carm_words.setText(
            f"C-arm of {active.name}: {carm.source_to_detector:.0f} mm, detector of {width:.0f} × "
            f"{height:.0f} mm."
        )

    # ------------------------------------------------------------------ inside

    def _chosen_start(self) -> Start:
        start = self.start.currentText()
        if start != OWN:
            return "scratch" if start == SCRATCH else "shipped"
        text = self.start_file.text().strip()
        if not text:
            raise ValueError("choose the weights to start from first")
        if not Path(text).expanduser().is_file():
            raise ValueError(f"there is no file {text}")
        return Path(text).expanduser()

    def _chosen_out(self) -> Path:
        text = self.out.text().strip()
        if not text:
            raise ValueError("say where the weights are to be written")
        path = Path(text).expanduser()
        if path.suffix != ".safetensors":
            path = path.with_name(path.name + ".safetensors")
        if not path.parent.is_dir():
            raise ValueError(f"there is no folder {path.parent} to write weights to")
        if not os.access(path.parent, os.W_OK):
            raise ValueError(f"nothing may be written to the folder {path.parent}")
        return path

    def _follow_recipe(self) -> None:
        self.rate.setValue(self.recipe.settings.learning_rate)
        allow(self.start, SHIPPED, self.recipe.shipped)
        self.propose_out()
        self._follow_start()
        self.changed.emit()

    def _follow_start(self) -> None:
        self._form.setRowVisible(self._browse_start, self.start.currentText() == OWN)

    def _connect(self) -> None:
        self.what.currentTextChanged.connect(lambda _: self._follow_recipe())
        self.start.currentTextChanged.connect(lambda _: self._follow_start())
        self.who.changed.connect(self.changed.emit)
        self.poses.changed.connect(self.changed.emit)

    def _choose_start(self) -> None:
        found, _ = QFileDialog.getOpenFileName(
            self, "Weights to start from", self.start_file.text(),
            "Weights (*.safetensors *.ckpt *.pth *.pt)",
        )  # fmt: skip
        if found:
            self.start_file.setText(found)

    def _choose_out(self) -> None:
        found, _ = QFileDialog.getSaveFileName(self, "Write weights to", self.out.text(), _WEIGHTS)
        if found:
            self.out.setText(found)
            self.replaceable = {self._chosen_out()}  # the dialog has asked

    def _lay_out(self) -> None:
        what = narrow_form()
        what.addRow("Train", self.what)
        self._form = start = narrow_form()
        start.addRow("Start from", self.start)
        start.addRow("File", self._browse_start)
        run = narrow_form()
        run.addRow("Minutes", self.minutes)
        run.addRow("Write to", self._browse_out)
        inner = QWidget()
        more = narrow_form()
        inner.setLayout(more)
        more.setContentsMargins(0, 0, 0, 0)
        more.addRow("Learning rate", self.rate)
        more.addRow("Seed", self.seed)
        more.addRow("Processors", self.threads)
        more.addRow("Device", self.device)
        self.more = Collapsible("More", inner)
        self.more.setToolTip("Learning rate, seed, processors, device.")
        self.below_poses = QVBoxLayout()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(what)
        column.addWidget(self.who)
        column.addLayout(start)
        column.addWidget(self.poses)
        column.addWidget(self.carm_words)
        column.addLayout(self.below_poses)
        column.addLayout(run)
        column.addWidget(self.more)


def _as_it_was(recipe: Recipe, found: Interrupted) -> Recipe:
    """What an interrupted training was asked; as usual where its file is older than the question."""
    try:
        return recipe_as_it_was(recipe, found.settings)
    except ValueError:
        return recipe


def devices() -> list[str]:
    """What torch can train on here; the quickest first."""
    found = ["cpu"]
    if torch.cuda.is_available():
        found.insert(0, "cuda")
    if torch.backends.mps.is_available():
        found.insert(0, "mps")
    return found
