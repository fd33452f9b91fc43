"""Where the folder of a result is to be."""

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_xreg.widgets.refine.exporting import ask_folder


def test_a_results_name_is_one_folder_in_the_one_that_was_chosen(qtbot, monkeypatch, tmp_path):
    parent = QWidget()
    qtbot.addWidget(parent)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    assert ask_folder(parent, "result 2") == tmp_path / "result-2"
    assert ask_folder(parent, "L/R kidney 1") == tmp_path / "L-R-kidney-1"
    assert ask_folder(parent, "/etc 1") == tmp_path / "-etc-1"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    assert ask_folder(parent, "result 2") is None
