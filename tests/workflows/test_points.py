"""Prepare, heatmaps, points, a pose: with real weights and without a window."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import Radiograph
from napari_xreg.progress import Control, run
from napari_xreg.rayemb import (
    CorrespondSettings,
    TemplateMade,
    TemplateSettings,
    WeightsFile,
    bone_center,
    embedding_colours,
    shipped_encoder,
    similarity,
    subspace_basis,
)
from napari_xreg.rendering import render_drr
from napari_xreg.simulation import phantom
from napari_xreg.training import bone_mask, save_network
from napari_xreg.workflows import (
    FindPointsRequest,
    HeatmapRequest,
    LocateRequest,
    PrepareNetworkRequest,
    ScorePointsRequest,
    WeightsRead,
    find_points,
    heatmaps,
    locate,
    prepare_network,
    score_points,
)

CARM = CArm(1020.0, 750.0, Detector((96, 108), (330.0 / 96, 330.0 / 96)))
SETTINGS = TemplateSettings(count=8)


@pytest.fixture(scope="module")
def patient():
    return phantom(spacing_mm=6.0)


@pytest.fixture(scope="module")
def radiograph(patient):
    x, y, z = patient.volume.center.tolist()
    pose = CARM.pose_from(CArmPose(7.0, -4.0, 2.0, (6.0, -9.0, 14.0), (x, y, z)))
    image = render_drr(patient.volume, CARM, pose, method="joseph")
    return Radiograph(image, CARM, simulated=True)


@pytest.fixture(scope="module")
def asked(patient, radiograph):
    return PrepareNetworkRequest(patient.volume, radiograph, patient.labels, settings=SETTINGS)


@pytest.fixture(scope="module")
def ready(asked):
    return run(prepare_network(asked))


@pytest.mark.slow
def test_weights_are_told_first_then_every_template(asked, ready):
    first, *made = list(prepare_network(asked))
    assert first == WeightsRead("compact-pelvis", ready.about, own=False)
    assert first.trained_on == f"trained on {ready.about['trained_on']}"
    assert [type(event) for event in made] == 8 * [TemplateMade]
    control = Control()
    control.cancel()
    assert run(prepare_network(asked, control=control)) is None


@pytest.mark.slow
def test_another_radiograph_uses_the_templates_again_another_scale_cannot(asked, ready):
    other = asked.radiograph.crop(4, 0, 92, 108)
    again = replace(asked, radiograph=other, before=ready)
    assert not again.quick  # a detector of another size: templates of another extent
    turned = replace(asked, radiograph=asked.radiograph.flip_columns(), before=ready)
    assert turned.quick
    assert list(prepare_network(turned)) == []
    second = run(prepare_network(turned))
    assert second.templates is ready.templates
    assert second.radiograph is turned.radiograph
    for changed in ({"settings": TemplateSettings(count=9)}, {"center": torch.zeros(3)}):
        assert not replace(turned, **changed).quick


@pytest.mark.slow
def test_templates_stand_where_the_weights_learned(asked, ready, tmp_path):
    file = tmp_path / "lateral.safetensors"
    request = {"primary_deg": [60.0, 100.0], "secondary_deg": [-5.0, 5.0]}
    save_network(file, shipped_encoder()[0], {"request": request})
    lateral = run(prepare_network(replace(asked, weights=WeightsFile(file))))
    assert (ready.templates.poses.rotation[:, 0, 2] < 0.8).all()
    assert (lateral.templates.poses.rotation[:, 0, 2] > 0.8).all()


@pytest.mark.slow
def test_templates_are_about_the_isocenter_or_the_middle_of_the_bone(asked, patient):
    volume = patient.volume
    index = torch.nonzero(bone_mask(volume, patient.labels, None, 250.0)).flip(1).double()
    matrix = volume.world_from_index.double()
    bone = index.mean(0) @ matrix[:3, :3].T + matrix[:3, 3]
    torch.testing.assert_close(bone_center(volume, labels=patient.labels), bone)
    given = torch.tensor([10.0, -20.0, 630.0], dtype=torch.float64)
    grid = TemplateSettings(layout="grid", count=4)
    for center, expected in ((None, bone), (given, given)):
        made = run(prepare_network(replace(asked, center=center, settings=grid)))
        terms = made.templates.carm.carm_pose(made.templates.poses[0], expected)
        assert terms.offset_mm == pytest.approx((0, 0, 0), abs=1e-6)
        torch.testing.assert_close(made.center, expected)


def test_a_ct_without_bone_is_refused(patient):
    with pytest.raises(ValueError, match="no voxel above 5000"):
        bone_center(patient.volume, above_hu=5000.0)


@pytest.mark.slow
def test_a_list_says_of_each_point_what_its_own_heatmap_says(ready, patient):
    places = list(patient.landmarks.values())
    points = torch.tensor(places, dtype=torch.float64)
    found = score_points(ScorePointsRequest(ready, points)).found
    for row in (0, 3):
        alone = heatmaps(HeatmapRequest(ready, (places[row],))).maps.found
        # Many rows at once are multiplied in another order.
        for name in ("pixels", "covariances", "in_image"):
            many, one = getattr(found, name)[row], getattr(alone, name)[0]
            torch.testing.assert_close(many, one, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_the_templates_named_are_those_that_were_used(ready, patient):
    answer = heatmaps(HeatmapRequest(ready, tuple(patient.landmarks.values())[:1]))
    maps = answer.maps
    pixels, _ = ready.templates.project(maps.found.points)
    basis = subspace_basis(ready.templates.features(pixels, maps.templates, maps.seen))
    with torch.no_grad():
        seen = similarity(ready.embedded.embedding, basis, upsampling=ready.encoder.upsampling)
    np.testing.assert_allclose(answer.similarity(), seen[0].numpy(), atol=1e-5)
    torch.testing.assert_close(maps.template_pixels[0], pixels[maps.templates[0], 0])
    assert answer.probability().sum() == pytest.approx(1.0, abs=1e-4)


def test_pictures_lie_as_the_radiograph_does(ready, patient):
    """The network sees a radiograph as its reader does; a detector may store it the other way."""
    point = next(iter(patient.landmarks.values()))
    turned = ready.on(ready.radiograph.flip_columns())
    for picture in (
        lambda prepared: heatmaps(HeatmapRequest(prepared, (point,))).probability(),
        embedding_colours,
    ):
        np.testing.assert_array_equal(picture(turned), picture(ready)[:, ::-1])
    colours = embedding_colours(ready)
    assert colours.shape == (*ready.embedded.embedding.shape[1:], 3)
    assert colours.std(axis=(0, 1)).min() > 10


def test_distances_are_in_mm_at_the_isocenter(ready, patient):
    found = heatmaps(HeatmapRequest(ready, tuple(patient.landmarks.values())[:2])).maps.found
    pose = ready.templates.poses[0]
    away = found.pixels - CARM.project(found.points, pose)
    found = replace(found, pixels=found.pixels - away + torch.tensor([[3.0, 0], [0, 4]]).double())
    mm = 330 / 96 * 750 / 1020
    assert found.distances_mm(CARM, pose).tolist() == pytest.approx([3 * mm, 4 * mm])
    covariances = torch.diag(torch.tensor([1.0, 7.0])).double().expand(2, 2, 2)
    found = replace(found, covariances=covariances)
    assert found.spread_mm(CARM).tolist() == pytest.approx([2 * mm, 2 * mm])


@pytest.mark.slow
def test_points_are_found_and_give_a_pose(ready, patient):
    settings = CorrespondSettings(top=40, redraws=1)
    request = FindPointsRequest(ready, patient.labels, count=200, settings=settings)
    rounds = list(find_points(request))
    assert [(r.index, r.count, len(r.found)) for r in rounds] == [(0, 2, 40), (1, 2, 40)]
    located = locate(LocateRequest(ready, rounds[-1].found))
    assert located.found is rounds[-1].found
    assert located.verdict.sentence
