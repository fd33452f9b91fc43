"""Where templates stand: about what a network learned."""

from dataclasses import replace

import pytest
import torch

from napari_xreg.rayemb import (
    RAYEMB_V1,
    TEMPLATE_POSES,
    CompactEncoder,
    RayEmbSettings,
    TemplateSettings,
    ViewPool,
    ViewSettings,
    population_task,
    recipe,
    templates_around,
    templates_for,
    validation_patient,
)
from napari_xreg.rayemb.template_range import learned_template_poses
from napari_xreg.simulation import phantom
from napari_xreg.training import OnePatient, PhantomPopulation, PoseRange, patient_from_volume


def test_templates_stand_a_little_beyond_what_was_learned():
    lateral = PoseRange((60.0, 100.0), (-4.0, 6.0), (2.0, 8.0), 30.0)
    assert templates_around(lateral) == PoseRange((55.0, 105.0), (-8.5, 10.5), (5.0, 5.0), 12.0)
    # The default is what the weights that come with the package were trained with.
    assert PoseRange((-50.0, 50.0), (-27.0, 27.0), (0.0, 0.0), 20.0) == TEMPLATE_POSES


def test_weights_say_where_their_templates_stand():
    about = {
        "request": {
            "primary_deg": [60.0, 100.0], "secondary_deg": [-4.0, 6.0], "roll_deg": [2.0, 8.0],
            "offset_mm": 30.0,
        }
    }  # fmt: skip
    assert learned_template_poses(about) == PoseRange((55.0, 105.0), (-8.5, 10.5), (5.0, 5.0), 12.0)
    assert learned_template_poses({"trained_on": "a CT"}) == TEMPLATE_POSES


def test_published_weights_have_a_grid_of_their_own():
    encoder = CompactEncoder()
    about = {"request": {"primary_deg": [60.0, 100.0]}}
    chosen = TemplateSettings(layout="grid", count=9)
    assert templates_for(encoder, about, chosen) == replace(
        chosen, poses=templates_around(PoseRange((60.0, 100.0)))
    )
    encoder.align = "rayemb-v1"
    assert templates_for(encoder, about, chosen) == RAYEMB_V1


@pytest.mark.slow
def test_training_and_validation_see_templates_of_their_range():
    made = phantom(spacing_mm=8.0, seed=3)
    lateral = PoseRange((60.0, 100.0), (-4.0, 6.0), (2.0, 8.0), 30.0)
    framing = CompactEncoder().framing
    population = OnePatient(patient_from_volume(made.volume, labels=made.labels))
    settings = ViewSettings(poses=lateral, first=1, queries=2, templates=10)
    views = ViewPool(population, framing, settings, seed=1).draw(torch.Generator().manual_seed(0))
    validated = validation_patient(
        made.volume, made.labels, framing, seeds=[1], poses=lateral, severity="clean", points=50
    )
    for poses in (views.template_poses, validated.template_poses):
        towards = poses.rotation[:, :, 2]
        # A central ray at 80 degrees primary runs along x: sin 55 and more of it.
        assert (towards[:, 0] > 0.8).all()


@pytest.mark.slow
def test_phantoms_are_seen_from_the_poses_that_are_learned(monkeypatch):
    """Judged from elsewhere, the weights that are kept would be those of another task."""
    side = PoseRange((60.0, 62.0), (4.0, 6.0), (0.0, 0.0), 0.0)
    encoder = CompactEncoder()
    one = recipe.phantom_validation(encoder, 11, [900], poses=side)
    angles = one.carm.carm_pose(one.truths[0], (0.0, 0.0, 0.0))
    assert 60.0 <= angles.primary_deg <= 62.0
    assert 4.0 <= angles.secondary_deg <= 6.0
    asked = []

    def seen(_, seed, images, *, poses):
        asked.append(poses)
        return one

    monkeypatch.setattr(recipe, "phantom_validation", seen)
    usual = RayEmbSettings()
    settings = replace(usual, views=replace(usual.views, poses=side))
    population_task(encoder, PhantomPopulation(), settings=settings)
    assert set(asked) == {side}
