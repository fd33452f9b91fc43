"""Closing a window with unsaved work asks once; copies of the work, and what is offered again."""

import datetime as dt
import time
from functools import partial

import numpy as np
import pytest
from napari.settings import get_settings
from qtpy.QtCore import Qt
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QApplication, QWidget

from napari_xreg.session import Autosave, LeftBehind, left_behind, read_session
from napari_xreg.widgets.jobs.workbench import workbench_of
from napari_xreg.widgets.saving import closing, keeping
from napari_xreg.widgets.saving.keeping import RestoreOffer

pytestmark = pytest.mark.usefixtures("canvas_aside")

LONG = 30_000


class ByUser(QCloseEvent):
    """As the window's frame sends it."""

    def spontaneous(self):
        return True


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    """A viewer of its own: a window that was closed cannot be lent again."""
    return make_napari_viewer_proxy()


@pytest.fixture
def asked(monkeypatch):
    """The question, answered by what stands in `answers`; how often it came."""
    answers, times = ["cancel"], []

    def ask(_window, _running):
        times.append(answers[-1])
        return answers[-1]

    monkeypatch.setattr(closing, "ask", ask)
    return answers, times


@pytest.fixture
def seen(bench, monkeypatch):
    """A bench with unsaved work, in a window that somebody sees."""
    monkeypatch.setattr(get_settings().application, "confirm_close_window", False)
    monkeypatch.setattr(closing, "seen", lambda _: True)
    assert bench.session.unsaved


def window_of(bench):
    """Not a fixture: pytest would hold it longer than napari allows."""
    return bench.viewer.window._qt_window


def by_frame(bench):
    """Close it by its frame; whether it stays."""
    return bench._watch.eventFilter(window_of(bench), ByUser())


def test_cancel_keeps_window_and_work(bench, seen, asked):
    _, times = asked
    assert by_frame(bench)
    assert window_of(bench).close(confirm_need=True) is False  # napari's menu and keys
    assert times == ["cancel", "cancel"]
    assert not bench.closed


@pytest.mark.parametrize("by_menu", [False, True])
def test_discard_closes_without_a_question_of_napari(
    bench, viewer, seen, asked, monkeypatch, by_menu
):
    def second(*_, **__):
        raise AssertionError("napari asks once more")

    viewer.add_image(np.zeros((3, 4)))  # napari asks only where there are layers
    monkeypatch.setattr(get_settings().application, "confirm_close_window", True)
    monkeypatch.setattr("napari._qt.qt_main_window.ConfirmCloseDialog", second)
    answers, times = asked
    answers.append("discard")
    later = []
    monkeypatch.setattr(closing.QTimer, "singleShot", lambda _, close: later.append(close))
    if by_menu:
        window_of(bench).close(confirm_need=True)
    else:
        QApplication.sendEvent(window_of(bench), ByUser())
    assert not bench.closed  # a window is not closed within its own question
    later.pop()()
    assert bench.closed
    assert times == ["discard"]


def test_a_program_is_never_asked(bench, seen, asked):
    _, times = asked
    window_of(bench).close()
    assert times == []
    assert bench.closed


def test_the_question_names_what_closing_stops(bench, seen, monkeypatch):
    said = []

    def noted(box):
        said.append(box.informativeText())
        return closing.QMessageBox.StandardButton.Cancel

    monkeypatch.setattr(closing.QMessageBox, "exec", noted)

    def endless(control):
        while control.proceed():
            yield None
            time.sleep(0.01)

    bench.jobs.start("Refinement", endless, on_result=lambda _: None)
    assert by_frame(bench)
    assert said[0].endswith("Closing also stops what still runs: Refinement.")


def test_saved_work_is_not_asked_about(bench, seen, asked, tmp_path, qtbot):
    _, times = asked
    path = tmp_path / "work.xreg.json"
    closing.save(bench.session, bench.jobs, path)
    qtbot.waitUntil(lambda: not bench.session.unsaved, timeout=LONG)
    assert not by_frame(bench)
    assert times == []


def test_where_nobody_looks_nobody_is_asked(bench, asked):
    _, times = asked
    assert bench.session.unsaved
    assert not by_frame(bench)
    assert times == []


def test_save_writes_the_file_and_then_closes(bench, seen, asked, tmp_path, qtbot, monkeypatch):
    answers, _ = asked
    answers.append("save")
    path, closed = tmp_path / "work.xreg.json", []
    monkeypatch.setattr(closing, "choose_file", lambda _: str(path))
    close = partial(closed.append, "now")
    assert not closing.may_close(window_of(bench), bench.session, bench.jobs, close)
    assert closed == []
    qtbot.waitUntil(lambda: closed == ["now"], timeout=LONG)
    assert [entry.name for entry in read_session(path).exposures.all] == ["frontal"]
    assert not bench.session.unsaved


def test_no_file_chosen_keeps_the_window(bench, seen, asked, monkeypatch):
    answers, _ = asked
    answers.append("save")
    monkeypatch.setattr(closing, "choose_file", lambda _: "")
    assert by_frame(bench)
    assert not bench.closed


def test_a_save_that_fails_is_told_and_nothing_closes(bench, tmp_path, qtbot, notified):
    closed = []
    nowhere = tmp_path / "absent" / "work.xreg.json"
    closing.save(bench.session, bench.jobs, nowhere, lambda: closed.append(True))
    qtbot.waitUntil(lambda: bool(notified), timeout=LONG)
    assert "failed" in notified[-1]
    assert closed == []
    assert bench.session.unsaved


# ------------------------------------------------------------------ copies


@pytest.fixture
def kept(viewer, tmp_path, monkeypatch, patient, radiograph):
    """A workbench that keeps copies in a folder, and the folder."""
    monkeypatch.setenv("NAPARI_XREG_AUTOSAVE", str(tmp_path / "autosave"))
    monkeypatch.setattr(keeping, "EVERY_MS", 20)
    keeping._put_off.clear()
    bench = workbench_of(viewer)
    bench.session.patient.set_volume(patient.volume)
    bench.session.exposures.add(radiograph, name="frontal")
    yield bench, tmp_path / "autosave"
    bench.close()


def copies(root):
    return sorted(root.glob("*/session.xreg.json"))


def test_work_is_copied_by_itself_and_the_copy_goes_at_a_proper_end(kept, qtbot):
    bench, root = kept
    qtbot.waitUntil(lambda: len(copies(root)) == 1, timeout=LONG)
    bench.session.exposures.rename(bench.session.exposures.named("frontal").id, "AP")
    qtbot.waitUntil(lambda: '"name": "AP"' in copies(root)[0].read_text(), timeout=LONG)
    assert left_behind(root) == ()
    bench.close()
    assert list(root.iterdir()) == []


def test_saved_work_needs_no_copy(kept, qtbot, tmp_path):
    bench, root = kept
    qtbot.waitUntil(lambda: len(copies(root)) == 1, timeout=LONG)
    closing.save(bench.session, bench.jobs, tmp_path / "work.xreg.json")
    qtbot.waitUntil(lambda: not copies(root), timeout=LONG)


def test_what_was_left_behind_is_offered_and_restored_as_one_step(
    kept, qtbot, monkeypatch, screenshot
):
    bench, root = kept
    dead = Autosave(root)
    bench.session.exposures.rename(bench.session.exposures.named("frontal").id, "AP")
    dead.write(bench.session.state)
    bench.session.exposures.rename(bench.session.exposures.named("AP").id, "another")
    dead._lock.close()  # its process is gone
    shown = bench.viewer.window._qt_window
    bench.keeping.look_back(shown)
    assert bench.keeping.offer is None  # nobody would see it
    monkeypatch.setattr(closing, "seen", lambda _: True)
    bench.keeping.look_back(shown)
    offer = bench.keeping.offer
    assert not offer.isModal()
    screenshot(offer, "restore_offer")
    offer.buttons["restore"].click()
    qtbot.waitUntil(lambda: bench.session.exposures.active.name == "AP", timeout=LONG)
    assert bench.session.unsaved
    assert bench.session.history.undoes.startswith("restore session of ")
    # Its copy is this window's by now, and the folder of the dead one is gone.
    qtbot.waitUntil(lambda: not dead.folder.exists() and len(copies(root)) == 1, timeout=LONG)
    bench.session.undo()
    assert bench.session.exposures.active.name == "another"


@pytest.mark.parametrize("answer", ["restore", "later", "delete", "escape", "window closes"])
def test_the_offer_is_answered_once_and_leaves_the_screen(qtbot, tmp_path, answer):
    left = LeftBehind(tmp_path, dt.datetime(2026, 11, 29, 14, 32, tzinfo=dt.UTC))
    window, said = QWidget(), []
    qtbot.addWidget(window)
    offer = RestoreOffer(left, 0, window)
    offer.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)  # to look at it afterwards
    offer.answered.connect(lambda _, word: said.append(word))
    offer.show()
    assert offer.isVisible()
    if answer == "escape":
        qtbot.keyClick(offer, Qt.Key.Key_Escape)
    elif answer == "window closes":
        offer.close()
    else:
        offer.buttons[answer].click()
    assert said == [answer if answer in offer.buttons else "later"]
    assert not offer.isVisible()


def test_later_and_delete(kept, qtbot, monkeypatch):
    bench, root = kept
    dead = Autosave(root)
    dead.write(bench.session.state)
    dead._lock.close()
    shown = bench.viewer.window._qt_window
    monkeypatch.setattr(closing, "seen", lambda _: True)
    bench.keeping.look_back(shown)
    bench.keeping.offer.reject()
    bench.keeping.look_back(shown)
    assert bench.keeping.offer is None  # not again in this napari
    keeping._put_off.clear()
    bench.keeping.look_back(shown)
    bench.keeping.offer.buttons["delete"].click()
    assert not dead.folder.exists()
    QApplication.processEvents()
