"""The Landscape widget, driven as a person would."""

import numpy as np
import pytest
import torch
from qtpy.QtCore import QPointF, Qt
from qtpy.QtWidgets import QScrollArea

from napari_xreg.registration import COARSE_TO_FINE
from napari_xreg.registration.landscape.result import shifted_pose
from napari_xreg.session import Weights
from napari_xreg.similarity import Comparison, SimilarityNetwork, load_similarity
from napari_xreg.training import FixedCamera, save_network
from napari_xreg.widgets.landscape.widget import LandscapeWidget

pytestmark = pytest.mark.usefixtures("canvas_aside")

LEFT = Qt.MouseButton.LeftButton
LONG = 240_000  # on a machine that others use as well


@pytest.fixture
def viewer(lent_viewer):
    """A viewer whose window is on the screen: plots that nobody sees are not laid out."""
    viewer = lent_viewer(show=True)
    viewer.window.resize(1000, 900)
    return viewer


@pytest.fixture
def near(bench):
    """The bench 4 degrees of primary angle off the truth (7, -4, 2; 6, -9, 14)."""
    session = bench.session
    carm = session.exposures.active.radiograph.carm
    x, y, z = (float(v) for v in session.patient.isocenter)
    pose = carm.world_from_camera(11.0, -4.0, 2.0, isocenter=(x, y, z), offset_mm=(6.0, -9.0, 14.0))
    session.poses.set(pose, "start")
    return bench


@pytest.fixture
def widget(near, viewer, qtbot):
    widget = LandscapeWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Loss landscape", area="right")
    qtbot.wait(20)
    return widget


def _type(qtbot, box, text):
    box.setFocus()
    box.lineEdit().selectAll()
    qtbot.keyClicks(box.lineEdit(), text)
    qtbot.keyClick(box, Qt.Key.Key_Return)


def _run(widget, qtbot, measure="NCC", samples="9"):
    widget.settings["measure"].value = measure
    widget.settings["level"].value = COARSE_TO_FINE[0]
    for name in ("samples", "pair_samples"):
        _type(qtbot, widget.settings[name].native, samples)
    qtbot.mouseClick(widget.go, LEFT)
    assert widget.running
    assert not widget.go.isEnabled()
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)


def _click_plot(widget, plot, x, y):
    """A click at a place in the plot's own coordinates."""
    view = widget.plots._view
    place = plot.vb.mapViewToScene(QPointF(x, y))
    return view.mapFromScene(place)


def test_it_draws_the_sections_and_a_click_goes_there(widget, near, qtbot, screenshot):
    session = near.session
    for name, text in (("range_deg", "16"), ("range_mm", "33"), ("range_depth_mm", "77")):
        _type(qtbot, widget.settings[name].native, text)
    _run(widget, qtbot, "refinement")
    assert widget.go.isEnabled()
    assert not widget.stop.isEnabled()
    shown = widget.landscape
    reach = shown.settings
    assert (reach.range_deg, reach.range_mm, reach.range_depth_mm) == (16.0, 33.0, 77.0)
    assert all(np.isfinite(p.losses).all() for p in shown.profiles.values())
    assert np.isfinite(shown.pair.losses).all()
    section = widget.plots.sections["primary"]
    x, y = section.curves[0].getData()
    assert np.array_equal(x, np.arange(-4, 5) * 4.0)
    assert np.array_equal(y, shown.profiles["primary"].losses)
    # The truth is 4 degrees back.
    assert shown.profiles["primary"].minima[0].offset == pytest.approx(-4.0, abs=1.5)
    assert section.minima.getData()[0][0] == pytest.approx(
        shown.profiles["primary"].minima[0].offset
    )
    assert section.line.value() == pytest.approx(0.0)
    assert "primary: lowest at \N{MINUS SIGN}" in widget.words.words
    assert "simulated" in widget.words.words
    screenshot(widget.window(), "landscape_window")
    near.viewer.window._qt_window.resizeDocks([widget.parent()], [320], Qt.Orientation.Horizontal)
    qtbot.wait(50)
    screenshot(widget, "landscape")

    before = session.poses.current
    qtbot.wait(50)
    qtbot.mouseClick(
        widget.plots._view.viewport(), LEFT, pos=_click_plot(widget, section.plot, -4.0, 0.2)
    )
    carm = session.exposures.active.radiograph.carm
    terms = carm.carm_pose(session.poses.current, session.patient.isocenter)
    assert terms.primary_deg == pytest.approx(7.0, abs=0.4)
    assert terms.secondary_deg == pytest.approx(-4.0, abs=1e-6)
    assert terms.offset_mm == pytest.approx((6.0, -9.0, 14.0))
    assert section.line.value() == pytest.approx(terms.primary_deg - 11.0)
    assert session.undo().startswith("landscape: primary \N{MINUS SIGN}")
    session.exposures.rename(session.exposures.named("frontal").id, "AP")
    assert widget.landscape is shown  # it is still of this radiograph
    session.undo()
    assert session.poses.current is before
    assert section.line.value() == pytest.approx(0.0)

    # The map: primary upwards, x to the right.
    (pair,) = widget.plots.maps
    qtbot.mouseClick(
        widget.plots._view.viewport(), LEFT, pos=_click_plot(widget, pair.plot, 20.0, -8.0)
    )
    terms = carm.carm_pose(session.poses.current, session.patient.isocenter)
    assert terms.primary_deg == pytest.approx(11.0 - 8.0, abs=0.5)
    assert terms.offset_mm[0] == pytest.approx(6.0 + 20.0, abs=1.0)
    here = pair.here.getData()
    assert (here[0][0], here[1][0]) == pytest.approx((20.0, -8.0), abs=1.0)
    assert pair.image.image.shape == shown.pair.losses.shape

    near.viewer.theme = "light" if near.viewer.theme != "light" else "dark"
    qtbot.wait(50)
    screenshot(widget, f"landscape_{near.viewer.theme}")
    inside = widget.findChild(QScrollArea).widget()
    assert inside.minimumSizeHint().width() <= 290  # beside a scroll bar in a dock of 320


def test_two_losses_share_the_axes_and_each_has_its_map(widget, qtbot, screenshot):
    widget.settings["beside"].value = "mutual information"
    _run(widget, qtbot)
    first, second = widget.landscape.each
    for name, section in widget.plots.sections.items():
        for curve, each in zip(section.curves, (first, second), strict=True):
            losses = np.concatenate([p.losses for p in each.profiles.values()])
            share = (each.profiles[name].losses - losses.min()) / np.ptp(losses)
            assert curve.getData()[1] == pytest.approx(share)
        assert section.plot.vb.viewRange()[1] == pytest.approx([0.0, 1.08])
    assert second.profiles["x"].losses.min() < 0.0  # it has no bound below
    upper, lower = widget.plots.maps
    assert np.array_equal(lower.image.image, second.pair.losses)
    screenshot(widget, "landscape_two")
    widget.plots.astray.click()
    assert np.array_equal(upper.image.image, first.pair.astray_deg, equal_nan=True)
    assert lower.bar.levels() == (0.0, 180.0)
    screenshot(widget, "landscape_astray")
    widget.plots.astray.click()
    assert np.array_equal(upper.image.image, first.pair.losses)
    said = widget.words.words.split("\n")
    at = [said.index(f"1 \N{MINUS SIGN} {name}:") for name in ("NCC", "mutual information")]
    assert at[0] == 0
    assert all(said[i + 1].startswith("primary: lowest at") for i in at)
    assert sum(line.startswith("Map of primary and x: ") for line in said) == 2
    # One alone again, one curve and one map; what is below nothing is not cut off.
    widget.settings["beside"].value = None
    _run(widget, qtbot, "mutual information")
    assert len(widget.plots.maps) == 1
    bottom = min(p.losses.min() for p in widget.landscape.profiles.values())
    assert widget.plots.sections["x"].plot.vb.viewRange()[1][0] == pytest.approx(bottom)
    assert all(len(section.curves) == 1 for section in widget.plots.sections.values())


def test_cancel_keeps_what_there_is_and_another_ct_forgets_it(widget, near, qtbot):
    session = near.session
    widget.settings["pair"].native.setCurrentText("no map")
    widget.settings["level"].value = COARSE_TO_FINE[3]
    _type(qtbot, widget.settings["samples"].native, "201")
    qtbot.mouseClick(widget.go, LEFT)
    shown = widget.landscape
    qtbot.waitUntil(lambda: np.isfinite(shown.profiles["y"].losses).any(), timeout=LONG)
    qtbot.mouseClick(widget.stop, LEFT)
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    assert widget.words.words.startswith("Cancelled; some samples are missing.")
    known = [np.isfinite(p.losses).sum() for p in shown.profiles.values()]
    assert 0 < sum(known) < 6 * 201
    assert widget.plots.maps == ()
    assert len(widget.plots.sections["y"].curves[0].getData()[0]) == known[4]

    # Going elsewhere moves the line.
    carm = session.exposures.active.radiograph.carm
    session.poses.move(shifted_pose(carm, shown.center, {"depth": 25.0, "roll": -3.0}))
    assert widget.plots.sections["depth"].line.value() == pytest.approx(25.0)
    assert widget.plots.sections["roll"].line.value() == pytest.approx(-3.0)

    # The CT goes while a landscape of it is computed.
    qtbot.mouseClick(widget.go, LEFT)
    job = widget._job
    session.patient.set_volume(None)
    assert widget.landscape is None
    assert not widget.plots.isVisible()
    qtbot.waitUntil(lambda: not job.running, timeout=LONG)
    assert widget.landscape is None
    session.exposures.remove(session.exposures.active.id)
    assert not widget.go.isEnabled()


def test_it_is_taken_away_while_it_computes_and_refuses_in_words(
    widget, near, viewer, qtbot, monkeypatch
):
    said = []
    monkeypatch.setattr("napari_xreg.widgets.landscape.widget.show_warning", said.append)
    volume = near.session.patient.volume
    near.session.patient.set_volume(None)
    qtbot.mouseClick(widget.go, LEFT)
    assert not widget.running
    assert "needs a CT" in said[0]
    near.session.patient.set_volume(volume)
    qtbot.mouseClick(widget.go, LEFT)
    job = widget._job
    assert job.running
    viewer.window.remove_dock_widget(widget)
    assert widget.torn_down
    assert job.control.cancelled
    near.session.poses.set(near.session.poses.current, "after")
    widget.deleteLater()
    qtbot.wait(200)


def test_a_learned_similarity_is_drawn_with_the_weights_that_are_wanted(
    widget, near, qtbot, monkeypatch, tmp_path, screenshot
):
    said, session = [], near.session
    monkeypatch.setattr("napari_xreg.widgets.landscape.widget.show_warning", said.append)
    widget.settings["beside"].value = "learned similarity"
    qtbot.mouseClick(widget.go, LEFT)
    assert not widget.running
    assert "needs weights: train one (Train)" in said[0]
    torch.manual_seed(1)
    network = SimilarityNetwork("sphere", 8, FixedCamera(1020.0, 32, 9.375), (8, 8, 16), 1, 2)
    save_network(tmp_path / "one.safetensors", network, {"trained_on": "another CT"})
    session.weights.add(Weights("pose", tmp_path / "none.safetensors"))
    session.weights.add(Weights("similarity", tmp_path / "one.safetensors"))
    _run(widget, qtbot)
    learned = widget.landscape.beside
    view = session.exposures.active
    seen = Comparison(
        load_similarity(tmp_path / "one.safetensors")[0], session.patient.rendering.volume(),
        view.masked, session.patient.isocenter,
    )  # fmt: skip
    here = seen.distance(view.world_from_camera)
    assert learned.profiles["x"].losses[4] == pytest.approx(here, rel=1e-4)
    said = widget.words.words.split("\n")
    assert "learned similarity:" in said
    assert said[-1] == "Weights: one.safetensors, trained on another CT."
    screenshot(widget, "landscape_learned")
