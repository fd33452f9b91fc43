"""Which landmarks: a region's, an own list; and those that the label map places. Without a window."""

import pytest
from napari.components import ViewerModel

from napari_xreg.images import Landmark
from napari_xreg.widgets.jobs.workbench import workbench_of
from napari_xreg.widgets.landmarks.names import OWN, NamesChosen, TemplateQuestion
from napari_xreg.widgets.landmarks.widget import LandmarksWidget


@pytest.fixture
def widget(patient, qtbot):
    """The phantom with its label map and one landmark, on no window."""
    viewer = ViewerModel()
    bench = workbench_of(viewer)
    bench.session.patient.set_volume(patient.volume)
    bench.session.patient.set_labels(patient.labels)
    bench.session.landmarks.set([Landmark("FH-l", (1.0, 2.0, 3.0))])
    widget = LandmarksWidget(viewer)
    qtbot.addWidget(widget)
    yield widget
    widget.tear_down()
    bench.close()


def answers(question):
    found = []
    question.answered.connect(found.append)
    return found


def test_a_region_is_chosen_changed_and_kept(widget, patient, screenshot):
    question = TemplateQuestion(("mine", "yours"), patient.labels, widget)
    found = answers(question)
    assert question.choice.currentText() == OWN
    assert [question.choice.itemText(k) for k in (1, 2)] == ["Pelvis", "Hip"]  # what it holds
    assert not question.place.isEnabled()
    question.choice.setCurrentText("Hip")
    question.choice.textActivated.emit("Hip")
    assert question.place.isEnabled()
    question.place.setChecked(True)
    lines = question.text.toPlainText().splitlines()
    assert "greater trochanter-l" in lines
    question.text.setPlainText("\n".join(["FH-r", "FH-l", "a screw"]))
    screenshot(question, "landmark_names")
    question.finish()
    (chosen,) = found
    assert chosen.names == ("FH-r", "FH-l", "a screw")
    assert sorted(chosen.place.names) == ["FH-l", "FH-r"]  # the others were taken out
    # The same list again is the region's; an own one places nothing.
    again = TemplateQuestion(tuple(lines), patient.labels, widget)
    assert again.choice.currentText() == "Hip"
    again.choice.setCurrentText(OWN)
    again.choice.textActivated.emit(OWN)
    again.place.setChecked(True)
    found = answers(again)
    again.finish()
    assert found[0].place is None


def test_without_a_label_map_nothing_is_placed(widget):
    question = TemplateQuestion((), None, widget)
    question.choice.setCurrentText("Spine")
    question.choice.textActivated.emit("Spine")
    assert not question.place.isEnabled()
    assert "L3 body" in question.value().names
    assert question.value().place is None


def test_landmarks_are_placed_from_the_label_map_in_one_step(widget, qtbot):
    session = widget.workbench.session
    question = TemplateQuestion((), session.patient.labels, widget)
    question.choice.setCurrentText("Pelvis")
    question.choice.textActivated.emit("Pelvis")
    question.place.setChecked(True)
    chosen = question.value()
    assert isinstance(chosen, NamesChosen)
    widget.picking._take_names(chosen)
    qtbot.waitUntil(lambda: len(session.landmarks.all) == 8, timeout=20_000)
    assert session.landmarks.all[0].position == (1.0, 2.0, 3.0)  # the user's own stays
    assert "8 landmarks placed" in widget._kept_words.label.words
    assert widget.places.names[:4] == ("ASIS-l", "ASIS-r", "FH-l", "FH-r")
    session.undo()
    assert len(session.landmarks.all) == 1
