"""From points to correspondences to a pose, with an encoder that makes no mistakes of its own."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from ideal_encoder import IdealEncoder, ideal_radiograph, ideal_templates

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import Radiograph
from napari_xreg.metrics import mean_target_registration_error
from napari_xreg.progress import Control, run
from napari_xreg.rayemb import (
    CorrespondSettings,
    correspond,
    find_each,
    point_heatmaps,
    pose_evidence,
    pose_of,
)

CENTER = torch.tensor([12.0, -31.0, 640.0], dtype=torch.float64)
# Nothing square, nothing centred.
DETECTOR = Detector((300, 360), (0.9, 0.8), principal_point=(139.0, 195.5))
STOOD = CArmPose(24.0, -13.0, 8.0, (11.0, -17.0, 33.0), (12.0, -31.0, 640.0))


def scene(mirrored: bool = True):
    carm = CArm(1020.0, 720.0, replace(DETECTOR, mirrored=mirrored))
    encoder = IdealEncoder()
    truth = carm.pose_from(STOOD)
    generator = torch.Generator().manual_seed(5)
    points = CENTER + 45 * torch.randn(160, 3, generator=generator, dtype=torch.float64)
    return carm, encoder, truth, points


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize("per_point", [3, 4])
def test_points_are_found_where_they_project(mirrored, per_point):
    # With four templates the fourth line depends on the other three: the rank must be seen as 3.
    carm, encoder, truth, points = scene(mirrored)
    templates = ideal_templates(encoder, carm, CENTER)
    embedded = ideal_radiograph(encoder, carm, truth, CENTER)
    settings = CorrespondSettings(top=160, redraws=2, per_point=per_point)
    found = run(correspond(encoder, embedded, templates, points, settings=settings))
    expected = carm.project(found.points, truth)
    inside = ((expected > 8) & (expected < torch.tensor([291.0, 351.0]))).all(1)
    assert 60 < inside.sum() < 160
    error = (found.pixels - expected)[inside].norm(dim=1)
    # A heatmap pixel is about 5 of these.
    assert error.median() < 1.0
    assert error.quantile(0.9) < 2.5
    bias = (found.pixels - expected)[inside & (found.in_image > 0.5)].mean(0)
    assert bias.abs().max() < 0.5
    # What is not in the image is told apart, and ranked last.
    outside = ((expected < -12) | (expected > torch.tensor([312.0, 372.0]))).any(1)
    assert found.in_image[inside].median() > 0.9
    assert found.in_image[outside].median() < 0.1
    assert (found.score[:-1] >= found.score[1:]).all()


def test_the_pose_follows():
    carm, encoder, truth, points = scene()
    templates = ideal_templates(encoder, carm, CENTER)
    embedded = ideal_radiograph(encoder, carm, truth, CENTER)
    settings = CorrespondSettings(top=60, redraws=1, per_point=3)
    found = run(correspond(encoder, embedded, templates, points, settings=settings))
    radiograph = Radiograph(torch.zeros(300, 360), carm)
    solution = pose_of(found, radiograph)
    error = mean_target_registration_error(solution.world_from_camera, truth, points)
    assert error < 4.0
    trust = pose_evidence(found, solution, radiograph)
    assert trust.inlier_share > 0.9
    assert 0 < trust.residual_mm < 2.0
    assert 0 < trust.spread_mm < 8.0
    assert trust.in_image > 0.9


def test_rounds_stream_and_a_redraw_never_lowers_the_score():
    carm, encoder, truth, points = scene()
    templates = ideal_templates(encoder, carm, CENTER)
    embedded = ideal_radiograph(encoder, carm, truth, CENTER)
    settings = CorrespondSettings(top=50, redraws=3, per_point=3)
    rounds = list(correspond(encoder, embedded, templates, points, settings=settings))
    assert [(r.index, r.count, len(r.found)) for r in rounds] == [(i, 4, 50) for i in range(4)]
    scores = []
    for r in rounds:
        by_point = torch.zeros(len(points)).index_put((r.found.index,), r.found.score)
        scores.append(by_point)
    assert all((b >= a).all() for a, b in pairwise(scores))
    # A redraw really draws other templates.
    assert any((b > a).any() for a, b in pairwise(scores))
    again = list(correspond(encoder, embedded, templates, points, settings=settings))
    assert torch.equal(again[-1].found.pixels, rounds[-1].found.pixels)
    assert torch.equal(rounds[-1].found.points, points[rounds[-1].found.index])


def test_cancelling_returns_what_was_found():
    carm, encoder, truth, points = scene()
    control = Control()
    iterator = correspond(
        encoder, ideal_radiograph(encoder, carm, truth, CENTER),
        ideal_templates(encoder, carm, CENTER), points,
        settings=CorrespondSettings(top=20, redraws=5, per_point=3), control=control,
    )  # fmt: skip
    next(iterator)
    control.cancel()
    with pytest.raises(StopIteration) as end:
        next(iterator)
    assert len(end.value.value) == 20


def test_a_single_heatmap_has_its_peak_at_the_projection():
    carm, encoder, truth, _ = scene()
    embedded = ideal_radiograph(encoder, carm, truth, CENTER)
    templates = ideal_templates(encoder, carm, CENTER)
    point = CENTER[None] + torch.tensor([[21.0, 8.0, -13.0]], dtype=torch.float64)
    maps = point_heatmaps(encoder, embedded, templates, point, per_point=3, seed=2)
    torch.testing.assert_close(maps.found.pixels, carm.project(point, truth), rtol=0, atol=1.5)
    assert maps.similarity.max() > 0.998
    assert maps.grid.detector.shape == tuple(maps.similarity.shape[1:])


def test_a_heatmap_does_not_depend_on_the_points_beside_it():
    carm, encoder, truth, points = scene()
    seen = encoder, ideal_radiograph(encoder, carm, truth, CENTER)
    templates = ideal_templates(encoder, carm, CENTER)
    maps = point_heatmaps(*seen, templates, points[:5], per_point=3, seed=2)
    listed = find_each(*seen, templates, points, per_point=3, seed=2)
    for row in (0, 4):
        alone = point_heatmaps(*seen, templates, points[row : row + 1], per_point=3, seed=2)
        assert torch.equal(alone.templates[0], maps.templates[row])
        torch.testing.assert_close(alone.similarity[0], maps.similarity[row], rtol=0, atol=1e-5)
        for many in (maps.found, listed):
            torch.testing.assert_close(alone.found.pixels[0], many.pixels[row], rtol=0, atol=1e-3)
    assert listed.index.tolist() == list(range(160))


def test_a_peak_is_not_known_more_finely_than_half_a_pixel_of_the_heatmap():
    carm, encoder, truth, _ = scene()  # of 1e-4: a posterior of one pixel
    embedded = ideal_radiograph(encoder, carm, truth, CENTER)
    maps = point_heatmaps(
        encoder, embedded, ideal_templates(encoder, carm, CENTER), CENTER[None], per_point=3
    )
    s_row, s_column = maps.grid.detector.spacing
    floor = torch.tensor([s_row / 0.9, s_column / 0.8], dtype=torch.float64).square() / 4
    spread = maps.found.posterior.covariance_about_peak.double()[0]
    carried = spread.diagonal() * 4 * floor + floor
    torch.testing.assert_close(maps.found.covariances[0].diagonal(), carried)


def test_without_a_learned_outside_points_are_ranked_by_similarity():
    carm, encoder, truth, points = scene()
    with torch.no_grad():
        encoder.calibration[1] = math.nan
    found = run(
        correspond(
            encoder, ideal_radiograph(encoder, carm, truth, CENTER),
            ideal_templates(encoder, carm, CENTER), points,
            settings=CorrespondSettings(top=30, redraws=0, per_point=3),
        )
    )  # fmt: skip
    assert torch.isnan(found.in_image).all()
    assert torch.equal(found.score, found.similarity)


def test_masked_pixels_are_no_answer():
    carm, encoder, truth, points = scene()
    embedded = ideal_radiograph(encoder, carm, truth, CENTER)
    usable = embedded.usable.clone()
    usable[:, : usable.shape[1] // 2] = False
    found = run(
        correspond(
            encoder, replace(embedded, usable=usable), ideal_templates(encoder, carm, CENTER),
            points, settings=CorrespondSettings(top=160, redraws=0, per_point=3),
        )
    )  # fmt: skip
    assert found.pixels[:, 1].min() > 170.0


def test_no_points_and_too_few_templates_are_refused():
    carm, encoder, truth, points = scene()
    embedded = ideal_radiograph(encoder, carm, truth, CENTER)
    templates = ideal_templates(encoder, carm, CENTER)
    with pytest.raises(ValueError, match="no 3D points"):
        run(correspond(encoder, embedded, templates, points[:0]))
    with pytest.raises(ValueError, match="fewer than 6 templates"):
        run(
            correspond(
                encoder, embedded, templates, points, settings=CorrespondSettings(per_point=6)
            )
        )
    with pytest.raises(ValueError, match="13 templates per point"):
        run(
            correspond(
                encoder, embedded, templates, points, settings=CorrespondSettings(per_point=13)
            )
        )
