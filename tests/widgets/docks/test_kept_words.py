"""Errors stay in the widget in front until the next action."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton, QVBoxLayout

from napari_xreg.geometry import CArmPose
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.jobs.telling import reason_first, show_error, show_info, show_warning
from napari_xreg.widgets.parts.scrolling import scrolled


class Probe(Docked):
    """A column that scrolls, and a button at its foot that fails."""

    def __init__(self, napari_viewer):
        super().__init__(napari_viewer)
        layout = QVBoxLayout(self)
        layout.addWidget(scrolled(QPushButton("inside")), 1)
        self.fails = QPushButton("fails")
        self.fails.clicked.connect(lambda _: show_error("/data/x.nii: is empty."))
        self.works = QPushButton("works")
        layout.addWidget(self.fails)
        layout.addWidget(self.works)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("/data/x.nii: is empty", "Is empty. File: /data/x.nii"),
        ("Reading x.nii failed: data/x.nii: line 3: no number.", "Reading x.nii failed: line 3: no number. File: data/x.nii"),
        ("Refinement: no radiograph is used", "Refinement: no radiograph is used"),
        ("CT/X-ray: both are needed", "CT/X-ray: both are needed"),
        ("The pose cannot be pasted: no JSON.", "The pose cannot be pasted: no JSON."),
    ],
)  # fmt: skip
def test_the_reason_comes_first_and_the_path_last(said, told):
    assert reason_first(said) == told


def test_an_error_stays_until_the_next_action(bench, viewer, qtbot, notified):
    probe = Probe(viewer)
    window = viewer.window.add_dock_widget(probe, name="probe", area="right").__wrapped__.parent()
    window.resize(900, 600)
    window.show()
    qtbot.waitUntil(probe.isVisible)
    qtbot.wait(50)
    before = probe.works.pos()

    def press(button):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    press(probe.fails)
    assert notified[-1] == "Is empty. File: /data/x.nii"
    assert probe._kept_words.words == "Is empty. File: /data/x.nii"
    qtbot.wait(50)
    assert probe.works.pos() == before  # the button at the foot has not moved
    press(probe.fails)  # and again: it is not lost by its own press
    assert probe._kept_words.words == "Is empty. File: /data/x.nii"
    press(probe.works)
    assert probe._kept_words.words == ""
    show_warning("The same file twice.")
    assert probe._kept_words.words == "The same file twice."
    session = bench.session  # the pose is moved: that is an action too
    carm = session.exposures.active.radiograph.carm
    session.poses.set(carm.pose_from(CArmPose(3.0, 0.0, isocenter=(0.0, 0.0, 0.0))), "test")
    assert probe._kept_words.words == ""
    show_info("work.xreg.json is saved")
    assert probe._kept_words.words == ""
    assert viewer.status == "work.xreg.json is saved"
