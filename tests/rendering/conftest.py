"""Volumes and views with no two numbers alike and nothing centred."""

import pytest
import torch
from rendering_phantoms import AFFINES

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Volume


@pytest.fixture(params=AFFINES, scope="module")
def noise(request):
    """Random attenuation, float64, on grids of every kind."""
    generator = torch.Generator().manual_seed(11)
    lac = torch.rand(13, 11, 9, generator=generator, dtype=torch.float64) * 0.02
    return Volume(lac, AFFINES[request.param])


@pytest.fixture
def carm():
    detector = Detector((17, 23), (2.7, 3.1), principal_point=(7.3, 12.9))
    return CArm(1020.0, 700.0, detector)


# primary, secondary, roll: every index axis is the dominant one of some view.
VIEWS = [(3.0, 2.0, 1.0), (33.0, 21.0, 12.0), (-80.0, 15.0, -7.0), (10.0, -75.0, 40.0)]


@pytest.fixture(params=VIEWS, ids=str)
def view(request):
    return request.param


@pytest.fixture
def pose_of(carm):
    def make(volume, view):
        return carm.world_from_camera(*view, isocenter=volume.center, offset_mm=(2.0, -3.0, 5.0))

    return make
