"""The depth of a pose from correspondences, judged by the image."""

import pytest
import torch

from napari_xreg.geometry import CArm, CArmPose, Detector, Pose
from napari_xreg.images import Radiograph
from napari_xreg.rayemb import FoundPoints, Posterior
from napari_xreg.rayemb.depth import at_likely_depth
from napari_xreg.rendering import render_drr
from napari_xreg.simulation import phantom

DETECTOR = Detector((96, 88), (3.1, 3.4), principal_point=(44.0, 46.5), mirrored=True)
CARM = CArm(1020.0, 750.0, DETECTOR)
AT = CArmPose(18.0, -7.0, 4.0, (6.0, -9.0, 15.0), (11.0, -23.0, 650.0))
TRUTH = CARM.pose_from(AT)
MIDDLE = torch.tensor([31.0, -13.0, 662.0], dtype=torch.float64)


@pytest.fixture(scope="module")
def volume():
    return phantom(spacing_mm=5.0, seed=4).volume.to(dtype=torch.float32)


@pytest.fixture(scope="module")
def radiograph(volume):
    return Radiograph(2.5 * render_drr(volume, CARM, TRUTH) + 0.3, CARM)


def found_at(pose, spread_mm):
    """Points about `MIDDLE`, each found exactly where this pose puts it."""
    normals = torch.randn(40, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    points = MIDDLE + spread_mm * (normals - normals.mean(0))
    n = torch.ones(40)
    peak = torch.zeros(40, 2)
    read = Posterior(peak, n, peak, torch.eye(2).expand(40, 2, 2), n, n)
    covariances = torch.eye(2, dtype=torch.float64).expand(40, 2, 2)
    return FoundPoints(points, torch.arange(40), CARM.project(points, pose), covariances, read, n)


def moved(mm):
    ray = MIDDLE - TRUTH.translation
    return Pose(TRUTH.rotation, TRUTH.translation + mm * ray / ray.norm())


@pytest.mark.slow
@pytest.mark.parametrize("off", [-70.0, 40.0])
def test_it_is_where_the_ct_looks_like_the_radiograph(volume, radiograph, off):
    start = moved(off)
    # So close together that they tell nothing of depth.
    found = at_likely_depth(found_at(start, 12.0), radiograph, volume, start)
    # Ten millimetres apart are the poses that are tried.
    assert (found.translation - TRUTH.translation).norm() < 1e-6
    assert torch.equal(found.rotation, TRUTH.rotation)
    torch.testing.assert_close(CARM.project(MIDDLE, found), CARM.project(MIDDLE, start))


def test_an_end_of_the_search_is_no_maximum(volume, radiograph):
    start = moved(-135.0)
    found = at_likely_depth(found_at(start, 12.0), radiograph, volume, start)
    assert torch.equal(found.translation, start.translation)


def test_the_points_go_on_to_agree(volume, radiograph):
    # Spread over decimetres, 70 mm of depth take a good part of them beyond 12 mm.
    start = moved(-70.0)
    found = at_likely_depth(found_at(start, 110.0), radiograph, volume, start)
    assert (found.translation - TRUTH.translation).norm() > 25.0
