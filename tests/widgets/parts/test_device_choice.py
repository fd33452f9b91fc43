"""The device of the preferences, and what happens where it cannot be used."""

from dataclasses import replace

import numpy as np
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Volume
from napari_xreg.rendering import OutOfMemory
from napari_xreg.session import PreviewRequest, rendering
from napari_xreg.viewer.user_preferences import Preferences
from napari_xreg.widgets.parts import device_choice


def test_a_device_that_cannot_be_used_is_said_once(monkeypatch):
    said = []
    monkeypatch.setattr(device_choice, "preferences", lambda: Preferences(device="cuda:63"))
    monkeypatch.setattr(device_choice, "report", lambda name, error: said.append(str(error)))
    monkeypatch.setattr(device_choice, "_refused", set())
    assert device_choice.preferred_device() == torch.device("cpu")
    assert device_choice.preferred_device() == torch.device("cpu")
    assert len(said) == 1
    assert "cuda:63" in said[0]
    monkeypatch.setattr(device_choice, "preferences", lambda: Preferences(device="cpu"))
    assert device_choice.preferred_device() == torch.device("cpu")
    assert len(said) == 1


def test_a_ct_that_does_not_fit_the_device_is_rendered_on_the_cpu(monkeypatch):
    volume = Volume(torch.full((5, 6, 7), 0.02), torch.eye(4, dtype=torch.float64))
    arm = CArm(500.0, 300.0, Detector((4, 3), (1.0, 1.0)))
    request = PreviewRequest(
        volume, arm, arm.world_from_camera(5.0, 3.0, isocenter=(3.0, 2.5, 2.0))
    )

    def full(*_):
        raise OutOfMemory("the device has too little memory")

    monkeypatch.setattr(rendering, "volume_on", full)
    there = replace(request, device=torch.device("cuda", 0)).answer()
    assert there.image.max() > 0.1
    assert np.array_equal(there.image, request.answer().image)


def test_a_preview_of_another_device_is_what_it_renders(monkeypatch):
    volume = Volume(torch.full((5, 6, 7), 0.02), torch.eye(4, dtype=torch.float64))
    arm = CArm(500.0, 300.0, Detector((4, 3), (1.0, 1.0)))
    request = PreviewRequest(
        volume, arm, arm.world_from_camera(5.0, 3.0, isocenter=(3.0, 2.5, 2.0))
    )
    # The CPU stands in for the card.
    monkeypatch.setattr(rendering, "volume_on", lambda volume, device: volume)
    there = replace(request, device=torch.device("cuda", 0)).answer()
    assert there.image.dtype == np.float32
    # The CPU's own preview packs its voxels to 16 bits.
    assert np.abs(there.image - request.answer().image).max() < 1e-5
