"""Landmarks from a detector, pass after pass, and what is done with the pose."""

import numpy as np
import pytest
import torch
from landmarks_scene import LEFT, angle_deg, exact, pick_exactly, solved, truth_of

from napari_xreg.images import Landmark
from napari_xreg.landmarks import Detections, DetectionTrust, PassesDone
from napari_xreg.session import Weights, read_session, write_session
from napari_xreg.widgets.landmarks.widget import LandmarksWidget
from napari_xreg.widgets.refine.widget import RefineWidget
from napari_xreg.workflows import LANDMARK_SPREAD, LANDMARK_STARTS
from napari_xreg.workflows.landmarks import detecting


@pytest.fixture
def widget(bench, viewer, qtbot):
    made = LandmarksWidget(viewer)
    viewer.window.add_dock_widget(made, name="Landmarks", area="right")
    yield made
    viewer.window.remove_dock_widget(made)
    made.deleteLater()


class Detector:
    """Knows where the landmarks are; the passes scatter as they are told. Stands for a network."""

    trusted_mm = 5.0

    def __init__(self, where, sigmas, visible):
        self.names, self.where, self.sigmas = tuple(where), where, sigmas
        self.visible, self.radiographs, self.hold = visible, [], None

    def after(self, passes):
        random = np.random.default_rng(3)
        sigma = np.array([self.sigmas[name] for name in self.names])[:, None]
        samples = np.array([self.where[n] for n in self.names]) + sigma * random.normal(
            size=(40, len(self.names), 2)
        )
        samples = torch.from_numpy(samples[:passes])
        away = samples - samples.mean(0)
        covariances = (away[..., :, None] * away[..., None, :]).mean(0)
        seen = torch.tensor([self.visible.get(name, 0.9) for name in self.names]).double()
        return Detections(self.names, samples.mean(0), covariances, seen, samples)


@pytest.fixture
def detector(bench, monkeypatch):
    where = exact(bench.session)
    sigmas = {name: 0.05 + 0.1 * number for number, name in enumerate(where)}
    made = Detector(where, sigmas, {"IOF-r": 0.2})

    def detect(network, radiograph, *, settings, control):
        assert network is made
        made.radiographs.append(radiograph)
        for done in range(settings.batch, settings.passes + 1, settings.batch):
            if not control.proceed():
                return None if done == settings.batch else made.after(done - settings.batch)
            yield PassesDone(done, settings.passes, made.after(done))
        return made.after(settings.passes)

    monkeypatch.setattr(detecting, "load_detector", lambda file: (made, {}))
    monkeypatch.setattr(detecting.landmarks, "detect", detect)
    return made


def test_detected_they_come_with_ellipses_in_the_colour_of_their_weight(
    bench, widget, detector, qtbot, tmp_path, screenshot
):
    session, panel = bench.session, widget.detection
    assert not panel.start_button.isEnabled()
    assert panel.words.words.startswith("No detector yet")
    session.weights.want(Weights("landmarks", tmp_path / "w.safetensors", "good"))
    session.weights.add(Weights("rayemb", tmp_path / "r.safetensors"))
    assert [panel.choice.itemText(i) for i in range(panel.choice.count())] == ["w.safetensors"]
    before = session.poses.current
    qtbot.mouseClick(panel.start_button, LEFT)
    qtbot.waitUntil(lambda: not panel.running, timeout=20_000)
    answer = solved(qtbot, widget)
    assert detector.radiographs == [session.exposures.active.masked]
    found = detector.after(40)
    marks = {mark.name: mark for mark in session.exposures.active.landmarks}
    for name, pixel, c in zip(found.names, found.pixels, found.covariances, strict=True):
        assert marks[name].pixel == pytest.approx(tuple(pixel.tolist()))
        assert marks[name].covariance == pytest.approx(
            (float(c[0, 0]), float(c[0, 1]), float(c[1, 1])), abs=1e-3
        )
        assert marks[name].visible == (name != "IOF-r")
    assert answer.verdicts["IOF-r"].fate == "invisible"
    # Nobody had chosen a mode: the detector's covariances count.
    assert widget.weighting.mode.currentText() == "covariance"
    weights = {name: v.weight for name, v in answer.verdicts.items()}
    assert weights["ASIS-l"] == 1.0
    assert weights["SPS-r"] is None or weights["SPS-r"] < 0.01
    chords = bench.viewer.layers["detections"]
    shown = {name: tuple(chords.edge_color[48 * i]) for i, name in enumerate(marks)}
    assert shown["ASIS-l"] == pytest.approx((0.35, 0.95, 0.85, 1.0), abs=0.02)
    assert shown["IOF-r"] == pytest.approx((0.6, 0.6, 0.6, 1.0), abs=0.01)
    # 95 %: the ellipse of the last one reaches 2.45 standard deviations.
    at = list(marks).index("SPS-r")
    corners = chords.data[48 * at : 48 * (at + 1), 0] - np.array(marks["SPS-r"].pixel)
    spread = np.sqrt(np.linalg.eigvalsh(found.covariances[at].numpy())[1])
    assert np.linalg.norm(corners, axis=1).max() == pytest.approx(2.4477 * spread, rel=0.01)
    # It is trusted, so the C-arm went along.
    assert "on average" in panel.words.words
    assert torch.equal(session.poses.current.translation, answer.pose.translation)
    assert angle_deg(answer.pose, truth_of(session)) < 0.5
    assert session.poses.current is not before
    panel.samples.setChecked(True)
    cloud = bench.viewer.layers["samples"]
    assert cloud.visible
    np.testing.assert_allclose(cloud.data, found.samples.reshape(-1, 2))
    np.testing.assert_allclose(
        cloud.face_color[15], bench.canvas.landmarks.colours.of(found.names[1]), atol=1e-6
    )
    widget.resize(320, 1000)
    screenshot(widget, "landmarks_detected")
    panel.samples.setChecked(False)
    assert not cloud.visible
    # Moved by hand, its ellipse is gone; the others keep theirs.
    name = "FH-l"
    widget._drop(name, (30.0, 40.0))
    assert {m.name for m in session.exposures.active.landmarks if m.covariance is None} == {name}
    solved(qtbot, widget)
    assert len(chords.data) == 48 * 13
    # Saved and opened, all of it is there.
    session.landmarks.set_left_out(session.exposures.named("frontal").id, ["GSN-l"])
    path = write_session(tmp_path / "case.xreg.json", session)[0]
    again = read_session(path)
    (entry,) = again.missing or again.exposures.all
    if again.exposures.all:
        assert again.exposures.all[0].landmarks == session.exposures.active.landmarks
        assert again.exposures.all[0].left_out == ("GSN-l",)
    else:
        assert entry.name == "frontal"


def test_a_radiograph_renamed_meanwhile_gets_its_landmarks(
    bench, widget, detector, qtbot, tmp_path
):
    session, panel = bench.session, widget.detection
    session.weights.want(Weights("landmarks", tmp_path / "w.safetensors"))
    panel.start()
    session.exposures.rename(session.exposures.named("frontal").id, "AP")
    qtbot.waitUntil(lambda: not panel.running, timeout=20_000)
    assert len(session.exposures.named("AP").landmarks) == 14
    solved(qtbot, widget)
    session.exposures.rename(session.exposures.named("AP").id, "a-p")
    widget.use_pose()  # before it was solved again under the new name
    assert session.results.all[-1].radiographs == (session.exposures.named("a-p").id,)


@pytest.mark.parametrize(("uncertainty_mm", "threshold_mm"), [(30.0, 5.0), (0.1, None)])
def test_what_is_not_trusted_moves_nothing_and_says_so(
    bench, widget, detector, qtbot, tmp_path, monkeypatch, uncertainty_mm, threshold_mm
):
    """Also a detector whose threshold nobody measured, however sure of itself."""
    session, panel = bench.session, widget.detection
    words = "Not trusted: place landmarks by hand."
    doubt = DetectionTrust(uncertainty_mm, threshold_mm, 14, words)
    monkeypatch.setattr(detecting, "trust_of", lambda *_, **__: doubt)
    session.weights.want(Weights("landmarks", tmp_path / "w.safetensors"))
    before = session.poses.current
    panel.start()
    qtbot.waitUntil(lambda: not panel.running, timeout=20_000)
    solved(qtbot, widget)
    assert panel.words.words.startswith("Not trusted")
    assert len(session.exposures.active.landmarks) == 14  # to look at, and to correct
    assert session.poses.current is before

    def broken(file):
        raise ValueError("weights and network do not fit.\nline 2")

    monkeypatch.setattr(detecting, "load_detector", broken)
    panel.start()
    qtbot.waitUntil(lambda: not panel.running, timeout=20_000)
    assert panel.words.words == "weights and network do not fit."


def test_pose_and_refine_starts_the_refine_widget_from_it(bench, viewer, widget, qtbot):
    session = bench.session
    pick_exactly(session)
    solved(qtbot, widget)
    # Two views would start there too; the one that is shown comes first.
    qtbot.mouseClick(widget.result.refine, LEFT)
    refining = bench.viewer.window.dock_widgets["Refine"]
    assert isinstance(refining, RefineWidget)
    assert refining.running
    assert angle_deg(session.poses.current, truth_of(session)) < 1e-4
    request = refining._run.request
    assert (request.settings.starts, request.settings.spread) == (LANDMARK_STARTS, LANDMARK_SPREAD)
    start = request.views[0].world_from_camera
    assert torch.equal(start.translation, session.poses.current.translation)
    refining.cancel()
    qtbot.waitUntil(lambda: not refining.running, timeout=60_000)
    assert session.results.all[0].name == "landmarks 1"
    viewer.window.remove_dock_widget(refining)
    refining.deleteLater()


def test_the_other_of_two_poses_is_a_press_away(bench, widget, qtbot):
    session = bench.session
    x, y, z = (float(v) for v in session.patient.isocenter)
    leaning = ((-9.0, 2.0, -8.0), (8.0, 2.2, -9.0), (9.0, -2.0, 8.5), (-8.0, -2.1, 9.0))
    session.landmarks.set(
        [Landmark(n, (x + a, y + b, z + c)) for n, (a, b, c) in zip("abcd", leaning, strict=True)]
    )
    assert widget.result.other.isHidden()
    pick_exactly(session)
    first = solved(qtbot, widget)
    assert widget.result.status.words.startswith("Two poses explain")
    assert not widget.result.other.isHidden()
    for expected in (first.other, first.pose):
        qtbot.mouseClick(widget.result.other, LEFT)
        answer = solved(qtbot, widget)
        assert angle_deg(answer.pose, expected) < 0.05
        assert torch.equal(session.poses.current.translation, answer.pose.translation)
    assert angle_deg(first.pose, first.other) > 5


def test_a_setting_solves_again(bench, widget, qtbot):
    session = bench.session
    pick_exactly(session, **{"MOF-r": (7.0, 5.0)})
    solved(qtbot, widget)
    for mark in session.exposures.active.landmarks:
        widget._set_sigma(mark.name, 8.0 if mark.name == "MOF-r" else 1.0)
    widget.weighting.robust.setChecked(False)
    alike = solved(qtbot, widget)
    assert alike.verdicts["MOF-r"].weight == 1.0
    widget.weighting.mode.setCurrentText("continuous (pixels)")
    widget.weighting.beta = 0.1
    mild = solved(qtbot, widget)
    widget.weighting.beta_slider.setValue(widget.weighting.beta_slider.value() + 20)  # a decade
    strong = solved(qtbot, widget)
    assert strong.request.weighting.beta == pytest.approx(10 * mild.request.weighting.beta)
    u = np.sqrt(2) * 7  # beyond the best
    assert mild.verdicts["MOF-r"].weight == pytest.approx(np.exp(-0.1 * u))
    assert strong.verdicts["MOF-r"].weight == pytest.approx(np.exp(-u))
    truth = truth_of(session)
    errors = [angle_deg(answer.pose, truth) for answer in (alike, mild, strong)]
    assert errors[0] > errors[1] > errors[2]
    widget.weighting.mode.setCurrentText("selection")
    widget.weighting.discard.setValue(1)
    without = solved(qtbot, widget)
    assert without.verdicts["MOF-r"].fate == "dropped"
    assert angle_deg(without.pose, truth) < 1e-4
    # Each was acted on here: the C-arm is where the last one says.
    assert torch.equal(session.poses.current.translation, without.pose.translation)
    # The threshold is in mm on the detector.
    widget.weighting.robust.setChecked(True)
    widget.weighting.threshold.setValue(12.0)
    s_row, s_column = session.exposures.active.radiograph.carm.detector.spacing
    request = solved(qtbot, widget).request
    assert request.settings.threshold_px == pytest.approx(12.0 / np.sqrt(s_row * s_column))
    widget.result.follow.setChecked(False)
    before = session.poses.current
    widget.weighting.mode.setCurrentText("rank")
    solved(qtbot, widget)
    assert session.poses.current is before
