"""A landscape as the widget asks for it: what a learned similarity is asked about."""

import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Radiograph
from napari_xreg.progress import run
from napari_xreg.registration import LandscapeSample, LandscapeSettings, View
from napari_xreg.rendering import render_drr
from napari_xreg.session import Rendering
from napari_xreg.similarity import Comparison, SimilarityNetwork
from napari_xreg.simulation import phantom
from napari_xreg.training import FixedCamera, save_network
from napari_xreg.workflows import LandscapeRequest, WeightsRead, landscape

ARM = CArm(1020.0, 700.0, Detector((40, 32), (7.0, 8.0), (18.0, 15.5)))


def test_a_learned_similarity_is_asked_about_the_whole_ct_whatever_is_ticked(tmp_path):
    made = phantom(spacing_mm=8.0, seed=3)
    center = made.volume.center.double()
    pose = ARM.world_from_camera(20.0, -15.0, 4.0, isocenter=center)
    radiograph = Radiograph(render_drr(made.volume, ARM, pose), ARM, simulated=True)
    torch.manual_seed(1)
    network = SimilarityNetwork("sphere", 8, FixedCamera(1020.0, 32, 9.375), (8, 8, 16), 1, 2)
    save_network(tmp_path / "one.safetensors", network, {"trained_on": "phantom 3"})
    bone = next(iter(made.labels.names))
    part = Rendering(made.volume, made.labels, (bone,))
    settings = LandscapeSettings(
        measure="learned similarity", parameters=("x",), samples=3, pair=None, threads=1
    )
    request = LandscapeRequest(
        part, (View(radiograph, pose),), settings, center, tmp_path / "one.safetensors"
    )
    events = []
    found = run(landscape(request), events.append)
    assert isinstance(events[0], WeightsRead)
    assert events[0].trained_on == "trained on phantom 3"
    assert [type(event) for event in events[1:]] == [LandscapeSample] * 3
    network.eval()
    whole, alone = (
        Comparison(network, volume, radiograph, center, threads=1).distance(pose)
        for volume in (made.volume, part.volume())
    )
    assert found.profiles["x"].losses[1] == pytest.approx(whole, rel=1e-4)
    assert alone > 2 * whole
