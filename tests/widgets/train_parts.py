"""A training that takes seconds: RayEmb with a network of a few thousand weights."""

import time

from qtpy.QtCore import Qt

from napari_xreg.rayemb import CompactEncoder, CorrespondSettings, Framing, patient_task
from napari_xreg.widgets.train_recipes import RayEmbRecipe
from napari_xreg.widgets.train_widget import TrainWidget

LEFT = Qt.MouseButton.LeftButton
LONG = 90_000


class TinyRecipe(RayEmbRecipe):
    """As the real one, but small; validates every few steps, on one image."""

    validate_every = 4
    wait = 0.0
    """Seconds added to every step, so that a test can look on."""

    def __init__(self):
        self.tasks = []

    def new(self):
        return CompactEncoder(8, (8, 8, 8), Framing(pixel_mm=7.0, multiple=8))

    def task(self, request, network):
        patients = request.patients
        task = patient_task(
            network, patients.volume, labels=patients.labels, label_ids=patients.label_ids,
            bone_above_hu=patients.bone_above_hu, carm=request.carm, poses=request.poses,
            validation_images=1, seed=request.seed,
        )  # fmt: skip
        task._validate.settings = CorrespondSettings(top=60, redraws=0)
        losses = task.losses

        def slowly(generator):
            time.sleep(self.wait)
            return losses(generator)

        task.losses = slowly
        self.tasks.append((request, task))
        return task


class SmallTrainWidget(TrainWidget):
    """Offers the tiny training only."""

    def __init__(self, napari_viewer, *recipes):
        self.recipes = recipes
        super().__init__(napari_viewer)

    def offered(self):
        return self.recipes


def docked(viewer, folder, *, minutes="60", recipe=None):
    """The widget in a viewer, writing into a folder."""
    widget = SmallTrainWidget(viewer, recipe or TinyRecipe())
    viewer.window.add_dock_widget(widget, name="Train", area="right")
    widget.form.out.setText(str(folder / "weights.safetensors"))
    type_into(widget.form.minutes, minutes)
    return widget


def type_into(field, text):
    """Replace what a field holds, as with the keyboard."""
    from qtpy.QtTest import QTest

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
    qtbot.waitUntil(lambda: len(widget.plots.steps) >= count, timeout=LONG)


def validations(qtbot, widget, count):
    """Until so many validations are drawn."""
    qtbot.waitUntil(lambda: len(widget.plots.validations) >= count, timeout=LONG)
