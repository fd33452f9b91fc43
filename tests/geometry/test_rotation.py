"""Rotation parameterisations: hand-worked orders and signs, scipy as an independent judge."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from scipy.spatial.transform import Rotation

from napari_xreg.geometry.rotation import (
    PARAMETERIZATIONS,
    euler_from_matrix,
    matrix_from_9d,
    matrix_from_10d,
    matrix_from_euler,
    matrix_from_parameters,
    matrix_from_quaternion,
    matrix_from_quaternion_adjugate,
    matrix_from_rotation_vector,
    parameters_from_matrix,
    quaternion_from_matrix,
    rotation_vector_from_matrix,
    six_from_matrix,
)

CONVENTIONS = [
    "".join(letters)
    for letters in itertools.product("XYZ", repeat=3)
    if letters[1] not in (letters[0], letters[2])
]
CONVENTIONS += [c.lower() for c in CONVENTIONS]


def rotations(n: int, seed: int = 3) -> torch.Tensor:
    return torch.from_numpy(Rotation.random(n, rng=np.random.default_rng(seed)).as_matrix())


def test_a_positive_angle_turns_x_towards_y():
    """Right-handed, active, column vectors: 90 degrees about z takes x to y."""
    turn = matrix_from_rotation_vector(torch.tensor([0.0, 0.0, math.pi / 2], dtype=torch.float64))
    torch.testing.assert_close(turn @ turn.new_tensor([1.0, 0, 0]), turn.new_tensor([0.0, 1, 0]))


def test_upper_case_euler_angles_are_intrinsic():
    """ZXY with (90, 90, 0): Rz @ Rx. The point (0, 1, 0) goes to z by Rx, which Rz leaves."""
    angles = torch.tensor([math.pi / 2, math.pi / 2, 0.0], dtype=torch.float64)
    point = angles.new_tensor([0.0, 1.0, 0.0])
    torch.testing.assert_close(
        matrix_from_euler(angles, "ZXY") @ point, angles.new_tensor([0, 0, 1.0])
    )
    # Extrinsic: Rx @ Rz. Rz takes y to -x, which Rx leaves.
    torch.testing.assert_close(
        matrix_from_euler(angles, "zxy") @ point, angles.new_tensor([-1.0, 0, 0])
    )


def test_quaternions_have_the_real_part_first():
    """(cos 30, 0, 0, sin 30) is 60 degrees about z."""
    quaternion = torch.tensor([math.sqrt(3) / 2, 0.0, 0.0, 0.5], dtype=torch.float64)
    c, s = 0.5, math.sqrt(3) / 2
    expected = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(matrix_from_quaternion(3.7 * quaternion), expected)
    torch.testing.assert_close(quaternion_from_matrix(expected), quaternion)


def test_six_numbers_are_the_first_two_rows():
    rotation = rotations(1)[0]
    torch.testing.assert_close(six_from_matrix(rotation)[3:], rotation[1])


def test_nine_numbers_give_the_nearest_rotation_also_for_a_mirror():
    """Nearest to diag(2, 1, -0.5) is the identity: the smallest singular direction is turned."""
    nine = torch.diag(torch.tensor([2.0, 1.0, -0.5], dtype=torch.float64)).reshape(9)
    torch.testing.assert_close(matrix_from_9d(nine), torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_euler_angles_against_scipy(convention):
    rotation = rotations(20)
    angles = euler_from_matrix(rotation, convention)
    expected = Rotation.from_matrix(rotation.numpy()).as_euler(convention)
    np.testing.assert_allclose(angles.numpy(), expected, atol=1e-9)
    torch.testing.assert_close(matrix_from_euler(angles, convention), rotation)


@pytest.mark.parametrize("convention", ["ZXY", "XYZ", "zyx", "ZXZ", "yzy"])
def test_euler_angles_at_gimbal_lock_still_give_the_rotation(convention):
    middle = 0.0 if convention[0] == convention[2] else math.pi / 2
    angles = torch.tensor([[0.3, middle, -1.1], [0.7, -middle, 2.1]], dtype=torch.float64)
    rotation = matrix_from_euler(angles, convention)
    again = matrix_from_euler(euler_from_matrix(rotation, convention), convention)
    # The middle angle comes from an arcsine's neighbourhood: half the digits.
    torch.testing.assert_close(again, rotation, atol=3e-8, rtol=0)


@pytest.mark.parametrize("name", PARAMETERIZATIONS)
@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_round_trip_shape_dtype_and_gradient(name, batch):
    convention = "ZXY" if name == "euler_angles" else None
    rotation = rotations(6)[: max(1, math.prod(batch))].reshape(*batch, 3, 3)
    parameters = parameters_from_matrix(rotation, name, convention=convention)
    assert parameters.shape == (*batch, PARAMETERIZATIONS[name])
    again = matrix_from_parameters(parameters, name, convention=convention)
    torch.testing.assert_close(again, rotation)
    assert (
        matrix_from_parameters(parameters.float(), name, convention=convention).dtype
        == torch.float32
    )

    def forward(p):
        return matrix_from_parameters(p, name, convention=convention)

    assert torch.autograd.gradcheck(forward, parameters.detach().requires_grad_(), atol=1e-6)


@pytest.mark.parametrize("name", [n for n in PARAMETERIZATIONS if n != "matrix"])
def test_any_numbers_give_a_rotation(name):
    """What a network puts out is not normalised."""
    convention = "ZXY" if name == "euler_angles" else None
    generator = torch.Generator().manual_seed(5)
    numbers = torch.randn(11, PARAMETERIZATIONS[name], generator=generator, dtype=torch.float64)
    rotation = matrix_from_parameters(numbers, name, convention=convention)
    eye = torch.eye(3, dtype=torch.float64).expand(11, 3, 3)
    torch.testing.assert_close(rotation.mT @ rotation, eye)
    torch.testing.assert_close(torch.linalg.det(rotation), eye[:, 0, 0])


@pytest.mark.slow
@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.floats(0, math.pi))
def test_rotation_vectors_against_scipy(axis, angle):
    axis = np.array(axis) + np.array([0.01, 0.02, 1.5])
    vector = angle * axis / np.linalg.norm(axis)
    rotation = matrix_from_rotation_vector(torch.from_numpy(vector))
    np.testing.assert_allclose(
        rotation.numpy(), Rotation.from_rotvec(vector).as_matrix(), atol=1e-12
    )
    # Near pi the axis keeps half the digits, and v and -v are the same rotation.
    again = matrix_from_rotation_vector(rotation_vector_from_matrix(rotation))
    torch.testing.assert_close(again, rotation, atol=1e-7, rtol=0)


def test_the_gradient_of_ten_numbers_is_finite_where_three_eigenvalues_agree():
    quaternion = torch.tensor([0.1, -0.7, 0.5, 0.5], dtype=torch.float64)
    i, j = torch.triu_indices(4, 4)
    ten = -(quaternion[:, None] * quaternion)[i, j]
    ten.requires_grad_()
    matrix_from_10d(ten)[0, 1].backward()
    assert torch.isfinite(ten.grad).all()
    assert ten.grad.abs().max() > 0.1


def test_the_sign_of_the_quaternion_does_not_matter_to_its_adjugate():
    quaternion = torch.tensor([0.1, -0.7, 0.5, 0.5], dtype=torch.float64)
    i, j = torch.triu_indices(4, 4)
    ten = (quaternion[:, None] * quaternion)[i, j]
    torch.testing.assert_close(
        matrix_from_quaternion_adjugate(ten), matrix_from_quaternion(-quaternion)
    )


@pytest.mark.parametrize(
    ("name", "convention", "says"),
    [
        ("se3_log_map", None, "Pose.exp"),
        ("quat", None, "expected one of axis_angle"),
        ("euler_angles", None, "three letters"),
        ("euler_angles", "ZZY", "neighbours different"),
        ("euler_angles", "ZxY", "upper"),
        ("rotation_6d", None, "takes 6 numbers"),
    ],
)
def test_mistakes_are_named(name, convention, says):
    with pytest.raises(ValueError, match=says):
        matrix_from_parameters(torch.zeros(2, 3), name, convention=convention)
