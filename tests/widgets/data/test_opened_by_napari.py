"""File > Open, a drop on the canvas and File > Open Sample, in a window at which somebody waits."""

import subprocess
import sys

import nibabel
import numpy as np
import pytest
from ct_writers import write_series
from napari.settings import get_settings
from napari.utils.notifications import notification_manager
from npe2 import PluginManager
from qtpy.QtCore import QEventLoop, QMimeData, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDropEvent
from xray_files import dicom, save

from napari_xreg.geometry import lps_from_ras
from napari_xreg.images import Landmark, write_landmarks, write_radiograph
from napari_xreg.session import Session, write_session
from napari_xreg.simulation import phantom
from napari_xreg.widgets import DataWidget, menu
from napari_xreg.widgets.data import reading
from napari_xreg.widgets.data.questions import MissingGeometry, OneOf
from napari_xreg.widgets.docks.opening import found

WAIT = 60_000
OURS = "napari-xreg"


@pytest.fixture
def shown(lent_viewer):
    """A window that somebody sees, with no widget of ours."""
    viewer = lent_viewer(show=True)
    assert OURS in PluginManager.instance()
    return viewer


@pytest.fixture
def files(tmp_path, patient, radiograph):
    """A case as files: CT, label map, radiograph, landmarks, session."""
    affine = lps_from_ras(patient.volume.world_from_index.double()).numpy()
    for name, stored in (("ct", patient.volume.hu), ("labels", patient.labels.ids)):
        values = np.ascontiguousarray(stored.numpy().transpose(2, 1, 0)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / f"{name}.nii.gz")
    write_radiograph(tmp_path / "xray.npz", radiograph)
    write_landmarks(tmp_path / "marks.fcsv", [Landmark("asis", (1.0, 2.0, 3.0))])
    saved = Session()
    saved.exposures.add(radiograph, name="kept")
    write_session(tmp_path / "case.xreg.json", saved)
    return tmp_path


def in_the_loop(do):
    """What a click does: Qt's event loop runs about it. Its answer."""
    loop, answers = QEventLoop(), []

    def act():
        try:
            answers.append(do())
        finally:
            loop.quit()

    QTimer.singleShot(0, act)
    loop.exec()
    return answers[0] if answers else None


def data_of(viewer, qtbot):
    """The Data widget, once it is there and has nothing to do."""
    qtbot.waitUntil(lambda: found(viewer, DataWidget) is not None, timeout=WAIT)
    return found(viewer, DataWidget)


def say(data, qtbot, words):
    """Answer the question that is open, or will be."""
    qtbot.waitUntil(lambda: isinstance(data.question, OneOf), timeout=WAIT)
    question = data.question
    choice = question.choice
    choice.setCurrentIndex(next(k for k in range(choice.count()) if words in choice.itemText(k)))
    question.finish()
    qtbot.waitUntil(lambda: data.question is not question, timeout=WAIT)


def test_a_case_opened_before_any_widget_is_the_session_and_in_the_list_once(shown, files, qtbot):
    """Radiograph first; the questions come one after another, and none of another file between."""
    names = ("xray.npz", "marks.fcsv", "labels.nii.gz", "ct.nii.gz")
    layers = in_the_loop(lambda: shown.open([files / name for name in names], plugin=OURS))
    assert layers == []
    data = data_of(shown, qtbot)
    session = data.workbench.session
    qtbot.waitUntil(lambda: data.question is not None, timeout=WAIT)
    assert data.queue.at_work  # and yet nothing is read
    assert not data.queue.busy
    assert session.patient.volume is None
    assert session.exposures.all == ()
    say(data, qtbot, "CT")
    say(data, qtbot, "Label map")
    qtbot.waitUntil(lambda: len(session.landmarks.all) == 1, timeout=WAIT)
    qtbot.waitUntil(lambda: len(session.exposures.all) == 1, timeout=WAIT)
    assert session.patient.volume is not None
    assert session.patient.labels is not None
    ours = list(data.workbench.canvas.layers)
    assert [layer for layer in shown.layers if layer not in ours] == []
    assert [layer.name for layer in shown.layers].count("xray") == 1
    assert shown.dims.ndim == 2  # no slider that moves nothing


def test_a_drop_on_the_canvas_is_one_series(shown, qtbot, tmp_path, monkeypatch):
    """napari hands its slices over one by one."""
    slices = sorted(write_series(tmp_path / "series").iterdir())
    read, sources = reading.read_ct, []
    monkeypatch.setattr(reading, "read_ct", lambda source: sources.append(source) or read(source))
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in slices])
    event = QDropEvent(
        QPointF(9, 9),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    monkeypatch.setattr(get_settings().plugins, "extension2reader", {"*.dcm": OURS})  # else it asks
    in_the_loop(lambda: shown.__wrapped__.window._qt_viewer.dropEvent(event))
    data = data_of(shown, qtbot)
    qtbot.waitUntil(lambda: data.workbench.session.patient.volume is not None, timeout=WAIT)
    qtbot.waitUntil(lambda: not data.queue.at_work, timeout=WAIT)
    assert len(sources) == 1
    assert data.workbench.session.patient.volume.shape[0] == len(slices)
    assert len(shown.layers) == 0


def test_a_session_opened_is_the_session(shown, files, qtbot):
    in_the_loop(lambda: shown.open(files / "case.xreg.json", plugin=OURS))
    data = data_of(shown, qtbot)
    session = data.workbench.session
    qtbot.waitUntil(lambda: [e.name for e in session.exposures.all] == ["kept"], timeout=WAIT)
    assert [layer.name for layer in shown.layers if layer.name.startswith("kept")] == ["kept"]


def test_what_cannot_be_read_is_a_sentence_that_stays_and_stops_nothing(shown, files, qtbot):
    (files / "bad.nrrd").write_bytes(b"NRRD0004\ntype: short\n")
    (files / "scores.npz").write_bytes(b"nonsense")
    names = ("bad.nrrd", "scores.npz", "xray.npz")
    in_the_loop(lambda: shown.open([files / name for name in names], plugin=OURS))
    data = data_of(shown, qtbot)
    say(data, qtbot, "CT")
    session = data.workbench.session
    qtbot.waitUntil(lambda: len(session.exposures.all) == 1, timeout=WAIT)
    told = [note.message for note in notification_manager.records]
    assert any("bad.nrrd" in words for words in told)
    assert any("scores.npz" in words for words in told)
    assert "scores.npz" in data._kept_words.words  # also after what came behind it was taken
    assert list(shown.layers) == list(data.workbench.canvas.layers)


def test_a_radiograph_that_lacks_its_geometry_asks_for_it(shown, qtbot, tmp_path):
    """A reader that gives layers can only refuse it."""
    bare = save(tmp_path / "dx.dcm", dicom(DistanceSourceToPatient=None))
    in_the_loop(lambda: shown.open(bare, plugin=OURS))
    data = data_of(shown, qtbot)
    qtbot.waitUntil(lambda: isinstance(data.question, MissingGeometry), timeout=WAIT)
    data.question.close()


def test_nothing_heavy_is_imported_to_hand_a_file_over(tmp_path):
    file = tmp_path / "ct.nii.gz"
    file.touch()
    code = (
        "import sys\n"
        "from napari_xreg.widgets.data import opening\n"
        "opening._viewer_in_use = lambda: object()\n"
        "assert opening.get_reader(sys.argv[1]) is opening._hand_over\n"
        "print([m for m in ('torch', 'napari_xreg.images') if m in sys.modules])"
    )
    this = [sys.executable, "-c", code, str(file)]
    said = subprocess.run(this, capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_a_file_waits_for_a_widget_that_is_still_imported(shown, files, qtbot, monkeypatch):
    monkeypatch.setattr(menu, "_imported", lambda: False)
    monkeypatch.setattr(menu, "_importing", None)
    in_the_loop(lambda: shown.open(files / "xray.npz", plugin=OURS))
    data = data_of(shown, qtbot)
    qtbot.waitUntil(lambda: len(data.workbench.session.exposures.all) == 1, timeout=WAIT)


def test_a_script_gets_layers(shown, files):
    """Its window is seen, but nobody waits at it yet: the next line asks something of the layers."""
    (layer,) = shown.open(files / "ct.nii.gz", plugin=OURS)
    assert layer.ndim == 3
    assert found(shown, DataWidget) is None
    layers = shown.open_sample(OURS, "phantom")
    assert [one.name for one in layers] == ["phantom CT", "phantom labels", "phantom landmarks"]


def test_a_window_that_nobody_sees_gives_layers_even_while_the_loop_runs(make_napari_viewer, files):
    viewer = make_napari_viewer()
    (layer,) = in_the_loop(lambda: viewer.open(files / "xray.npz", plugin=OURS))
    assert layer.name == "xray"


@pytest.mark.parametrize(("name", "radiographs"), [("case", 1), ("phantom", 0)])
def test_a_sample_comes_beside_the_window(shown, qtbot, monkeypatch, name, radiographs):
    """The menu returns before it is made, and the bar says what is done."""
    from napari_xreg.workflows.opening import samples

    small = samples.sample_case, samples.phantom
    monkeypatch.setattr(samples, "sample_case", lambda: small[0](spacing_mm=6.0, pixels=40))
    monkeypatch.setattr(samples, "phantom", lambda: small[1](spacing_mm=6.0))
    assert in_the_loop(lambda: shown.open_sample(OURS, name)) == []
    data = data_of(shown, qtbot)
    assert data.queue.busy
    assert data.progress.words.words == "Loading sample data…"
    session = data.workbench.session
    qtbot.waitUntil(lambda: len(session.landmarks.all) > 0, timeout=WAIT)
    assert session.patient.volume is not None
    assert len(session.exposures.all) == radiographs
    assert list(shown.layers) == list(data.workbench.canvas.layers)


def test_of_the_cts_of_a_folder_one_is_chosen_and_its_licence_said(
    shown, qtbot, tmp_path, monkeypatch
):
    made = phantom(spacing_mm=9.0)
    affine = lps_from_ras(made.volume.world_from_index.double()).numpy()
    values = np.ascontiguousarray(made.volume.hu.numpy().transpose(2, 1, 0)).astype(np.int16)
    for folder in ("a_knee", "b_hip"):
        (tmp_path / folder).mkdir()
        nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / folder / "ct.nii.gz")
    (tmp_path / "README.md").write_text(
        "| folder | licence |\n|---|---|\n| a_knee | CC 1 |\n| b_hip | CC 2 |\n"
    )
    monkeypatch.setenv("NAPARI_XREG_DATA", str(tmp_path))
    in_the_loop(lambda: shown.open_sample(OURS, "folder"))
    data = data_of(shown, qtbot)
    say(data, qtbot, "b_hip (CC 2)")
    patient = data.workbench.session.patient
    qtbot.waitUntil(lambda: patient.volume is not None, timeout=WAIT)
    assert patient.volume_source.path == str(tmp_path / "b_hip" / "ct.nii.gz")
    assert any("b_hip: CC 2" in note.message for note in notification_manager.records)


def test_a_sample_that_is_not_there_says_what_to_do(shown, qtbot, monkeypatch):
    monkeypatch.delenv("NAPARI_XREG_DATA", raising=False)
    in_the_loop(lambda: shown.open_sample(OURS, "wrist"))
    data = data_of(shown, qtbot)
    qtbot.waitUntil(lambda: not data.queue.busy, timeout=WAIT)
    assert any("into a folder wrist_bvr" in note.message for note in notification_manager.records)
    assert data._kept_words is not None
