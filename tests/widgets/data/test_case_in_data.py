"""A data set of the field in the Data widget and in File > Open: what is asked, and what comes of it."""

import pytest
from qtpy.QtCore import Qt
from twins import POINTS, write_deepfluoro, write_xvr

from napari_xreg.datasets import open_data_set
from napari_xreg.viewer.files.readers import get_reader
from napari_xreg.widgets.data.opening import get_data_set_reader, read_data_set
from napari_xreg.widgets.data.questions import OneOf
from napari_xreg.widgets.data.widget import DataWidget

WAIT = 20_000


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_deepfluoro(tmp_path_factory.mktemp("set") / "full.h5")


@pytest.fixture
def empty(empty_bench):
    widget = DataWidget(empty_bench.viewer)
    empty_bench.viewer.window.add_dock_widget(widget, name="Data")
    return widget


@pytest.fixture
def said(monkeypatch):
    sentences = []
    for kind in ("info", "warning"):
        monkeypatch.setattr(f"napari_xreg.widgets.data.taking.show_{kind}", sentences.append)
    return sentences


def answer(qtbot, widget, number, before=None):
    """Choose one of the options of the next question; their words."""
    qtbot.waitUntil(lambda: widget.question not in (None, before), timeout=WAIT)
    question = widget.question
    assert isinstance(question, OneOf)
    words = [question.choice.itemText(i) for i in range(question.choice.count())]
    question.choice.setCurrentIndex(number)
    qtbot.mouseClick(question.ok, Qt.MouseButton.LeftButton)
    return words, question


def test_a_set_asks_for_case_and_radiograph_and_brings_all(empty, said, qtbot, file):
    read_data_set(str(file))
    cases, asked = answer(qtbot, empty, 0)
    assert cases == ["17-1882", "18-1109"]
    views, _ = answer(qtbot, empty, 1, asked)
    assert views == ["000", "003 (left out of published evaluations)"]
    session = empty.workbench.session
    qtbot.waitUntil(lambda: len(session.exposures.all) == 1, timeout=WAIT)
    case = open_data_set(file).case("17-1882")
    truth = case.view("003").truths["pelvis"].matrix()
    (exposure,) = session.exposures.all
    assert exposure.name == "17-1882 003"
    assert exposure.truth.matrix().tolist() == truth.tolist()
    assert exposure.world_from_camera.matrix().tolist() != truth.tolist()
    assert session.patient.structures == (2,)
    assert {mark.name for mark in session.landmarks.all} == set(POINTS)
    assert "BY-NC" in said[0]
    assert "Grupp" in said[0]
    assert any("in doubt" in words for words in said)
    # A second one beside it: nothing there is lost without a question.
    empty.load(file, "data set", case="17-1882", view="000")
    answer(qtbot, empty, 1)
    qtbot.waitUntil(lambda: len(session.exposures.all) == 2, timeout=WAIT)
    assert [each.name for each in session.exposures.all] == ["17-1882 003", "17-1882 000"]
    empty.load(file, "data set", case="18-1109", view="000")
    answer(qtbot, empty, 0)
    qtbot.waitUntil(lambda: session.exposures.all[0].name == "18-1109 000", timeout=WAIT)
    assert len(session.exposures.all) == 1
    assert session.undo() == "start over"
    assert len(session.exposures.all) == 2


def test_who_opens_a_set_is_told_by_what_is_in_it(file, tmp_path):
    assert get_data_set_reader(str(file)) is read_data_set
    folder = write_xvr(tmp_path / "xvr")
    assert get_data_set_reader([str(folder)]) is read_data_set
    # One reader alone: of two napari asks which.
    assert get_reader(str(folder)) is None
    assert get_data_set_reader([str(file), str(file)]) is None
    (tmp_path / "other.h5").write_bytes(b"nothing")
    assert get_data_set_reader(str(tmp_path / "other.h5")) is None
