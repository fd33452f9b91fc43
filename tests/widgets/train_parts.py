"""The Train widget in a viewer, and what a person does to it."""

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from trainings import ToyRecipe

from napari_xreg.widgets.train.widget import TrainWidget

LEFT = Qt.MouseButton.LeftButton
LONG = 90_000


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
