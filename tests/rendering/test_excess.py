"""What exceeds an attenuation, scaled pose by pose. The kernels' own: `test_cuda_kernels`."""

import pytest
import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Volume
from napari_xreg.rendering import Excess, render_with_jacobian

CARM = CArm(1000.0, 700.0, Detector((5, 6), (9.0, 8.0)))


def noise(dtype):
    generator = torch.Generator().manual_seed(5)
    lac = 0.02 * torch.rand(11, 10, 9, generator=generator, dtype=torch.float64)
    return Volume(lac.to(dtype), torch.diag(torch.tensor([3.0, 4.0, 2.5, 1.0])))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # numba, and plain torch
def test_like_a_volume_scaled_beforehand(dtype):
    volume = noise(dtype)
    poses = Pose.stack(
        [CARM.world_from_camera(a, 10.0, isocenter=volume.center) for a in (20.0, -35.0)]
    )
    how = {"pivot": (1.0, 2.0, 3.0), "method": "joseph"}
    image, jacobian = render_with_jacobian(
        volume, CARM, poses, excess=Excess(0.012, torch.tensor([0.6, -0.4])), **how
    )
    for row, gain in enumerate((0.6, -0.4)):
        scaled = volume.lac + gain * (volume.lac - 0.012).clamp_min(0)
        wanted = render_with_jacobian(
            Volume(scaled, volume.world_from_index), CARM, poses[row], **how
        )
        torch.testing.assert_close(image[row], wanted[0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(jacobian[row], wanted[1], rtol=1e-4, atol=1e-4)


def test_follows_a_volume_changed_in_place():
    volume = noise(torch.float32)
    pose = CARM.world_from_camera(20.0, 10.0, isocenter=volume.center)
    how = {"pivot": (0.0, 0.0, 0.0), "excess": Excess(0.012, torch.tensor(1.0))}
    first, _ = render_with_jacobian(volume, CARM, pose, **how)
    volume.lac.mul_(0.5)  # nothing exceeds the threshold any more
    second, _ = render_with_jacobian(volume, CARM, pose, **how)
    plain, _ = render_with_jacobian(volume, CARM, pose, pivot=(0.0, 0.0, 0.0))
    assert torch.equal(second, plain)
    assert second.max() < 0.5 * first.max()


def test_a_gain_for_every_pose():
    volume = noise(torch.float32)
    pose = CARM.world_from_camera(20.0, 10.0, isocenter=volume.center)
    with pytest.raises(ValueError, match=r"a gain for every pose is needed, \(\): got \(2,\)"):
        render_with_jacobian(
            volume, CARM, pose, pivot=(0.0, 0.0, 0.0), excess=Excess(0.012, torch.ones(2))
        )
