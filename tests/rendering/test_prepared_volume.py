"""What is kept between renders, and when it is made anew."""

import gc
import subprocess
import sys
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_xreg.images import Volume
from napari_xreg.rendering import (
    march,
    march_view,
    prepare,
    render_drr,
    render_with_jacobian,
    scaled_above,
    warm_up,
)
from napari_xreg.rendering.prepared import PAD


def test_prepared_once_and_dropped_with_the_volume(noise):
    volume = Volume(noise.lac, noise.world_from_index)
    ready = prepare(volume)
    assert prepare(volume) is ready
    watch = weakref.ref(ready)
    del volume, ready
    gc.collect()
    assert watch() is None


def test_only_the_occupied_part_is_kept(noise):
    lac = torch.zeros((40, 30, 20))
    lac[7:20, 9:20, 5:14] = noise.lac
    ready = prepare(Volume(lac, noise.world_from_index))
    assert ready.values.shape == (13 + 2 * PAD, 11 + 2 * PAD, 9 + 2 * PAD)
    center = torch.tensor([6.0, 12.0, 8.0, 1.0], dtype=torch.float64)
    world = (noise.world_from_index @ center)[:3].numpy()
    x, y, z = (ready.linear @ world + ready.offset).round().astype(int)
    assert ready.values[z, y, x] == pytest.approx(lac[8, 12, 6].item())


def test_air_around_changes_nothing(noise, carm, pose_of):
    lac = torch.zeros((40, 30, 20), dtype=torch.float64)
    lac[7:20, 9:20, 5:14] = noise.lac
    shift = torch.eye(4, dtype=torch.float64)
    shift[:3, 3] = torch.tensor([-5.0, -9.0, -7.0])
    wide = Volume(lac, noise.world_from_index @ shift)
    pose = pose_of(noise, (33.0, 21.0, 12.0))
    for backend in ("numba", "torch"):
        bare, padded = (render_drr(v, carm, pose, backend=backend) for v in (noise, wide))
        torch.testing.assert_close(bare, padded, rtol=2e-6, atol=1e-7)


def test_a_step_of_an_optimiser_is_seen(noise, carm, pose_of):
    lac = noise.lac.float().clone().requires_grad_()
    volume = Volume(lac, noise.world_from_index)
    pose = pose_of(noise, (33.0, 21.0, 12.0))
    before = render_drr(volume, carm, pose).detach()
    with torch.no_grad():
        lac.mul_(3.0)
    torch.testing.assert_close(render_drr(volume, carm, pose).detach(), 3 * before)


def test_volumes_made_in_inference_mode(noise, carm, pose_of):
    pose = pose_of(noise, (33.0, 21.0, 12.0))
    with torch.inference_mode():
        volume = Volume(noise.lac.float() * 1.0, noise.world_from_index)
        image = render_drr(volume, carm, pose)
    assert image.max() > 0.1


@pytest.mark.parametrize("method", ["trilinear", "joseph", "siddon"])
def test_packed_volumes_are_close(noise, carm, pose_of, view, method):
    pose = pose_of(noise, view)
    how = {"pivot": (3.0, -5.0, 8.0), "method": method, "step_mm": 0.7}
    packed = prepare(noise, packed=True)
    assert packed.values.dtype == np.uint16
    assert prepare(noise, packed=True) is packed
    assert prepare(noise) is not packed
    image, jacobian = march_view(packed, carm, pose, **how)
    expected, slopes = march_view(prepare(noise), carm, pose, **how)
    # A voxel is off by at most half of 1/65535 of the largest, here 0.02/mm, and so is a mean.
    length = 60.0
    assert np.abs(image - expected).max() < length * 0.5 * 0.02 / 65535
    # Exactly the Jacobian of the packed volume, rendered by the reference.
    values = torch.from_numpy(packed.values[PAD:-PAD, PAD:-PAD, PAD:-PAD].astype(np.float64))
    same = Volume(values * packed.scale, noise.world_from_index)
    image_of, jacobian_of = render_with_jacobian(same, carm, pose, backend="torch", **how)
    np.testing.assert_allclose(image, image_of, atol=3e-6 * expected.max())
    for found, wanted in zip(jacobian, jacobian_of.numpy(), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())
    assert np.abs(jacobian - slopes).max() > 0


def test_negative_attenuation_is_not_packed(noise):
    volume = Volume(noise.lac - 0.01, noise.world_from_index)
    assert prepare(volume, packed=True).values.dtype == np.float32


@pytest.mark.slow
def test_importing_the_room_does_not_import_numba():
    code = "import sys, napari_xreg.rendering; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_warm_up_says_what_is_ready():
    events = list(warm_up())
    assert [e.method for e in events] == ["joseph", "trilinear"]
    assert [e.done for e in events] == [1, 2]
    assert all(e.total == 2 and e.seconds > 0 for e in events)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("gain", [0.5, -0.4])
def test_only_what_exceeds_the_threshold_is_scaled(packed, gain):
    lac = torch.tensor([[[0.0, 0.01, 0.02], [0.03, 0.05, 0.019]]])
    ready = scaled_above(
        prepare(Volume(lac, torch.eye(4, dtype=torch.float64)), packed=packed), 0.02, gain
    )
    inside = ready.values[PAD:-PAD, PAD:-PAD, PAD:-PAD] * ready.scale
    # 0.03 and 0.05 exceed 0.02 by 0.01 and 0.03
    expected = [[[0.0, 0.01, 0.02], [0.03 + 0.01 * gain, 0.05 + 0.03 * gain, 0.019]]]
    np.testing.assert_allclose(inside, expected, atol=2e-6)
    assert (ready.values.reshape(-1)[: 2 * PAD] == 0).all()
    line = ((1.0, 0.4, -50.0), (0, 0, 100.0), (0, 0, 0), (0, 0, 0))
    image, plain = (march(r, *line, 1, 1, jacobian=False)[0] for r in (ready, _float32(ready)))
    np.testing.assert_allclose(image, plain, rtol=1e-4)
    assert image[0] > 0


def _float32(ready):
    values = (ready.values * np.float32(ready.scale)).astype(np.float32)
    return replace(ready, values=values, row=values.reshape(-1), scale=1.0)


def test_bone_cannot_become_less_than_water():
    volume = Volume(torch.full((2, 2, 2), 0.03), torch.eye(4, dtype=torch.float64))
    with pytest.raises(ValueError, match="at least -1"):
        scaled_above(prepare(volume), 0.02, -1.5)


def test_a_volume_that_is_so_already_is_not_copied(noise):
    """What was prepared of it would be prepared again."""
    assert noise.to(dtype=noise.lac.dtype) is noise
    assert noise.to(device="cpu") is noise
    other = torch.float64 if noise.lac.dtype is torch.float32 else torch.float32
    assert noise.to(dtype=other).lac.dtype is other


@pytest.mark.parametrize("packed", [False, True])
def test_blocks_of_slices_are_put_together(packed, monkeypatch):
    """Two slices at a time, three voxels cropped at one end of each axis."""
    monkeypatch.setattr("napari_xreg.rendering.prepared._BLOCK", 2 * 8 * 9)
    lac = torch.rand(11, 8, 9, generator=torch.Generator().manual_seed(1))
    lac[:3] = lac[:, 5:] = lac[..., :3] = 0.0
    ready = prepare(Volume(lac, torch.eye(4, dtype=torch.float64)), packed=packed)
    assert ready.window == (slice(3, 11), slice(0, 5), slice(3, 9))
    inside = ready.values[PAD:-PAD, PAD:-PAD, PAD:-PAD] * ready.scale
    np.testing.assert_allclose(inside, lac[3:, :5, 3:], atol=1e-5 if packed else 0)
    assert ready.values.astype(np.float64).sum() == pytest.approx(float(inside.sum() / ready.scale))
