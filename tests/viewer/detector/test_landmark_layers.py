"""Landmarks: shown where they are, edited by the user, never in a loop."""

import numpy as np
import pytest
import torch
from detector_scene import (
    CARM,
    COLUMNS,
    OTHER_CARM,
    POSE,
    ROWS,
    landmarks,
    point_at,
    preview,
    radiograph,
    session,
)
from napari.components import ViewerModel

from napari_xreg.geometry import Pose
from napari_xreg.images import Landmark
from napari_xreg.viewer.detector.canvas import DetectorCanvas
from napari_xreg.viewer.detector.landmarks import residual_arrows

PLACES = ((9.0, 12.5), (33.25, 61.0), (41.0, 7.0))


@pytest.fixture
def work():
    made = session(with_volume=False)
    made.landmarks.set(landmarks(*PLACES))
    return made


@pytest.fixture
def canvas(work):
    made = DetectorCanvas(ViewerModel(), work)
    yield made
    made.close()


@pytest.fixture
def heard(work):
    calls = []
    work.landmarks.changed.connect(lambda: calls.append(len(work.exposures.active.landmarks)))
    return calls


def pick(work, *marks):
    work.landmarks.set_picked(
        work.exposures.named("first").id, [Landmark(name, pixel=pixel) for name, pixel in marks]
    )


def names(layer):
    return list(layer.features["name"])


# ---------------------------------------------------------------------- shown where they are


def test_projected_landmarks_lie_at_their_pixels_and_millimetres(canvas):
    layer = canvas.viewer.layers["projected landmarks"]
    np.testing.assert_allclose(layer.data, PLACES, atol=1e-9)
    np.testing.assert_allclose(layer.data_to_world(layer.data[1]), (33.25 * 4.2, 61.0 * 3.1))
    assert names(layer) == ["a", "b", "c"]


def test_a_landmark_on_the_patients_left_is_on_the_right_of_the_image(work):
    # At POSE the camera's x axis is +x; the detector is mirrored, so +x goes to smaller columns.
    canvas = DetectorCanvas(ViewerModel(), work)
    work.landmarks.set([Landmark("m", position=(-40.0, 24.0, 800.0))])
    row, column = canvas.viewer.layers["projected landmarks"].data[0]
    assert row == pytest.approx(21.0 + 24.0 * 1000 / 800 / 4.2)
    assert column == pytest.approx(33.0 + 40.0 * 1000 / 800 / 3.1)


def test_picked_landmarks_are_pixels_of_the_radiograph(canvas, work):
    pick(work, ("b", (30.0, 55.5)))
    layer = canvas.viewer.layers["landmarks"]
    np.testing.assert_allclose(layer.data, [(30.0, 55.5)])
    np.testing.assert_allclose(layer.data_to_world(layer.data[0]), (30.0 * 4.2, 55.5 * 3.1))
    assert names(layer) == ["b"]


def test_a_residual_points_from_the_projection_to_where_it_was_picked(canvas, work):
    assert "residuals" not in canvas.viewer.layers
    pick(work, ("b", (30.0, 55.5)), ("not in the patient", (3.0, 4.0)))
    layer = canvas.viewer.layers["residuals"]
    np.testing.assert_allclose(layer.data, [[(33.25, 61.0), (-3.25, -5.5)]], atol=1e-9)
    start, along = layer.data[0]
    np.testing.assert_allclose(layer.data_to_world(start + along), (30.0 * 4.2, 55.5 * 3.1))
    pick(work)
    assert not layer.visible


def test_arrows_of_several():
    arrows = residual_arrows(np.array([[1.0, 2.0], [5.0, 3.0]]), np.array([[4.0, 1.0], [5.5, 3.0]]))
    np.testing.assert_allclose(arrows, [[[1, 2], [3, -1]], [[5, 3], [0.5, 0]]])


def test_without_a_ct_they_follow_the_pose_at_once(canvas, work):
    pick(work, ("a", (9.0, 12.5)))
    before = canvas.viewer.layers["projected landmarks"].data.copy()
    moved = Pose(torch.eye(3, dtype=torch.float64), torch.tensor([0.0, -8.0, 0.0]).double())
    work.poses.move(
        moved
    )  # the camera goes up by 8 mm: at 800 of 1000 mm, 10 mm down on the detector
    layer = canvas.viewer.layers["projected landmarks"]
    np.testing.assert_allclose(layer.data - before, [(10 / 4.2, 0.0)] * 3, atol=1e-9)
    along = canvas.viewer.layers["residuals"].data[0, 1]
    np.testing.assert_allclose(along, (-10 / 4.2, 0.0), atol=1e-9)


def test_with_a_ct_they_move_with_the_drr():
    work = session()
    work.landmarks.set(landmarks(*PLACES))
    canvas = DetectorCanvas(ViewerModel(), work)
    layer = canvas.viewer.layers["projected landmarks"]
    before = layer.data.copy()
    moved = Pose(torch.eye(3, dtype=torch.float64), torch.tensor([0.0, -8.0, 0.0]).double())
    work.poses.move(moved)
    np.testing.assert_array_equal(layer.data, before)
    coarse = canvas.preview_carm(40)
    canvas.show_preview(preview(np.ones(coarse.detector.shape), coarse, moved))
    # Pixels of the radiograph, also where the preview is coarser.
    np.testing.assert_allclose(layer.data - before, [(10 / 4.2, 0.0)] * 3, atol=1e-9)


def test_a_landmark_behind_the_source_is_not_shown(canvas, work):
    work.landmarks.set([*landmarks(*PLACES[:2]), Landmark("behind", position=(1.0, 2.0, -30.0))])
    assert names(canvas.viewer.layers["projected landmarks"]) == ["a", "b"]


def test_each_radiograph_shows_its_own(canvas, work):
    pick(work, ("b", (30.0, 55.5)))
    work.exposures.add(radiograph(OTHER_CARM), name="second", start=POSE)
    picked = canvas.viewer.layers["landmarks"]
    assert len(picked.data) == 0
    work.landmarks.set_picked(work.exposures.named("second").id, [Landmark("c", pixel=(5.0, 6.0))])
    np.testing.assert_allclose(picked.data_to_world(picked.data[0]), (5 * 2.6, 6 * 5.3))
    work.exposures.activate(work.exposures.named("first").id)
    assert names(picked) == ["b"]
    np.testing.assert_allclose(picked.data_to_world(picked.data[0]), (30.0 * 4.2, 55.5 * 3.1))


def test_without_landmarks_there_are_no_layers():
    canvas = DetectorCanvas(ViewerModel(), session())
    assert [layer.name for layer in canvas.viewer.layers] == ["first"]


def test_a_hidden_layer_knows_its_points_when_its_text_is_asked_for(canvas, work):
    layer, texts = canvas.viewer.layers["projected landmarks"], []
    layer.text.events.connect(lambda: texts.append(list(layer._view_text)))  # napari's window does
    work.landmarks.set([])
    assert not layer.visible
    work.landmarks.set(landmarks(PLACES[0]))
    assert texts[-1] == ["a   "]


def test_what_the_user_hid_stays_hidden(canvas, work):
    pick(work, ("a", (30.0, 55.5)))
    layer = canvas.viewer.layers["projected landmarks"]
    layer.visible = False
    work.poses.move(work.poses.current)
    pick(work, ("a", (31.0, 55.5)))
    assert not layer.visible
    work.landmarks.set([])
    work.landmarks.set(landmarks(*PLACES))
    assert not layer.visible


# ---------------------------------------------------------------------- edited by the user


def test_adding_points_names_them_after_the_patients_landmarks_in_order(canvas, work, heard):
    pick(work, ("a", (10.0, 11.0)))
    layer = canvas.viewer.layers["landmarks"]
    layer.add((20.0, 21.5))
    assert [(m.name, m.pixel) for m in work.exposures.active.landmarks] == [
        ("a", (10.0, 11.0)),
        ("b", (20.0, 21.5)),
    ]
    layer.add((1.0, 2.0))
    layer.add((3.0, 4.0))
    layer.add((5.0, 6.0))
    assert [m.name for m in work.exposures.active.landmarks] == [
        "a",
        "b",
        "c",
        "point 1",
        "point 2",
    ]
    assert names(layer) == ["a", "b", "c", "point 1", "point 2"]
    assert heard == [1, 2, 3, 4, 5]
    layer.selected_data = {0}
    layer.remove_selected()
    layer.add((7.0, 8.0))
    assert [m.name for m in work.exposures.active.landmarks] == [
        "b",
        "c",
        "point 1",
        "point 2",
        "a",
    ]


def test_deleting_a_point_unpicks_the_landmark(canvas, work, heard):
    pick(work, ("a", (10.0, 11.0)), ("b", (20.0, 21.5)), ("c", (30.0, 31.0)))
    layer = canvas.viewer.layers["landmarks"]
    layer.selected_data = {1}
    layer.remove_selected()
    assert [m.name for m in work.exposures.active.landmarks] == ["a", "c"]
    assert heard == [3, 2]
    assert len(canvas.viewer.layers["residuals"].data) == 2
    layer.selected_data = {0, 1}
    layer.remove_selected()
    assert work.exposures.active.landmarks == ()


def test_moving_a_point_moves_the_landmark(canvas, work, heard):
    pick(work, ("a", (10.0, 11.0)), ("b", (20.0, 21.5)))
    layer = canvas.viewer.layers["landmarks"]
    layer.selected_data = {1}
    layer._set_drag_start({1}, (20.0, 21.5))  # what napari's own drag does
    layer._move({1}, (25.0, 19.0))
    assert work.exposures.active.landmarks[1] == Landmark("b", pixel=(25.0, 19.0))
    assert work.exposures.active.landmarks[0] == Landmark("a", pixel=(10.0, 11.0))
    assert heard == [2, 2]
    np.testing.assert_allclose(
        canvas.viewer.layers["residuals"].data[1],
        [(33.25, 61.0), (25.0 - 33.25, 19.0 - 61.0)],
        atol=1e-9,
    )


def test_renaming_in_the_features_table_renames_the_landmark(canvas, work, heard):
    pick(work, ("a", (10.0, 11.0)), ("x", (20.0, 21.5)))
    layer = canvas.viewer.layers["landmarks"]
    layer.features = {"name": ["a", " c\n"]}
    assert [m.name for m in work.exposures.active.landmarks] == ["a", "c"]
    assert names(layer) == ["a", "c"]
    layer.features = {"name": ["c", "c"]}  # two of a name: the later one gets another
    assert [m.name for m in work.exposures.active.landmarks] == ["c", "a"]
    layer.features = {"name": ["c", ""]}
    assert [m.name for m in work.exposures.active.landmarks] == ["c", "a"]
    assert names(layer) == ["c", "a"]
    assert heard[-1] == 2


def test_the_session_is_not_told_what_it_said(canvas, work, heard):
    pick(work, ("a", (10.0, 11.0)))
    work.exposures.activate(work.exposures.named("first").id)
    canvas.show_preview(preview(np.ones((ROWS, COLUMNS)), CARM, POSE))
    assert heard == [1]


def test_projected_landmarks_cannot_be_moved(canvas, work):
    layer = canvas.viewer.layers["projected landmarks"]
    assert not layer.editable
    layer.editable = True
    assert not layer.editable
    layer.mode = "select"
    assert layer.mode == "pan_zoom"
    layer.data = np.array([[1.0, 1.0]])
    np.testing.assert_allclose(layer.data, PLACES, atol=1e-9)
    assert names(layer) == ["a", "b", "c"]
    layer.remove([0])
    np.testing.assert_allclose(layer.data, PLACES, atol=1e-9)
    canvas.viewer.dims.ndisplay = 3
    canvas.viewer.dims.ndisplay = 2
    assert not layer.editable
    assert [mark.position for mark in work.landmarks.all] == [point_at(*place) for place in PLACES]


def test_points_added_where_there_is_no_radiograph_go_again(canvas, work):
    pick(work, ("a", (10.0, 11.0)))
    layer = canvas.viewer.layers["landmarks"]
    work.exposures.remove(work.exposures.named("first").id)
    assert len(layer.data) == 0
    layer.add((1.0, 2.0))
    assert len(layer.data) == 0


def test_removing_the_layer_unpicks_nothing(canvas, work):
    pick(work, ("a", (10.0, 11.0)))
    removed = canvas.viewer.layers["landmarks"]
    canvas.viewer.layers.remove(removed)
    assert len(work.exposures.active.landmarks) == 1
    removed.add((1.0, 2.0))  # a layer that is no longer ours
    assert len(work.exposures.active.landmarks) == 1
    pick(work, ("a", (12.0, 11.0)))
    assert canvas.viewer.layers["landmarks"] is not removed
    np.testing.assert_allclose(canvas.viewer.layers["landmarks"].data, [(12.0, 11.0)])
