"""Rigid motions: elements of SE(3), their exponential and logarithm."""

from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import so3
from napari_xreg.geometry.nearest import nearest_rotation


@dataclass(frozen=True, eq=False)
class Pose:
    """A rigid motion, named ``target_from_source``: it maps points of the source frame to the target.

    ``world_from_detector = world_from_camera @ camera_from_detector``: neighbours cancel.
    All operations broadcast over the leading dimensions and are differentiable.

    Parameters
    ----------
    rotation
        Rotation matrices, columns are the source axes seen in the target frame. Taken as given;
        `from_matrix` checks that they are rotations.
    translation
        Position of the source origin in the target frame, mm.

    Raises
    ------
    ValueError
        If the parts have other shapes, dtypes or devices than these.

    Examples
    --------
    >>> import math
    >>> quarter_turn = Pose.exp(torch.tensor([0.0, 0.0, math.pi / 2, 0.0, 0.0, 0.0]))
    >>> quarter_turn.apply(torch.tensor([[10.0, 2.0, 5.0]])).round(decimals=4)
    tensor([[-2., 10.,  5.]])
    """

    rotation: Float[Tensor, "*batch 3 3"]
    translation: Float[Tensor, "*batch 3"]

    def __post_init__(self) -> None:
        rotation, translation = self.rotation, self.translation
        if rotation.shape[-2:] != (3, 3) or translation.shape[-1:] != (3,):
            raise ValueError(
                "a pose needs a rotation of shape (..., 3, 3) and a translation of shape (..., 3): "
                f"got {tuple(rotation.shape)} and {tuple(translation.shape)}"
            )
        if rotation.shape[:-2] != translation.shape[:-1]:
            raise ValueError(
                "rotation and translation must have the same leading dimensions: "
                f"got {tuple(rotation.shape)} and {tuple(translation.shape)}"
            )
        if rotation.dtype != translation.dtype or rotation.device != translation.device:
            raise ValueError(
                "rotation and translation must share dtype and device: "
                f"got {rotation.dtype} on {rotation.device}, "
                f"{translation.dtype} on {translation.device}"
            )

    @classmethod
    def identity(
        cls, *, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
    ) -> Self:
        """The motion that leaves every point where it is."""
        return cls(
            torch.eye(3, dtype=dtype, device=device), torch.zeros(3, dtype=dtype, device=device)
        )

    @classmethod
    def from_matrix(cls, matrix: Float[Tensor, "*batch 4 4"]) -> Self:
        """A pose from homogeneous matrices.

        A rotation that was rounded when it was written (to four decimals or more) is taken for the
        nearest one: what is off grows with every pose that is made of it.

        Raises
        ------
        ValueError
            If the upper left block is not a proper rotation (orthonormal to 1e-3, det +1) or the
            last row is not (0, 0, 0, 1). A mirrored camera matrix (det -1) is such a case: the
            mirror belongs to `Detector.mirrored`.
        """
        if matrix.shape[-2:] != (4, 4):
            raise ValueError(f"a pose matrix is 4 x 4: got shape {tuple(matrix.shape)}")
        if not torch.isfinite(matrix).all():
            raise ValueError("a pose matrix must be finite: got NaN or infinity")
        rotation, translation = matrix[..., :3, :3], matrix[..., :3, 3]
        last = matrix.new_tensor([0.0, 0.0, 0.0, 1.0])
        if (matrix[..., 3, :] - last).abs().max() > 1e-6:
            raise ValueError(
                f"the last row of a pose matrix is 0 0 0 1: got {matrix[..., 3, :].tolist()}"
            )
        gram = rotation.mT @ rotation
        error = (gram - torch.eye(3, dtype=gram.dtype, device=gram.device)).abs().max()
        if error > 1e-3:
            raise ValueError(
                "the upper left 3 x 3 block of a pose matrix must be a rotation: its columns are "
                f"off orthonormal by {float(error):.2g}; scaling or shear is not a pose"
            )
        if (torch.linalg.det(rotation) < 0).any():
            raise ValueError(
                "the rotation of a pose has determinant +1: got -1, a mirrored frame. Set "
                "Detector.mirrored instead and give the unmirrored matrix"
            )
        exact = 1e-9 if matrix.dtype == torch.float64 else 1e-6
        return cls(nearest_rotation(rotation) if error > exact else rotation, translation)

    @classmethod
    def exp(cls, twist: Float[Tensor, "*batch 6"]) -> Self:
        """The motion of a constant twist (omega, v) over unit time.

        Parameters
        ----------
        twist
            Rotation vector in radians, then linear velocity of the origin in mm.
        """
        omega, v = twist[..., :3], twist[..., 3:]
        rotation, jacobian = so3.exponential(omega)
        return cls(rotation, (jacobian @ v[..., None])[..., 0])

    def log(self) -> Float[Tensor, "*batch 6"]:
        """The twist (omega, v) whose exponential this is; radians in [0, pi], mm."""
        omega = so3.logarithm(self.rotation)
        v = (so3.inverse_left_jacobian(omega) @ self.translation[..., None])[..., 0]
        return torch.cat([omega, v], -1)

    def __matmul__(self, other: "Pose") -> "Pose":
        rotation = self.rotation @ other.rotation
        translation = (self.rotation @ other.translation[..., None])[..., 0] + self.translation
        return Pose(rotation, translation)

    def inverse(self) -> "Pose":
        """``source_from_target``."""
        rotation = self.rotation.mT
        return Pose(rotation, -(rotation @ self.translation[..., None])[..., 0])

    def apply(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*moved 3"]:
        """Points in the target frame, mm: one point (3), or several (..., n, 3).

        Leading dimensions of pose and points[..., n, 3] broadcast; of one point there is a result
        for every pose. Points of another precision are taken to that of the pose.
        """
        several = points[None] if points.ndim == 1 else points
        moved = several.to(self.rotation.dtype) @ self.rotation.mT + self.translation[..., None, :]
        return moved[..., 0, :] if points.ndim == 1 else moved

    def matrix(self) -> Float[Tensor, "*batch 4 4"]:
        """Homogeneous matrices, mm."""
        top = torch.cat([self.rotation, self.translation[..., None]], -1)
        bottom = top.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*top.shape[:-2], 1, 4)
        return torch.cat([top, bottom], -2)

    def adjoint(self) -> Float[Tensor, "*batch 6 6"]:
        """The matrix that carries twists (omega, v) of the source frame into the target frame.

        ``T exp(x) T^-1 = exp(adjoint(T) x)``.
        """
        rotation = self.rotation
        lower = so3.hat(self.translation) @ rotation
        top = torch.cat([rotation, torch.zeros_like(rotation)], -1)
        return torch.cat([top, torch.cat([lower, rotation], -1)], -2)

    def left_perturb(
        self, twist: Float[Tensor, "*steps 6"], pivot: Float[Tensor, "*pivots 3"]
    ) -> "Pose":
        """``exp(twist about the pivot) @ self``: the step every optimiser and covariance here means.

        Parameters
        ----------
        twist
            (omega, v), rad and mm, in the axes of the target frame. It rotates about `pivot`.
        pivot
            Point of the target frame that a pure rotation leaves in place, mm.
        """
        step = Pose.exp(twist)
        turned = (step.rotation @ (self.translation - pivot)[..., None])[..., 0]
        return Pose(step.rotation @ self.rotation, turned + pivot + step.translation)

    def to(
        self, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None
    ) -> "Pose":
        """The same pose in another precision or on another device."""
        return Pose(
            self.rotation.to(dtype=dtype, device=device),
            self.translation.to(dtype=dtype, device=device),
        )

    def orthonormal(self) -> "Pose":
        """The same pose with the nearest rotation, orthonormal to the last digit of its precision.

        `inverse` takes the transpose: where poses are reckoned from each other again and again (a rig that
        follows a drag, a prediction from frame to frame) a rotation that is off by 1e-7 is soon none.
        """
        return Pose(nearest_rotation(self.rotation), self.translation)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading dimensions: () for a single pose."""
        return tuple(self.translation.shape[:-1])

    def __getitem__(self, index: object) -> "Pose":
        return Pose(self.rotation[index], self.translation[index])  # type: ignore[index]

    @classmethod
    def stack(cls, poses: "list[Pose]") -> "Pose":
        """One batched pose from several of the same shape."""
        return cls(
            torch.stack([pose.rotation for pose in poses]),
            torch.stack([pose.translation for pose in poses]),
        )

    def __repr__(self) -> str:
        return f"Pose(torch.tensor({self.rotation.tolist()}), torch.tensor({self.translation.tolist()}))"
