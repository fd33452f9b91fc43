"""A widget from the menu, before and after the libraries below it are there."""

import subprocess
import sys

import pytest
from npe2 import PluginManager
from qtpy.QtCore import QEventLoop, QTimer

from napari_xreg.widgets import DataWidget, PoseWidget, menu
from napari_xreg.widgets.docks.opening import dock_of
from napari_xreg.widgets.docks.tabs import tabs_of


def test_the_menu_knows_every_widget_and_imports_none():
    code = (
        "import sys\n"
        "from napari_xreg.widgets import menu\n"
        "menu.DataWidget, menu.TrainWidget\n"
        "print([m for m in ('torch', 'numpy', 'napari', 'napari_xreg.widgets.data.widget') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_a_name_that_is_no_widget_is_none():
    with pytest.raises(AttributeError, match="open_demo"):
        menu.open_demo  # noqa: B018


def test_what_is_imported_is_there_at_once(make_napari_viewer):
    viewer = make_napari_viewer()
    assert type(menu.PoseWidget(viewer)) is PoseWidget


def test_a_script_that_builds_a_window_gets_the_widget(make_napari_viewer, monkeypatch):
    """Nobody waits at the window, and the next line asks something of the widget."""
    monkeypatch.setattr(menu, "_imported", lambda: False)
    assert type(menu.PoseWidget(make_napari_viewer())) is PoseWidget


def test_the_window_goes_on_while_the_first_is_imported(make_napari_viewer, monkeypatch, qtbot):
    """A label first; then the widget under the same name, and the name is not taken twice."""
    viewer = make_napari_viewer()
    monkeypatch.setattr(menu, "_imported", lambda: False)
    monkeypatch.setattr(menu, "_importing", None)
    assert "napari-xreg" in PluginManager.instance()
    waiting, opened = QEventLoop(), []

    def open_it():
        _, widget = viewer.window.add_plugin_dock_widget("napari-xreg", "Data")
        opened.append((type(widget), widget.words.text()))
        waiting.quit()

    QTimer.singleShot(0, open_it)
    waiting.exec()
    assert opened == [(menu.DataWidget, menu.LOADING)]
    # With the first widget come the other main tabs, in their order.
    titles = ["Data", "Pose", "Refine", "3D view"]
    qtbot.waitUntil(lambda: len(dict(viewer.window.dock_widgets)) == 4, timeout=20_000)
    docks = dict(viewer.window.dock_widgets)
    assert list(docks) == ["Data (napari-xreg)", *titles[1:]]
    assert type(docks["Data (napari-xreg)"]) is DataWidget
    window = viewer.window._qt_window
    qtbot.waitUntil(lambda: tabs_of(window, dock_of(docks["Pose"])) == titles)

    # Once more from the menu: the one that is open comes to the front, and no second one.
    def again():
        viewer.window.add_plugin_dock_widget("napari-xreg", "Pose")
        waiting.quit()

    QTimer.singleShot(0, again)
    waiting.exec()
    qtbot.waitUntil(lambda: list(dict(viewer.window.dock_widgets)) == list(docks))


def test_what_cannot_be_imported_says_so(make_napari_viewer, monkeypatch, qtbot):
    viewer = make_napari_viewer()

    def broken(name):
        raise ImportError("no such library")

    monkeypatch.setattr(menu, "_imported", lambda: False)
    monkeypatch.setattr(menu, "_importing", None)
    monkeypatch.setattr(menu, "window_runs", lambda: True)
    monkeypatch.setattr(menu, "_widget", broken)
    shown = menu.DataWidget(viewer)
    qtbot.addWidget(shown)
    with qtbot.capture_exceptions() as raised:
        qtbot.waitUntil(lambda: shown.words.text() != menu.LOADING)
    assert shown.words.text() == "This widget cannot be loaded: no such library"
    assert [kind for kind, *_ in raised] == [ImportError]
