"""The Data widget, driven as a person would."""

import warnings
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QFileDialog, QScrollArea

from napari_xreg.geometry import Pose
from napari_xreg.images import Landmark, write_landmarks, write_radiograph
from napari_xreg.images.known_geometry.sidecar import given_geometry, write_geometry
from napari_xreg.registration import Registration, Status
from napari_xreg.session import Session, Source, read_session, sample_case, write_session
from napari_xreg.simulation import phantom
from napari_xreg.viewer.files.readers import read_session_layers
from napari_xreg.viewer.files.writers import LayerRefused, write_session_layers
from napari_xreg.viewer.layer_data import (
    Carried,
    labels_layer,
    landmarks_layer,
    radiograph_layer,
    volume_layer,
)
from napari_xreg.widgets.data import reading
from napari_xreg.widgets.data.questions import (
    MeaningOfValues,
    MissingGeometry,
    OneOf,
    SimulationQuestion,
)
from napari_xreg.widgets.data.radiographs_group import removal_words
from napari_xreg.widgets.data.widget import DataWidget
from napari_xreg.workflows import SampleData, available_samples, file_kind


@pytest.fixture
def empty(empty_bench):
    """In the dock of a viewer that shows nothing."""
    widget = DataWidget(empty_bench.viewer)
    empty_bench.viewer.window.add_dock_widget(widget, name="Data")
    return widget


@pytest.fixture
def widget(bench):
    """In the dock of the bench's viewer: phantom, landmarks and one radiograph are loaded."""
    docked = DataWidget(bench.viewer)
    bench.viewer.window.add_dock_widget(docked, name="Data")
    return docked


@pytest.fixture
def said(monkeypatch):
    """What the user was told."""
    sentences = []
    for place in ("data.taking", "data.widget", "jobs.telling", "saving.closing"):
        for name in ("show_error", "show_warning", "show_info"):
            path = f"napari_xreg.widgets.{place}.{name}"
            monkeypatch.setattr(path, sentences.append, raising=False)
    return sentences


@pytest.fixture
def loaded(qtbot):
    """A function that waits until nothing is being read."""

    def wait(widget, timeout=30_000):
        qtbot.waitUntil(lambda: not widget.queue.at_work, timeout=timeout)

    return wait


def click(qtbot, button):
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def answer(qtbot, widget, kind):
    """The dialog that is open, once it is."""
    qtbot.waitUntil(lambda: isinstance(widget.question, kind), timeout=20_000)
    return widget.question


@pytest.fixture
def ct_file(tmp_path, patient):
    """The phantom as NIfTI (RAS, as nibabel writes it)."""
    import nibabel

    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ patient.volume.world_from_index.numpy()
    path = tmp_path / "pelvis_ct.nii.gz"
    data = patient.volume.hu.numpy().transpose(2, 1, 0).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(data, affine), path)
    labels = patient.labels.ids.numpy().transpose(2, 1, 0).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(labels, affine), tmp_path / "pelvis_labels.nii.gz")
    return path


# ---------------------------------------------------------------------- files


def test_a_ct_and_its_labels_from_files(empty, ct_file, loaded, patient):
    empty.load(ct_file, "ct")
    assert empty.progress.isVisibleTo(empty)
    empty.load(ct_file.with_name("pelvis_labels.nii.gz"), "labels")
    loaded(empty)
    session = empty.workbench.session
    assert session.patient.volume.shape == patient.volume.shape
    torch.testing.assert_close(
        session.patient.volume.world_from_index.double(), patient.volume.world_from_index
    )
    words = empty.patient.ct_words.words
    x, y, z = reversed(patient.volume.shape)
    assert f"pelvis_ct.nii.gz: {x} × {y} × {z} voxels (x, y, z) of 6 mm" in words
    assert "HU" in words
    assert session.patient.volume_source.sha256
    assert "structures" in empty.patient.label_words.words
    assert not empty.progress.isVisibleTo(empty)


@pytest.mark.parametrize("chosen", [False, True])
def test_files_that_come_together_are_each_read_once(
    empty, ct_file, loaded, qtbot, monkeypatch, chosen
):
    read = []
    read_ct = reading.read_ct

    def counted(source):
        read.append(source.path)
        return read_ct(source)

    monkeypatch.setattr(reading, "read_ct", counted)
    twice = [str(ct_file), str(ct_file)]
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: (twice, ""))
    if chosen:
        empty.patient.file_wanted.emit()
    else:
        monkeypatch.setattr(reading, "file_kind", lambda _: "ct")
        drop(empty, *twice)
    qtbot.waitUntil(lambda: read != [], timeout=20_000)
    loaded(empty)
    assert read == [str(ct_file)]
    assert empty.workbench.session.patient.volume_source.path == str(ct_file)


def drop(widget, *paths):
    """What Qt sends when files are dropped."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    none, left = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.LeftButton
    copy = Qt.DropAction.CopyAction
    with warnings.catch_warnings():
        # PySide6 6.12 deprecates the only way to make one that older bindings know.
        warnings.simplefilter("ignore", DeprecationWarning)
        entering = QDragEnterEvent(QPoint(20, 20), copy, data, left, none)
    widget.dragEnterEvent(entering)
    assert entering.isAccepted()
    widget.dropEvent(QDropEvent(QPointF(20, 20), copy, data, left, none))


def test_a_dropped_grid_is_asked_about_and_loaded(empty, ct_file, qtbot, loaded):
    drop(empty, ct_file)
    question = answer(qtbot, empty, OneOf)
    assert [question.choice.itemText(i) for i in range(2)] == ["CT", "Label map"]
    click(qtbot, question.ok)
    loaded(empty)
    assert empty.workbench.session.patient.volume is not None
    drop(empty, ct_file.with_name("pelvis_labels.nii.gz"))
    question = answer(qtbot, empty, OneOf)
    qtbot.keyClicks(question.choice, "L")
    click(qtbot, question.ok)
    loaded(empty)
    assert empty.workbench.session.patient.labels.names


def test_a_ct_in_an_unknown_unit_is_asked_about_and_the_choice_is_kept(
    empty, tmp_path, qtbot, loaded, said
):
    values = np.zeros((9, 8, 7), np.int16)
    values[2:7, 2:6, 1:6] = 1800
    image = nibabel.Nifti1Image(values, np.diag([2.0, 3.0, 4.0, 1.0]))
    nibabel.save(image, tmp_path / "angio.nii")
    empty.load(str(tmp_path / "angio.nii"), "ct")
    question = answer(qtbot, empty, MeaningOfValues)
    assert not question.ok.isEnabled()
    assert not question.air.isEnabled()
    assert (question.air.value(), question.material.value()) == (0, 1800)
    question.meaning.setCurrentIndex(2)
    question.material.setValue(0)
    assert not question.ok.isEnabled()
    question.material.setValue(2500)
    click(qtbot, question.ok)
    loaded(empty)
    session = empty.workbench.session
    assert session.patient.volume_source.options == {"values": "linear 0 2500"}
    # Cortical bone at 70 keV, 0.04937 per mm, times 1800 of 2500.
    assert float(session.patient.volume.lac.max()) == pytest.approx(0.04937 * 0.72, rel=2e-3)
    assert any("0 is air, 2500 is bone" in sentence for sentence in said)
    assert "read as linear: 0 is air, 2500 is bone" in empty.patient.ct_words.words


def test_dropped_radiograph_and_landmarks(widget, tmp_path, loaded, radiograph):
    xray, marks = tmp_path / "lateral.npz", tmp_path / "points.fcsv"
    write_radiograph(xray, radiograph)
    write_landmarks(marks, [Landmark("new one", (1.5, -2.5, 640.0))])
    drop(widget, marks, xray)
    loaded(widget)
    session = widget.workbench.session
    assert session.exposures.active.name == "lateral"
    assert session.exposures.active.source.path == str(xray)
    names = [mark.name for mark in session.landmarks.all]
    assert names[-1] == "new one"
    assert len(names) == 15  # the fourteen that were there stay


def test_a_failure_is_one_sentence_and_loses_nothing(widget, tmp_path, loaded, said):
    before = widget.workbench.session.patient.volume
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no nifti")
    widget.load(broken, "ct")
    widget.load(tmp_path / "absent.dcm", "radiograph")
    drop(widget, tmp_path)
    loaded(widget)
    assert widget.workbench.session.patient.volume is before
    assert len(said) == 3
    assert "broken.nii.gz" in said[0]
    assert "absent.dcm" in said[1]
    assert not any("\n" in sentence for sentence in said)


def test_cancel_drops_the_answer(widget, ct_file, qtbot):
    session = widget.workbench.session
    before = session.patient.volume
    widget.load(ct_file, "ct")
    widget.load(ct_file, "ct")
    click(qtbot, widget.progress.cancel)
    assert not widget.queue.busy
    assert not widget.progress.isVisibleTo(widget)
    qtbot.waitUntil(lambda: not widget.workbench.jobs.running, timeout=20_000)
    assert session.patient.volume is before


# ---------------------------------------------------------------------- geometry that is missing


@pytest.fixture
def picture(tmp_path, radiograph):
    """A TIFF without a sidecar."""
    path = tmp_path / "scan.tif"
    write_radiograph(path, radiograph)
    (tmp_path / "scan.tif.json").unlink()
    return path


def test_missing_geometry_is_asked_for_by_name(widget, picture, qtbot, loaded, radiograph):
    drop(widget, picture)
    question = answer(qtbot, widget, MissingGeometry)
    assert not question.ok.isEnabled()
    for phrase in ("what the values are", "source to detector (mm)", "pixel spacing (mm)"):
        assert phrase in question.problem.words
    question.meaning.setCurrentIndex(3)
    given = {
        "source_to_detector": ("1020",),
        "source_to_isocenter": ("750",),
        "pixel_spacing": ("3.4375", "3.4375"),
    }
    for name, texts in given.items():
        for box, text in zip(question.form.fields[name].boxes, texts, strict=True):
            assert not question.ok.isEnabled()
            box.setFocus()
            qtbot.keyClicks(box, text)  # judged as it is typed: no Tab, no focus needed
    assert question.problem.words == ""
    click(qtbot, question.ok)
    loaded(widget)
    added = widget.workbench.session.exposures.active
    assert added.name == "scan"
    assert added.radiograph.carm.source_to_detector == 1020.0
    assert added.radiograph.geometry.provenance["pixel_spacing"] == "given by hand"
    assert added.source.options["geometry"]["source_to_detector_mm"] == 1020.0
    assert any("principal point was not given" in note for note in added.radiograph.notes)


def test_cancelling_the_question_loads_nothing(widget, picture, qtbot):
    widget.load(picture)
    question = answer(qtbot, widget, MissingGeometry)
    qtbot.keyClick(question, Qt.Key.Key_Escape)
    assert widget.question is None
    assert len(widget.workbench.session.exposures.all) == 1


def test_frames_are_chosen(widget, tmp_path, qtbot, loaded, radiograph):
    path = tmp_path / "run.npy"
    image = radiograph.line_integrals.numpy()
    np.save(path, np.stack([image, 2 * image, 3 * image]))
    rows, columns = image.shape
    record = given_geometry(
        source_to_detector=1020.0, source_to_isocenter=750.0, pixel_spacing=(3.4, 3.4)
    )
    write_geometry(tmp_path / "run.npy.json", record)
    widget.load(path, "radiograph", read_as="line_integral")
    question = answer(qtbot, widget, OneOf)
    assert question.choice.count() == 5
    question.choice.setCurrentText("frame 2")
    click(qtbot, question.ok)
    loaded(widget)
    found = widget.workbench.session.exposures.active.radiograph
    assert found.carm.detector.shape == (rows, columns)
    torch.testing.assert_close(found.line_integrals, 2 * radiograph.line_integrals)


def test_a_mask_frame_is_chosen_and_the_frame_it_is_taken_from(
    widget, tmp_path, qtbot, loaded, radiograph
):
    path = tmp_path / "run.npy"
    image = radiograph.line_integrals.numpy()
    np.save(path, np.stack([image, 1.5 * image, 4 * image]))
    record = given_geometry(
        source_to_detector=1020.0, source_to_isocenter=750.0, pixel_spacing=(3.4, 3.4)
    )
    write_geometry(tmp_path / "run.npy.json", record)
    widget.load(path, "radiograph", read_as="line_integral")
    first = answer(qtbot, widget, OneOf)
    first.choice.setCurrentIndex(1)
    click(qtbot, first.ok)
    qtbot.waitUntil(lambda: widget.question not in (None, first), timeout=20_000)
    before = widget.question
    assert before.choice.itemText(0) == "the one that the file names, else the first"
    before.choice.setCurrentText("frame 2")
    click(qtbot, before.ok)
    qtbot.waitUntil(lambda: widget.question not in (None, before), timeout=20_000)
    contrast = widget.question
    assert [contrast.choice.itemText(i) for i in range(contrast.choice.count())] == [
        "frame 1",
        "frame 3",
    ]
    contrast.choice.setCurrentText("frame 3")
    click(qtbot, contrast.ok)
    loaded(widget)
    entry = widget.workbench.session.exposures.active
    torch.testing.assert_close(entry.radiograph.line_integrals, 2.5 * radiograph.line_integrals)
    assert entry.radiograph.subtracted
    assert entry.source.options["mask_frame"] == 2


# ---------------------------------------------------------------------- samples and simulation


def test_the_sample_menu_loads_a_patient(empty, qtbot, loaded, monkeypatch, patient):
    menu = empty.sample_button.menu()
    menu.aboutToShow.emit()
    titles = [action.text() for action in menu.actions()]
    assert titles[: len(available_samples())] == [s.title for s in available_samples()]
    assert all(action.toolTip() for action in menu.actions())
    monkeypatch.setattr("napari_xreg.workflows.opening.samples.phantom", lambda **_: patient)
    (action,) = [a for a in menu.actions() if "landmarks" in a.text()]
    action.trigger()
    loaded(empty)
    session = empty.workbench.session
    assert session.patient.volume is patient.volume
    assert len(session.landmarks.all) == 14
    assert "no patient" in empty.patient.ct_words.words


def test_simulate_a_radiograph(widget, qtbot, loaded):
    click(qtbot, widget.radiographs.simulate_button)
    question = answer(qtbot, widget, SimulationQuestion)
    question.form["severity"].value = "clean"
    question.form["seed"].value = 11
    question.form["primary_deg"].value = 12.0
    click(qtbot, question.ok)
    loaded(widget)
    added = widget.workbench.session.exposures.active
    assert added.name == "simulated clean"
    assert added.radiograph.simulated
    assert added.truth is not None
    # The start is off, the truth is not: it is the pose that was asked for.
    carm, isocenter = added.radiograph.carm, widget.workbench.session.patient.isocenter
    assert carm.carm_pose(added.truth, isocenter).primary_deg == pytest.approx(12.0)
    assert carm.carm_pose(added.start, isocenter).primary_deg != pytest.approx(12.0, abs=1e-3)
    assert "simulated" in widget.radiographs.words.words


# ---------------------------------------------------------------------- lists


def test_structures_are_found_by_name_and_chosen(widget, qtbot):
    group, session = widget.structures, widget.workbench.session
    qtbot.keyClicks(group.search, "hip l")
    shown = [item for item in group.structures._items() if not item.isHidden()]
    assert [item.text() for item in shown] == ["hip left"]
    click(qtbot, group.all_button)
    qtbot.waitUntil(lambda: session.patient.structures == (77,), timeout=5000)
    assert "1 rendered" in group.words.words
    click(qtbot, group.none_button)
    qtbot.waitUntil(lambda: session.patient.structures == (), timeout=5000)
    session.patient.set_structures([78])
    assert group.checked == (78,)


def test_the_list_of_radiographs(widget, qtbot, make_radiograph, said):
    session, group = widget.workbench.session, widget.radiographs
    session.exposures.add(make_radiograph(primary_deg=80.0), name="lateral")
    assert group.list.count() == 2
    assert group.list.currentItem().text() == "lateral"
    where = group.list.visualItemRect(group.list.item(0)).center()
    qtbot.mouseClick(group.list.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert session.exposures.active.name == "frontal"
    group.list.item(1).setCheckState(Qt.CheckState.Unchecked)
    assert not session.exposures.named("lateral").used
    assert session.exposures.named("frontal").used
    group.list.item(0).setText("AP")
    assert session.exposures.active.name == "AP"
    group.list.item(0).setText("lateral")
    assert "a name of its own" in said[-1]
    assert group.list.item(0).text() == "AP"
    name = session.landmarks.all[0].name
    session.landmarks.set_picked(
        session.exposures.named("AP").id,
        [Landmark(name, pixel=(3.25, 7.5)), Landmark("x", pixel=(1.0, 2.0))],
    )
    result = session.results.add(
        Registration(
            session.poses.current,
            Status.CONVERGED,
            {},
            (),
            session.patient.isocenter,
            views=(session.poses.current,),
        ),
        [session.exposures.named("AP").id],
        {},
    )
    click(qtbot, group.remove_button)
    assert [entry.name for entry in session.exposures.all] == ["lateral"]
    assert said[-1].startswith("Removed AP with 2 picks and 1 result; Undo")
    assert session.results.all == ()
    session.undo()
    assert [entry.name for entry in session.exposures.all] == ["AP", "lateral"]
    assert [group.list.item(row).text() for row in range(2)] == ["AP", "lateral"]
    assert len(session.exposures.active.landmarks) == 2
    assert [kept.id for kept in session.results.all] == [result]


@pytest.mark.parametrize("same", [False, True])
def test_a_second_ct_is_asked_about_before_anything_else_is_loaded(
    widget, ct_file, qtbot, loaded, same
):
    session = widget.workbench.session
    before, landmarks = session.patient.volume, session.landmarks.all
    widget.load(ct_file, "ct")
    widget.load(ct_file.with_name("pelvis_labels.nii.gz"), "labels")
    question = answer(qtbot, widget, OneOf)
    assert session.patient.volume is before
    assert "same patient" in question.choice.itemText(1)
    question.choice.setCurrentIndex(int(same))
    question.finish()
    qtbot.waitUntil(
        lambda: session.patient.volume is not before and not widget.queue.busy, timeout=20_000
    )
    qtbot.waitUntil(lambda: session.patient.labels is not None, timeout=20_000)  # of the new CT
    assert session.landmarks.all == (landmarks if same else ())
    session.undo()
    assert session.undo() == ("load CT" if same else "replace the patient")
    assert session.patient.volume is before
    assert session.landmarks.all == landmarks


def test_a_second_ct_that_is_cancelled_changes_nothing(widget, ct_file, qtbot):
    before = widget.workbench.session.patient.volume
    widget.load(ct_file, "ct")
    answer(qtbot, widget, OneOf).reject()
    assert widget.workbench.session.patient.volume is before
    assert not widget.queue.busy


def test_the_sample_loaded_twice_starts_over(widget, qtbot):
    session = widget.workbench.session
    case = sample_case(spacing_mm=8.0, pixels=32)
    sample = SampleData("sample", case.volume, case.labels, case.landmarks, case.source,
                        case.source, "", case)  # fmt: skip
    widget._taking.take(sample)
    answer(qtbot, widget, OneOf).finish()
    assert [entry.name for entry in session.exposures.all] == ["simulated pelvis"]
    widget._taking.take(sample)
    answer(qtbot, widget, OneOf).finish()
    assert [entry.name for entry in session.exposures.all] == ["simulated pelvis"]
    assert session.undo() == "start over"
    assert session.undo() == "start over"
    assert [entry.name for entry in session.exposures.all] == ["frontal"]


def test_what_goes_with_a_radiograph_in_words(bench):
    session = bench.session
    frontal = session.exposures.named("frontal").id
    assert removal_words(session, frontal) == "frontal"
    session.exposures.set_painted(
        session.exposures.named("frontal").id, torch.zeros(96, 108, dtype=torch.bool)
    )
    assert removal_words(session, frontal) == "frontal with its mask"
    session.landmarks.set_picked(
        session.exposures.named("frontal").id, [Landmark("x", pixel=(1.0, 2.0))]
    )
    assert removal_words(session, frontal) == "frontal with 1 pick and its mask"


def test_landmarks_are_saved_with_their_pixels(widget, tmp_path, loaded, said):
    session = widget.workbench.session
    name = session.landmarks.all[2].name
    hidden = session.landmarks.all[3].name
    session.landmarks.set_picked(
        session.exposures.named("frontal").id,
        [Landmark(name, pixel=(3.25, 7.5)), Landmark(hidden, pixel=(1.0, 2.0), visible=False)],
    )
    path = tmp_path / "marks.csv"
    widget.save_landmarks(path)
    session.landmarks.set([])
    session.landmarks.set_picked(session.exposures.named("frontal").id, [])
    widget.load(path)
    loaded(widget)
    assert len(session.landmarks.all) == 14
    marks = {mark.name: mark for mark in session.exposures.active.landmarks}
    assert set(marks) == {name, hidden}
    assert marks[name].pixel == (3.25, 7.5)
    assert (marks[name].visible, marks[hidden].visible) == (True, False)
    assert any("written" in sentence for sentence in said)


# ---------------------------------------------------------------------- sessions and layers


def test_a_session_is_saved_and_opened(widget, tmp_path, qtbot, said):
    session = widget.workbench.session
    path = tmp_path / "work.xreg.json"
    mine = session.poses.save("mine")
    widget.save_session(path)
    qtbot.waitUntil(lambda: any("saved" in sentence for sentence in said), timeout=30_000)
    session.poses.delete(mine)
    session.exposures.remove(session.exposures.named("frontal").id)
    drop(widget, path)
    qtbot.waitUntil(lambda: "mine" in [kept.name for kept in session.poses.named], timeout=30_000)
    assert session.exposures.active.name == "frontal"
    assert widget.radiographs.list.count() == 1


@pytest.mark.parametrize(("values", "unit"), [("hu", "HU"), ("attenuation", "1/mm")])
def test_a_layer_becomes_the_ct(empty, loaded, patient, values, unit):
    viewer = empty.workbench.viewer
    data = patient.volume.hu if values == "hu" else patient.volume.lac
    spacing = patient.volume.spacing
    layer = viewer.add_image(
        data.numpy(), name="mine", scale=(0.006, 0.006, 0.006), units="m", visible=False
    )
    menu = empty.patient.layer_button.menu()
    menu.aboutToShow.emit()
    (inside,) = menu.actions()
    (action,) = [a for a in inside.menu().actions() if unit in a.text()]
    action.trigger()
    loaded(empty)
    found = empty.workbench.session.patient.volume
    assert found.spacing == pytest.approx(spacing)  # metres became millimetres
    torch.testing.assert_close(found.lac, patient.volume.lac, atol=2e-5, rtol=1e-3)
    viewer.layers.remove(layer)
    assert empty.workbench.session.patient.volume is found


def test_hounsfield_units_are_not_taken_for_attenuation(empty, loaded, patient, said):
    layer = empty.workbench.viewer.add_image(
        patient.volume.hu.numpy(), name="mine", units="mm", visible=False
    )
    empty.adopt(layer, "attenuation")
    loaded(empty)
    assert empty.workbench.session.patient.volume is None
    assert "are they Hounsfield units?" in said[0]


def test_a_flat_layer_becomes_a_radiograph(widget, qtbot, loaded, radiograph):
    viewer = widget.workbench.viewer
    viewer.add_image(radiograph.line_integrals.numpy(), name="xray", visible=False)
    menu = widget.radiographs.layer_button.menu()
    menu.aboutToShow.emit()
    # The canvas's own layers are not offered.
    assert [action.text() for action in menu.actions()] == ["xray"]
    menu.actions()[0].trigger()
    question = answer(qtbot, widget, MissingGeometry)
    question.meaning.setCurrentIndex(3)
    record = replace(
        given_geometry(
            source_to_detector=1020.0, source_to_isocenter=750.0, pixel_spacing=(3.4, 3.5)
        )
    )
    for name, value in record.known().items():
        question.form.fields[name].propose(value)
    click(qtbot, question.ok)
    loaded(widget)
    assert widget.workbench.session.exposures.active.name == "xray"
    assert widget.workbench.session.exposures.active.radiograph.carm.detector.spacing == (3.4, 3.5)


def test_labels_on_another_grid_are_refused(widget, loaded, said):
    viewer, session = widget.workbench.viewer, widget.workbench.session
    before = session.patient.labels
    layer = viewer.add_labels(np.ones((4, 5, 6), dtype=int), name="other", visible=False)
    widget.adopt(layer, "labels")
    loaded(widget)
    assert session.patient.labels is before
    assert "same grid" in said[-1]


def test_a_layer_of_ours_is_taken_over_with_what_was_painted(widget, loaded, patient):
    viewer, session = widget.workbench.viewer, widget.workbench.session
    data, options, _ = labels_layer(patient.labels, name="bones")
    layer = viewer.add_labels(data, **options, visible=False)
    widget.adopt(layer, "labels")
    loaded(widget)
    assert session.patient.labels is patient.labels  # nothing was painted: the very same
    layer.data_setitem((np.array([2]), np.array([3]), np.array([4])), 77)
    assert int(session.patient.labels.ids[2, 3, 4]) != 77
    widget.adopt(layer, "labels")
    loaded(widget)
    assert int(session.patient.labels.ids[2, 3, 4]) == 77
    assert session.patient.labels_source is None  # no file holds it


@pytest.mark.parametrize("by", ["From layer", "Save"])
def test_an_edited_radiograph_is_still_called_as_its_file_where_others_read_it(
    widget, loaded, radiograph, tmp_path, by
):
    """Its name may be a patient's; its pixels are kept, not read from the file again."""
    viewer, session = widget.workbench.viewer, widget.workbench.session
    carry = Carried(radiograph, Source(str(tmp_path / "shot 7.dcm"), sha256="0" * 64))
    layer = put(viewer, radiograph_layer(radiograph, name="Doe Jane, AP", carry=carry))
    layer.visible = False
    layer.data = layer.data + 1.0
    if by == "From layer":
        widget.adopt(layer, "radiograph")
        loaded(widget)
        file, *beside = write_session(tmp_path / "x.xreg.json", session)
        entry = session.exposures.active
        assert entry.name == "Doe Jane, AP"
        assert entry.called == "shot 7"
        assert session.unsaved
    else:
        written = write_session_layers(str(tmp_path / "x.xreg.json"), [layer.as_layer_data_tuple()])
        file, *beside = map(Path, written)
    assert "x.shot-7.npz" in [path.name for path in beside]
    assert not any("Doe" in path.name for path in beside)
    kept = read_session(file).exposures.named("Doe Jane, AP").radiograph
    np.testing.assert_array_equal(kept.line_integrals, layer.data)


def test_a_layer_of_ours_that_was_moved_is_refused(widget, loaded, radiograph, said):
    viewer, session = widget.workbench.viewer, widget.workbench.session
    data, options, _ = radiograph_layer(radiograph, name="lateral")
    layer = viewer.add_image(data, **options, visible=False)
    layer.translate = (0.0, 5.0)
    widget.adopt(layer, "radiograph")
    loaded(widget)
    assert [entry.name for entry in session.exposures.all] == ["frontal"]
    assert "'lateral' was moved, scaled or turned" in said[-1]


def test_closing_it_while_reading_is_clean(widget, ct_file, qtbot):
    bench = widget.workbench
    before = bench.session.patient.volume
    widget.load(ct_file, "ct")
    bench.viewer.window.remove_dock_widget(widget)
    qtbot.waitUntil(lambda: not bench.jobs.running, timeout=20_000)
    assert bench.session.patient.volume is before
    assert file_kind(ct_file) == "grid"


# ---------------------------------------------------------------------- pictures


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_picture(widget, theme, screenshot, qtbot, make_radiograph):
    widget.workbench.viewer.theme = theme
    noted = replace(
        make_radiograph(primary_deg=80.0),
        notes=("i0 was not known: estimated as 3921, the 99.5th percentile of the usable pixels",),
    )
    widget.workbench.session.exposures.add(noted, name="lateral")
    widget.workbench.session.patient.set_structures([77, 78])
    (area,) = widget.findChildren(QScrollArea)
    needed = area.widget().minimumSizeHint().width() + area.verticalScrollBar().sizeHint().width()
    widget.setFixedSize(320, 1050)
    screenshot(widget, f"data_{theme}")
    assert needed <= 308, f"the widget needs {needed} pixels: a dock of 320 would cut it"


def test_picture_of_the_questions(widget, picture, qtbot, screenshot):
    widget.load(picture)
    question = answer(qtbot, widget, MissingGeometry)
    screenshot(question, "missing_geometry")
    assert question.width() >= question.minimumSizeHint().width()  # nothing is cut
    question.close()
    click(qtbot, widget.radiographs.simulate_button)
    simulate = answer(qtbot, widget, SimulationQuestion)
    screenshot(simulate, "simulate")
    assert simulate.width() >= simulate.minimumSizeHint().width()
    widget.question.close()


def test_what_is_opened_as_layers_is_taken_once_and_shown_once(
    empty, viewer, qtbot, patient, radiograph
):
    """As File > Open, a drop on the canvas and a sample bring it: the radiograph before its CT."""
    session, shown = empty.workbench.session, empty.workbench.viewer
    shown.window._qt_window.show()
    marks = tuple(Landmark(name, xyz) for name, xyz in patient.landmarks.items())
    made = [
        radiograph_layer(radiograph, name="xray"),
        landmarks_layer(marks, name="marks"),
        labels_layer(patient.labels, name="bones"),
        volume_layer(patient.volume, name="Doe John, pelvis, 2024-05-01"),
    ]
    for data, options, kind in made:
        shown._add_layer_from_data(data, options, kind)
    qtbot.waitUntil(lambda: len(session.exposures.all) == 1)
    assert session.patient.volume is patient.volume
    assert session.patient.labels is patient.labels
    assert len(session.landmarks.all) == len(marks)
    assert session.exposures.all[0].name == "xray"
    opened = [layer for layer in shown.layers if layer not in empty.workbench.canvas.layers]
    qtbot.waitUntil(lambda: not any(layer.visible for layer in opened))
    assert [layer.name for layer in opened] == [
        *("xray (as opened)", "marks", "bones", "Doe John, pelvis, 2024-05-01")
    ]
    assert empty.workbench.canvas.layer("radiograph").name == "xray"
    # A copy of a layer is nothing new; and the same radiograph by hand is shown, not added.
    data, options, kind = made[3]
    shown._add_layer_from_data(data, {**options, "name": "copy"}, kind)
    qtbot.wait(50)
    assert empty.question is None
    empty.adopt(shown.layers["xray"], "radiograph")
    qtbot.waitUntil(lambda: not empty.queue.busy)
    assert len(session.exposures.all) == 1


def test_what_was_opened_before_the_first_widget_is_taken(
    make_napari_viewer, qtbot, patient, radiograph
):
    """Once: the widget may be closed and opened again, with another radiograph meanwhile."""
    shown = make_napari_viewer()
    shown.window._qt_window.show()
    put(shown, radiograph_layer(radiograph, name="xray"))
    put(shown, volume_layer(patient.volume, name="ct"))
    first = DataWidget(shown)
    shown.window.add_dock_widget(first, name="Data")
    session = first.workbench.session
    qtbot.waitUntil(lambda: "xray (as opened)" in shown.layers)
    assert session.patient.volume is patient.volume
    assert [entry.name for entry in session.exposures.all] == ["xray"]
    session.exposures.remove(session.exposures.all[0].id)
    shown.window.remove_dock_widget(first)
    put(shown, radiograph_layer(replace(radiograph), name="second"))
    again = DataWidget(shown)
    shown.window.add_dock_widget(again, name="Data")
    qtbot.waitUntil(lambda: [entry.name for entry in session.exposures.all] == ["second"])


def put(shown, made):
    data, options, kind = made
    return shown._add_layer_from_data(data, options, kind)[0]


def test_a_copy_of_a_layer_of_an_opened_session_brings_nothing(
    empty, viewer, qtbot, patient, radiograph
):
    """Neither the session as it was read, nor the positions of its file, and its eye stays open."""
    session, shown = empty.workbench.session, empty.workbench.viewer
    shown.window._qt_window.show()
    read = Session()
    read.patient.set_volume(patient.volume)
    read.landmarks.set([Landmark("a", (1.0, 2.0, 3.0))])
    marks = tuple(read.landmarks.all)
    ct = volume_layer(patient.volume, name="ct", carry=Carried(patient.volume, session=read))
    points = landmarks_layer(marks, name="marks", carry=Carried(marks, session=read))
    put(shown, ct)
    put(shown, points)
    qtbot.waitUntil(lambda: not any(one.visible for one in shown.layers if "xreg" in one.metadata))
    assert [mark.name for mark in session.landmarks.all] == ["a"]
    session.landmarks.set([Landmark("a", (9.0, 2.0, 3.0))])
    copies = [put(shown, ct), put(shown, points)]
    # Not after Data was closed and opened again, either.
    shown.window.remove_dock_widget(empty)
    again = DataWidget(shown)
    shown.window.add_dock_widget(again, name="Data")
    copies += [put(shown, ct), put(shown, points)]
    qtbot.wait(100)
    assert session.landmarks.all[0].position[0] == 9.0
    assert all(copy.visible for copy in copies)


def test_an_opened_session_shows_each_radiograph_once_under_its_name(
    empty, viewer, qtbot, tmp_path, radiograph, make_radiograph
):
    """And a session that was saved when they were called "radiograph" opens as it was."""
    session, shown = empty.workbench.session, empty.workbench.viewer
    shown.window._qt_window.show()
    saved = Session()
    saved.exposures.add(radiograph)
    saved.exposures.add(make_radiograph(64, primary_deg=85.0))
    (file, *_) = write_session(tmp_path / "case.xreg.json", saved)
    for data, options, kind in read_session_layers(str(file)):
        shown._add_layer_from_data(data, options, kind)
    qtbot.waitUntil(
        lambda: [e.name for e in session.exposures.all] == ["radiograph", "radiograph 2"]
    )
    qtbot.waitUntil(lambda: "radiograph 2 (as opened)" in shown.layers)
    assert [layer.name for layer in shown.layers if layer.visible] == ["radiograph 2"]
    session.exposures.activate(session.exposures.all[0].id)
    assert [layer.name for layer in shown.layers if layer.visible] == ["radiograph"]
    shown.layers["radiograph"].name = "frontal"
    assert [e.name for e in session.exposures.all] == ["frontal", "radiograph 2"]
    assert [empty.radiographs.list.item(row).text() for row in range(2)] == [
        "frontal",
        "radiograph 2",
    ]
    session.undo()
    assert "radiograph" in shown.layers


@pytest.mark.parametrize("wanted", [False, True])
def test_what_belongs_to_a_second_ct_waits_for_the_answer_about_it(
    widget, qtbot, loaded, patient, said, wanted
):
    """Labels of a sample go onto the CT that they came with, or nowhere; a refusal stops nothing."""
    session, shown = widget.workbench.session, widget.workbench.viewer
    shown.window._qt_window.show()
    before = session.patient.volume
    session.patient.set_labels(None)
    marks = (Landmark("new", (1.0, 2.0, 3.0)),)
    made = phantom(spacing_mm=9.0, seed=4)
    layers = [
        put(shown, labels_layer(made.labels, name="bones")),
        put(shown, landmarks_layer(marks, name="marks")),
        put(shown, volume_layer(made.volume, name="other")),
    ]
    question = answer(qtbot, widget, OneOf)
    assert session.patient.volume is before
    assert session.patient.labels is None
    assert all(layer.visible for layer in layers)
    if wanted:
        question.choice.setCurrentIndex(1)
        question.finish()
    else:
        question.reject()
    qtbot.wait(50)
    loaded(widget)
    qtbot.waitUntil(lambda: any(one.visible for one in layers) is not wanted)
    assert session.patient.volume is (made.volume if wanted else before)
    assert session.patient.labels is (made.labels if wanted else None)
    assert ("new" in [mark.name for mark in session.landmarks.all]) is wanted
    assert said == []


def test_a_layer_that_is_refused_is_one_sentence_and_does_not_stop_the_others(
    widget, qtbot, loaded, patient, said
):
    session, shown = widget.workbench.session, widget.workbench.viewer
    shown.window._qt_window.show()
    labels = phantom(spacing_mm=9.0, seed=4).labels
    bones = put(shown, labels_layer(labels, name="bones"))
    points = put(shown, landmarks_layer((Landmark("new", (1.0, 2.0, 3.0)),), name="marks"))
    qtbot.waitUntil(lambda: not points.visible)
    assert "new" in [mark.name for mark in session.landmarks.all]
    assert bones.visible
    assert session.patient.labels is not labels
    (sentence,) = said
    assert "bones" in sentence
    assert "same grid" in sentence


def saved_again(layers, tmp_path):
    """The session that File > Save Selected Layers writes of them."""
    file, *_ = write_session_layers(
        str(tmp_path / "x.xreg.json"), [layer.as_layer_data_tuple() for layer in layers]
    )
    return read_session(file)


def test_layers_saved_as_a_session_are_the_session_as_it_is_now(
    widget, tmp_path, make_radiograph, patient
):
    """Not one radiograph at its start, as its layer alone would have it."""
    session = widget.workbench.session
    session.exposures.add(make_radiograph(64, primary_deg=85.0), name="second")
    moved = session.poses.current
    moved = Pose(moved.rotation, moved.translation + torch.tensor([7.0, -3.0, 2.0]))
    session.poses.set(moved, "moved")
    assert session.unsaved
    again = saved_again([widget.workbench.canvas.layer("radiograph")], tmp_path)
    assert not session.unsaved
    assert [entry.name for entry in again.exposures.all] == ["frontal", "second"]
    assert again.patient.volume.shape == patient.volume.shape
    assert len(again.landmarks.all) == len(patient.landmarks)
    torch.testing.assert_close(again.poses.current.translation, moved.translation)


def test_opened_layers_are_saved_as_the_session_that_took_them(
    empty, viewer, qtbot, tmp_path, patient, radiograph
):
    """A crop, a landmark that was moved since, the pose: what the layers carried is older."""
    session, shown = empty.workbench.session, empty.workbench.viewer
    shown.window._qt_window.show()
    marks = (Landmark("a", (1.0, 2.0, 3.0)), Landmark("b", (4.0, 5.0, 6.0)))
    put(shown, volume_layer(patient.volume, name="ct"))
    points = put(shown, landmarks_layer(marks, name="marks"))
    put(shown, radiograph_layer(radiograph, name="xray"))
    qtbot.waitUntil(lambda: "xray (as opened)" in shown.layers)
    entry = session.exposures.active
    session.exposures.replace_image(entry.id, radiograph.crop(6, 5, 84, 95))
    session.landmarks.set([Landmark("a", (9.0, 2.0, 3.0)), Landmark("b", (4.0, 5.0, 6.0))])
    points.data = [(3.0, 2.0, 1.0), (6.0, 5.0, 40.0)]  # b, in z, y, x
    again = saved_again(shown.layers, tmp_path)
    (kept,) = again.exposures.all
    assert kept.name == "xray"
    assert kept.radiograph.carm.detector.shape == (84, 95)
    assert [mark.position for mark in again.landmarks.all] == [(9.0, 2.0, 3.0), (40.0, 5.0, 6.0)]
    assert session.landmarks.all[1].position == (4.0, 5.0, 6.0)
    assert session.unsaved  # the file has a landmark elsewhere
    shown.layers["xray (as opened)"].data = np.ones((96, 108), np.float32)
    with pytest.raises(LayerRefused, match="was edited, but its session has another"):
        saved_again(shown.layers, tmp_path)


def test_copies_of_the_canvas_s_own_layer_stay(widget, viewer, qtbot, tmp_path):
    """Duplicated, and converted to labels."""
    session, shown = widget.workbench.session, widget.workbench.viewer
    shown.window._qt_window.show()
    own = widget.workbench.canvas.layer("radiograph")
    data, options, kind = own.as_layer_data_tuple()
    copies = [
        put(shown, (data, {**options, "name": "copy"}, kind)),
        shown.add_labels(
            np.asarray(data, int), name="labels", scale=own.scale, metadata=dict(own.metadata)
        ),
    ]
    qtbot.wait(100)
    assert all(copy in shown.layers and copy.visible for copy in copies)
    assert [copy.name for copy in copies] == ["copy", "labels"]
    assert [entry.name for entry in session.exposures.all] == ["frontal"]
    again = saved_again(shown.layers, tmp_path)
    np.testing.assert_array_equal(again.exposures.active.radiograph.line_integrals, own.data)
