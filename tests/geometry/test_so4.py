"""SO(4) embeddings: numbers of the closed forms, invariance, agreement with matrix logarithms."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import logm
from scipy.stats import special_ortho_group

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.geometry.so4 import (
    motion_about,
    so4_distance,
    so4_from_pose,
    so4_plane_angles,
    so4_squared_distance,
)

EMBEDDINGS = ["double_quaternion", "contraction", "polar"]


def twist(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def random_so4(n: int, seed: int = 8) -> torch.Tensor:
    return torch.from_numpy(special_ortho_group.rvs(4, size=n, random_state=seed))


def random_poses(n: int, degrees: float, mm: float) -> Pose:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(n, 6, generator=generator, dtype=torch.float64)
    return Pose.exp(x * torch.tensor([math.radians(degrees)] * 3 + [mm] * 3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("embedding", "mm"), [("double_quaternion", 10), ("contraction", 10), ("polar", 5)]
)
def test_a_shift_of_10_mm(embedding, mm):
    shift = so4_from_pose(Pose.exp(twist(0, 0, 0, 6.0, 0, -8.0)), embedding=embedding)
    distance = 510.0 * so4_distance(torch.eye(4, dtype=torch.float64), shift)
    # The polar factor turns by atan(t / 2 rho): 5 mm up to a third-order term of 2e-4 mm.
    assert float(distance) == pytest.approx(mm, abs=2e-3 if embedding == "polar" else 1e-9)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_a_turn_of_30_degrees(embedding):
    turn = so4_from_pose(Pose.exp(twist(0, math.radians(30), 0, 0, 0, 0)), embedding=embedding)
    angles = so4_plane_angles(torch.eye(4, dtype=torch.float64), turn)
    torch.testing.assert_close(angles, twist(math.radians(30), 0), atol=1e-12, rtol=0)


@pytest.mark.slow
def test_the_distance_is_the_norm_of_the_matrix_logarithm():
    a, b = random_so4(40), random_so4(40, seed=9)
    expected = [
        np.linalg.norm(logm(x.T @ y).real) / math.sqrt(2)
        for x, y in zip(a.numpy(), b.numpy(), strict=True)
    ]
    # Both lose digits as a plane angle nears 180 degrees; the measured difference is 4e-15.
    np.testing.assert_allclose(so4_distance(a, b).numpy(), expected, atol=1e-13)


def test_the_plane_angles_are_those_of_the_closed_form_of_the_traces():
    q = random_so4(30, seed=2)
    s = torch.einsum("bii->b", q) / 2
    p = (torch.einsum("bij,bji->b", q, q) + 4) / 4
    root = (2 * p - s**2).clamp(min=0).sqrt()
    expected = torch.stack([((s - root) / 2).acos(), ((s + root) / 2).acos()], -1)
    angles = so4_plane_angles(torch.eye(4, dtype=torch.float64), q)
    torch.testing.assert_close(angles, expected, atol=1e-7, rtol=0)


def test_invariance_on_both_sides():
    a, b, left, right = (random_so4(25, seed=s) for s in (1, 2, 3, 4))
    torch.testing.assert_close(so4_distance(left @ a @ right, left @ b @ right), so4_distance(a, b))


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_the_embedding_is_a_rotation(embedding):
    q = so4_from_pose(random_poses(12, 70, 300), embedding=embedding)
    torch.testing.assert_close(q.mT @ q, torch.eye(4, dtype=torch.float64).expand(12, 4, 4))
    torch.testing.assert_close(torch.linalg.det(q), torch.ones(12, dtype=torch.float64))


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("start", [twist(0, 0, 0, 0, 0, 0), twist(0.4, -0.2, 0.1, 30, -20, 50)])
def test_gradients_are_finite_and_zero_at_equality(embedding, start):
    x = start.clone().requires_grad_()
    target = so4_from_pose(Pose.exp(start), embedding=embedding)
    for distance in (so4_squared_distance, so4_distance):
        (gradient,) = torch.autograd.grad(
            distance(target, so4_from_pose(Pose.exp(x), embedding=embedding)), x
        )
        assert torch.isfinite(gradient).all()
        # d^2 = O(1e-16) at equality, so its gradient is rounding.
        if distance is so4_squared_distance:
            torch.testing.assert_close(
                gradient, torch.zeros(6, dtype=torch.float64), atol=1e-12, rtol=0
            )


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_gradients_against_finite_differences(embedding):
    x = twist(0.4, -0.2, 0.1, 0.3, -0.2, 0.5).requires_grad_()
    other = so4_from_pose(
        Pose.exp(twist(0.1, 0.2, -0.1, 0.2, 0.1, -0.3)), embedding=embedding, length_mm=1.3
    )

    def squared(y):
        return so4_squared_distance(
            other, so4_from_pose(Pose.exp(y), embedding=embedding, length_mm=1.3)
        )

    assert torch.autograd.gradcheck(squared, (x,))


def test_small_distances_keep_their_digits():
    """1e-6 mm: the closed form by cosines would return 0."""
    q = so4_from_pose(Pose.exp(twist(0, 0, 0, 1e-6, 0, 0)))
    assert 510 * float(so4_distance(torch.eye(4, dtype=torch.float64), q)) == pytest.approx(
        1e-6, rel=1e-6
    )


@pytest.mark.parametrize("embedding", ["double_quaternion", "contraction"])
def test_near_the_origin_it_is_angle_and_shift_in_quadrature(embedding):
    """METHODS E: below 1 % median error for shifts up to 100 mm at rho = 510 mm."""
    a, b = random_poses(200, 10, 30), random_poses(400, 10, 30)[200:]
    d = 510 * so4_distance(
        so4_from_pose(a, embedding=embedding), so4_from_pose(b, embedding=embedding)
    )
    theta = (a.inverse() @ b).log()[:, :3].norm(dim=-1)
    expected = ((510 * theta) ** 2 + ((a.translation - b.translation) ** 2).sum(-1)).sqrt()
    assert float(((d - expected) / expected).abs().median()) < 0.01


def test_about_the_isocenter_a_turn_of_the_arm_is_only_a_turn():
    """The source travels 150 mm, yet nothing but the angle counts."""
    carm = CArm(1020.0, 680.0, Detector((40, 50), (1.2, 0.9)))
    isocenter = torch.tensor([30.0, -45.0, 700.0], dtype=torch.float64)
    reference = carm.world_from_camera(0.0, 0.0, isocenter=isocenter)
    turned = carm.world_from_camera(12.7, 0.0, isocenter=isocenter)
    eye = torch.eye(4, dtype=torch.float64)
    q = so4_from_pose(turned, reference=reference, pivot=isocenter)
    assert math.degrees(float(so4_distance(eye, q))) == pytest.approx(12.7, abs=1e-9)
    motion = motion_about(turned, reference, isocenter)
    again = reference.left_perturb(motion.log(), isocenter)
    torch.testing.assert_close(again.matrix(), turned.matrix())


def test_mistakes_are_named():
    pose = Pose.identity()
    with pytest.raises(ValueError, match="length_mm must be positive"):
        so4_from_pose(pose, length_mm=0.0)
    with pytest.raises(ValueError, match="give both"):
        so4_from_pose(pose, pivot=torch.zeros(3, dtype=torch.float64))
