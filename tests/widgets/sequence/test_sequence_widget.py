"""The Sequence widget, driven as a person would: track, look at a frame, keep a pose, export."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from qtpy.QtCore import QPoint, Qt

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Landmark, Radiograph, write_radiograph
from napari_xreg.records import read_track
from napari_xreg.registration import step_between
from napari_xreg.rendering import render_drr
from napari_xreg.session import file_source, read_xray
from napari_xreg.widgets import SequenceWidget
from napari_xreg.widgets.sequence.strip import COLORS
from napari_xreg.workflows import FrameState

LEFT = Qt.MouseButton.LeftButton
LONG = 240_000
NUMBERS = (6, 7, 8)
ARM = CArm(1020.0, 750.0, Detector((96, 108), (3.4, 4.9), (45.0, 58.0)))
STEP = torch.tensor([0.02, 0.03, -0.02, 3.0, -2.0, 2.0], dtype=torch.float64)


@pytest.fixture(scope="session")
def moving(patient, tmp_path_factory):
    """Three frames of the phantom as it moves, and where it was."""
    folder = tmp_path_factory.mktemp("cine")
    center = patient.volume.center.double()
    pose = ARM.world_from_camera(7.0, -4.0, 2.0, isocenter=center)
    truth = {}
    for number in NUMBERS:
        truth[number] = pose = pose.left_perturb(STEP, center)
        image = render_drr(patient.volume, ARM, pose, method="joseph")
        write_radiograph(folder / f"f_{number:03d}.npz", Radiograph(image, ARM, simulated=True))
    return folder, truth, center


@pytest.fixture
def widget(moving, patient, viewer, bench, qtbot):
    """The middle frame in a session of its own, 2 mm and a degree off."""
    folder, truth, center = moving
    session = bench.session
    for each in session.exposures.all:
        session.exposures.remove(each.id)
    source = file_source(folder / "f_007.npz")
    session.exposures.add(
        read_xray(source),
        name="cine",
        start=truth[7].left_perturb(-0.4 * STEP, center),
        source=source,
    )
    made = SequenceWidget(viewer)
    viewer.window.add_dock_widget(made, name="Sequence", area="right")
    made.settings["pixels"].value = 96
    return made


def tracked(widget, qtbot):
    qtbot.mouseClick(widget.go, LEFT)
    assert widget.go.text() == "Cancel"
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    assert widget.track is not None


def shown(widget):
    return widget.workbench.session.exposures[widget.sequence.ids[0]]


def test_tracked_looked_at_kept_and_written(widget, moving, qtbot, tmp_path, screenshot):
    folder, truth, center = moving
    session = widget.workbench.session
    tracked(widget, qtbot)
    assert widget.words.words.startswith("3 simulated frames: 3 tracked.")
    assert [widget.strip.color_of(n) for n in NUMBERS] == [COLORS[FrameState.TRACKED]] * 3
    for plot in widget.plots.plots.values():
        assert plot.dots.getData()[0].tolist() == list(NUMBERS)
    # The body's own motion, from the first frame: 0.02 rad about x a frame, the other way of the camera.
    turn = widget.plots.plots["turn x"].dots.getData()[1]
    assert turn[0] == pytest.approx(0.0, abs=1e-9)
    assert np.diff(turn) == pytest.approx([-np.degrees(0.02)] * 2, abs=0.15)
    screenshot(widget, "sequence", 330)

    # A click on the last cell shows that frame, and the bone where it was found.
    picked = replace(shown(widget), landmarks=(Landmark("A", pixel=(3.0, 4.0)),))
    session.exposures.replace(picked)
    where = widget.strip.place_of(8)
    qtbot.mouseClick(widget.strip, LEFT, pos=QPoint(round(where.x()), round(where.y())))
    qtbot.waitUntil(lambda: shown(widget).source.path.endswith("f_008.npz"), timeout=LONG)
    there = shown(widget)
    expected = read_xray(file_source(folder / "f_008.npz"))
    assert torch.equal(there.radiograph.line_integrals, expected.line_integrals)
    assert there.landmarks == ()
    off = step_between(truth[8], there.world_from_camera, center)
    assert float(off[3:].norm()) < 1.0
    assert "frame 8: tracked" in widget.words.words
    assert widget.number.value() == 8

    # What is right is kept, and tracking goes on from it.
    session.poses.set(truth[8], "by hand")
    widget.key_button.click()
    assert widget.keys == (8,)
    assert session.undo() is not None
    assert session.undo() == "frame 8"
    assert shown(widget).source.path.endswith("f_007.npz")
    assert widget.number.value() == 7
    tracked(widget, qtbot)
    assert widget.track.frames[2].state is FrameState.KEY
    assert torch.equal(widget.track.frames[2].world_from_camera.matrix(), truth[8].matrix())

    widget.export(tmp_path / "out")
    qtbot.waitUntil((tmp_path / "out" / "track.gif").exists, timeout=LONG)
    assert [row.state for row in read_track(tmp_path / "out" / "track.csv")] == [
        "tracked", "tracked", "given",
    ]  # fmt: skip

    # Another CT, and none of it holds.
    session.patient.set_volume(None)
    assert widget.track is None
    assert widget.keys == ()
    assert not widget.plots.isVisible()


def test_one_picture_is_no_sequence(widget, moving, tmp_path, qtbot):
    folder, _, _ = moving
    (tmp_path / "one").mkdir()
    alone = tmp_path / "one" / "f_007.npz"
    alone.write_bytes((folder / "f_007.npz").read_bytes())
    session = widget.workbench.session
    (entry,) = session.exposures.all
    session.exposures.replace(replace(entry, source=file_source(alone)))
    qtbot.mouseClick(widget.go, LEFT)
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    assert widget._kept_words is not None
    assert "is one picture" in widget._kept_words.words
    assert widget.track is None


def test_a_radiograph_that_was_cropped_is_refused_before_anything_is_read(widget, qtbot):
    session = widget.workbench.session
    (entry,) = session.exposures.all
    session.exposures.replace_image(entry.id, entry.radiograph.crop(2, 3, 80, 90))
    qtbot.mouseClick(widget.go, LEFT)
    assert not widget.running
    assert "was cropped, turned or edited" in widget._kept_words.words
