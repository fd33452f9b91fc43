"""The room without a screen: what its layers hold, and what the mouse does to the session."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from napari.components import ViewerModel

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import Landmark, Radiograph
from napari_xreg.session import Session
from napari_xreg.simulation import phantom
from napari_xreg.viewer.patient3d.room import Room
from napari_xreg.viewer.patient3d.room_carms import texture_of
from napari_xreg.viewer.patient3d.room_geometry import back_projected, detector_plane, frustum
from napari_xreg.viewer.patient3d.room_layers import PARTS
from napari_xreg.viewer.patient3d.room_view import VIEWS, fit, turn

CARM = CArm(1000.0, 700.0, Detector((24, 30), (12.0, 11.0), (10.0, 17.0)))


@pytest.fixture(scope="module")
def patient():
    return phantom(spacing_mm=8.0)


def _radiograph(nominal, value=0.0):
    rows, columns = torch.meshgrid(torch.arange(24.0), torch.arange(30.0), indexing="ij")
    return Radiograph(value + 0.1 * rows + 0.01 * columns, CARM, nominal=nominal)


@pytest.fixture
def session(patient):
    session = Session()
    session.patient.set_volume(patient.volume)
    session.landmarks.set(
        [
            Landmark(name, position=tuple(float(v) for v in xyz))
            for name, xyz in list(patient.landmarks.items())[:3]
        ]
    )
    session.exposures.add(_radiograph(CArmPose(80.0, 5.0)), name="side")
    session.exposures.add(_radiograph(CArmPose(10.0, -4.0, 3.0)), name="front")
    return session


@pytest.fixture
def room(session):
    room = Room(ViewerModel(), session)
    room.show_patient(room.patient_request().answer())
    return room


@pytest.mark.slow
def test_everything_lies_in_millimetres_in_the_patient(room, patient):
    for part in PARTS:
        room.show(part, True)
    names = [layer.name for layer in room.viewer.layers]
    assert names == ["CT", "bone", "other C-arms", "C-arm", "detector", "source", "landmarks"]
    assert [str(unit) for unit in room.viewer.layers.extent.units] == ["millimeter"] * 3
    for layer in room.viewer.layers:
        assert layer.axis_labels == ("z", "y", "x")
    # The CT's own landmarks lie in the box of the CT and within 20 mm of its bone.
    for x, y, z in list(patient.landmarks.values())[:3]:
        away = np.linalg.norm(room.layer("bone").data[0] - (z, y, x), axis=1)
        assert away.min() < 20.0
    assert room.viewer.dims.ndisplay == 3


def test_the_c_arm_is_where_the_session_has_it(room, session):
    pose = session.poses.current
    assert room.layer("C-arm").data == pytest.approx(frustum(CARM, pose), rel=1e-5)
    assert room.layer("detector").data[0] == pytest.approx(detector_plane(CARM, pose).vertices)
    z, y, x = room.layer("source").data[0]
    assert (x, y, z) == pytest.approx(tuple(pose.translation.tolist()))
    other = session.exposures.named("side").world_from_camera
    assert room.layer("other C-arms").data == pytest.approx(frustum(CARM, other), rel=1e-5)
    session.exposures.activate(session.exposures.named("side").id)
    room.refresh()
    assert room.layer("C-arm").data == pytest.approx(frustum(CARM, other), rel=1e-5)


def test_a_pose_moves_lines_and_plane_and_leaves_a_ghost(room, session):
    assert room.layer("earlier poses") is None
    before = session.poses.current
    after = CARM.world_from_camera(-20.0, 15.0, isocenter=session.patient.isocenter)
    session.poses.set(after, "test")
    bone = room.layer("bone")
    room.refresh()
    assert room.layer("bone") is bone
    assert room.layer("C-arm").data == pytest.approx(frustum(CARM, after), rel=1e-5)
    assert room.layer("earlier poses").data == pytest.approx(frustum(CARM, before)[4:], rel=1e-5)
    session.undo()
    room.refresh()
    assert room.layer("C-arm").data == pytest.approx(frustum(CARM, before), rel=1e-5)
    assert room.layer("earlier poses").data == pytest.approx(frustum(CARM, after)[4:], rel=1e-5)


def test_nothing_new_costs_nothing(room, session):
    touched = []
    for layer in room.viewer.layers:
        layer.events.set_data.connect(lambda event: touched.append(event.source.name))
    room.refresh()
    assert touched == []
    session.poses.move(
        CARM.world_from_camera(1.0, 2.0, isocenter=session.patient.isocenter),
        exposure=session.exposures.named("front").id,
    )
    room.refresh()
    assert "bone" not in touched
    assert "landmarks" not in touched
    assert "C-arm" in touched


def test_what_is_hidden_waits_until_it_is_shown(room, session):
    room.show("C-arm", False)
    old = np.array(room.layer("C-arm").data)
    session.poses.set(
        CARM.world_from_camera(33.0, 2.0, isocenter=session.patient.isocenter), "test"
    )
    room.refresh()
    assert np.array_equal(room.layer("C-arm").data, old)
    assert not room.layer("detector").visible
    room.show("C-arm", True)
    assert room.layer("C-arm").data == pytest.approx(frustum(CARM, session.poses.current), rel=1e-5)
    assert room.layer("detector").visible
    with pytest.raises(ValueError, match="ghosts"):
        room.show("walls", True)


def test_picked_pixels_become_rays(room, session):
    session.landmarks.set_picked(
        session.exposures.named("front").id,
        [Landmark("a", pixel=(3.0, 20.5)), Landmark("b", pixel=(9.0, 1.0))],
    )
    room.refresh()
    wanted = back_projected(CARM, session.poses.current, torch.tensor([[3.0, 20.5], [9.0, 1.0]]))
    assert room.layer("rays").data == pytest.approx(wanted, rel=1e-5)
    session.landmarks.set_picked(session.exposures.named("front").id, [])
    room.refresh()
    assert room.layer("rays") is None


def test_the_detector_carries_its_radiograph(room, session):
    texture = room.layer("detector").texture
    assert texture.shape == (24, 30)
    assert texture[0, 0] == 0.0
    assert texture[-1, -1] == 1.0
    assert texture[20, 3] > texture[5, 25]
    mask = torch.ones(24, 30, dtype=torch.bool)
    mask[-1] = False
    dark = texture_of(_radiograph(None).with_mask(mask, "test"))
    assert (dark[-1] == 0).all()
    assert dark.max() == 1.0
    session.exposures.replace_image(
        session.exposures.named("front").id, _radiograph(None).flip_columns()
    )
    room.refresh()
    assert room.layer("detector").texture[12, 0] > room.layer("detector").texture[12, -1]


def test_a_large_radiograph_makes_a_small_texture():
    carm = CArm(1000.0, 700.0, Detector((300, 600), (1.0, 1.0)))
    texture = texture_of(Radiograph(torch.rand(300, 600), carm))
    assert texture.shape == (128, 256)


@pytest.mark.slow
def test_another_ct_needs_another_answer(room, session, patient):
    assert room.patient_request() is None
    late = room.patient
    session.patient.set_volume(phantom(spacing_mm=10.0).volume)
    request = room.patient_request()
    room.show_patient(late)
    assert room.patient_request() is not None
    room.show_patient(request.answer())
    assert room.patient.request.volume is session.patient.rendering
    session.patient.set_volume(None)
    room.refresh()
    assert room.layer("bone") is None
    assert room.patient_request() is None
    room.bone_hu = 400.0
    session.patient.set_volume(patient.volume)
    assert room.patient_request().bone_hu == 400.0


def test_radiographs_and_landmarks_come_and_go(room, session):
    session.landmarks.set(session.landmarks.all[:2])
    room.refresh()
    assert list(room.layer("landmarks").features["name"]) == [m.name for m in session.landmarks.all]
    session.landmarks.set([])
    session.exposures.remove(session.exposures.named("front").id)
    room.refresh()
    assert room.layer("landmarks") is None
    assert room.layer("other C-arms") is None
    session.exposures.remove(session.exposures.named("side").id)
    room.refresh()
    assert [layer.name for layer in room.viewer.layers] == ["bone"]


def test_the_last_radiograph_removed_and_brought_back_by_undo(room, session):
    session.exposures.remove(session.exposures.named("side").id)
    room.refresh()
    before = room.viewer.layers["detector"].data[0].copy()
    session.exposures.remove(session.exposures.named("front").id)
    room.refresh()
    assert not {"C-arm", "detector", "source"} & {layer.name for layer in room.viewer.layers}
    session.undo()
    room.refresh()
    assert {"C-arm", "detector", "source"} <= {layer.name for layer in room.viewer.layers}
    np.testing.assert_array_equal(room.viewer.layers["detector"].data[0], before)


def test_the_empty_room_is_empty():
    room = Room(ViewerModel(), Session())
    assert not room.viewer.layers
    assert room.patient_request() is None
    room.look()


# ---------------------------------------------------------------------- the view


@pytest.mark.parametrize("view", VIEWS)
def test_the_head_is_up_and_everything_is_in_the_picture(room, view):
    room.viewer.canvas.size = (300, 500)
    room.look(view)
    camera = room.viewer.scene.camera
    assert camera.view_direction == pytest.approx(
        tuple(np.array(VIEWS[view][0]) / np.linalg.norm(VIEWS[view][0])), abs=1e-6
    )
    up = np.array(camera.up_direction)
    assert up @ VIEWS[view][1] > 0.7
    right = np.cross(up, camera.view_direction)
    ends = room.layer("C-arm").data.sum(axis=1) - np.array(camera.center)
    assert np.abs(ends @ up).max() * camera.zoom < 150
    assert np.abs(ends @ right).max() * camera.zoom < 250


def test_a_fit_fills_the_picture_and_keeps_the_angles():
    viewer = ViewerModel()
    viewer.dims.ndisplay = 3
    viewer.canvas.size = (300, 500)
    turn(viewer, "front")
    angles = viewer.scene.camera.angles
    # From in front: z is up, x goes across; 60 high, 200 wide.
    fit(viewer, np.array([[10.0, 5.0, -40.0], [70.0, 99.0, 160.0]]), margin=0.0)
    assert viewer.scene.camera.zoom == pytest.approx(2.5)
    assert viewer.scene.camera.center == pytest.approx((40.0, 52.0, 60.0))
    assert viewer.scene.camera.angles == angles


# ---------------------------------------------------------------------- the mouse


def _event(kind, position, direction, pos=(50, 50), button=1, modifiers=()):
    return SimpleNamespace(
        type=kind,
        position=np.asarray(position, float),
        view_direction=np.asarray(direction, float),
        pos=pos,
        button=button,
        modifiers=modifiers,
        handled=False,
    )


def _press(room, event):
    return room.viewer.mouse_drag_callbacks[-1](room.viewer, event)


def _finish(events):
    with pytest.raises(StopIteration):
        next(events)


def test_a_landmark_dragged_moves_in_the_session_in_the_plane_of_the_screen(room, session):
    mark = session.landmarks.all[1]
    x, y, z = mark.position
    direction = np.array([0.0, 1.0, 0.0])  # from in front: y does not change
    heard = []
    room.point_clicked.connect(heard.append)
    event = _event("mouse_press", (z, y - 500.0, x), direction)
    events = _press(room, event)
    next(events)
    assert not room.viewer.scene.camera.mouse_pan
    event.type, event.pos, event.position = "mouse_move", (80, 20), np.array((z + 9, -77.0, x - 14))
    next(events)
    assert event.handled
    assert session.landmarks.all[1] is mark  # not before the mouse lets go
    event.type = "mouse_release"
    _finish(events)
    assert room.viewer.scene.camera.mouse_pan
    assert session.landmarks.all[1].position == pytest.approx((x - 14, y, z + 9), abs=1e-4)
    assert session.landmarks.all[1].name == mark.name
    assert heard == [pytest.approx((x - 14, y, z + 9), abs=1e-4)]


def test_a_click_on_a_landmark_says_where_it_is_and_moves_nothing(room, session):
    marks = session.landmarks.all
    x, y, z = marks[2].position
    heard = []
    room.point_clicked.connect(heard.append)
    event = _event("mouse_press", (z + 0.4, y, x), (0.0, 1.0, 0.0))
    events = _press(room, event)
    next(events)
    event.type, event.pos = "mouse_move", (51, 50)
    next(events)
    event.type = "mouse_release"
    _finish(events)
    assert session.landmarks.all == marks
    assert heard == [pytest.approx((x, y, z), abs=1e-4)]


def test_a_click_on_bone_gives_its_surface_but_a_turn_gives_nothing(room):
    room.show("landmarks", False)
    heard = []
    room.point_clicked.connect(heard.append)
    vertices = room.layer("bone").data[0]
    target = vertices[np.argmin(vertices[:, 1])]  # the foremost
    event = _event("mouse_press", target - [0, 30.0, 0], (0.0, 1.0, 0.0))
    events = _press(room, event)
    next(events)
    event.type = "mouse_release"
    _finish(events)
    ((x, y, z),) = heard
    assert (z, x) == pytest.approx((target[0], target[2]))
    assert y == pytest.approx(target[1], abs=2.0)
    event = _event("mouse_press", target, (0.0, 1.0, 0.0))
    events = _press(room, event)
    next(events)
    assert room.viewer.scene.camera.mouse_pan
    event.type, event.pos = "mouse_move", (90, 50)
    next(events)
    assert not event.handled
    event.type = "mouse_release"
    _finish(events)
    assert len(heard) == 1


def test_other_buttons_and_modifiers_are_left_to_napari(room, session):
    marks, heard = session.landmarks.all, []
    room.point_clicked.connect(heard.append)
    x, y, z = marks[0].position
    for other in ({"button": 2}, {"modifiers": ("Shift",)}):
        event = _event("mouse_press", (z, y, x), (0.0, 1.0, 0.0), **other)
        _finish(_press(room, event))  # at once: what follows the press is napari's
        assert not event.handled
    assert room.viewer.scene.camera.mouse_pan
    assert heard == []
    assert session.landmarks.all == marks


def test_closed_it_hears_and_holds_nothing(room):
    callbacks = room.viewer.mouse_drag_callbacks
    before = len(callbacks)
    room.close()
    assert len(callbacks) == before - 1
    assert not room.viewer.layers
    assert room.patient is None
