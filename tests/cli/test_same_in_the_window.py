"""One case by the command line and by the window: the same heatmap, points, landmarks and pose."""

import json

import numpy as np
import pytest
import torch

from napari_xreg.images import Landmark, read_labels, read_radiograph, read_volume, write_landmarks
from napari_xreg.landmarks import CompactDetector
from napari_xreg.progress import run
from napari_xreg.records import read_pose
from napari_xreg.registration import Weighting
from napari_xreg.session import Session, Weights
from napari_xreg.simulation import phantom
from napari_xreg.training import save_network
from napari_xreg.widgets.jobs.jobs import Jobs
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.landmarks.detection import DetectionPanel
from napari_xreg.widgets.landmarks.weighting import COVARIANCE, WeightingPanel
from napari_xreg.widgets.rayemb.pose import PosePanel
from napari_xreg.widgets.rayemb.search import PoseSearch
from napari_xreg.widgets.rayemb.weights import WeightsGroup
from napari_xreg.workflows import (
    HeatmapRequest,
    InitialiseRequest,
    PrepareNetworkRequest,
    SolveRequest,
    heatmaps,
    initialise,
    prepare_network,
    solve,
    take_detected,
)

LONG = 120_000


@pytest.fixture
def session(case):
    """The files of the case, opened as the window opens them."""
    made = Session()
    made.patient.set_volume(read_volume(case.ct))
    made.patient.set_labels(read_labels(case.labels).onto(made.patient.volume))
    made.exposures.add(read_radiograph(case.xray), name="x")
    return made


class Bench(Workbench):
    """A session and its jobs, without a viewer."""

    def __init__(self, session):
        self.session, self.jobs, self._closed = session, Jobs(self), False


@pytest.fixture
def bench(session, qtbot):
    """Of a window, as far as these panels look at it."""
    made = Bench(session)
    yield made
    made.jobs.close()


@pytest.fixture
def prepared(session, qtbot):
    """What the button of the RayEmb widget makes, as its group of settings begins."""
    group = WeightsGroup()
    qtbot.addWidget(group)
    request = PrepareNetworkRequest(
        session.patient.volume, session.exposures.active.masked, session.patient.labels,
        session.patient.isocenter if group.about_isocenter else None, group.weights, group.settings,
    )  # fmt: skip
    ready = run(prepare_network(request))
    session.ray_points.set_prepared(ready, session.exposures.active)
    return ready


@pytest.mark.slow
def test_heatmaps(call, case, prepared, tmp_path):
    x, y, z = case.volume.center.tolist()
    points = ((x, y, z), (x + 31, y - 12, z + 24))
    words = [word for point in points for word in ("--point", *point)]
    done = call(
        "heatmap", case.ct, case.xray, *words, "--labels", case.labels,
        "--out", tmp_path / "maps", "--json", "--quiet",
    )  # fmt: skip
    assert done.code == 0, done.err
    kept = np.load(tmp_path / "maps" / "heatmaps.npz")
    for row, point in enumerate(points):
        # One point at a time, as it is clicked.
        shown = heatmaps(HeatmapRequest(prepared, (point,)))
        np.testing.assert_allclose(kept["similarity"][row], shown.similarity(), atol=1e-5)
        np.testing.assert_allclose(kept["probability"][row], shown.probability(), rtol=1e-3)
        entry = json.loads(done.out)["points"][row]
        found = shown.maps.found
        assert entry["peak_row_column"] == pytest.approx(found.pixels[0].tolist(), abs=1e-3)


@pytest.mark.slow
def test_points_and_their_pose(case, prepared, session, bench, qtbot):
    panel = PosePanel()
    qtbot.addWidget(panel)
    panel.show_session(session)
    search = PoseSearch(bench, panel)
    search.find()
    qtbot.waitUntil(lambda: not search.finding, timeout=LONG)
    search.solve()
    qtbot.waitUntil(lambda: search.solved is not None, timeout=LONG)
    search.close()
    located = search.solved
    # The same files, read by somebody else: `register --init rayemb`.
    volume, radiograph = read_volume(case.ct), read_radiograph(case.xray)
    labels = read_labels(case.labels).onto(volume)
    start = run(initialise(InitialiseRequest("rayemb", volume, radiograph, labels)))
    assert torch.equal(start.pose.matrix(), located.world_from_camera.matrix())
    assert start.extra["init"]["probability"] == located.verdict.likelihood.probability
    assert start.extra["init"]["points"] == len(session.ray_points.points)


def test_landmarks_and_their_pose(call, case, session, bench, tmp_path, qtbot):
    places = phantom(spacing_mm=8.0).landmarks
    marks = [Landmark(name, place) for name, place in places.items()]
    write_landmarks(tmp_path / "marks.mrk.json", marks)
    torch.manual_seed(0)
    file = tmp_path / "new.safetensors"
    save_network(file, CompactDetector(tuple(places), widths=(8, 8, 8, 8)), {})
    done = call(
        "detect", case.xray, "--weights", file, "--landmarks", tmp_path / "marks.mrk.json",
        "--passes", 10, "--out", tmp_path / "d", "--json", "--quiet",
    )  # fmt: skip
    answer = json.loads(done.out)

    session.weights.want(Weights("landmarks", file))
    panel, weighting = DetectionPanel(session, bench.jobs), WeightingPanel()
    for widget in (panel, weighting):
        qtbot.addWidget(widget)
    panel.passes.setValue(10)
    panel.start()
    qtbot.waitUntil(lambda: not panel.running, timeout=LONG)
    take_detected(session, session.exposures.active.id, panel.detections.landmarks())
    for entry, mark in zip(answer["landmarks"], session.exposures.active.landmarks, strict=True):
        assert entry["name"] == mark.name
        assert entry["pixel_row_column"] == list(mark.pixel)
        assert (entry["visible"] >= 0.5) == mark.visible
    weighting.suggest(COVARIANCE)
    carm = session.exposures.active.radiograph.carm
    solved = solve(
        SolveRequest(
            tuple(marks), session.exposures.active.landmarks, carm, weighting=weighting.weighting(),
            settings=weighting.settings(carm), hand_sigma_px=weighting.hand_sigma_px,
        )
    )  # fmt: skip
    assert weighting.weighting() == Weighting("covariance")
    assert answer["pose"]["reason"] == solved.solution.reason
    if solved.pose is not None:
        written = read_pose(tmp_path / "d" / "pose.json")
        torch.testing.assert_close(written.matrix(), solved.pose.matrix(), rtol=0, atol=1e-6)
