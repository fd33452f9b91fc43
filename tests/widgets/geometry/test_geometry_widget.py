"""The Geometry widget, driven as a person would."""

import json
from dataclasses import replace

import pytest
from camera_files import MAYACAM
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QScrollArea

from napari_xreg.images import geometry_record, read_geometry
from napari_xreg.images.known_geometry.sidecar import given_geometry
from napari_xreg.widgets.geometry.widget import GeometryWidget

pytestmark = pytest.mark.usefixtures("canvas_aside")

DICOM = {
    "source_to_detector": 1020.0,
    "source_to_isocenter": 750.0,
    "mirrored": True,
    "primary_deg": 0.0,
    "secondary_deg": 0.0,
    "roll_deg": 0.0,
}


@pytest.fixture
def as_read(radiograph):
    """The radiograph with a record as a DICOM reader gives it."""
    record = given_geometry(
        "DICOM Some Long Attribute Name (0018,1110)",
        pixel_spacing=radiograph.carm.detector.spacing,
        **DICOM,
    )
    doubt = (
        "DistanceSourceToPatient (0018,1111) is the isocenter only in XA; in RF it is the "
        "distance to the object or table, taken as the centre of rotation here"
    )
    absent = {"field_diameter": "DICOM (0018,1402) is absent"}
    record = replace(record, notes=(doubt,), problems=absent)
    return replace(radiograph, geometry=record, notes=record.notes, simulated=False)


@pytest.fixture
def widget(empty_bench, qtbot, patient, as_read):
    """In the dock of a viewer that shows a CT and a radiograph with a record."""
    empty_bench.session.patient.set_volume(patient.volume)
    empty_bench.session.exposures.add(as_read, name="frontal")
    docked = GeometryWidget(empty_bench.viewer)
    empty_bench.viewer.window.add_dock_widget(docked, name="Geometry")
    return docked


def field(widget, name):
    (found,) = [form.fields[name] for form in widget.forms if name in form.fields]
    return found


def type_into(qtbot, box, text):
    box.setFocus()
    box.selectAll()
    qtbot.keyClicks(box, text)
    qtbot.keyClick(box, Qt.Key.Key_Return)


def test_every_value_shows_its_origin(widget):
    distance = field(widget, "source_to_detector")
    assert distance.boxes[0].number == 1020.0
    assert "0018,1110" in distance.origin.words
    assert field(widget, "field_diameter").boxes[0].text() == "not known"
    assert "(0018,1402) is absent" in field(widget, "field_diameter").origin.words
    assert "is the isocenter only in XA" in widget._warning_words.words
    for form in widget.forms:
        for name, entry in form.fields.items():
            assert entry.toolTip(), name
    assert not widget.apply_button.isEnabled()


def test_an_override_is_applied_and_taken_back(widget, qtbot):
    session = widget.workbench.session
    distance = field(widget, "source_to_detector")
    type_into(qtbot, distance.boxes[0], "1003.5")
    assert widget.apply_button.isEnabled()
    assert "was 1020" in distance.origin.words
    qtbot.mouseClick(distance.reset, Qt.MouseButton.LeftButton)
    assert not widget.apply_button.isEnabled()
    type_into(qtbot, distance.boxes[0], "1003.5")
    qtbot.mouseClick(widget.apply_button, Qt.MouseButton.LeftButton)
    changed = session.exposures.active.radiograph
    assert changed.carm.source_to_detector == 1003.5
    assert changed.carm.source_to_isocenter == 750.0
    assert changed.geometry.provenance["source_to_detector"] == "given by hand"
    assert distance.origin.words == "given by hand"
    assert not widget.touched
    # Undo gives the header's value back, and where it came from.
    assert session.undo() == f"geometry of {session.exposures.active.name}"
    assert session.exposures.active.radiograph.carm.source_to_detector == 1020.0
    assert distance.boxes[0].number == 1020.0
    assert "0018,1110" in distance.origin.words
    assert session.redo() == f"geometry of {session.exposures.active.name}"
    assert distance.boxes[0].number == 1003.5


def test_what_cannot_be_is_said_before_it_is_applied(widget, qtbot):
    before = widget.workbench.session.exposures.active.radiograph
    box = field(widget, "source_to_isocenter").boxes[0]
    type_into(qtbot, box, "1200")
    assert "1200" in widget.problem.words
    assert not widget.apply_button.isEnabled()
    point = field(widget, "principal_point")
    type_into(qtbot, box, "750")
    assert widget.problem.words == ""
    type_into(qtbot, point.boxes[0], "31.5")
    assert "column is not given" in widget.problem.words
    type_into(qtbot, point.boxes[1], "40.25")
    qtbot.mouseClick(widget.apply_button, Qt.MouseButton.LeftButton)
    after = widget.workbench.session.exposures.active.radiograph
    assert after.carm.detector.center == (31.5, 40.25)
    assert after.line_integrals is before.line_integrals


def test_a_value_can_be_made_unknown_again(widget, qtbot):
    point = field(widget, "principal_point")
    for box, text in zip(point.boxes, ("31.5", "40.25"), strict=True):
        type_into(qtbot, box, text)
    widget.apply()
    for box in point.boxes:
        box.selectAll()
        qtbot.keyClick(box, Qt.Key.Key_Delete)
        qtbot.keyClick(box, Qt.Key.Key_Return)
        assert box.text() == "not known"
    qtbot.mouseClick(widget.apply_button, Qt.MouseButton.LeftButton)
    rows, columns = widget.workbench.session.exposures.active.radiograph.carm.detector.shape
    center = widget.workbench.session.exposures.active.radiograph.carm.detector.center
    assert center == ((rows - 1) / 2, (columns - 1) / 2)


def test_a_pose_declared_by_hand_is_the_start(widget, qtbot):
    session = widget.workbench.session
    type_into(qtbot, field(widget, "primary_deg").boxes[0], "25")
    qtbot.mouseClick(widget.apply_button, Qt.MouseButton.LeftButton)
    active = session.exposures.active
    terms = active.radiograph.carm.carm_pose(active.world_from_camera, session.patient.isocenter)
    assert terms.primary_deg == pytest.approx(25.0)
    # A pose that was moved by hand stays; only "reset" goes to the new start.
    moved = active.radiograph.carm.world_from_camera(3.0, 4.0, isocenter=session.patient.isocenter)
    session.poses.set(moved, "drag")
    type_into(qtbot, field(widget, "secondary_deg").boxes[0], "-8")
    qtbot.mouseClick(widget.apply_button, Qt.MouseButton.LeftButton)
    assert session.poses.current is moved
    session.poses.reset()
    terms = active.radiograph.carm.carm_pose(session.poses.current, session.patient.isocenter)
    assert (terms.primary_deg, terms.secondary_deg) == pytest.approx((25.0, -8.0))


def test_picture_buttons(widget, qtbot):
    session = widget.workbench.session
    before = session.exposures.active
    rows, columns = before.radiograph.carm.detector.shape
    qtbot.mouseClick(widget.turn_button, Qt.MouseButton.LeftButton)
    assert session.exposures.active.radiograph.carm.detector.shape == (columns, rows)
    assert "rotate 90 degrees clockwise" in widget.summary.words
    qtbot.mouseClick(widget.flip_button, Qt.MouseButton.LeftButton)
    assert not session.exposures.active.radiograph.carm.detector.mirrored
    image = session.exposures.active.radiograph.line_integrals
    qtbot.mouseClick(widget.invert_button, Qt.MouseButton.LeftButton)
    assert session.exposures.active.radiograph.line_integrals[0, 0] != image[0, 0]
    # An override after all this still describes the image as stored.
    type_into(qtbot, field(widget, "source_to_detector").boxes[0], "1003")
    qtbot.mouseClick(widget.apply_button, Qt.MouseButton.LeftButton)
    carm = session.exposures.active.radiograph.carm
    assert carm.source_to_detector == 1003.0
    assert not carm.detector.mirrored
    assert geometry_record(session.exposures.active.radiograph).mirrored


def test_save_and_load(widget, qtbot, tmp_path):
    path = tmp_path / "g.json"
    widget.save(path)
    assert read_geometry(path).source_to_detector == 1020.0
    data = json.loads(path.read_text())
    data["source_to_detector_mm"] = 998.0
    path.write_text(json.dumps(data))
    widget.load(path)
    assert widget.touched == ("source_to_detector",)
    qtbot.mouseClick(widget.apply_button, Qt.MouseButton.LeftButton)
    assert widget.workbench.session.exposures.active.radiograph.carm.source_to_detector == 998.0


def test_a_bad_file_is_one_sentence(widget, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("napari_xreg.widgets.geometry.widget.show_error", said.append)
    path = tmp_path / "g.json"
    path.write_text("{")
    widget.load(path)
    assert len(said) == 1
    assert "g.json: is not valid JSON" in said[0]
    assert not widget.touched


def test_it_follows_the_session_until_it_is_closed(widget, qtbot, radiograph):
    session, window = widget.workbench.session, widget.workbench.viewer.window
    other = session.exposures.add(radiograph, name="lateral")
    assert "lateral" in widget.title.text()
    assert "simulation" in field(widget, "source_to_detector").origin.words
    session.exposures.remove(other)
    assert "frontal" in widget.title.text()
    session.exposures.remove(session.exposures.named("frontal").id)
    assert not widget._body.isEnabled()
    window.remove_dock_widget(widget)
    session.exposures.add(radiograph, name="later")
    assert "later" not in widget.title.text()


def test_typing_survives_what_does_not_concern_it(widget, qtbot):
    session = widget.workbench.session
    type_into(qtbot, field(widget, "source_to_detector").boxes[0], "1003")
    session.exposures.set_used(session.exposures.named("frontal").id, False)
    assert widget.touched == ("source_to_detector",)


def test_picture(widget, screenshot, qtbot):
    type_into(qtbot, field(widget, "source_to_detector").boxes[0], "1200")
    type_into(qtbot, field(widget, "source_to_isocenter").boxes[0], "1300")
    (area,) = widget.findChildren(QScrollArea)
    widget.setFixedSize(320, 1250)
    for theme in ("dark", "light"):
        widget.workbench.viewer.theme = theme
        screenshot(widget, f"geometry_{theme}")
        bar = area.verticalScrollBar().sizeHint().width()
        needed = area.widget().minimumSizeHint().width() + bar
        assert needed <= 308, f"the form needs {needed} pixels: a dock of 320 would cut it"


class TestCameras:
    """A camera matrix and a 4 x 4 pose, which have no field of their own."""

    def test_a_calibration_is_loaded_and_applied(self, widget, tmp_path):
        session = widget.workbench.session
        rows, columns = session.exposures.active.radiograph.carm.detector.shape
        path = tmp_path / "cam.txt"
        path.write_text(MAYACAM[2].replace("640,512", f"{columns},{rows}"))
        widget.load(path)
        assert not widget.problem.text()
        widget.apply()
        radiograph = session.exposures.active.radiograph
        assert radiograph.carm.camera_matrix()[1, 1] == pytest.approx(1900.0)
        assert not radiograph.carm.detector.mirrored
        assert radiograph.geometry.rig_from_camera is not None
        source = session.exposures.active.start.translation - session.patient.isocenter
        assert source.tolist() == pytest.approx([800.0, 10.0, 20.0])

    def test_an_angle_by_hand_replaces_the_pose_and_keeps_the_rest(self, widget, tmp_path):
        session = widget.workbench.session
        rows, columns = session.exposures.active.radiograph.carm.detector.shape
        path = tmp_path / "cam.txt"
        path.write_text(MAYACAM[2].replace("640,512", f"{columns},{rows}"))
        widget.load(path)
        widget.apply()
        before = session.exposures.active.radiograph.nominal
        field = next(f.fields["roll_deg"] for f in widget.forms if "roll_deg" in f.fields)
        field.propose(before.roll_deg + 10)
        widget.apply()
        after = session.exposures.active.radiograph
        assert after.geometry.rig_from_camera is None
        assert after.nominal.roll_deg == pytest.approx(before.roll_deg + 10, abs=0.01)
        assert after.nominal.offset_mm == pytest.approx(before.offset_mm)
        assert after.nominal.secondary_deg == pytest.approx(before.secondary_deg)
        assert after.carm.camera_matrix()[1, 1] == pytest.approx(1900.0)
