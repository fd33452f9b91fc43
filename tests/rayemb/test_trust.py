"""What is measured of a pose from correspondences, and what is said of it."""

import math
from dataclasses import replace

import pytest
import torch

from napari_xreg.geometry import CArm, CArmPose, Detector, Pose
from napari_xreg.images import Radiograph
from napari_xreg.rayemb import (
    FoundPoints,
    Looks,
    Polarity,
    PoseEvidence,
    Posterior,
    pose_evidence,
    pose_verdict,
)
from napari_xreg.rayemb.likeness import likeness
from napari_xreg.rayemb.trust import NEAR_MM, WITHIN_MM
from napari_xreg.registration import PnPSolution, PnPStatus
from napari_xreg.rendering import render_drr
from napari_xreg.simulation import phantom

# A pixel has the area of a square of 1.2 mm.
CARM = CArm(1020.0, 720.0, Detector((60, 72), (1.8, 0.8), principal_point=(27.0, 40.5)))
RADIOGRAPH = Radiograph(torch.zeros(60, 72), CARM)
GOOD = PoseEvidence(0.99, 6.0, 11.0, 0.97, near_share=0.93, polarity=20.0, likeness=0.85)


def found(variances, in_image):
    n = len(variances)
    covariances = torch.tensor(variances, dtype=torch.float64)[:, :, None] * torch.eye(2).double()
    posterior = Posterior(
        torch.zeros(n, 2), torch.full((n,), 0.9), torch.zeros(n, 2), torch.eye(2).expand(n, 2, 2),
        torch.ones(n), torch.tensor(in_image),
    )  # fmt: skip
    points = torch.zeros(n, 3, dtype=torch.float64)
    pixels = torch.zeros(n, 2, dtype=torch.float64)
    return FoundPoints(points, torch.arange(n), pixels, covariances, posterior, torch.ones(n))


def solution(residuals, used, status=PnPStatus.SOLVED):
    used = torch.tensor(used)
    pose = Pose.identity() if status is PnPStatus.SOLVED else None
    return PnPSolution(
        status, torch.zeros(3), tuple("abcde"), used, torch.ones_like(used), pose,
        residuals=torch.tensor(residuals, dtype=torch.float64),
    )  # fmt: skip


def test_measures_by_hand():
    points = found(
        [[4.0, 16.0], [9.0, 9.0], [1.0, 3.0], [30.0, 50.0], [100.0, 60.0]],
        [0.9, 0.8, 1.0, 0.3, 0.5],
    )
    # Lengths 5, 10.1, 9.9, 0 pixels of 1.2 mm; one behind the source.
    residuals = [[3.0, 4.0], [0.0, 10.1], [-9.9, 0.0], [0.0, 0.0], [math.nan, math.nan]]
    solved = solution(residuals, [True, True, False, False, False])
    trust = pose_evidence(points, solved, RADIOGRAPH, Polarity(Looks.RIGHT, 7.5))
    assert trust.inlier_share == pytest.approx(0.4)
    assert trust.residual_mm == pytest.approx(1.2 * math.sqrt((25 + 10.1**2) / 2))
    # Mean variances 10, 9, 2, 40, 80.
    assert trust.spread_mm == pytest.approx(1.2 * math.sqrt(10))
    assert trust.in_image == pytest.approx(0.7)
    # 12.12 mm is not near, 11.88 mm is.
    assert NEAR_MM == 12.0
    assert trust.near_share == pytest.approx(0.6)
    assert trust.polarity == 7.5
    assert math.isnan(trust.likeness)


def test_every_measure_counts_the_right_way():
    best = pose_verdict(GOOD, solution([[0.0, 0.0]] * 5, [True] * 5))
    assert best.trusted
    assert bool(best)
    assert best.evidence is GOOD
    # 14 (0.93 - 0.90) + 0.04 * 10 + 18 (0.85 - 0.69) - 1
    assert best.likelihood.probability == pytest.approx(1 / (1 + math.exp(-2.7)))
    assert best.sentence.startswith("Trusted: 94 % likely to lie within 60 mm, near enough")
    for worse in (
        replace(GOOD, near_share=0.5), replace(GOOD, polarity=-20.0), replace(GOOD, likeness=0.1),
    ):  # fmt: skip
        told = pose_verdict(worse, solution([[0.0, 0.0]] * 5, [True] * 5)).likelihood
        assert told.probability < best.likelihood.probability


def test_all_that_is_bad_is_not_trusted_and_the_worst_is_said():
    solved = solution([[0.0, 0.0]] * 5, [True] * 5)
    bad = PoseEvidence(1.0, 30.0, 24.0, 0.9, near_share=0.14, polarity=-22.0, likeness=-0.1)
    verdict = pose_verdict(bad, solved)
    assert not verdict
    assert 0 <= verdict.likelihood.probability < 0.05
    assert verdict.sentence.startswith(
        "Not trusted: less than 1 % likely to lie within 60 mm. Do not rely on this pose: "
    )
    assert "another part of the body" in verdict.sentence
    for words in ("only 14% of the points", "does not look like", "looks inverted"):
        assert words in verdict.sentence
    # What speaks for the pose is no reason against it.
    told = pose_verdict(replace(GOOD, likeness=0.1), solved)
    assert not told.trusted
    assert "does not look like" in told.sentence
    assert "only" not in told.sentence
    assert "inverted" not in told.sentence


def test_what_is_not_known_says_nothing():
    solved = solution([[0.0, 0.0]] * 5, [True] * 5)
    unseen = pose_verdict(replace(GOOD, polarity=math.nan, likeness=math.nan), solved)
    probability = unseen.likelihood.probability
    # 14 (0.93 - 0.90) - 1
    assert probability == pytest.approx(1 / (1 + math.exp(0.58)))
    assert probability < pose_verdict(GOOD, solved).likelihood.probability
    assert not unseen.trusted


def test_without_a_pose_there_is_nothing_to_trust():
    points = found([[1.0, 1.0]] * 5, [0.9] * 5)
    unsolved = solution([[math.nan] * 2] * 5, [False] * 5, PnPStatus.NO_CONSENSUS)
    trust = pose_evidence(points, unsolved, RADIOGRAPH)
    assert trust.near_share == 0
    assert math.isnan(trust.residual_mm)
    verdict = pose_verdict(replace(GOOD, near_share=1.0), unsolved)
    assert not verdict.trusted
    assert verdict.likelihood.probability == 0
    assert verdict.likelihood.within_mm == WITHIN_MM
    assert "no pose" in verdict.sentence
    assert PnPStatus.NO_CONSENSUS.value in verdict.sentence


@pytest.mark.slow
def test_likeness_is_that_of_the_ct_at_the_pose():
    volume = phantom(spacing_mm=5.0, seed=4).volume.to(dtype=torch.float32)
    carm = CArm(1020.0, 750.0, Detector((96, 88), (3.1, 3.4), principal_point=(44.0, 46.5)))
    at = CArmPose(18.0, -7.0, 4.0, (6.0, -9.0, 15.0), (11.0, -23.0, 650.0))
    pose = carm.pose_from(at)
    image = render_drr(volume, carm, pose)
    mask = torch.ones(96, 88, dtype=torch.bool)
    mask[:20] = False
    radiograph = Radiograph(torch.where(mask, 2.5 * image + 0.3, 50.0), carm, mask=mask)
    there = likeness(radiograph, volume, pose)
    assert there > 0.97
    assert likeness(radiograph.invert(), volume, pose) == pytest.approx(-there, abs=1e-3)
    near = likeness(radiograph, volume, carm.pose_from(replace(at, offset_mm=(18.0, -9.0, 15.0))))
    far = likeness(radiograph, volume, carm.pose_from(replace(at, primary_deg=88.0)))
    assert far < 0.5 < near < there
    # An unmirrored detector shows the same patient.
    flipped = likeness(radiograph.flip_columns(), volume, pose)
    assert flipped == pytest.approx(there, abs=1e-3)
