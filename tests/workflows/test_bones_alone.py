"""Bones alone are rendered above water: of a whole bone-only CT and of chosen structures alike."""

import pytest
import torch

from napari_xreg.images import above_water
from napari_xreg.session import Rendering
from napari_xreg.simulation import phantom
from napari_xreg.workflows import Patient


@pytest.mark.slow
def test_a_whole_ct_is_rendered_as_it_is_and_its_bones_above_water():
    made = phantom(spacing_mm=4.0)
    whole = Rendering(made.volume, made.labels)
    assert whole.volume() is made.volume
    assert not whole.above_water
    bones = Rendering(made.volume, made.labels, (25, 77))
    restricted = made.volume.restrict(made.labels.mask([25, 77]))
    assert torch.equal(bones.restricted().lac, restricted.lac)
    assert torch.equal(bones.volume().lac, above_water(restricted).lac)
    assert float(bones.volume().lac.max()) < float(restricted.lac.max()) - 0.015
    assert bones.above_water
    assert bones.volume() is bones.volume()


@pytest.mark.slow
def test_the_setting_of_a_patient_overrules():
    made = phantom(spacing_mm=4.0)
    bone = made.volume.restrict(made.labels.mask([77]))
    assert Patient(bone, "hip").rendering.above_water
    assert Patient(bone, "hip", attenuation="as read").rendering.volume() is bone
    assert Patient(made.volume, "pelvis", attenuation="above water").rendering.above_water
