"""The RayEmb widget, driven as a person would; its network is right by construction."""

import pytest
import torch
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication
from rayemb_parts import drag, in_slices, pixel_of, pose_at, prepare_ideally, settled

from napari_xreg.images import Landmark
from napari_xreg.session import PointList
from napari_xreg.widgets.pose.words import truth_error_mm
from napari_xreg.widgets.rayemb.points import ERROR, TO_POSE
from napari_xreg.widgets.rayemb.widget import RayEmbWidget
from napari_xreg.widgets.refine.widget import RefineWidget
from napari_xreg.workflows import RAYEMB_SPREAD, RAYEMB_STARTS

LEFT = Qt.MouseButton.LeftButton
LONG = 60_000
TRUTH = {"primary_deg": 7.0, "secondary_deg": -4.0, "roll_deg": 2.0, "offset_mm": (6.0, -9.0, 14.0)}


@pytest.fixture
def seen():
    """Asks for a window on the screen: plots that nobody sees are not laid out."""


@pytest.fixture
def viewer(lent_viewer, request):
    """A viewer; on the screen where the test asks for `seen`."""
    viewer = lent_viewer(show="seen" in request.fixturenames)
    viewer.window.resize(1100, 950)
    return viewer


@pytest.fixture
def truth(bench):
    """Where the bench's radiograph was taken; the session knows, as for a simulated one."""
    session = bench.session
    pose = pose_at(session, **TRUTH)
    radiograph = session.exposures.active.radiograph
    session.exposures.remove(session.exposures.named("frontal").id)
    session.exposures.add(radiograph, name="simulated", truth=pose)
    return pose


@pytest.fixture
def widget(bench, truth, viewer, qtbot):
    """Docked, and prepared with the encoder that knows."""
    made = RayEmbWidget(viewer)
    viewer.window.add_dock_widget(made, name="RayEmb", area="right")
    window = bench.viewer.window._qt_window
    window.resizeDocks([made.parent()], [360], Qt.Orientation.Horizontal)
    prepare_ideally(bench.session, truth)
    made.pose.form["per_point"].value = 3
    qtbot.wait(20)
    return made


def looked(widget, qtbot):
    qtbot.waitUntil(lambda: widget.look.heatmap is not None, timeout=LONG)
    return widget.look.heatmap


# ---------------------------------------------------------------------- one point


def test_a_click_in_a_slice_shows_where_the_point_is(seen, widget, bench, truth, qtbot, screenshot):
    session, slices = bench.session, widget.slices
    grid = slices.grid
    rows, columns, _ = grid.shape
    settled(qtbot, slices)
    place = in_slices(slices, rows * 0.55, columns * 0.7)
    qtbot.mouseClick(slices.pane.viewport(), LEFT, pos=place)
    heatmap = looked(widget, qtbot)
    point = session.ray_points.look.position
    # Patient's left is on the right of a coronal slice; within a voxel of what was clicked.
    clicked = grid.point(rows * 0.55, columns * 0.7, slices.slider.value())
    assert point == pytest.approx(clicked, abs=6.0)
    expected = pixel_of(session, point, truth)
    assert heatmap.maps.found.pixels[0].tolist() == pytest.approx(expected, abs=1.5)
    assert session.ray_points.look.pixel == tuple(heatmap.maps.found.pixels[0].tolist())

    layers = bench.viewer.layers
    peak, here = layers["RayEmb peak"], layers["RayEmb projection"]
    assert peak.data[0].tolist() == heatmap.maps.found.pixels[0].tolist()
    assert here.data[0].tolist() == pytest.approx(pixel_of(session, point, session.poses.current))
    heat = layers["heatmap"]
    brightest = divmod(int(heat.data.argmax()), heat.data.shape[1])
    spacing = session.exposures.active.radiograph.carm.detector.spacing
    at_mm = [e * s for e, s in zip(expected, spacing, strict=True)]
    # Half a pixel of the heatmap is 2.3 mm, one and a half of the radiograph are 5.2 mm.
    assert list(heat.data_to_world(brightest)) == pytest.approx(at_mm, abs=6.0)
    words = widget.readout.text()
    assert "similarity 1.00" in words
    assert float(words.split("in image ")[1].split(" %")[0]) > 90
    assert "error" in words
    qtbot.wait(300)
    screenshot(widget.window(), "rayemb_window")
    screenshot(widget, "rayemb")


def test_a_click_beside_the_cross_moves_it(seen, widget, bench, qtbot):
    slices, state = widget.slices, bench.session.ray_points
    rows, columns, _ = slices.grid.shape
    settled(qtbot, slices)
    first = in_slices(slices, rows * 0.5, columns * 0.6)
    qtbot.mouseClick(slices.pane.viewport(), LEFT, pos=first)
    before = state.look.position
    qtbot.mouseClick(slices.pane.viewport(), LEFT, pos=first + QPoint(5, 0))
    after = state.look.position
    # To the right on a coronal slice is to the patient's left.
    assert 0 < after[0] - before[0] < 40
    assert after[2] == pytest.approx(before[2])


def test_dragging_follows_and_the_newest_wins(seen, widget, bench, qtbot):
    slices = widget.slices
    rows, columns, _ = slices.grid.shape
    settled(qtbot, slices)
    places = [in_slices(slices, rows * 0.5, columns * (0.4 + 0.03 * k)) for k in range(8)]
    size = slices.pane.size()
    drag(qtbot, slices.pane.viewport(), places)
    state = bench.session.ray_points
    end = slices.grid.point(rows * 0.5, columns * 0.61, slices.slider.value())
    assert state.look.position == pytest.approx(end, abs=8.0)
    heatmap = looked(widget, qtbot)
    assert heatmap.request.points == (state.look.position,)
    assert slices.pane.size() == size  # nothing moves under the mouse


def test_the_wheel_goes_through_slices_and_the_cross_stays_with_its_slice(widget, qtbot):
    slices = widget.slices
    looked_at = slices.grid.point(20.0, 25.0, slices.slider.value())
    widget.look_at(looked_at)
    assert slices.pane.across.opacity() > 0.5
    slices.slider.setValue(slices.slider.value() + 4)
    assert slices.pane.across.opacity() < 0.5
    slices.plane.setCurrentText("axial")
    assert slices.slider.value() == round(slices.grid.place(looked_at)[2])
    assert slices.pane.across.opacity() > 0.5


def test_the_projection_and_the_distance_follow_the_pose(widget, bench, truth, qtbot):
    session = bench.session
    widget.look_at(session.landmarks.all[0].position)
    looked(widget, qtbot)
    far = widget.readout.text()
    session.poses.set(truth, "there")
    here = bench.viewer.layers["RayEmb projection"].data[0].tolist()
    assert here == pytest.approx(pixel_of(session, session.landmarks.all[0].position, truth))
    assert widget.readout.text() != far
    apart = float(widget.readout.text().split("from the current projection ")[1].split(" mm")[0])
    assert apart < 3.0


def test_a_radiograph_that_is_not_mirrored_has_its_heatmap_the_right_way_round(
    bench, truth, viewer, qtbot
):
    session = bench.session
    plain = session.exposures.active.radiograph.flip_columns()
    session.exposures.remove(session.exposures.named("simulated").id)
    session.exposures.add(plain, name="other way", truth=truth)
    widget = RayEmbWidget(viewer)
    viewer.window.add_dock_widget(widget, name="RayEmb", area="right")
    prepare_ideally(session, truth)
    point = next(m.position for m in session.landmarks.all if m.name == "FH-l")
    widget.look_at(point)
    heatmap = looked(widget, qtbot)
    expected = pixel_of(session, point, truth)
    assert heatmap.maps.found.pixels[0].tolist() == pytest.approx(expected, abs=1.5)
    similarity = heatmap.similarity()
    rows, columns = similarity.shape
    scale = [s / n for s, n in zip((rows, columns), plain.carm.detector.shape, strict=True)]
    at = divmod(int(similarity.argmax()), columns)
    assert [(a + 0.5) / s - 0.5 for a, s in zip(at, scale, strict=True)] == pytest.approx(
        expected, abs=2.5
    )


def test_what_lies_over_the_radiograph_can_be_chosen(seen, widget, bench, qtbot):
    session, canvas = bench.session, bench.canvas
    canvas.overlay = "blend"
    widget.look_at(session.landmarks.all[2].position)
    heatmap = looked(widget, qtbot)
    heat = bench.viewer.layers["heatmap"]
    assert canvas.overlay == "radiograph"
    widget.shown.setFocus()
    qtbot.keyClick(widget.shown, Qt.Key.Key_Down)
    assert widget.shown.currentText() == "probability"
    assert heat.data.sum() == pytest.approx(1.0, abs=1e-3)
    assert (heat.data == heatmap.probability()).all()
    qtbot.keyClick(widget.shown, Qt.Key.Key_Down)
    assert not heat.visible
    assert canvas.overlay == "blend"
    qtbot.mouseClick(widget.embedding, LEFT, pos=QPoint(8, widget.embedding.height() // 2))
    assert bench.viewer.layers["RayEmb feature map"].visible


# ---------------------------------------------------------------------- the list


def test_points_are_listed_selected_removed_and_become_landmarks(seen, widget, bench, truth, qtbot):
    session, panel = bench.session, widget.points
    state = session.ray_points
    for mark in session.landmarks.all[:3]:
        widget.look_at(mark.position)
        looked(widget, qtbot)
        qtbot.mouseClick(panel.add, LEFT)
    assert state.points.names == ("point 1", "point 2", "point 3")
    assert state.points.found is not None
    values = panel.model.values
    assert values[:, ERROR - 1].max() < 4.0
    assert values[:, TO_POSE - 1].max() > 5.0
    first = panel.table.visualRect(panel.sorted.index(0, 0)).center()
    qtbot.mouseClick(panel.table.viewport(), LEFT, pos=first)
    assert state.look.position == pytest.approx(session.landmarks.all[0].position)
    assert panel.rows() == [0]

    before = len(session.landmarks.all)
    qtbot.mouseClick(panel.accept, LEFT)
    assert len(session.landmarks.all) == before + 1
    kept = session.landmarks.all[-1]
    assert kept.name == "point 1"
    assert kept.position == pytest.approx(session.landmarks.all[0].position)
    (picked,) = session.exposures.active.landmarks
    assert picked.pixel == pytest.approx(tuple(state.points.found.pixels[0].tolist()))
    assert picked.covariance[0] == pytest.approx(float(state.points.found.covariances[0, 0, 0]))
    assert picked.covariance[2] == pytest.approx(float(state.points.found.covariances[0, 1, 1]))

    panel.table.setFocus()
    qtbot.keyClick(panel.table, Qt.Key.Key_Delete)
    assert state.points.names == ("point 2", "point 3")


def test_landmarks_are_looked_at_and_listed_with_scores(widget, bench, truth, qtbot):
    session, panel = bench.session, widget.points
    menu = panel.from_landmarks.menu()
    menu.aboutToShow.emit()
    texts = [action.text() for action in menu.actions()]
    assert [m.name for m in session.landmarks.all] == texts[2:]
    menu.actions()[4].trigger()
    assert session.ray_points.look.position == session.landmarks.all[2].position
    menu.actions()[0].trigger()
    qtbot.waitUntil(lambda: session.ray_points.points.found is not None, timeout=LONG)
    points = session.ray_points.points
    assert points.names == tuple(m.name for m in session.landmarks.all)
    carm = session.exposures.active.radiograph.carm
    expected = carm.project(points.positions, truth)
    rows, columns = carm.detector.shape
    inside = ((expected > 3) & (expected < torch.tensor([rows - 4.0, columns - 4.0]))).all(1)
    error = (points.found.pixels - expected).norm(dim=1)[inside]
    assert inside.sum() > 6
    assert error.median() < 1.0


def test_six_hundred_rows_sort_by_number(widget, bench, qtbot):
    state, panel = bench.session.ray_points, widget.points
    generator = torch.Generator().manual_seed(1)
    positions = bench.session.patient.volume.center.double() + 50 * torch.randn(
        600, 3, generator=generator, dtype=torch.float64
    )
    state.set_points(PointList(tuple(f"bone {i + 1}" for i in range(600)), positions))
    qtbot.waitUntil(lambda: state.points.found is not None, timeout=LONG)
    assert panel.model.rowCount() == 600
    panel.sorted.sort(ERROR, Qt.SortOrder.AscendingOrder)
    errors = panel.model.values[:, ERROR - 1]
    shown = [panel.sorted.mapToSource(panel.sorted.index(row, 0)).row() for row in (0, 1, 300, 599)]
    ranked = errors[shown]
    assert ranked[0] == errors.min()
    assert (ranked[:-1] <= ranked[1:]).all()
    panel.sorted.sort(0, Qt.SortOrder.DescendingOrder)
    assert panel.sorted.index(0, 0).data() == "bone 600"
    header = [panel.model.headerData(c, Qt.Orientation.Horizontal) for c in range(6)]
    assert sum("(mm)" in title for title in header) == 3


# ---------------------------------------------------------------------- the pose


def test_from_correspondences_to_a_pose_that_undo_takes_back(
    seen, widget, bench, truth, qtbot, screenshot
):
    session, panel = bench.session, widget.pose
    widget.tabs.setCurrentWidget(panel)
    panel.points.setValue(400)
    panel.form["top"].value = 80
    panel.form["redraws"].value = 2
    rounds = []
    session.ray_points.points_changed.connect(lambda: rounds.append(len(session.ray_points.points)))
    qtbot.mouseClick(panel.find_button, LEFT)
    assert widget.search.finding
    qtbot.waitUntil(lambda: not widget.search.finding, timeout=LONG)
    assert len(session.ray_points.points) == 80
    assert bench.viewer.layers["RayEmb points"].data.shape == (80, 2)
    before = session.poses.current
    qtbot.mouseClick(panel.pose, LEFT)
    qtbot.waitUntil(lambda: widget.search.solved is not None, timeout=LONG)
    assert session.poses.current is before
    assert "mTRE" in panel.verdict.words
    qtbot.mouseClick(panel.accept, LEFT)
    assert truth_error_mm(session, session.exposures.active.id, session.poses.current) < 6.0
    assert session.history.records[session.history.at].why == "rayemb"
    qtbot.wait(300)
    screenshot(widget.window(), "rayemb_pose_window")
    widget.tabs.setCurrentWidget(widget.scatter)
    qtbot.wait(100)
    assert len(widget.scatter.inside.data) + len(widget.scatter.outside.data) == 80
    assert "median error" in widget.scatter.words.words
    screenshot(widget, "rayemb_scatter")
    assert session.undo() == "rayemb"
    assert session.poses.current is before

    # Another search replaces what the last one found, and nothing else.
    widget.look_at(session.landmarks.all[0].position)
    looked(widget, qtbot)
    widget.list.add()
    assert widget.search.solved is None  # the list is another one
    panel.form["top"].value = 30
    widget.tabs.setCurrentWidget(panel)
    qtbot.mouseClick(panel.find_button, LEFT)
    qtbot.waitUntil(lambda: not widget.search.finding, timeout=LONG)
    assert len(session.ray_points.points) == 31
    assert session.ray_points.points.names[0] == "point 1"


def test_pose_and_refine_hands_on_to_the_refine_widget(widget, bench, truth, qtbot, monkeypatch):
    session, panel, begun = bench.session, widget.pose, []
    monkeypatch.setattr(RefineWidget, "start", lambda self, asked: begun.append(asked))
    widget.look_at(session.landmarks.all[0].position)
    looked(widget, qtbot)
    panel.points.setValue(300)
    panel.form["top"].value = 60
    panel.form["redraws"].value = 1
    panel.find_button.click()
    qtbot.waitUntil(lambda: not widget.search.finding, timeout=LONG)
    panel.refine.click()
    qtbot.waitUntil(lambda: bool(begun), timeout=LONG)
    (choices,) = begun
    assert choices.starts == RAYEMB_STARTS
    assert choices.spread == RAYEMB_SPREAD
    assert session.history.records[session.history.at].why == "rayemb"
    assert truth_error_mm(session, session.exposures.active.id, session.poses.current) < 6.0
    # Its own pictures make room for those of the refinement.
    assert widget.shown.currentText() == "nothing"
    assert not bench.viewer.layers["heatmap"].visible
    assert not bench.viewer.layers["RayEmb points"].visible


def test_a_pose_without_consensus_offers_training(seen, widget, bench, qtbot):
    session, panel = bench.session, widget.pose
    widget.tabs.setCurrentWidget(panel)
    widget.list.add_landmarks()
    qtbot.waitUntil(lambda: session.ray_points.points.found is not None, timeout=LONG)
    # The same pixels for other points: nothing agrees.
    points = session.ray_points.points
    turned = points.rows(list(reversed(range(len(points)))))
    session.ray_points.set_points(PointList(points.names, points.positions, turned.found))
    wrong = session.ray_points.points.found
    object.__setattr__(wrong, "points", points.positions)
    qtbot.mouseClick(panel.pose, LEFT)
    qtbot.waitUntil(lambda: widget.search.solved is not None, timeout=LONG)
    assert not widget.search.solved.verdict.trusted
    assert panel.train.isVisible()
    before = session.poses.current
    qtbot.mouseClick(panel.refine, LEFT)
    qtbot.waitUntil(lambda: widget.search.solved is not None, timeout=LONG)
    qtbot.wait(50)
    assert session.poses.current is before
    assert "Refine" not in dict(bench.viewer.window.dock_widgets)


# ---------------------------------------------------------------------- templates


def test_the_templates_of_a_point_show_where_it_is(seen, widget, bench, qtbot, screenshot):
    session = bench.session
    widget.tabs.setCurrentWidget(widget.templates)
    point = session.landmarks.all[2].position
    widget.look_at(point)
    heatmap = looked(widget, qtbot)
    assert len(widget.templates.marks) == 3
    prepared = session.ray_points.prepared
    for number, mark in zip(
        heatmap.maps.templates[0].tolist(), widget.templates.marks, strict=True
    ):
        x, y = mark.getData()
        at = prepared.templates.carm.project(
            torch.tensor([point], dtype=torch.float64), prepared.templates.poses[number]
        )[0].tolist()
        assert (y[0], x[0]) == pytest.approx(at)
    qtbot.wait(100)
    screenshot(widget, "rayemb_templates")


# ---------------------------------------------------------------------- coming and going


def test_a_click_in_the_room_counts_and_the_ray_follows(widget, bench, truth, viewer, qtbot):
    from napari_xreg.widgets.room.widget import RoomWidget

    session = bench.session
    room = RoomWidget(viewer)
    viewer.window.add_dock_widget(room, name="3D view", area="left")
    point = session.landmarks.all[1].position
    room.room.point_clicked.emit(point)
    assert session.ray_points.look.position == point
    heatmap = looked(widget, qtbot)
    room.room.refresh()  # as it does by itself while it is seen
    assert room.room.layer("heatmap point").data[0].tolist() == list(reversed(point))
    ray = room.room.layer("heatmap ray").data[0]
    source, rays = session.exposures.active.radiograph.carm.rays(
        session.poses.current, heatmap.maps.found.pixels
    )
    assert ray[0].tolist() == pytest.approx(source.tolist()[::-1])
    assert ray[1].tolist() == pytest.approx(rays[0].tolist()[::-1])
    # At the true pose the ray meets the point.
    session.poses.set(truth, "there")
    room.room.refresh()
    start, way = room.room.layer("heatmap ray").data[0]
    along = way / (way @ way) ** 0.5
    off = (torch.tensor(point).flip(0).numpy() - start) @ along * along
    gap = torch.tensor(point).flip(0).numpy() - start - off
    assert float((gap @ gap) ** 0.5) < 4.0
    widget.tear_down()
    room.room.refresh()
    assert room.room.layer("heatmap ray") is None
    assert room.room.layer("heatmap point") is None
    viewer.window.remove_dock_widget(room)


def test_it_takes_its_layers_along_and_leaves_the_points(widget, bench, viewer, qtbot):
    session = bench.session
    widget.look_at(session.landmarks.all[0].position)
    looked(widget, qtbot)
    widget.list.add()
    names = {layer.name for layer in bench.viewer.layers}
    assert {"heatmap", "RayEmb peak", "RayEmb ellipse", "RayEmb points"} <= names
    callbacks = len(bench.viewer.mouse_drag_callbacks)
    viewer.window.remove_dock_widget(widget)
    assert widget.torn_down
    left = {layer.name for layer in bench.viewer.layers}
    assert not [name for name in left if name.startswith("RayEmb")]
    assert "heatmap" not in left
    assert len(bench.viewer.mouse_drag_callbacks) == callbacks - 1
    again = RayEmbWidget(viewer)
    viewer.window.add_dock_widget(again, name="RayEmb again", area="right")
    assert again.points.model.points.names == ("point 1",)
    again.points.select([0])
    again.list._select(0)
    looked(again, qtbot)


def test_layers_removed_while_an_answer_is_on_its_way_are_made_again(widget, bench, qtbot):
    session = bench.session
    widget.look_at(session.landmarks.all[0].position)
    looked(widget, qtbot)
    widget.look_at(session.landmarks.all[3].position)
    bench.viewer.layers.remove("heatmap")
    bench.viewer.layers.remove("RayEmb peak")
    looked(widget, qtbot)
    assert bench.viewer.layers["heatmap"].visible
    assert bench.viewer.layers["RayEmb peak"].data[0].tolist() == list(
        session.ray_points.look.pixel
    )


def test_a_late_answer_about_another_radiograph_is_not_shown(widget, bench, make_radiograph, qtbot):
    session = bench.session
    widget.look_at(session.landmarks.all[0].position)
    late = widget.look._lane
    other = make_radiograph(64, primary_deg=40.0, secondary_deg=3.0)
    session.exposures.add(other, name="lateral")
    assert session.ray_points.prepared is None
    assert widget.look.heatmap is None
    qtbot.wait(300)
    assert not late.busy
    assert widget.look.heatmap is None
    assert session.ray_points.look.pixel is None
    assert "heatmap" not in bench.viewer.layers or not bench.viewer.layers["heatmap"].visible
    assert "prepare again" in widget.network.status.words


def test_another_ct_clears_everything(widget, bench, patient, qtbot):
    session = bench.session
    widget.look_at(session.landmarks.all[0].position)
    looked(widget, qtbot)
    widget.list.add()
    panel = widget.pose
    widget.tabs.setCurrentWidget(panel)
    panel.points.setValue(300)
    panel.form["top"].value = 60
    panel.form["redraws"].value = 50
    qtbot.mouseClick(panel.find_button, LEFT)
    session.patient.set_volume(patient.volume.downsample(2))  # in the middle of the search
    assert not widget.search.finding
    assert session.ray_points.prepared is None
    assert len(session.ray_points.points) == 0
    assert not bench.viewer.layers["RayEmb peak"].visible
    assert "CT changed" in widget.network.status.words
    qtbot.wait(200)
    assert len(session.ray_points.points) == 0
    assert widget.slices.grid.volume is session.patient.volume


def test_two_viewers_do_not_mix(widget, bench, make_napari_viewer_proxy, qtbot):
    other = make_napari_viewer_proxy()
    second = RayEmbWidget(other)
    other.window.add_dock_widget(second, name="RayEmb", area="right")
    widget.look_at(bench.session.landmarks.all[0].position)
    looked(widget, qtbot)
    assert second.look.heatmap is None
    assert len(other.layers) == 0
    assert second.workbench.session.ray_points.look is None
    second.workbench.close()


def test_closing_the_viewer_while_it_works_is_quiet(bench, truth, viewer, qtbot):
    widget = RayEmbWidget(viewer)
    viewer.window.add_dock_widget(widget, name="RayEmb", area="right")
    prepare_ideally(bench.session, truth)
    widget.tabs.setCurrentWidget(widget.pose)
    widget.pose.form["redraws"].value = 50
    qtbot.mouseClick(widget.pose.find_button, LEFT)
    widget.look_at(bench.session.landmarks.all[0].position)
    bench.close()
    assert widget.torn_down
    QApplication.processEvents()


def test_it_says_what_is_missing(empty_bench, viewer, notified, qtbot):
    widget = RayEmbWidget(viewer)
    viewer.window.add_dock_widget(widget, name="RayEmb", area="right")
    assert not widget.network.prepare.isEnabled()
    assert "Load a CT" in widget.network.status.words
    widget.prepare()
    assert "needs a CT" in notified[-1]
    widget.look_at((1.0, 2.0, 3.0))
    assert "Prepare" in widget.readout.text()
    widget.list.accept([])
    assert "once they were found" in notified[-1]
    empty_bench.session.landmarks.set([Landmark("a", (1.0, 2.0, 3.0))])
    widget.list.add_landmarks()
    assert len(empty_bench.session.ray_points.points) == 1
    assert not widget.pose.pose.isEnabled()
