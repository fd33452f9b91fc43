"""What is counted, by hand; and balls in closed form at the right pose and beside it."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from registration.blobs import CENTER, blob_radiograph, blob_volume

from napari_xreg.geometry import CArm, CArmPose, Detector, Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.registration import View
from napari_xreg.registration.verdict.evidence import (
    Evidence,
    _pixels,
    _where_seen,
    evidence_of,
    weighed,
)
from napari_xreg.registration.verdict.patches import ASIDE, Patches
from napari_xreg.rendering import render_drr

ARM = CArm(1020.0, 740.0, Detector((150, 130), (1.4, 1.7), (70.0, 68.0)))
TRUTH = ARM.pose_from(CArmPose(12.0, -8.0, isocenter=tuple(CENTER.tolist())))


def patches(
    here: list[float], best: list[float], rival: list[float], aside: float = 0.2, own: float = 0.3
) -> Patches:
    """In a row, of a pixel each, settled; every one locates alike along rows and columns."""
    count = len(here)
    arrays = [np.array(values) for values in (here, best, rival)]
    middle = np.stack([np.zeros(count), 12.0 * np.arange(count)], 1)
    return Patches(
        *arrays,
        np.full((count, len(ASIDE)), aside),
        np.full((count, len(ASIDE)), own),
        middle=middle,
        moved=np.zeros((count, 2)),
        bend=np.broadcast_to(0.02 * np.eye(2), (count, 2, 2)),
        share=np.ones(count),
    )


def some(*given: Patches) -> Evidence | None:
    """Of pictures with pixels of 1 mm at the patient."""
    return weighed([(each, 1.0) for each in given])


def test_convincing_patches_are_counted():
    # Nine convincing patches; six fit nowhere better by 0.06 of what can be told apart. One that fits
    # better elsewhere along an edge (best 0.95, rival 0.2) is settled; two patches do not count, and one
    # that can be told from nowhere.
    first = patches(
        [0.9, 0.9, 0.8, 0.85, 0.1, 0.9],
        [0.9, 0.92, 0.95, 0.86, 0.5, 0.9],
        [0.4, 0.92, 0.2, 0.86, 0.5, math.nan],
    )
    second = patches(
        [0.7, 0.65, 0.5, 0.2, 0.8, 0.59],
        [0.7, 0.8, 0.7, 0.9, 0.8, 0.6],
        [0.7, 0.8, 0.7, 0.9, 0.7, 0.6],
    )
    found = some(first, second)
    assert found is not None
    assert found.patches == 9
    assert found.settled == pytest.approx(6 / 9)
    here, best = (
        [0.9, 0.9, 0.8, 0.85, 0.7, 0.65, 0.5, 0.2, 0.8],
        [0.9, 0.92, 0.95, 0.86, 0.7, 0.8, 0.7, 0.9, 0.8],
    )
    assert found.agreement == pytest.approx(sum(best) / 9)
    # Beside they lose here - 0.2, where the DRR itself would lose 1 - 0.3.
    assert found.sharpness == pytest.approx((sum(here) / 9 - 0.2) / 0.7)


def test_too_few_patches_are_no_evidence():
    few = patches([0.9] * 7, [0.9] * 7, [0.1] * 7)
    assert some(few) is None
    assert some(few, patches([0.9], [0.9], [0.1])) is not None
    assert some(few, patches([0.9], [0.9], [math.nan])) is None
    assert weighed([]) is None


def test_places_where_too_little_is_usable_are_left_out_of_the_sharpness():
    whole = patches([0.9] * 8, [0.9] * 8, [0.1] * 8)
    gone = whole.aside.copy()
    gone[:4] = math.nan
    own = whole.own.copy()
    own[4:] = 0.8
    # Four patches of which nothing beside is known; the others lose 0.7 beside, by themselves 0.2.
    found = some(replace(whole, aside=gone, own=own))
    assert found is not None
    assert found.sharpness == pytest.approx(0.7 / 0.2)


def test_the_slack_is_that_of_the_worst_radiograph_at_the_patient():
    good, few = (
        patches([0.9] * 20, [0.9] * 20, [0.1] * 20),
        patches([0.9] * 8, [0.9] * 8, [0.1] * 8),
    )
    alone = weighed([(few, 0.5)])
    both = weighed([(good, 0.5), (few, 0.5)])
    larger = weighed([(few, 0.8)])
    assert alone is not None
    assert both is not None
    assert larger is not None
    assert both.slack_mm == pytest.approx(alone.slack_mm)
    assert larger.slack_mm == pytest.approx(1.6 * alone.slack_mm)


def test_so_is_the_drift():
    still = patches([0.9] * 20, [0.9] * 20, [0.1] * 20)
    drifting = replace(still, moved=np.broadcast_to([0.0, 3.0], (20, 2)))
    found = weighed([(still, 0.5), (drifting, 0.5)])
    assert found is not None
    # In pixels of half a millimetre; the prior pulls back a little.
    assert found.drift_mm == pytest.approx(1.5, rel=0.01)
    assert weighed([(still, 0.5)]).drift_mm == pytest.approx(0.0, abs=1e-9)


def moved(pose: Pose, *along: float) -> Pose:
    """Along the axes of the camera, mm."""
    shift = pose.rotation @ torch.tensor(along, dtype=torch.float64)
    return Pose(pose.rotation, pose.translation + shift)


@pytest.fixture(scope="module")
def balls():
    return blob_volume(2.5), blob_radiograph(ARM, TRUTH)


@pytest.mark.slow
def test_at_the_right_pose_the_drr_fits_nowhere_else(balls):
    volume, radiograph = balls
    found = evidence_of(volume, [View(radiograph, TRUTH)])
    assert found.settled > 0.95
    assert found.sharpness > 0.9
    assert found.agreement > 0.95


def test_beside_the_right_pose_it_fits_elsewhere(balls):
    volume, radiograph = balls
    found = evidence_of(volume, [View(radiograph, moved(TRUTH, 6.0, 0.0, 0.0))])
    assert found.settled < 0.2


def test_a_second_radiograph_counts(balls):
    volume, radiograph = balls
    right, wrong = View(radiograph, TRUTH), View(radiograph, moved(TRUTH, 6.0, 0.0, 0.0))
    both = evidence_of(volume, [right, wrong])
    alone = evidence_of(volume, [right])
    assert both.patches > alone.patches
    assert 0.3 < both.settled < 0.8


def test_a_ct_outside_the_radiograph_is_no_evidence(balls):
    volume, radiograph = balls
    assert evidence_of(volume, [View(radiograph, moved(TRUTH, 2000.0, 0.0, 0.0))]) is None


def test_a_ct_of_coarse_voxels_is_not_compared_finer_than_it_is():
    # 150 rows of 1.4 mm and 130 columns of 1.7 mm: 221 mm, at the patient 221 * 740 / 1020 = 160.3 mm.
    volume = blob_volume(5.0)
    view = View(blob_radiograph(ARM, TRUTH), TRUTH)
    depth = float(TRUTH.inverse().apply(volume.center.double()[None])[0, 2])
    voxel = math.prod(volume.spacing) ** (1 / 3)
    assert _pixels(volume, view.radiograph, view) == pytest.approx(221 * depth / 1020 * 3.6 / voxel)
    grid = torch.eye(4, dtype=torch.float64)
    grid[:3, 3] = volume.center.double() - 3.5
    fine = Volume(torch.zeros(8, 8, 8), grid)  # of 1 mm, with the same middle
    assert _pixels(fine, view.radiograph, view) == 256


def test_what_is_compared_is_where_the_ct_is_seen():
    # A bar along x, 16 x 16 x 90 mm: wider than high in the image, and off its middle.
    matrix = torch.diag(torch.tensor([3.0, 2.0, 2.0, 1.0], dtype=torch.float64))
    matrix[:3, 3] = CENTER - torch.tensor([43.5, 7.0, 7.0], dtype=torch.float64)
    bar = Volume(torch.full((8, 8, 30), 0.02), matrix)
    arm = CArm(1020.0, 740.0, Detector((220, 190), (1.4, 1.7), (130.0, 80.0)))
    front = arm.pose_from(CArmPose(0.0, 0.0, isocenter=tuple(CENTER.tolist())))
    pose = moved(front, 20.0, -45.0, 0.0)
    picture = render_drr(bar, arm, pose.to(dtype=torch.float32)).reshape(arm.detector.shape)
    found = _where_seen(bar, View(Radiograph(picture, arm, simulated=True), pose))
    done, on = found.operations[-1], torch.nonzero(picture > 0)
    (top, left), (bottom, right) = on.amin(0).tolist(), on.amax(0).tolist()
    assert right - left > 3 * (bottom - top)
    margin = 3 * 220 / 64  # of the image in which it is looked for
    assert top - margin <= done.row <= top
    assert left - margin <= done.column <= left
    assert bottom < done.row + done.rows <= bottom + 1 + margin
    assert right < done.column + done.columns <= right + 1 + margin


@pytest.mark.slow
def test_the_masked_part_has_no_say(balls):
    volume, radiograph = balls
    values = radiograph.line_integrals.clone()
    values[:, 60:] = values[:, 60:].flip(0)
    mask = torch.ones_like(values, dtype=torch.bool)
    spoilt = replace(radiograph, line_integrals=values)
    mask[:, 60:] = False
    assert evidence_of(volume, [View(spoilt, TRUTH)]).settled < 0.8
    assert evidence_of(volume, [View(replace(spoilt, mask=mask), TRUTH)]).settled > 0.95


@pytest.mark.slow
def test_saturated_pixels_have_no_say(balls):
    volume, radiograph = balls
    values = radiograph.line_integrals
    burnt = replace(radiograph, line_integrals=values.clamp(max=float(values.quantile(0.8))))
    found = evidence_of(volume, [View(burnt, TRUTH)])
    assert found.settled > 0.9
    # Pieces whose brightest pixels are gone count by what is left of them, and tell no less.
    beside = evidence_of(volume, [View(burnt, moved(TRUTH, 6.0, 0.0, 0.0))])
    assert beside.settled < 0.7
    assert beside.slack_mm > 1.5 * found.slack_mm
