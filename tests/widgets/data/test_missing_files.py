"""What a session's file names and is no longer there, shown by the user: it is read as it was read before."""

import pytest
import torch
from trial_session import opened, tracked_trial

from napari_xreg.session import Session, read_session, write_session
from napari_xreg.widgets.data.widget import DataWidget

WAIT = 20_000


@pytest.fixture
def moved(tmp_path):
    """A session of a bone of a trial, whose CT was renamed since; and where that lies now."""
    (tmp_path / "trial").mkdir()
    trial = tracked_trial(tmp_path / "trial")
    session = Session()
    opened(trial, session=session)
    write_session(tmp_path / "s.xreg.json", session)
    (ct,) = trial.parent.rglob("rad.tif")
    elsewhere = ct.rename(ct.with_name("moved.tif"))
    return session, tmp_path / "s.xreg.json", elsewhere


def test_the_ct_of_a_bone_stays_one_of_its_trial(moved, empty_bench, monkeypatch, qtbot):
    """Nothing is asked that the session knows: voxels, values, the trial."""
    before, file, elsewhere = moved
    session = empty_bench.session
    session.restore(read_session(file).state, "open")
    (gone,) = session.missing
    widget = DataWidget(empty_bench.viewer)
    empty_bench.viewer.window.add_dock_widget(widget, name="Data")
    monkeypatch.setattr(
        "napari_xreg.widgets.data.widget.open_file", lambda *given: given[-1](str(elsewhere))
    )
    widget._choose_missing(gone)
    qtbot.waitUntil(lambda: session.missing == (), timeout=WAIT)
    assert widget.question is None
    source = session.patient.volume_source
    assert source.path == str(elsewhere)
    assert source.trial == before.patient.volume_source.trial != ""
    assert source.options == before.patient.volume_source.options
    assert torch.equal(session.patient.volume.lac, before.patient.volume.lac)
