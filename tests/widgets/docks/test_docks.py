"""Tabs, the Tools menu, and the layout that is remembered."""

from pathlib import Path

import pytest
from npe2 import PluginManifest
from qtpy.QtWidgets import QLabel, QMenu, QTabBar, QToolButton

from napari_xreg import widgets
from napari_xreg.viewer import Layout, remember_layout, remembered_layout, user_preferences
from napari_xreg.widgets.docks import layout
from napari_xreg.widgets.docks.opening import dock_of, found_entry, opened_entry
from napari_xreg.widgets.docks.table import ENTRIES, entry_of, entry_titled
from napari_xreg.widgets.docks.tabs import tabs_of, to_front
from napari_xreg.widgets.docks.tools_menu import NAME, fill

MANIFEST = Path(__file__).resolve().parents[3] / "src" / "napari_xreg" / "napari.yaml"


def test_every_widget_has_an_entry_and_a_short_title():
    names = {name for name in dir(widgets) if name.endswith("Widget")}
    assert {entry.widget for entry in ENTRIES} == names
    assert all(len(entry.title) <= 14 for entry in ENTRIES)
    assert [entry.title for entry in ENTRIES if entry.main] == ["Data", "Pose", "Refine", "3D view"]
    assert entry_of(widgets.PoseWidget).title == "Pose"
    assert entry_of(int) is None


@pytest.fixture
def opened(viewer, empty_bench, qtbot):
    """A function that opens a widget by its title and waits until it is among the tabs."""

    def open_one(title):
        widget = opened_entry(viewer, entry_titled(title))
        qtbot.waitUntil(lambda: dock_of(widget).windowTitle() == title)
        qtbot.wait(30)
        return widget

    return open_one


def titles(widget):
    dock = dock_of(widget)
    return tabs_of(dock.parent(), dock)


def test_main_tabs_come_first_and_tools_step_aside(viewer, opened, qtbot):
    window = dock_of(opened("Landmarks")).parent()
    window.resize(1366, 768)
    window.show()
    data = opened("Data")
    opened("Confidence")
    pose = opened("Pose")
    layout.set_width(dock_of(data), 700)
    assert titles(data) == ["Data", "Pose", "Landmarks", "Confidence"]
    assert opened("Landmarks") is found_entry(viewer, entry_titled("Landmarks"))  # no second one
    # Where they do not fit, the tool that was not looked at for longest is hidden, and comes back.
    layout.set_width(dock_of(data), 450)
    bar = next(bar for bar in window.findChildren(QTabBar) if bar.count() == 4)
    qtbot.waitUntil(lambda: abs(bar.width() - 450) < 20)
    bar.setStyleSheet("QTabBar::tab { min-width: 120px; }")  # room for three
    qtbot.waitUntil(lambda: bar.tabRect(0).width() >= 120)
    to_front(dock_of(data))
    qtbot.waitUntil(lambda: titles(data) == ["Data", "Pose", "Landmarks"])
    confidence = found_entry(viewer, entry_titled("Confidence"))
    assert confidence is not None
    assert dock_of(confidence).isHidden()
    opened("Confidence")
    qtbot.waitUntil(lambda: titles(data) == ["Data", "Pose", "Confidence"])
    # The menu knows what is open, hidden or not; and it survives floating.
    menu = QMenu()
    qtbot.addWidget(menu)
    fill(viewer, menu)
    lines = {action.text(): action.isChecked() for action in menu.actions() if action.text()}
    assert set(lines) == {entry.title for entry in ENTRIES}
    assert {title for title, ticked in lines.items() if ticked} == {
        "Data", "Pose", "Landmarks", "Confidence"
    }  # fmt: skip
    dock_of(pose).setFloating(True)
    qtbot.waitUntil(lambda: dock_of(pose).titleBarWidget().findChild(QToolButton, NAME) is not None)


@pytest.fixture
def settings(plugin_settings, npe2pm):
    """The plugin's settings, isolated."""
    with npe2pm.tmp_plugin(manifest=PluginManifest.from_file(MANIFEST)):
        yield


def test_the_layout_is_remembered(settings, viewer, opened, qtbot, monkeypatch):
    assert remembered_layout() == Layout(("Data", "Pose", "Refine", "3D view"), 0)
    remember_layout(Layout(("Pose", "no such widget", "Confidence"), 410))
    assert remembered_layout().width == 410
    asked = opened("Pose")
    layout.open_the_rest(viewer, asked)
    qtbot.waitUntil(lambda: titles(asked) == ["Pose", "Confidence"])
    layout.keep(viewer)  # a script's window: nothing is written
    assert "no such widget" in remembered_layout().tabs
    monkeypatch.setattr(layout, "window_runs", lambda: True)
    layout.keep(viewer)
    assert remembered_layout().tabs == ("Pose", "Confidence")
    assert remembered_layout().width == dock_of(asked).width()


@pytest.mark.parametrize("fault", [OSError("disk full"), ValueError("no"), RuntimeError("Qt")])
def test_a_layout_that_cannot_be_written_keeps_nothing_from_ending(
    viewer, empty_bench, opened, monkeypatch, fault
):
    class Settings:
        @property
        def window(self):
            raise fault

    opened("Pose")
    monkeypatch.setattr(layout, "window_runs", lambda: True)
    monkeypatch.setattr(user_preferences, "get_plugin_settings", lambda _: Settings())
    watch = empty_bench._watch
    if isinstance(fault, RuntimeError):  # an error of ours is not swallowed, but nothing goes on
        with pytest.raises(RuntimeError):
            watch._close()
    else:
        watch._close()
    assert empty_bench.closed


def test_a_dock_of_another_plugin_is_never_put_aside(viewer, opened, qtbot):
    """Even where its title is that of a tool of ours."""
    data = opened("Data")
    window = dock_of(data).parent()
    window.resize(1366, 768)
    window.show()
    label = QLabel("theirs")
    viewer.window.add_dock_widget(label, name="Landmarks", area="right")
    foreign = dock_of(label)
    window.tabifyDockWidget(dock_of(data), foreign)
    opened("Confidence")
    opened("Pose")
    layout.set_width(dock_of(data), 450)
    bar = next(bar for bar in window.findChildren(QTabBar) if bar.count() == 4)
    bar.setStyleSheet("QTabBar::tab { min-width: 200px; }")  # room for two
    qtbot.waitUntil(lambda: bar.tabRect(0).width() >= 200)
    to_front(dock_of(data))
    confidence = found_entry(viewer, entry_titled("Confidence"))
    qtbot.waitUntil(lambda: dock_of(confidence).isHidden())
    assert not foreign.isHidden()
