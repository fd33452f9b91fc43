"""The Bones widget, driven as a person would: tick, register, look at each bone, take its pose, save."""

import csv
import dataclasses
import json
import time

import numpy as np
import pytest
import torch
from moved_bar import CARM, MOVED, ORIGIN, SIZE, patient, radiographs, world_from_index
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget
from superqt import QCollapsible

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import LabelMap, Radiograph, Volume, lac_from_hu
from napari_xreg.progress import run
from napari_xreg.registration import (
    BodiesRegistration,
    BodyIterate,
    Iterate,
    Registration,
    Status,
    likelihood_of,
)
from napari_xreg.session import rotate_exposure, saving
from napari_xreg.widgets import BonesWidget, PoseWidget, RefineWidget
from napari_xreg.widgets.bones import drawn, widget as module
from napari_xreg.widgets.docks.opening import dock_of, opened
from napari_xreg.widgets.parts.collapsible import Collapsible
from napari_xreg.widgets.refine.results import ResultsPanel
from napari_xreg.workflows import BodiesRequest, SessionBones, register_bones

LONG = 240_000
LEFT = Qt.MouseButton.LeftButton
BAR, REST = "femur right (bone)", "patient (rest of the CT)"
MOVED_MM = np.multiply(MOVED, SIZE)


def full_session(session):
    hu, ids = patient()
    session.patient.set_volume(Volume(lac_from_hu(hu), world_from_index(), hu=hu))
    names = {25: "sacrum", 76: "femur_right"}
    labels = LabelMap(ids, world_from_index(), names)
    labels.present()
    session.patient.set_labels(labels)
    for name, radiograph in radiographs().items():
        session.exposures.add(radiograph, name=name)
    session.exposures.activate(session.exposures.named("a").id)


@pytest.fixture
def widget(viewer):
    made = BonesWidget(viewer)
    viewer.window.add_dock_widget(made, name="Bones", area="right")
    full_session(made.workbench.session)
    yield made
    made.workbench.close()


def tick(widget, *names):
    items = widget.controls.structures._items()
    for item in items:
        if item.text() in names:
            item.setCheckState(Qt.CheckState.Checked)


def registered(widget, qtbot):
    qtbot.mouseClick(widget.controls.go, LEFT)
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    qtbot.waitUntil(lambda: not widget.on_canvas.busy, timeout=LONG)


def layer(widget, title):
    return widget.workbench.viewer.layers[title]


def titles(widget):
    return [each.name for each in widget.workbench.viewer.layers]


def cell(widget, row, column):
    return widget.controls.table.item(row, column)


# ------------------------------------------------------------------ for real


@pytest.mark.slow
def test_a_bone_is_registered_looked_at_taken_and_saved(widget, qtbot, tmp_path, screenshot):
    session = widget.workbench.session
    a = session.exposures.active
    session.exposures.replace(dataclasses.replace(a, truth=a.world_from_camera))
    assert not widget.controls.go.isEnabled()
    tick(widget, "femur right")
    widget.controls.settings["starts"].value = 1
    registered(widget, qtbot)
    found = widget.result.found
    assert found.names == ("patient", "femur_right")
    # The bar went 5, 3 and -3.5 mm without a turn.
    assert float(cell(widget, 1, 2).text().rstrip("°")) < 1.0
    assert float(cell(widget, 1, 3).text().split()[0]) == pytest.approx(
        np.linalg.norm(MOVED_MM), abs=0.5
    )
    assert cell(widget, 1, 1).text() == likelihood_of(found["femur_right"]).short
    assert (
        cell(widget, 1, 1).foreground().color().name()
        == likelihood_of(found["femur_right"]).color.lower()
    )
    assert "±" in widget.controls.moved.words
    assert [result.name for result in session.results.all] == ["patient 1", "femur right 1"]
    assert session.unsaved
    screenshot(widget, "bones", 380)

    # Refine lists them too, and shows how each was found.
    refine = opened(widget.workbench.viewer, RefineWidget, "Refine")
    refine.results.select(session.results.all[1].id)
    assert len(refine.iterations.losses.iterates) == len(found.trajectory)
    assert "loss" in refine.iterations.readout.words
    assert "mTRE" not in refine.iterations.readout.words  # the truth is that of the whole CT
    assert refine.results.table.item(1, 0).text() == "femur right 1"

    before = {entry.id: entry.world_from_camera for entry in session.exposures.all}
    qtbot.mouseClick(widget.controls.accept, LEFT)
    for id, pose in widget.result.poses_of("femur_right").items():
        now = session.exposures[id].world_from_camera
        assert torch.allclose(now.matrix(), pose.to(dtype=torch.float64).matrix())
    session.undo()
    assert all(session.exposures[id].world_from_camera is pose for id, pose in before.items())

    file = tmp_path / "work.xreg.json"
    run(saving(file, session))
    (kept,) = (
        each for each in json.loads(file.read_text())["results"] if each["name"] == "femur right 1"
    )
    assert kept["settings"] == {"kind": "bones", "starts": 1, "bone": "femur_right"}

    widget.save(tmp_path / "o")
    qtbot.waitUntil(lambda: not widget.workbench.jobs.running, timeout=LONG)
    (row,) = csv.DictReader((tmp_path / "o" / "between.csv").read_text().splitlines()[1:])
    assert (row["one"], row["other"]) == ("patient", "femur_right")
    between, _ = found.between("patient", "femur_right")
    written = [[float(row[f"m{i}{j}"]) for j in range(4)] for i in range(3)]
    np.testing.assert_allclose(written, between.matrix()[:3], atol=1e-6)
    for name in found.names:
        files = {file.name for file in (tmp_path / "o" / name).iterdir()}
        assert {"result.json", "overlay-2.png", "report.html", "radiograph.npz"} <= files


# ------------------------------------------------------------------ with a registration that knows


@pytest.fixture
def known(monkeypatch):
    """A registration that has the right answer at once; what it was asked, and what it waits for."""
    asked = []

    def knows(request, *, control=None):
        asked.append(request)
        steps = register_bones(request, control=control)
        cut = next(steps)
        assert isinstance(cut, BodiesRequest)
        yield cut
        start = request.views[0].world_from_camera
        yield BodyIterate(cut.bodies[-1].name, Iterate(0, 0, 0, start, {"loss": 0.5}))
        back = Pose(torch.eye(3).double(), -torch.tensor(MOVED_MM))
        bodies = []
        for body in cut.bodies:
            poses = tuple(
                pose if body.rest else back @ pose.to(dtype=torch.float64)
                for pose in body.world_from_camera
            )
            bodies.append(
                Registration(
                    poses[0], Status.CONVERGED, {"loss": 0.25}, (), body.pivot, None, poses,
                    probability=0.97 if body.rest else 0.4, simulated=True,
                    notes=("Not trusted: 40 % likely, as told.",),
                )
            )  # fmt: skip
        names = tuple(body.name for body in cut.bodies)
        return SessionBones(request, cut, BodiesRegistration(names, tuple(bodies)))

    monkeypatch.setattr(module, "register_bones", knows)
    return asked


def lit_middle(layer):
    """Middle of the box about a picture on the detector, (row, column) in mm from the centre of its first pixel."""
    lit = np.argwhere(np.asarray(layer.data) > 0.02)
    return middle_of_box(lit) * layer.scale + layer.translate


def middle_of_box(places):
    return (places.min(0) + places.max(0)) / 2


def test_each_bone_is_drawn_where_it_is_in_the_radiograph_that_is_shown(widget, known, qtbot):
    session = widget.workbench.session
    tick(widget, "femur right")
    looked = []
    widget.workbench.preview.looked.connect(looked.append)
    registered(widget, qtbot)
    assert looked == [False]  # by which Refine takes its iterations off the canvas
    assert titles(widget)[-2:] == [BAR, REST]
    assert widget.workbench.canvas.overlay == "radiograph"
    _, ids = patient()
    places = torch.nonzero(ids == 76).flip(1).double() * torch.tensor(SIZE) + torch.tensor(ORIGIN)
    now = places + torch.tensor(MOVED_MM)
    spacing = np.array(CARM.detector.spacing)
    for name in ("a", "b"):
        entry = session.exposures.named(name)
        session.exposures.activate(entry.id)
        qtbot.waitUntil(lambda: not widget.on_canvas.busy, timeout=LONG)
        seen, still = (
            middle_of_box(CARM.project(those, entry.world_from_camera).numpy()) * spacing
            for those in (now, places)
        )
        assert np.linalg.norm(seen - still) > 4.0
        # Pixels of 2.4 and 2 mm.
        assert np.abs(lit_middle(layer(widget, BAR)) - seen).max() < 1.3
    assert layer(widget, BAR).colormap.colors[-1][:3] == pytest.approx(
        np.array([0x56, 0xB4, 0xE9]) / 255, abs=1e-3
    )


def test_bones_of_one_radiograph_never_lie_over_another(widget, known, qtbot, monkeypatch):
    """Not even where their pictures in the other cannot be drawn."""
    session = widget.workbench.session
    tick(widget, "femur right")
    registered(widget, qtbot)
    assert layer(widget, BAR).visible

    def fails(_):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as broken:
        broken.setattr(drawn._Asked, "answer", fails)
        session.exposures.activate(session.exposures.named("b").id)
        assert not layer(widget, BAR).visible
        qtbot.waitUntil(lambda: not widget.on_canvas.busy, timeout=LONG)
    assert not layer(widget, BAR).visible
    session.exposures.activate(session.exposures.named("a").id)
    qtbot.waitUntil(lambda: not widget.on_canvas.busy, timeout=LONG)
    assert layer(widget, BAR).visible


def test_the_table_says_what_was_found_and_switches_layers(widget, known, qtbot):
    controls = widget.controls
    tick(widget, "femur right")
    assert "a and b" in controls.start_words.words
    registered(widget, qtbot)
    table = controls.table
    assert [cell(widget, row, 0).text() for row in (0, 1)] == ["patient", "femur right"]
    assert [cell(widget, 1, column).text() for column in (1, 2, 3)] == [
        "not trusted, 40 %", "0.0°", f"{np.linalg.norm(MOVED_MM):.1f} mm",
    ]  # fmt: skip
    # Why, in the words of the result, in lines of some length.
    assert (
        "The optimiser converged. Not trusted: 40 % likely, as told."
        in cell(widget, 1, 1).toolTip()
    )
    assert "40 % likely" in controls.verdict.words
    assert "shifted by 6.8 mm" in controls.moved.words
    table.selectRow(0)
    assert "97 % likely" in controls.verdict.words
    assert controls.moved.words == ""
    # Tick and eye are one.
    cell(widget, 1, 0).setCheckState(Qt.CheckState.Unchecked)
    assert not layer(widget, BAR).visible
    assert layer(widget, REST).visible
    layer(widget, BAR).visible = True
    assert cell(widget, 1, 0).checkState() == Qt.CheckState.Checked
    # In a radiograph that was not used they are not drawn, and come back as they were.
    session = widget.workbench.session
    layer(widget, REST).visible = False
    third = session.exposures.add(radiographs()["a"], name="third")
    session.exposures.activate(third)
    assert not layer(widget, BAR).visible
    assert cell(widget, 1, 0).checkState() == Qt.CheckState.Checked
    session.exposures.activate(session.exposures.named("b").id)
    qtbot.waitUntil(lambda: not widget.on_canvas.busy, timeout=LONG)
    assert layer(widget, BAR).visible
    assert not layer(widget, REST).visible


def test_the_pose_of_a_bone_becomes_the_current_one(widget, known, qtbot):
    session = widget.workbench.session
    tick(widget, "femur right")
    before = session.poses.current
    registered(widget, qtbot)
    for discarded in (False, True):
        if discarded:
            for result in session.results.all:
                session.results.discard(result.id)
        qtbot.mouseClick(widget.controls.accept, LEFT)
        moved = before.matrix() - session.poses.current.matrix()
        np.testing.assert_allclose(moved[:3, 3], MOVED_MM, atol=1e-9)
        assert widget.workbench.canvas.overlay == "blend"
        assert "femur right" in session.history.undoes
        session.undo()
        assert session.poses.current is before


def test_a_bone_is_not_judged_as_if_it_were_the_whole_ct(widget, known, qtbot):
    """Where the truth of the radiograph is known, and beside a result that is of the whole CT."""
    bench, session = widget.workbench, widget.workbench.session
    a = session.exposures.active
    session.exposures.replace(dataclasses.replace(a, truth=a.world_from_camera))
    whole = Registration(
        a.world_from_camera, Status.CONVERGED, {"loss": 0.5}, (), session.patient.volume.center,
        simulated=True,
    )  # fmt: skip
    session.results.add(whole, [a.id], {})
    tick(widget, "femur right")
    registered(widget, qtbot)
    panel = ResultsPanel(session)
    qtbot.addWidget(panel)
    qtbot.waitUntil(lambda: panel.table.item(0, 2).text() not in "…–", timeout=LONG)
    cells = [[panel.table.item(row, column).text() for column in (0, 2, 3)] for row in range(3)]
    assert cells[0][2] == "0.00 mm"
    assert cells[1:] == [["patient 1", "–", "–"], ["femur right 1", "–", "–"]]
    for id in (result.id for result in session.results.all[1:]):
        panel.select(id)
        assert not panel.export.isEnabled()
    panel.matches.close()
    # The newest result that Alt+N shows is of the whole CT.
    pose = opened(bench.viewer, PoseWidget, "Pose")
    said = []
    for _ in range(3):
        pose.compare()
        said.append(bench.viewer.status)
    assert said == ["Shown: start", "Shown: result 1", "Shown: current pose"]


def test_another_ct_or_radiographs_that_are_gone_take_the_bones_along(widget, known, qtbot):
    session, controls = widget.workbench.session, widget.controls
    tick(widget, "femur right")
    registered(widget, qtbot)
    first = widget.result
    session.exposures.remove(session.exposures.named("b").id)
    assert controls.words.words.startswith("Hidden: a radiograph was removed. Undo")
    assert widget.result is None
    assert not controls.table.isVisibleTo(widget)
    assert not {BAR, REST} & set(titles(widget))
    assert widget.workbench.canvas.overlay == "blend"
    assert module.ONE_VIEW in controls.start_words.words
    registered(widget, qtbot)
    assert list(known[-1].ids) == [session.exposures.named("a").id]
    alone = session.exposures.active
    second = widget.result
    session.exposures.replace_image(alone.id, alone.radiograph.crop(2, 3, 80, 90))
    assert widget.result is None
    # Undo brings back what they were found in, and the bones with it.
    assert first is not second
    session.undo()
    assert widget.result is second
    assert controls.table.isVisibleTo(widget)
    assert controls.words.words.startswith("2 of 2 trusted.")
    qtbot.waitUntil(lambda: not widget.on_canvas.busy, timeout=LONG)
    assert {BAR, REST} <= set(titles(widget))
    qtbot.mouseClick(controls.accept, LEFT)
    assert session.history.undoes == "femur right 1 accepted"
    session.exposures.replace_image(alone.id, alone.radiograph.crop(2, 3, 80, 90))
    registered(widget, qtbot)
    session.patient.set_volume(None)
    assert widget.result is None
    assert not {BAR, REST} & set(titles(widget))
    assert not controls.go.isEnabled()
    assert "label map" in controls.without.words


def test_bones_go_when_a_square_picture_is_turned(widget, known, qtbot):
    """Its C-arm is then the same as before, and the pose is not."""
    session = widget.workbench.session
    for entry in session.exposures.all:
        session.exposures.remove(entry.id)
    square = CArm(1020.0, 740.0, Detector((96, 96), (2.4, 2.4), (47.5, 47.5)))
    image = torch.rand(96, 96, generator=torch.Generator().manual_seed(3))
    session.exposures.add(Radiograph(image, square), name="c")
    tick(widget, "femur right")
    registered(widget, qtbot)
    found = widget.result
    session.exposures.replace(rotate_exposure(session.exposures.active, 1))
    assert session.exposures.active.radiograph.carm == square
    assert widget.result is None
    assert not {BAR, REST} & set(titles(widget))
    session.undo()
    assert widget.result is found


def test_what_runs_is_stopped_when_its_radiograph_changes_and_that_is_said(
    widget, known, qtbot, monkeypatch
):
    """What was found before it, in the other radiograph alone, is there again."""
    session = widget.workbench.session
    b = session.exposures.named("b")
    session.exposures.set_used(b.id, False)
    tick(widget, "femur right")
    registered(widget, qtbot)
    before = widget.result
    session.exposures.set_used(b.id, True)

    def waits(request, *, control=None):
        steps = register_bones(request, control=control)
        yield next(steps)
        yield BodyIterate(
            "femur_right", Iterate(4, 0, 0, request.views[0].world_from_camera, {"loss": 0.5})
        )
        while not control.cancelled:
            time.sleep(0.01)

    monkeypatch.setattr(module, "register_bones", waits)
    qtbot.mouseClick(widget.controls.go, LEFT)
    assert widget.result is None
    said = widget.controls.words
    qtbot.waitUntil(
        lambda: said.words == "Registering femur right (2 of 2), iteration 4", timeout=LONG
    )
    session.exposures.replace_image(b.id, b.radiograph.crop(2, 3, 80, 90))
    assert not widget.running
    assert said.words == "Stopped: b was changed."
    assert widget.result is before


def test_undo_of_the_bones_leaves_the_c_arm_where_it_was_moved(widget, known, qtbot):
    session = widget.workbench.session
    tick(widget, "femur right")
    moved = Pose(torch.eye(3).double(), torch.tensor([0.0, 3.0, 0.0]).double())
    there = moved @ session.poses.current
    session.poses.move(there)  # as by a drag
    registered(widget, qtbot)
    session.undo()
    assert session.results.all == ()
    assert session.poses.current is there


def test_layers_go_with_the_widget_and_results_stay(widget, known, qtbot):
    bench = widget.workbench
    tick(widget, "femur right", "sacrum")
    registered(widget, qtbot)
    assert len(bench.session.results.all) == 3
    bench.viewer.window.remove_dock_widget(dock_of(widget))
    assert widget.torn_down
    assert not [title for title in titles(widget) if "bone" in title or "rest" in title]
    assert bench.canvas.overlay == "blend"
    assert len(bench.session.results.all) == 3
    bench.session.undo()
    assert bench.session.results.all == ()


def test_structures_are_joined_into_one_bone_and_taken_apart(widget, known, qtbot):
    choice = widget.controls.choice
    tick(widget, "femur right")
    assert not choice.join_button.isEnabled()
    tick(widget, "sacrum")
    qtbot.mouseClick(choice.join_button, LEFT)
    assert choice.words.words == "Bones: sacrum + femur right."
    registered(widget, qtbot)
    assert known[-1].bones == {"sacrum,femur_right": (25, 76)}
    assert cell(widget, 1, 0).text() == "sacrum + femur right"
    assert "sacrum + femur right (bone)" in titles(widget)
    (item,) = (each for each in choice.structures._items() if each.text() == "sacrum")
    item.setCheckState(Qt.CheckState.Unchecked)
    assert choice.groups == ((76,),)
    assert not choice.part_button.isEnabled()
    tick(widget, "sacrum")
    assert choice.groups == ((25,), (76,))
    qtbot.mouseClick(choice.join_button, LEFT)
    qtbot.mouseClick(choice.part_button, LEFT)
    assert choice.groups == ((25,), (76,))
    assert choice.words.words == ""


def test_settings_open_under_an_arrow_of_the_theme(widget):
    (opens,) = widget.controls.findChildren(QCollapsible)
    assert isinstance(opens, Collapsible)  # superqt's own arrow is black in every theme
    assert widget.controls.settings in opens.findChildren(QWidget)


def test_what_cannot_be_registered_is_said(widget, qtbot, monkeypatch):
    tick(widget, "femur right")

    def refuses(request, *, control=None):
        yield from ()
        raise RuntimeError("out of everything")

    monkeypatch.setattr(module, "register_bones", refuses)
    qtbot.mouseClick(widget.controls.go, LEFT)
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    assert "out of everything" in widget._kept_words.words
    assert widget.controls.go.text() == "Register bones"
    assert widget.result is None


@pytest.mark.slow
def test_cancelled_it_keeps_the_best_so_far(widget, qtbot):
    tick(widget, "femur right")
    qtbot.mouseClick(widget.controls.go, LEFT)
    qtbot.waitUntil(lambda: widget.on_canvas.layers is not None, timeout=LONG)
    qtbot.mouseClick(widget.controls.go, LEFT)
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    assert widget.controls.words.words.startswith("Cancelled: this is the best so far.")
    assert widget.result.found["femur_right"].status is Status.CANCELLED
    assert cell(widget, 1, 1).text() == "not judged"


@pytest.mark.slow
def test_closed_while_it_runs_the_best_so_far_is_kept(widget, qtbot):
    bench = widget.workbench
    tick(widget, "femur right")
    qtbot.mouseClick(widget.controls.go, LEFT)
    qtbot.waitUntil(lambda: widget.on_canvas.layers is not None, timeout=LONG)
    bench.viewer.window.remove_dock_widget(dock_of(widget))
    assert not {BAR, REST} & set(titles(widget))
    qtbot.waitUntil(lambda: not bench.jobs.running, timeout=LONG)
    assert [each.registration.status for each in bench.session.results.all] == [
        Status.CANCELLED
    ] * 2
