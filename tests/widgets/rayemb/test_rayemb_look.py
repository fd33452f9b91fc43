"""The point that is looked at and points kept as landmarks: no window is needed."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from napari.components import ViewerModel
from rayemb_parts import pixel_of, pose_at, prepare_ideally

from napari_xreg.session import Look, PointList, Session
from napari_xreg.viewer.detector.heatmaps import HERE, PEAK, HeatmapLayers
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.rayemb.look import PointLook
from napari_xreg.widgets.rayemb.points import ERROR, IN_IMAGE, SPREAD, TO_POSE, numbers_of
from napari_xreg.workflows import (
    HeatmapRequest,
    ScorePointsRequest,
    copy_to_landmarks,
    heatmaps,
    points as workflow,
    score_points,
)

TRUTH = {"primary_deg": 7.0, "secondary_deg": -4.0, "roll_deg": 2.0, "offset_mm": (6.0, -9.0, 14.0)}
# Rows of 330 / 96 mm on the detector, columns 1.3 / 0.9 of it; 750 of 1020 mm away.
PIXEL_MM = np.array([330 / 96, 330 / 96 * 1.3 / 0.9]) * 750 / 1020


class Canvas:
    """Remembers what it was told to show."""

    def __init__(self):
        self.overlay, self.backdrop, self.shown = "blend", False, []

    def show_heatmap(self, heatmap, *, limits=None):
        self.shown.append(heatmap)

    def drop_heatmap(self):
        self.shown.append(None)


class Bench(Workbench):
    """A session and a canvas, without a viewer."""

    def __init__(self, session):
        self.session, self.canvas, self._closed = session, Canvas(), False


@pytest.fixture
def scene(patient, radiograph):
    """A session whose radiograph the ideal encoder has seen, and a look at it."""
    session = Session()
    session.patient.set_volume(patient.volume)
    session.exposures.add(radiograph, name="frontal")
    truth = pose_at(session, **TRUTH)
    session.exposures.remove(session.exposures.named("frontal").id)
    session.exposures.add(radiograph, name="frontal", truth=truth)
    prepare_ideally(session, truth)
    bench = Bench(session)
    viewer = ViewerModel()
    look = PointLook(bench, HeatmapLayers(viewer))
    yield SimpleNamespace(
        session=session, state=session.ray_points, canvas=bench.canvas, viewer=viewer, look=look,
        truth=truth, marks=list(patient.landmarks.values()),
    )  # fmt: skip
    look.close()


def test_an_answer_is_painted_once_it_is_there(scene):
    point = scene.marks[2]
    scene.state.set_look(Look(point, scene.session.exposures.active.id))
    answer = heatmaps(HeatmapRequest(scene.state.prepared, (point,), 3))
    scene.look._take(answer)
    assert scene.look.heatmap is answer
    (shown,) = scene.canvas.shown
    np.testing.assert_array_equal(shown, answer.similarity())
    assert scene.canvas.overlay == "radiograph"
    assert scene.canvas.backdrop
    expected = pixel_of(scene.session, point, scene.truth)
    assert scene.viewer.layers[PEAK].data[0].tolist() == pytest.approx(expected, abs=1.5)
    here = pixel_of(scene.session, point, scene.session.poses.current)
    assert scene.viewer.layers[HERE].data[0].tolist() == pytest.approx(here)
    assert scene.state.look.pixel == pytest.approx(expected, abs=1.5)
    words = scene.look.words()
    off = np.hypot(*((answer.maps.found.pixels[0].numpy() - here) * PIXEL_MM))
    assert f"from the current projection {off:.1f} mm" in words
    scene.look.close()
    assert scene.canvas.overlay == "blend"
    assert not scene.canvas.backdrop


def test_a_renamed_radiograph_is_still_the_one_that_was_prepared(scene):
    scene.session.exposures.rename(scene.session.exposures.named("frontal").id, "AP")
    assert scene.state.shows(scene.session.exposures.active)
    scene.session.exposures.add(scene.session.exposures.active.radiograph, name="frontal")
    assert not scene.state.shows(scene.session.exposures.active)  # of the same name and image


def test_a_stale_answer_is_not_painted(scene):
    point = scene.marks[2]
    scene.state.set_look(Look(point, scene.session.exposures.active.id))
    late = heatmaps(HeatmapRequest(scene.state.prepared, (point,), 3))
    prepare_ideally(scene.session, scene.truth)
    scene.look._take(late)
    assert scene.look.heatmap is None
    assert scene.canvas.shown == []
    assert scene.state.look.pixel is None


def test_the_answer_of_the_point_before_is_not_the_point_s(scene):
    first, second = scene.marks[2], scene.marks[5]
    scene.state.set_look(Look(second, scene.session.exposures.active.id))
    scene.look._take(heatmaps(HeatmapRequest(scene.state.prepared, (first,), 3)))
    assert scene.look.heatmap is None  # shown on the way, but not the one asked for
    assert scene.state.look.pixel is None


def test_the_numbers_of_the_list(scene):
    points = torch.tensor(scene.marks, dtype=torch.float64)
    found = score_points(ScorePointsRequest(scene.state.prepared, points, 3)).found
    names = tuple(f"p {i}" for i in range(len(points)))
    listed = PointList(names, points).looked_for(found)
    active = scene.session.exposures.active
    values = numbers_of(listed, active.radiograph.carm, active.world_from_camera, scene.truth)
    row = 4
    for column, pose in ((TO_POSE, active.world_from_camera), (ERROR, scene.truth)):
        at = pixel_of(scene.session, scene.marks[row], pose)
        apart = np.hypot(*((listed.found.pixels[row].numpy() - at) * PIXEL_MM))
        assert values[row, column - 1] == pytest.approx(apart)
    variances = listed.found.covariances[row].diagonal().numpy() * PIXEL_MM**2
    assert values[row, SPREAD - 1] == pytest.approx(float(np.sqrt(variances.mean())))
    assert values[row, IN_IMAGE - 1] == pytest.approx(100 * float(listed.found.in_image[row]))
    assert np.isnan(numbers_of(listed.not_looked_for(), None, None, None)).all()
    without = numbers_of(listed, active.radiograph.carm, active.world_from_camera, None)
    assert np.isnan(without[:, ERROR - 1]).all()


def test_kept_as_landmarks_with_their_covariance(scene):
    points = torch.tensor(scene.marks[:2], dtype=torch.float64)
    found = score_points(ScorePointsRequest(scene.state.prepared, points, 3)).found
    found.covariances[:] = torch.tensor([[4.0, 1.5], [1.5, 9.0]], dtype=torch.float64)
    listed = PointList(("a", "b"), points).looked_for(found)
    words = copy_to_landmarks(scene.session, listed)
    assert "2 landmarks" in words
    assert [mark.name for mark in scene.session.landmarks.all] == ["a", "b"]
    assert scene.session.landmarks.all[1].position == pytest.approx(scene.marks[1])
    picked = scene.session.exposures.active.landmarks[1]
    assert picked.pixel == pytest.approx(tuple(listed.found.pixels[1].tolist()))
    assert picked.covariance == (4.0, 1.5, 9.0)
    with pytest.raises(ValueError, match="once they were found"):
        copy_to_landmarks(scene.session, listed.not_looked_for())


def test_a_heatmap_takes_one_thread_and_gives_the_others_back(scene, monkeypatch):
    seen, before = [], torch.get_num_threads()
    heatmaps_of = workflow.point_heatmaps

    def watched(*arguments, **options):
        seen.append(torch.get_num_threads())
        return heatmaps_of(*arguments, **options)

    monkeypatch.setattr(workflow, "point_heatmaps", watched)
    torch.set_num_threads(2)
    try:
        scene.look._lane._work(HeatmapRequest(scene.state.prepared, (scene.marks[2],), 3))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [1]
