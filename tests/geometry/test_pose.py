"""SE(3): exponential and logarithm against matrix functions, laws of the group, the pivot."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from scipy.linalg import expm, logm

from napari_xreg.geometry import Pose

ATOL = 1e-9


def twist_matrix(x: np.ndarray) -> np.ndarray:
    a, b, c, u, v, w = x
    return np.array([[0, -c, b, u], [c, 0, -a, v], [-b, a, 0, w], [0, 0, 0, 0]])


def close(a: Pose, b: Pose, atol: float = ATOL) -> None:
    torch.testing.assert_close(a.matrix(), b.matrix(), atol=atol, rtol=0)


rotation_part = st.tuples(*[st.floats(-1.7, 1.7)] * 3)  # below pi: 1.7 sqrt 3 = 2.94
shift = st.tuples(*[st.floats(-300, 300)] * 3)
twists = st.builds(lambda w, v: torch.tensor([*w, *v], dtype=torch.float64), rotation_part, shift)
poses = st.builds(Pose.exp, twists)
points = torch.tensor([[1.0, 20.0, -300.0], [-45.0, 6.5, 7.0]], dtype=torch.float64)


def test_a_quarter_turn_about_z_takes_x_to_y_and_then_shifts():
    rotation = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    pose = Pose(rotation, torch.tensor([5.0, 6.0, 7.0], dtype=torch.float64))
    moved = pose.apply(torch.tensor([[10.0, 2.0, 3.0]], dtype=torch.float64))
    assert moved[0].tolist() == [5.0 - 2, 6.0 + 10, 7.0 + 3]


def test_one_point_gives_one_point_and_under_a_batch_one_for_every_pose():
    rotation = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    rotations = torch.stack([rotation, rotation.mT])  # a quarter turn about z, and back
    shifts = torch.tensor([[5.0, 6.0, 7.0], [-1.0, 0.5, 2.0]], dtype=torch.float64)
    point = torch.tensor([10.0, 2.0, 3.0], dtype=torch.float64)
    one = Pose(rotation, shifts[0]).apply(point)
    assert one.tolist() == [5.0 - 2, 6.0 + 10, 7.0 + 3]
    each = Pose(rotations, shifts).apply(point)
    assert each.tolist() == [[3.0, 16.0, 10.0], [-1.0 + 2, 0.5 - 10, 2.0 + 3]]
    grid = Pose(rotations[:, None].expand(2, 3, 3, 3), shifts[:, None].expand(2, 3, 3))
    assert grid.apply(point).shape == (2, 3, 3)
    assert grid.apply(point[None]).shape == (2, 3, 1, 3)  # a list of one stays a list


@pytest.mark.parametrize(
    "angle", [0.0, 1e-12, 1e-6, 9.9e-4, 1.01e-3, 0.3, 2.0, math.pi - 1e-3, 3.1]
)
def test_exp_and_log_against_matrix_functions(angle):
    axis = np.array([0.36, -0.48, 0.8])
    x = np.concatenate([angle * axis, [120.0, -35.0, 70.0]])
    pose = Pose.exp(torch.from_numpy(x))
    matrix = expm(twist_matrix(x))
    np.testing.assert_allclose(pose.matrix().numpy(), matrix, atol=1e-10)
    np.testing.assert_allclose(pose.log().numpy(), x, atol=1e-9)
    if angle < 3.13:
        logarithm = twist_matrix(pose.log().numpy())
        np.testing.assert_allclose(logarithm, logm(matrix).real, atol=1e-7)


def test_exp_in_single_precision_keeps_its_digits_near_the_switch_to_the_series():
    """(1 - cos) / angle^2 in float32 is off by 10 % at 1.1e-3 rad: 0.006 mm in 100 mm."""
    x = torch.tensor([1.1e-3, 0.0, 0.0, 0.0, 100.0, 0.0], dtype=torch.float64)
    error = Pose.exp(x.float()).translation - Pose.exp(x).translation
    assert float(error.abs().max()) < 2e-5


@pytest.mark.parametrize("angle", [0.0, 1e-9, 5e-4, 2e-3, 1.0, 3.0, math.pi - 1e-4])
def test_gradients_of_exp_and_log(angle):
    axis = torch.tensor([0.36, -0.48, 0.8], dtype=torch.float64)
    x = torch.cat([angle * axis, torch.tensor([12.0, -3.0, 7.0], dtype=torch.float64)])
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda t: Pose.exp(t).matrix(), (x,), eps=1e-6, atol=1e-5)
    (gradient,) = torch.autograd.grad(Pose.exp(x).log().sum(), x)
    assert torch.isfinite(gradient).all()
    if angle < 3.1:
        # log(exp(x)) = x, so its sum has the gradient 1.
        torch.testing.assert_close(gradient, torch.ones_like(gradient), atol=1e-5, rtol=0)


def test_log_of_half_turns_is_finite():
    half = Pose.exp(torch.tensor([0.0, math.pi, 0.0, 4.0, 5.0, 6.0], dtype=torch.float64))
    log = half.log()
    assert float(log[:3].norm()) == pytest.approx(math.pi)
    close(Pose.exp(log), half, 1e-7)


@given(twists)
def test_log_undoes_exp(x):
    torch.testing.assert_close(Pose.exp(x).log(), x, atol=1e-8, rtol=0)


@pytest.mark.slow
@given(poses)
def test_inverse(pose):
    close(pose @ pose.inverse(), Pose.identity())
    close(pose.inverse() @ pose, Pose.identity())
    torch.testing.assert_close(pose.inverse().apply(pose.apply(points)), points, atol=ATOL, rtol=0)


@pytest.mark.slow
@given(poses, poses, poses)
def test_composition(a, b, c):
    close((a @ b) @ c, a @ (b @ c))
    torch.testing.assert_close((a @ b).apply(points), a.apply(b.apply(points)), atol=ATOL, rtol=0)
    torch.testing.assert_close((a @ b).matrix(), a.matrix() @ b.matrix(), atol=ATOL, rtol=0)


@pytest.mark.parametrize("decimals", [4, 5, 6])
def test_a_rounded_rotation_is_the_nearest_one(decimals):
    """As text files hold them; what is off would grow with every pose made of it."""
    exact = Pose.exp(torch.tensor([0.3, -0.7, 1.1, 5.0, -60.0, 80.0], dtype=torch.float64))
    found = Pose.from_matrix(exact.matrix().round(decimals=decimals))
    off = found.rotation.mT @ found.rotation - torch.eye(3, dtype=torch.float64)
    assert float(off.abs().max()) < 1e-14
    assert float((found.rotation - exact.rotation).abs().max()) < 2 * 10.0**-decimals
    # What was written in full is taken to the last bit.
    assert torch.equal(Pose.from_matrix(exact.matrix()).rotation, exact.rotation)


@given(poses)
def test_a_matrix_makes_the_same_pose(pose):
    close(Pose.from_matrix(pose.matrix()), pose)


@pytest.mark.slow
@given(poses, twists)
def test_the_adjoint_carries_twists(pose, x):
    carried = (pose.adjoint() @ x[:, None])[:, 0]
    # Translations reach (300 + 300 * 2.9) mm.
    close(pose @ Pose.exp(x) @ pose.inverse(), Pose.exp(carried), 1e-8)


@pytest.mark.slow
@given(poses, twists)
def test_a_pure_rotation_leaves_the_pivot_in_place(pose, x):
    pivot = torch.tensor([31.0, -57.0, 410.0], dtype=torch.float64)
    x = torch.cat([x[:3], torch.zeros(3, dtype=torch.float64)])
    seen = pose.inverse().apply(pivot[None])
    torch.testing.assert_close(pose.left_perturb(x, pivot).apply(seen)[0], pivot, atol=ATOL, rtol=0)


def test_a_perturbation_moves_by_v_along_world_axes():
    pivot = torch.tensor([31.0, -57.0, 410.0], dtype=torch.float64)
    pose = Pose.exp(torch.tensor([0.4, 1.1, -0.3, 10.0, 20.0, 30.0], dtype=torch.float64))
    moved = pose.left_perturb(torch.tensor([0.0, 0, 0, 1.0, 2.0, 3.0], dtype=torch.float64), pivot)
    torch.testing.assert_close(moved.translation - pose.translation, points.new_tensor([1.0, 2, 3]))
    torch.testing.assert_close(moved.rotation, pose.rotation)
    # Right-handed about world z, seen from the pivot: what lies at +x of it moves to +y.
    turn = torch.tensor([0.0, 0, 0.01, 0, 0, 0], dtype=torch.float64)
    beside = pose.inverse().apply(pivot[None] + points.new_tensor([[100.0, 0, 0]]))
    step = pose.left_perturb(turn, pivot).apply(beside)[0] - pivot
    assert step.tolist() == pytest.approx([100 * math.cos(0.01), 100 * math.sin(0.01), 0])


@pytest.mark.slow
@given(poses, twists)
def test_a_twist_and_its_covariance_change_pivot_by_the_adjoint_of_a_shift(pose, x):
    """exp about a = exp about b of Ad(translate(a - b)) x: the rule covariances move by."""
    a = torch.tensor([31.0, -57.0, 410.0], dtype=torch.float64)
    b = torch.tensor([-20.0, 15.0, 480.0], dtype=torch.float64)
    transport = Pose(torch.eye(3, dtype=torch.float64), a - b).adjoint()
    close(pose.left_perturb(x, a), pose.left_perturb((transport @ x[:, None])[:, 0], b), 1e-8)


def test_covariance_transport_by_hand():
    """0.01 rad about x seen from a point 100 mm up z is 1 mm along y: omega x r = -x ^ z = y."""
    transport = Pose(
        torch.eye(3, dtype=torch.float64), points.new_tensor([0.0, 0.0, -100.0])
    ).adjoint()
    covariance = torch.zeros(6, 6, dtype=torch.float64)
    covariance[0, 0] = 0.01**2
    moved = transport @ covariance @ transport.mT
    # Pivot b 100 mm above a: rotating about a by +x moves b along omega x (b - a) = -y.
    assert float(moved[4, 4]) == pytest.approx(1.0)
    assert float(moved[0, 4]) == pytest.approx(-0.01)
    assert float(moved[3, 3]) == 0.0
    assert float(moved[5, 5]) == 0.0


def test_batches_broadcast():
    generator = torch.Generator().manual_seed(2)
    batch = Pose.exp(torch.randn(4, 1, 6, generator=generator, dtype=torch.float64))
    other = Pose.exp(torch.randn(3, 6, generator=generator, dtype=torch.float64))
    product = batch @ other
    assert product.batch_shape == (4, 3)
    close(product[2, 1], batch[2, 0] @ other[1])
    assert product.apply(points).shape == (4, 3, 2, 3)
    torch.testing.assert_close(product.apply(points)[3, 2], product[3, 2].apply(points))
    twists = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    pivot = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    steps = other[0].left_perturb(twists, pivot)
    assert steps.batch_shape == (5,)
    close(steps[4], other[0].left_perturb(twists[4], pivot))
    close(Pose.stack([other[0], other[2]])[1], other[2])
    assert product.adjoint().shape == (4, 3, 6, 6)


def test_the_printed_pose_rebuilds_it():
    pose = Pose.exp(torch.tensor([0.25, 0.5, -0.75, 1.0, 2.0, 3.0]))
    again = eval(repr(pose), {"Pose": Pose, "torch": torch})
    close(again, pose, 0)


@pytest.mark.parametrize(
    ("matrix", "says"),
    [
        (torch.diag(torch.tensor([-1.0, 1, 1, 1])), "mirrored"),
        (torch.diag(torch.tensor([2.0, 2, 2, 1])), "scaling"),
        (torch.diag(torch.tensor([1.0, 1, 1, 2])), "last row"),
        (torch.full((4, 4), torch.nan), "finite"),
    ],
)
def test_matrices_that_are_no_pose_are_refused(matrix, says):
    with pytest.raises(ValueError, match=says):
        Pose.from_matrix(matrix)


def test_parts_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="share dtype"):
        Pose(torch.eye(3), torch.zeros(3, dtype=torch.float64))


def test_points_of_another_precision_are_moved_in_that_of_the_pose():
    pose = Pose.exp(torch.tensor([0.1, -0.2, 0.3, 4.0, -5.0, 6.0], dtype=torch.float64))
    points = torch.tensor([[10.0, -20.0, 30.0]])
    moved = pose.apply(points)
    assert moved.dtype == torch.float64
    torch.testing.assert_close(moved, pose.apply(points.double()))
