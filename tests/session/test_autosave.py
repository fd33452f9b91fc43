"""The copy of the work: what is written when, who may take it, and what a kill leaves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from session_parts import make_labels, make_radiograph, make_volume, twist

from napari_xreg.geometry import CArmPose
from napari_xreg.images import Landmark
from napari_xreg.session import (
    Autosave,
    Session,
    Source,
    autosave_folder,
    left_behind,
    read_session,
    sample_case,
)
from napari_xreg.session.files.autosave import KEPT, in_memory
from napari_xreg.session.state import alike

HERE = Path(__file__).parent


def ended(autosave):
    """As when its process is gone: nobody holds the lock."""
    autosave._lock.close()


# ------------------------------------------------------------------ unsaved work


@pytest.mark.slow
def test_what_was_merely_loaded_is_no_work_that_could_be_lost():
    session = Session()
    assert not session.unsaved
    session.patient.set_volume(make_volume(), Source("/ct.nii"))
    session.patient.set_labels(make_labels(session.patient.volume), Source("/labels.nii"))
    session.exposures.add(make_radiograph(), source=Source("/a.dcm"))
    sample_case(spacing_mm=10.0, pixels=16).fill(session)
    assert not session.unsaved
    session.poses.move(twist(0, 0, 0, 1, 2, 3) @ session.poses.current)
    assert session.unsaved
    session.undo()
    assert not session.unsaved
    session.redo()
    assert session.unsaved


@pytest.mark.parametrize("source", [None, Source("/a.png", options={"pixel_spacing": [0.9, 1.3]})])
def test_a_radiograph_in_no_file_or_described_by_hand_is_work(source):
    session = Session()
    session.exposures.add(make_radiograph(), source=source)
    assert session.unsaved


def test_saved_work_is_no_longer_unsaved_until_more_is_done(session):
    session.poses.set(twist(0.1, 0, 0, 4, 5, 6) @ session.poses.current, "drag")
    mark = session.mark()
    session.landmarks.set([Landmark("asis", (1.0, 2.0, 3.0))])  # while the file is being written
    session.saved(mark)
    assert session.unsaved
    session.undo()
    assert not session.unsaved
    session.poses.set(twist(0.1, 0, 0, 4, 5, 6) @ session.poses.current, "another way on")
    assert session.unsaved  # as many steps as were saved, but others


def test_a_session_opened_from_its_file_is_saved_and_one_from_a_copy_is_not(session):
    for saved in (True, False):
        again = Session()
        again.restore(session.capture()(), saved=saved)
        assert again.unsaved is not saved


# ------------------------------------------------------------------ writing


def test_an_array_in_memory_is_written_once_and_goes_when_nobody_needs_it(session, tmp_path):
    autosave = Autosave(tmp_path)
    autosave.write(session.capture()())
    first = {file.name: file.stat().st_mtime_ns for file in autosave.folder.glob("*.npz")}
    assert len(first) == 4  # CT, labels, two radiographs
    session.poses.set(twist(0.1, 0.2, 0.3, 4, 5, 6) @ session.poses.current, "drag")
    autosave.write(session.capture()())
    assert first == {f.name: f.stat().st_mtime_ns for f in autosave.folder.glob("*.npz")}
    again = read_session(autosave.folder / "session.xreg.json")
    assert again.problems == ()
    assert torch.equal(again.patient.volume.lac, session.patient.volume.lac)
    assert torch.equal(again.poses.current.matrix(), session.poses.current.matrix())
    session.exposures.remove(session.exposures.named("lateral").id)
    autosave.write(session.capture()())
    assert len(list(autosave.folder.glob("*.npz"))) == 3
    autosave.clear()
    assert list(tmp_path.iterdir()) == []
    autosave.write(session.capture()())  # and begins again
    assert len(list(autosave.folder.glob("*.npz"))) == 3
    autosave.clear()


@pytest.mark.slow
def test_what_can_be_read_again_is_not_copied(tmp_path):
    session = Session()
    case = sample_case(spacing_mm=10.0, pixels=16)
    case.fill(session)
    autosave = Autosave(tmp_path)
    autosave.write(session.capture()())
    assert len(list(autosave.folder.glob("*.npz"))) == 1  # the simulated radiograph
    autosave.clear()


def test_a_copy_restored_no_longer_needs_its_folder(session, tmp_path):
    autosave = Autosave(tmp_path)
    autosave.write(session.capture()())
    again = Session()
    again.restore(
        in_memory(read_session(autosave.folder / "session.xreg.json").capture()(), autosave.folder)
    )
    autosave.clear()
    assert again.patient.volume_source is again.patient.labels_source is None
    assert [entry.source for entry in again.exposures.all] == [None, None]
    assert [entry.id for entry in again.exposures.all] == [
        entry.id for entry in session.exposures.all
    ]


# ------------------------------------------------------------------ several processes


def test_a_living_session_is_not_offered_and_one_left_behind_once(session, tmp_path):
    autosave = Autosave(tmp_path)
    autosave.write(session.capture()())
    assert left_behind(tmp_path) == ()
    ended(autosave)
    (left,) = left_behind(tmp_path)
    assert left.file == autosave.folder / "session.xreg.json"
    assert left.words == left.saved.strftime("%H:%M")
    remove = left.claim()
    assert left.claim() is None  # another napari is quicker
    assert left_behind(tmp_path) == ()
    remove()
    assert list(tmp_path.iterdir()) == []


def test_only_the_newest_are_kept(session, tmp_path):
    for number in range(KEPT + 2):
        autosave = Autosave(tmp_path)
        autosave.write(session.capture()())
        os.utime(autosave.folder / "session.xreg.json", (1_000_000 + number, 1_000_000 + number))
        ended(autosave)
    left = left_behind(tmp_path)
    times = [entry.saved.timestamp() for entry in left]
    assert times == [1_000_000 + number for number in range(KEPT + 1, 1, -1)]
    assert len(list(tmp_path.iterdir())) == KEPT
    assert left[0].words.endswith(left[0].saved.strftime(" on %d %B %Y"))


def test_it_is_switched_off_or_put_elsewhere_by_a_variable(monkeypatch, tmp_path):
    for word in ("off", "0", "No"):
        monkeypatch.setenv("NAPARI_XREG_AUTOSAVE", word)
        assert autosave_folder() is None
    monkeypatch.setenv("NAPARI_XREG_AUTOSAVE", str(tmp_path))
    assert autosave_folder() == tmp_path
    monkeypatch.delenv("NAPARI_XREG_AUTOSAVE")
    assert autosave_folder().parts[-2:] == ("napari-xreg", "autosave")


# ------------------------------------------------------------------ killed


@pytest.mark.slow
def test_killed_in_the_middle_of_anything_it_is_offered_again_and_opens(tmp_path):
    """`kill -9` during a refinement, during training, and during a save of other data."""
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    running = {
        what: subprocess.Popen(
            [sys.executable, HERE / "killed_session.py", what, tmp_path / what],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for what in ("refinement", "training", "save")
    }
    try:
        for what, process in running.items():
            assert process.stdout.readline().strip() == "in the middle", what
            assert left_behind(tmp_path / what) == ()  # it lives
    finally:
        for process in running.values():
            process.kill()
            process.wait()
            process.stdout.close()
    assert [process.returncode for process in running.values()] == [-9] * 3
    for what in running:
        (left,) = left_behind(tmp_path / what)
        again = read_session(left.file)
        assert again.problems == (), what
        assert [mark.name for mark in again.landmarks.all] == ["asis"]
        assert torch.equal(again.patient.volume.lac, make_volume().lac)
        start = make_radiograph(CArmPose(4.0, -7.0, 2.0))
        assert again.undo() == "drag"
        assert torch.equal(again.exposures.active.radiograph.line_integrals, start.line_integrals)
        assert not alike(again.state, Session().state)
