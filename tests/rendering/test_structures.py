"""Structures apart: one march, one channel each."""

import pytest
import torch

from napari_xreg.images import LabelMap
from napari_xreg.rendering import render_drr, render_structures


@pytest.fixture
def labels(noise):
    ids = torch.zeros(noise.shape, dtype=torch.int16)
    ids[3:7, 2:9, 1:5] = 25
    ids[6:11, 4:8, 5:8] = 77
    ids[1, 1, 1] = 31
    return LabelMap(ids, noise.world_from_index, {25: "sacrum", 77: "hip_left"})


def test_channels_add_up_to_the_whole(noise, labels, carm, pose_of, view):
    pose = pose_of(noise, view)
    channels = render_structures(noise, labels, [{77}, {25, 31}], carm, pose, step_mm=0.7)
    assert channels.shape == (3, 17, 23)
    whole = render_drr(noise, carm, pose, step_mm=0.7)
    torch.testing.assert_close(channels.sum(0), whole, rtol=1e-5, atol=1e-6)
    assert (channels.amax((1, 2)) > 0.02).all()


@pytest.mark.slow
def test_a_channel_is_its_structure(noise, labels, carm, pose_of):
    # Inside a structure the channel and the restricted volume agree; they differ by half a voxel
    # of interpolation at its surface.
    pose = pose_of(noise, (33.0, 21.0, 12.0))
    channels = render_structures(noise, labels, [{25}, {77}], carm, pose, step_mm=0.7)
    for channel, label in ((1, 25), (2, 77)):
        alone = render_drr(noise.restrict(labels.mask([label])), carm, pose, step_mm=0.7)
        both = torch.stack([channels[channel].reshape(-1), alone.reshape(-1)])
        assert torch.corrcoef(both)[0, 1] > 0.97
        assert channels[channel].sum() == pytest.approx(alone.sum().item(), rel=0.05)


def test_batches_and_pixel_lists(noise, labels, carm, pose_of):
    from napari_xreg.geometry import Pose

    poses = Pose.stack([pose_of(noise, (3.0, 2.0, 1.0)), pose_of(noise, (33.0, 21.0, 12.0))])
    full = render_structures(noise, labels, [{25}], carm, poses)
    pixels = torch.tensor([[8, 11], [3, 4]])
    some = render_structures(noise, labels, [{25}], carm, poses, pixels=pixels.double())
    assert full.shape == (2, 2, 17, 23)
    torch.testing.assert_close(some, full[:, :, pixels[:, 0], pixels[:, 1]])
    one = render_structures(noise, labels, [{25}], carm, poses[1])
    assert torch.equal(one, full[1])


def test_mistakes(noise, labels, carm, pose_of):
    pose = pose_of(noise, (3.0, 2.0, 1.0))
    with pytest.raises(ValueError, match=r"label 25 is in groups 0 and 1"):
        render_structures(noise, labels, [{25}, {25, 77}], carm, pose)
    with pytest.raises(ValueError, match=r"none of the labels \[78\] occurs"):
        render_structures(noise, labels, [{78}], carm, pose)
