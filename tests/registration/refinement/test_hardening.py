"""The brightness of bone: a known factor is found, and given back to the CT."""

import numpy as np
import pytest
import torch
from bars import barred_patient

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Radiograph, Volume
from napari_xreg.registration.refinement.host.hardening import (
    bone_gain,
    fit_gain,
    water_lac,
    with_bone_gain,
)
from napari_xreg.rendering import Prepared, march_view

CARM = CArm(1020.0, 740.0, Detector((64, 72), (3.0, 3.1)))


@pytest.fixture(scope="module")
def patient() -> Volume:
    return barred_patient()


def _seen(ready: Prepared, pose) -> torch.Tensor:
    image, _ = march_view(ready, CARM, pose, method="trilinear", jacobian=False)
    return torch.from_numpy(image)


# A response bent by a power is no cubic near zero, and the fit pays for it; a linear one is exact.
@pytest.mark.parametrize(("gamma", "tolerance"), [(1.0, 0.03), (0.9, 0.1)])
@pytest.mark.parametrize("gain", [0.3, -0.2])
def test_a_known_gain_is_found_beside_a_rod(patient, gain, gamma, tolerance):
    pose = CARM.world_from_camera(15.0, -10.0, isocenter=patient.center)
    image = 0.4 + 0.8 * _seen(with_bone_gain(patient, gain), pose) ** gamma
    image += 0.1 * torch.linspace(-1, 1, 72)
    image[20:23] += 2.0
    found = bone_gain([(patient, water_lac())], [Radiograph(image, CARM)], [[pose]])
    assert found == pytest.approx(gain, abs=tolerance)


def test_without_bone_there_is_no_gain():
    water = Volume(torch.full((8, 8, 8), 0.01), torch.eye(4, dtype=torch.float64))
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(64, 72)).astype(np.float32))
    pose = CARM.world_from_camera(0.0, 0.0, isocenter=water.center)
    assert bone_gain([(water, water_lac())], [Radiograph(image, CARM)], [[pose]]) == 0.0


def test_the_gain_does_not_depend_on_the_unit_of_the_drr(patient):
    pose = CARM.world_from_camera(15.0, -10.0, isocenter=patient.center)
    plain, doubled = (_seen(with_bone_gain(patient, g), pose).numpy() for g in (0.0, 1.0))
    target = _seen(with_bone_gain(patient, 0.3), pose).numpy()
    everywhere = np.arange(target.size)
    for unit in (1.0, 20.0):
        found = fit_gain(unit * plain, unit * (doubled - plain), target, everywhere)
        assert found == pytest.approx(0.3, abs=0.03)
