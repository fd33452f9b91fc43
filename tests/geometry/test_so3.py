"""Exponential and logarithm of rotations: against scipy, at every angle, and their slopes."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from napari_xreg.geometry import so3

ANGLES = [0.0, 1e-9, 1e-5, 9.9e-4, 1.01e-3, 0.3, 1.9, 3.0, math.pi - 1e-3, math.pi - 1e-6]


def vectors(dtype=torch.float64):
    """Every angle about axes that lean to each side, and one half turn about each axis."""
    rng = np.random.default_rng(4)
    axes = rng.normal(size=(40, 3)) * np.array([1, 1, 1]) + 3 * np.eye(3)[np.arange(40) % 3]
    axes = np.concatenate([axes, -axes, np.eye(3), -np.eye(3)])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    every = np.concatenate([angle * axes for angle in ANGLES])
    return torch.from_numpy(every).to(dtype)


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-14), (torch.float32, 5e-7)])
def test_rotations(dtype, close):
    omega = vectors(dtype)
    found, _ = so3.exponential(omega)
    wanted = Rotation.from_rotvec(vectors().numpy()).as_matrix()
    assert found.dtype == dtype
    assert np.abs(found.double().numpy() - wanted).max() < close


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-8), (torch.float32, 1e-3)])
def test_logarithms(dtype, close):
    # An angle near half a turn is known to the root of the rounding only.
    omega = vectors(dtype)
    rotation = torch.from_numpy(Rotation.from_rotvec(vectors().numpy()).as_matrix()).to(dtype)
    found = so3.logarithm(rotation)
    far = omega.norm(dim=-1) < 3.1
    assert (found - omega)[far].abs().max() < (1e-14 if dtype == torch.float64 else 2e-6)
    assert (found - omega).abs().max() < close


@pytest.mark.peers
def test_roma_finds_the_same():
    roma = pytest.importorskip("roma")
    omega = vectors()
    rotation = roma.rotvec_to_rotmat(omega)
    torch.testing.assert_close(so3.exponential(omega)[0], rotation, rtol=0, atol=4e-14)
    torch.testing.assert_close(
        so3.logarithm(rotation), roma.rotmat_to_rotvec(rotation), rtol=0, atol=1e-8
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_half_a_turn(axis):
    rotation = -torch.eye(3, dtype=torch.float64)
    rotation[axis, axis] = 1.0
    found = so3.logarithm(rotation)
    assert found.abs().tolist() == [math.pi if i == axis else 0.0 for i in range(3)]
    assert so3.unit_quaternion(rotation)[0] == 0.0


def test_quaternions():
    rotation = Rotation.from_rotvec(vectors().numpy())
    found = so3.unit_quaternion(torch.from_numpy(rotation.as_matrix())).numpy()
    x, y, z, w = rotation.as_quat(canonical=False).T
    wanted = np.stack([w, x, y, z], -1)
    wanted *= np.where(wanted[:, :1] < 0, -1, 1)
    assert np.abs(found - wanted).max() < 1e-14
    assert (found[:, 0] >= 0).all()


def test_the_jacobian_is_that_of_the_motion():
    """V is the mean of the rotations on the way: a thousand small steps of the same motion."""
    omega = torch.tensor([0.7, -1.1, 0.4], dtype=torch.float64)
    steps = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    mean = so3.exponential(steps[:, None] * omega)[0].mean(0)
    _, jacobian = so3.exponential(omega)
    torch.testing.assert_close(jacobian, mean, rtol=0, atol=1e-7)
    product = so3.inverse_left_jacobian(omega) @ jacobian
    torch.testing.assert_close(product, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-13)


@pytest.mark.parametrize("angle", [0.0, 1e-6, 5e-4, 2e-3, 1.3, 3.0])
def test_slopes(angle):
    axis = torch.tensor([0.6, -0.64, 0.48], dtype=torch.float64)
    omega = (angle * axis).requires_grad_()
    assert torch.autograd.gradcheck(so3.exponential, omega, atol=1e-7)
    rotation = so3.exponential(omega.detach())[0]

    def there_and_back(step):
        return so3.logarithm(so3.exponential(step)[0] @ rotation)

    zero = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(there_and_back, zero, atol=1e-6)
