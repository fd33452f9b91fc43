"""A trial of Autoscoper and a TIFF stack in the Data widget: what is asked, and what comes of it."""

import pytest
import tifffile
import torch
from qtpy.QtCore import Qt
from trial_maker import TRACKED, VOXEL, seen, voxels, write_trial

from napari_xreg.viewer.files import readers
from napari_xreg.widgets.data.questions import MeaningOfValues, OneOf
from napari_xreg.widgets.data.widget import DataWidget


@pytest.fixture
def empty(empty_bench):
    widget = DataWidget(empty_bench.viewer)
    empty_bench.viewer.window.add_dock_widget(widget, name="Data")
    return widget


@pytest.fixture
def said(monkeypatch):
    sentences = []
    for place in ("widgets.data.taking", "viewer.files.readers"):
        monkeypatch.setattr(f"napari_xreg.{place}.show_warning", sentences.append)
    return sentences


def _asked(qtbot, widget, kind):
    qtbot.waitUntil(lambda: isinstance(widget.question, kind), timeout=20_000)
    return widget.question


def _ok(qtbot, question):
    qtbot.mouseClick(question.ok, Qt.MouseButton.LeftButton)


def test_a_trial_asks_for_frame_and_bone_and_brings_all(empty, said, qtbot, tmp_path):
    trial = write_trial(tmp_path, frames=(7, 9))
    (tmp_path / "Tracking").mkdir()
    line = " ".join(f"{v:.12f}" for v in TRACKED.flatten())
    (tmp_path / "Tracking" / "x_uln.tra").write_text(f"{' '.join(['nan'] * 16)}\n{line}\n")
    empty.load(trial)
    frames = _asked(qtbot, empty, OneOf)
    assert [frames.choice.itemText(i) for i in range(2)] == ["frame 7", "frame 9"]
    frames.choice.setCurrentIndex(1)
    _ok(qtbot, frames)
    qtbot.waitUntil(lambda: empty.question not in (None, frames), timeout=20_000)
    bones = empty.question
    assert [bones.choice.itemText(i) for i in range(2)] == ["rad", "uln"]
    bones.choice.setCurrentIndex(1)
    _ok(qtbot, bones)
    session = empty.workbench.session
    qtbot.waitUntil(lambda: len(session.exposures.all) == 2, timeout=20_000)
    assert any("Hounsfield units + 1024" in sentence for sentence in said)
    assert session.patient.volume_source.options["values"] == "hu 1 -1024"
    assert session.patient.volume.spacing == pytest.approx(VOXEL)
    world = session.patient.volume.world_from_index @ torch.tensor([3.0, 1.0, 2.0, 1.0]).double()
    for number, exposure in enumerate(session.exposures.all):
        pixel = exposure.radiograph.carm.project(world[:3], exposure.world_from_camera)
        assert pixel.tolist() == pytest.approx(seen((3.0, 1.0, 2.0), number), abs=1e-6)


def test_the_real_wrist_is_among_the_samples(empty, said, qtbot, tmp_path, monkeypatch):
    """Laid out as it is: a folder of the data folder, the trial one below, a README.md beside."""
    place = tmp_path / "wrist_bvr" / "trial"
    place.mkdir(parents=True)
    write_trial(place)
    (tmp_path / "README.md").write_text("| folder | licence |\n|---|---|\n| `wrist_bvr` | BSD |\n")
    monkeypatch.setenv("NAPARI_XREG_DATA", str(tmp_path))
    menu = empty.sample_button.menu()
    menu.aboutToShow.emit()
    (action,) = [each for each in menu.actions() if each.text() == "Biplane wrist, real"]
    assert "BSD; cite Akhbari" in action.toolTip()
    action.trigger()
    bones = _asked(qtbot, empty, OneOf)
    bones.choice.setCurrentIndex(1)
    _ok(qtbot, bones)
    session = empty.workbench.session
    qtbot.waitUntil(lambda: len(session.exposures.all) == 2, timeout=20_000)
    assert session.patient.volume_source.path.endswith("uln.tif")
    assert "BSD; cite Akhbari" in empty.patient.ct_words.words


def test_a_stack_is_asked_what_it_is_and_what_it_does_not_say(empty, said, qtbot, tmp_path):
    path = tmp_path / "bone.tif"
    tifffile.imwrite(path, voxels(), photometric="minisblack")
    empty.load(path)
    _ok(qtbot, _asked(qtbot, empty, OneOf))
    question = _asked(qtbot, empty, MeaningOfValues)
    question.meaning.setCurrentIndex(4)
    assert question.slope.isEnabled()
    assert not question.air.isEnabled()
    assert not question.ok.isEnabled()
    for box, size in zip(question.spacing, VOXEL, strict=True):
        box.setValue(size)
    assert question.value() == {"values": "hu 1 -1024", "spacing": VOXEL}
    _ok(qtbot, question)
    patient = empty.workbench.session.patient
    qtbot.waitUntil(lambda: patient.volume is not None, timeout=20_000)
    assert patient.volume.spacing == pytest.approx(VOXEL)
    assert int(patient.volume.hu.min()) == -1024
    assert any("value - 1024" in sentence for sentence in said)


def test_napari_opens_a_trial_with_one_bone(said, tmp_path):
    trial = str(write_trial(tmp_path, bones=("rad",)))
    layers = readers.get_reader(trial)(trial)
    assert [about["name"] for _, about, _ in layers] == ["rad", "x_cam1.0007", "x_cam2.0007"]
    assert any("1024" in sentence for sentence in said)
