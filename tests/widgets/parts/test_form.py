"""A form offers what the settings describe, and gives them back."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_xreg.options import Choice, Option
from napari_xreg.widgets.parts.form import SettingsForm

FIRST, SECOND = ("primary", "x"), None


@dataclass(frozen=True)
class Everything:
    count: Annotated[int, Option("Count", "How many.", low=3, high=9, step=2)] = 5
    length: Annotated[float, Option("Length", "How far.", "mm", 0.0, 50.0, 2.5)] = 7.5
    angles: Annotated[tuple[float, float], Option("Angles", "From, to.", "°", -180, 180)] = (-9, 12)
    kind: Annotated[Literal["quick", "slow"], Option("Kind", "Which.")] = "slow"
    pair: Annotated[
        tuple[str, str] | None,
        Option(
            "Pair", "Of what.", choices={SECOND: Choice("none"), FIRST: Choice("a × b", "two.")}
        ),
    ] = FIRST
    on: Annotated[bool, Option("On", "Or not.")] = True
    name: Annotated[str, Option("Name", "Whose.")] = "a"
    threads: int | None = None

    def __post_init__(self):
        if self.angles[0] > self.angles[1]:
            raise ValueError("backwards")


@pytest.fixture
def form(qtbot):
    form = SettingsForm(Everything(threads=2))
    qtbot.addWidget(form)
    return form


def test_it_shows_the_settings_and_gives_them_back(form):
    assert form.value() == Everything(threads=2)
    other = Everything(9, 30.0, (1.0, 2.0), "quick", None, False, "b", 3)
    heard = []
    form.changed.connect(lambda: heard.append(form.value()))
    form.show_value(other)
    assert form.value() == other
    assert not heard
    form["kind"].value = "slow"
    form.fields["angles"][1].value = 4.0
    assert heard == [replace(other, kind="slow"), replace(other, kind="slow", angles=(1.0, 4.0))]
    form.changed.disconnect()
    form.fields["angles"][0].value = 5.0
    with pytest.raises(ValueError, match="backwards"):
        form.value()


def test_words_ranges_and_steps_are_those_described(form):
    labels = [form.form.labelForField(form._row(n)) for n in form.fields if n != "on"]
    assert [label.text() for label in labels] == [
        "Count", "Length (mm)", "Angles (°)", "Kind", "Pair", "Name",
    ]  # fmt: skip
    assert form["on"].native.text() == "On"
    assert form["pair"].native.toolTip() == labels[4].toolTip() == "Of what.\na × b: two."
    count, length = form["count"].native, form["length"].native
    assert (count.minimum(), count.maximum(), count.singleStep()) == (3, 9, 2)
    assert (length.minimum(), length.maximum(), length.singleStep()) == (0.0, 50.0, 2.5)
    assert [form["pair"].native.itemText(i) for i in range(2)] == ["none", "a × b"]


def test_only_some_in_an_order_of_their_own(qtbot):
    form = SettingsForm(Everything(), ["kind", "count"])
    qtbot.addWidget(form)
    assert list(form.fields) == ["kind", "count"]
    form["count"].value = 7
    assert form.value() == Everything(count=7)
    form.enable("kind", False)
    assert not form["kind"].native.isEnabled()


def test_typing_counts_and_the_wheel_does_not(form, qtbot):
    box = form["count"].native
    form.show()
    wheel = QWheelEvent(
        QPointF(3, 3), QPointF(3, 3), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    box.clearFocus()
    QApplication.sendEvent(box, wheel)
    assert form.value().count == 5
    box.lineEdit().selectAll()
    qtbot.keyClicks(box.lineEdit(), "9")
    assert form.value().count == 9
