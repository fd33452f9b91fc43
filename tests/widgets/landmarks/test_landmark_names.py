"""Which landmarks: a region's, an own list; and those that the label map places. Without a window."""

from dataclasses import replace

import pytest
from napari.components import ViewerModel

from napari_xreg.images import Landmark
from napari_xreg.widgets.jobs.workbench import workbench_of
from napari_xreg.widgets.landmarks.names import OWN, NamesChosen, TemplateQuestion
from napari_xreg.widgets.landmarks.widget import LandmarksWidget
from napari_xreg.workflows import PlaceRequest, templates


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
    told = widget._kept_words.label.words
    assert "7 landmarks placed" in told
    assert "1 had a position and kept it" in told
    assert widget.places.names[:4] == ("ASIS-l", "ASIS-r", "FH-l", "FH-r")
    session.undo()
    assert len(session.landmarks.all) == 1


def test_landmarks_of_a_label_map_that_has_gone_are_not_placed(widget, patient):
    session = widget.workbench.session
    placed = PlaceRequest(templates(patient.labels)[0], session.patient.labels).answer()
    session.patient.replace(patient.volume)
    widget._take_placed(placed)
    assert session.landmarks.all == ()


def test_the_usual_list_follows_the_label_map_unless_one_of_it_is_picked(widget, patient):
    session, panel = widget.workbench.session, widget.picking
    session.landmarks.set([])
    knee = replace(patient.labels, names=dict.fromkeys(patient.labels.names, "patella"))
    knee.present()
    panel.begin()
    assert panel.guide.name == "ASIS-l"
    session.patient.set_labels(knee)
    assert panel.places.names[:3] == ("ASIS-l", "ASIS-r", "FH-l")
    panel.guide.skip(panel.places)
    assert panel.guide.name == "ASIS-r"
    shown = []
    panel.changed.connect(lambda: shown.append(panel.template))
    panel.stop()
    assert panel.template[-1] == "patella apex"
    assert shown == [panel.template]
    session.patient.set_labels(None)
    assert panel.places.names == templates()[0].names
