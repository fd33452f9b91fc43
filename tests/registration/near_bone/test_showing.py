"""Of two radiographs one does not show the bone: it is refined in the other, and told of both."""

from dataclasses import replace

import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Radiograph, above_water
from napari_xreg.progress import run
from napari_xreg.registration import Hypothesis, RefineSettings, Spread, View, refine_near_bone
from napari_xreg.registration.near_bone.showing import radiographs_that_show
from napari_xreg.rendering import render_drr
from napari_xreg.simulation import phantom

CARM = CArm(1020.0, 750.0, Detector((120, 176), (2.5, 1.75), (64.0, 80.0)))
LEVELS = RefineSettings().levels
SETTINGS = RefineSettings(starts=1, keep_images=True, threads=1, levels=LEVELS[:3])


@pytest.fixture(scope="module")
def hip():
    made = phantom(spacing_mm=4.0)
    bone = above_water(made.volume.restrict(made.labels.mask([77])))
    middle = made.labels.middle([77])
    twist = torch.tensor([0.02, -0.02, 0.02, 2.0, -2.0, 3.0], dtype=torch.float64)
    views = []
    for angles in ((20.0, -5.0), (-60.0, 10.0)):
        truth = CARM.world_from_camera(*angles, isocenter=middle)
        image = render_drr(made.volume, CARM, truth, method="joseph")
        start = truth.left_perturb(twist, middle).orthonormal()
        views.append(View(Radiograph(image, CARM, mask=image > 0.02), start))
    return bone, views, middle


def beside(view: View) -> View:
    """The part of the picture in which there is hardly any of it."""
    return replace(view, radiograph=view.radiograph.crop(0, 0, 30, 40))


def test_which_radiographs_show_it(hip):
    bone, (one, other), _ = hip
    assert radiographs_that_show(bone, [one, other]) == (0, 1)
    assert radiographs_that_show(bone, [beside(one), other]) == (1,)
    assert radiographs_that_show(bone, [one, beside(other)]) == (0,)
    assert radiographs_that_show(bone, [beside(one)]) == (0,)
    # A seventh of what the other shows, and none at all.
    corner = [replace(each, radiograph=each.radiograph.crop(0, 0, 9, 9)) for each in (one, other)]
    assert radiographs_that_show(bone, corner) == (0, 1)


def close(one, other, atol=1e-6):
    return torch.allclose(one.matrix().double(), other.matrix().double(), atol=atol)


@pytest.mark.parametrize("hidden", [0, 1])
def test_it_is_refined_in_the_one_that_shows_it_and_told_of_both(hip, hidden):
    bone, views, middle = hip
    proposed = views[0].world_from_camera.left_perturb(
        torch.tensor([0.0, 0.01, 0.0, 1.0, 2.0, 0.0], dtype=torch.float64), middle
    )
    by = Hypothesis(proposed, "somebody", 1, Spread(0.0, 0.0, 0.0))
    settings = replace(SETTINGS, beside=(by,))
    given = [beside(view) if n == hidden else view for n, view in enumerate(views)]
    result = run(refine_near_bone(bone, given, settings=settings, isocenter=middle))
    shown = 1 - hidden
    rig = views[0].world_from_camera.inverse() @ views[shown].world_from_camera
    of_shown = replace(by, world_from_camera=proposed @ rig)
    alone = run(
        refine_near_bone(
            bone, views[shown], settings=replace(SETTINGS, beside=(of_shown,)), isocenter=middle
        )
    )
    assert close(result.views[shown], alone.world_from_camera)
    assert close(result.world_from_camera, result.views[0])
    assert close(result.views[0] @ views[0].world_from_camera.inverse(), result.views[1] @ views[1].world_from_camera.inverse())  # fmt: skip
    assert result.seen_by == shown
    assert result.probability == pytest.approx(alone.probability, abs=0.02)
    assert len(result.trajectory) == len(alone.trajectory)
    told, own = result.trajectory[-1], alone.trajectory[-1]
    assert close(told.world_from_camera @ rig, own.world_from_camera)
    # A picture is of the first radiograph.
    assert (told.image is None) == (hidden == 0)
    ranked = list(zip(result.candidates, alone.candidates, strict=True))
    assert all(close(a.initial @ rig, b.initial) for a, b in ranked)
    # Where one that has lost its way ends hangs on the thirteenth digit; the cameras stand 700 mm apart.
    far = [1e-6, *[20.0] * (len(ranked) - 1)]
    assert all(
        close(a.final @ rig, b.final, each) for (a, b), each in zip(ranked, far, strict=True)
    )
    assert {each.origin for each in result.candidates} == {"", "somebody"}


def test_what_is_locked_is_said_of_the_first_radiograph(hip):
    bone, (one, other), middle = hip
    settings = replace(SETTINGS, locked=("roll",), levels=LEVELS[:1])
    found = run(refine_near_bone(bone, [beside(one), other], settings=settings, isocenter=middle))
    before, after = (
        CARM.carm_pose(pose, middle).roll_deg for pose in (one.world_from_camera, found.views[0])
    )
    assert after == pytest.approx(before, abs=1e-6)
