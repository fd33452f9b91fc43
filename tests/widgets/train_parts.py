"""Trainings that take seconds: a toy that renders nothing, and RayEmb with few weights."""

import time

import torch
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from torch import nn

from napari_xreg.rayemb import (
    CompactEncoder,
    CorrespondSettings,
    Framing,
    RayEmbSettings,
    ViewSettings,
    patient_task,
)
from napari_xreg.training import Checkpoint, TrainSettings, read_checkpoint, write_checkpoint
from napari_xreg.widgets.train.rayemb import RayEmbRecipe
from napari_xreg.widgets.train.widget import TrainWidget

LEFT = Qt.MouseButton.LeftButton
LONG = 90_000


class ToyTask:
    """Learns a line; its validations give the scores that the recipe lists."""

    def __init__(self, recipe, network):
        self.recipe, self.network, self.batches = recipe, network, 0

    def losses(self, generator):
        if self.recipe.fail_at is not None and self.batches >= self.recipe.fail_at:
            raise RuntimeError("out of memory: 3 GB\n  at line 7")
        time.sleep(self.recipe.seconds_per_step)
        self.batches += 1
        x = torch.randn(16, 2, generator=generator)
        error = (self.network(x) - x @ torch.tensor([[3.0], [-2.0]])).square().mean()
        return {"loss": error, "median_error_mm": 10 * error.detach().sqrt()}

    def validate(self):
        error = float((self.network.weight - torch.tensor([[3.0, -2.0]])).abs().max())
        missed = 20 * error
        scores = {
            "score": missed, "median_error_mm": missed, "within_10mm_share": 0.25,
            "median_mtre_mm": 4 * missed,
        }  # fmt: skip
        return scores, None

    def state(self):
        return {"batches": self.batches}

    def restore(self, state):
        self.recipe.restored.append(state["batches"])
        self.batches = state["batches"]


class ToyRecipe(RayEmbRecipe):
    """Trains two numbers; notes what it was asked."""

    def __init__(self, kind="rayemb", title="RayEmb encoder"):
        self.kind, self.title = kind, title
        self.requests, self.restored = [], []
        self.seconds_per_step = 0.02
        self.fail_at = None
        self.inputs = 2

    def network(self, request):
        self.requests.append(request)
        if request.resume is not None and request.resume.like is not None:
            assert read_checkpoint(request.resume.like).kind == "toy"
        return nn.Linear(self.inputs, 1)

    def task(self, request, network):
        return ToyTask(self, network)

    def settings(self, request):
        real = super().settings(request)
        return TrainSettings(
            steps=real.steps, by_time=real.by_time, learning_rate=0.05, warm_up=2,
            validate_every=5, averaging=0.5, seed=real.seed,
        )  # fmt: skip

    def save(self, file, network, about):
        write_checkpoint(file, Checkpoint("toy", {}, network.state_dict(), about))

    def cloud(self, detail):
        return None


class TinyRecipe(RayEmbRecipe):
    """As the real one, but small; validates every few steps, on one image."""

    validate_every = 4

    def new(self):
        return CompactEncoder(8, (8, 8, 8), Framing(pixel_mm=7.0, multiple=8))

    def task(self, request, network):
        patients = request.patients
        views = ViewSettings(
            carm=request.carm, poses=request.poses, queries=2, templates=4, first=1, kept=2
        )
        task = patient_task(
            network, patients.volume, labels=patients.labels, label_ids=patients.label_ids,
            bone_above_hu=patients.bone_above_hu, carm=request.carm, poses=request.poses,
            settings=RayEmbSettings(views, queries=2, templates=4, per_point=2, points=16),
            validation_images=1, seed=request.seed,
        )  # fmt: skip
        task._validate.settings = CorrespondSettings(top=60, redraws=0)
        return task


class SmallTrainWidget(TrainWidget):
    """Offers these trainings only."""

    def __init__(self, napari_viewer, *recipes):
        self.recipes = recipes
        super().__init__(napari_viewer)

    def offered(self):
        return self.recipes


def docked(viewer, folder, *recipes, minutes="60"):
    """The widget in a viewer, writing into a folder."""
    widget = SmallTrainWidget(viewer, *(recipes or (ToyRecipe(),)))
    viewer.window.add_dock_widget(widget, name="Train", area="right")
    widget.form.out.setText(str(folder / "weights.safetensors"))
    type_into(widget.form.minutes, minutes)
    return widget


def type_into(field, text):
    """Replace what a field holds, as with the keyboard."""
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def click(qtbot, button):
    """With the mouse."""
    assert button.isEnabled(), button.text()
    qtbot.mouseClick(button, LEFT)


def ended(qtbot, widget):
    """Until the outcome is shown."""
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)


def steps(qtbot, widget, count):
    """Until so many steps are drawn."""
    qtbot.waitUntil(lambda: len(widget.progress.plots.steps) >= count, timeout=LONG)


def validations(qtbot, widget, count):
    """Until so many validations are drawn."""
    qtbot.waitUntil(lambda: len(widget.progress.plots.validations) >= count, timeout=LONG)
