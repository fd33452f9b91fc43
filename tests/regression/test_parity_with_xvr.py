"""The poses that the real xvreg 0.1.0 gave, of checkpoints that its own classes wrote with seeded weights."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import seeded_xvr as seeded
import torch

from napari_xreg.geometry import CArm, Detector, DiffDRRCamera, Pose, carm_from_diffdrr
from napari_xreg.images import Radiograph
from napari_xreg.metrics import rotation_error_deg
from napari_xreg.regression import Place, predict
from napari_xreg.regression.xvr_steps import xvr_channel

FROZEN = json.loads((Path(__file__).parent / "xvreg_0_1_0.json").read_text())
CENTER = torch.tensor([12.0, -7.5, 31.25], dtype=torch.float64)


def frozen_pose(kind, index, frame):
    """Theirs, in LPS."""
    top = torch.tensor(FROZEN[kind][index], dtype=torch.float64).reshape(3, 4)
    matrix = torch.cat([top, torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)])
    camera = DiffDRRCamera(
        matrix, 1000.0, 8, 8, 1.0, 1.0, 0.0, 0.0, frame.orientation, frame.reverse_x_axis
    )
    return carm_from_diffdrr(camera, volume_center=CENTER, source_to_isocenter=500.0)[1]


def own_poses(kind):
    network = seeded.network_of(kind)
    found = []
    for index in range(len(FROZEN[kind])):
        image, _ = seeded.image_of(kind, index)
        carm = seeded.carm_of(kind, index, network)
        said = predict(network, Radiograph(image, carm), Place(CENTER), as_xvr=True)
        found.append(said.world_from_camera)
    wanted = [frozen_pose(kind, index, network.frame) for index in range(len(found))]
    return Pose.stack(found), Pose.stack(wanted)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(seeded.KINDS))
def test_poses_of_seeded_checkpoints_are_those_of_xvreg(kind):
    found, wanted = own_poses(kind)
    assert len(FROZEN[kind]) == seeded.KINDS[kind][-1]
    # That they differ from image to image is what makes the comparison one.
    assert float((wanted.translation - wanted.translation[0]).norm(dim=-1).max()) > 1.0
    assert float(rotation_error_deg(found, wanted).max()) < 1e-4
    assert float((found.translation - wanted.translation).norm(dim=-1).max()) < 1e-3


@pytest.mark.slow
def test_one_resampling_shows_a_network_nearly_what_the_steps_of_xvr_do():
    """The principal point in the middle, the distances alike: nothing is cut off, nothing is rounded."""
    network = seeded.network_of("foundation")
    generator = torch.Generator().manual_seed(9)
    coarse = torch.rand(1, 1, 8, 8, generator=generator)
    image = torch.nn.functional.interpolate(coarse, (512, 512), mode="bilinear")[0, 0]
    pixel = network.framing.pixel_mm / 4
    carm = CArm(1020.0, 700.0, Detector((512, 512), (pixel, pixel)))
    shown = Radiograph(image, carm)
    seen = network.framing.resample(shown)
    ours = network.look.channel(seen.line_integrals[None], seen.usable[None])
    theirs = xvr_channel(image, carm, network.framing, network.look)
    # Of ten standard deviations between dark and bright.
    assert float((ours - theirs).abs().mean()) < 0.15
    poses = [
        predict(network, shown, Place(CENTER), as_xvr=way).world_from_camera
        for way in (False, True)
    ]
    assert float((poses[0].translation - poses[1].translation).norm()) < 1.0
    turned = [Radiograph(image.flip(1), replace(carm, detector=carm.detector.flip_columns()))]
    again = predict(network, turned[0], Place(CENTER), as_xvr=True).world_from_camera
    torch.testing.assert_close(again.translation, poses[1].translation, atol=1e-3, rtol=0)
    odd = replace(carm, detector=Detector((512, 512), (pixel, 1.01 * pixel)))
    with pytest.raises(ValueError, match="xvr takes square pixels"):
        predict(network, Radiograph(image, odd), Place(CENTER), as_xvr=True)
