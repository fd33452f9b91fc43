"""The C-arm: source, detector, their distance, and the angles that radiologists speak."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry.detector import Detector
from napari_xreg.geometry.pose import Pose


@dataclass(frozen=True)
class CArmPose:
    """Where a C-arm stands, in the words of its display and of DICOM.

    Parameters
    ----------
    primary_deg
        DICOM (0018,1510): 0 = detector in front of the chest, + LAO, - RAO.
    secondary_deg
        DICOM (0018,1511): + cranial, - caudal.
    roll_deg
        Rotation of the detector about the central ray, right-handed about source-to-detector.
    offset_mm
        How far the C-arm has moved from the isocenter, along its own camera axes (x, y, z), mm;
        z is depth, positive away from the source.
    isocenter
        Centre of rotation, world (patient LPS), mm.
    """

    primary_deg: float = 0.0
    secondary_deg: float = 0.0
    roll_deg: float = 0.0
    offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    isocenter: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        values = [self.primary_deg, self.secondary_deg, self.roll_deg]
        if not all(math.isfinite(v) for v in (*values, *self.offset_mm, *self.isocenter)):
            raise ValueError(f"a C-arm pose must be finite, in degrees and mm: got {self!r}")


@dataclass(frozen=True)
class CArm:
    """Source and detector at a fixed distance, on an arm that turns about an isocenter.

    Camera axes: z from source to detector, y along the rows (downwards in the image), x = y x z.

    Parameters
    ----------
    source_to_detector
        mm. DICOM (0018,1110).
    source_to_isocenter
        mm. DICOM (0018,1111) in XA.
    detector
        Pixel grid.

    Raises
    ------
    ValueError
        If the distances are not positive or the isocenter does not lie between source and detector.
    """

    source_to_detector: float
    source_to_isocenter: float
    detector: Detector

    def __post_init__(self) -> None:
        if not 0 < self.source_to_detector < float("inf"):
            raise ValueError(
                f"source_to_detector must be positive, in mm: got {self.source_to_detector}"
            )
        if not 0 < self.source_to_isocenter <= self.source_to_detector:
            raise ValueError(
                "the isocenter must lie between source and detector: got "
                f"source_to_isocenter={self.source_to_isocenter} mm, "
                f"source_to_detector={self.source_to_detector} mm"
            )

    def world_from_camera(
        self,
        primary_deg: float | Float[Tensor, "*#batch"],
        secondary_deg: float | Float[Tensor, "*#batch"],
        roll_deg: float | Float[Tensor, "*#batch"] = 0.0,
        *,
        isocenter: Float[Tensor, "*#batch 3"] | tuple[float, float, float],
        offset_mm: Float[Tensor, "*#batch 3"] | tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> Pose:
        """The pose of C-arm angles (see `CArmPose` for units and signs); tensors broadcast.

        ``translate(isocenter) @ R(primary, secondary, roll) @ translate(offset - z SOD)``.
        """
        isocenter = torch.as_tensor(isocenter, dtype=torch.float64)
        offset = torch.as_tensor(offset_mm, dtype=torch.float64)
        rotation = rotation_from_angles(primary_deg, secondary_deg, roll_deg)
        rotation = rotation.to(isocenter)
        local = offset.to(isocenter) - isocenter.new_tensor([0.0, 0.0, self.source_to_isocenter])
        translation = (rotation @ local[..., None])[..., 0] + isocenter
        return Pose(rotation.expand(*translation.shape[:-1], 3, 3), translation)

    def pose_from(self, carm_pose: CArmPose) -> Pose:
        """``world_from_camera`` of a `CArmPose`, float64."""
        return self.world_from_camera(
            carm_pose.primary_deg,
            carm_pose.secondary_deg,
            carm_pose.roll_deg,
            isocenter=carm_pose.isocenter,
            offset_mm=carm_pose.offset_mm,
        )

    def carm_pose(
        self, world_from_camera: Pose, isocenter: Float[Tensor, "3"] | tuple[float, float, float]
    ) -> CArmPose:
        """C-arm angles and offsets of a pose: the one with ``|secondary| <= 90`` degrees.

        A pose built with a secondary angle beyond 90 degrees comes back as its equivalent on the
        other side (primary and roll turned by 180). At exactly 90 the primary angle is taken as 0.
        """
        if world_from_camera.batch_shape:
            raise ValueError(
                "C-arm angles are of one pose: got a batch of shape "
                f"{world_from_camera.batch_shape}; take one with pose[i]"
            )
        center = torch.as_tensor(isocenter, dtype=torch.float64).cpu()
        rotation = world_from_camera.rotation.detach().to("cpu", torch.float64)
        translation = world_from_camera.translation.detach().to("cpu", torch.float64)
        z = rotation[:, 2]
        horizontal = math.hypot(float(z[0]), float(z[1]))
        secondary = math.atan2(float(z[2]), horizontal)
        primary = math.atan2(float(z[0]), -float(z[1])) if horizontal > 1e-9 else 0.0
        unrolled = rotation_from_angles(math.degrees(primary), math.degrees(secondary), 0.0)
        roll_matrix = unrolled.mT @ rotation
        roll = math.atan2(float(roll_matrix[1, 0]), float(roll_matrix[0, 0]))
        offset = rotation.mT @ (translation - center)
        x, y, depth = offset.tolist()
        return CArmPose(
            math.degrees(primary),
            math.degrees(secondary),
            math.degrees(roll),
            (x, y, depth + self.source_to_isocenter),
            (float(center[0]), float(center[1]), float(center[2])),
        )

    def camera_matrix(self, *, dtype: torch.dtype = torch.float64) -> Float[Tensor, "3 3"]:
        """K of the image as stored: camera (x, y, z) mm to homogeneous (column, row, 1).

        Its first focal length is negative for a mirrored detector. Rays and projections are both
        derived from this one matrix; `geometry.adapters` exports the positive K of OpenCV.
        """
        row, column = self.detector.center
        s_row, s_column = self.detector.spacing
        sign = -1.0 if self.detector.mirrored else 1.0
        f = self.source_to_detector
        return torch.tensor(
            [[sign * f / s_column, 0.0, column], [0.0, f / s_row, row], [0.0, 0.0, 1.0]],
            dtype=dtype,
        )

    def project(
        self, points: Float[Tensor, "*points 3"], world_from_camera: Pose
    ) -> Float[Tensor, "*batch 2"]:
        """Row, column of world points, sub-pixel; NaN for points behind the source.

        Parameters
        ----------
        points
            World (LPS), mm: one point (3), or several (..., n, 3).
        world_from_camera
            One or a batch of poses; leading dimensions broadcast with those of the points.
        """
        camera = world_from_camera.inverse().apply(points)
        k = self.camera_matrix(dtype=camera.dtype).to(camera.device)
        depth = camera[..., 2]
        in_front = depth > 0
        safe = torch.where(in_front, depth, torch.ones_like(depth))
        column = k[0, 0] * camera[..., 0] / safe + k[0, 2]
        row = k[1, 1] * camera[..., 1] / safe + k[1, 2]
        pixels = torch.stack([row, column], -1)
        return torch.where(in_front[..., None], pixels, torch.full_like(pixels, torch.nan))

    def at_most(self, pixels: int, *, least: int = 1) -> "CArm":
        """This C-arm, its detector's longer side sampled with at most so many pixels.

        Over the same area (`Detector.resize`); itself where it has no more.

        Parameters
        ----------
        pixels
            Of the longer side.
        least
            Of either side that was made smaller.

        Raises
        ------
        ValueError
            If `pixels` is not positive.
        """
        if pixels < 1:
            raise ValueError(f"a detector has at least one pixel: got {pixels}")
        rows, columns = self.detector.shape
        scale = pixels / max(rows, columns)
        if scale >= 1.0:
            return self
        shape = max(least, round(rows * scale)), max(least, round(columns * scale))
        return replace(self, detector=self.detector.resize(*shape))

    def rays(
        self, world_from_camera: Pose, pixels: Float[Tensor, "pixels 2"] | None = None
    ) -> tuple[Float[Tensor, "*batch 3"], Float[Tensor, "*batch pixels 3"]]:
        """Source, and the vectors from it to pixel centres, world, mm.

        Parameters
        ----------
        world_from_camera
            One or a batch of poses.
        pixels
            Row, column (may be fractional). None: the whole detector, row by row.
        """
        rotation = world_from_camera.rotation
        if pixels is None:
            pixels = self.detector.pixel_grid(dtype=rotation.dtype).to(rotation.device)
        pixels = pixels.to(rotation)
        k = self.camera_matrix(dtype=rotation.dtype).to(rotation.device)
        f = self.source_to_detector
        x = (pixels[:, 1] - k[0, 2]) / k[0, 0] * f
        y = (pixels[:, 0] - k[1, 2]) / k[1, 1] * f
        camera = torch.stack([x, y, torch.full_like(x, f)], -1)
        return world_from_camera.translation, camera @ rotation.mT


def rotation_from_angles(
    primary_deg: float | Float[Tensor, "*#batch"],
    secondary_deg: float | Float[Tensor, "*#batch"],
    roll_deg: float | Float[Tensor, "*#batch"],
) -> Float[Tensor, "*batch 3 3"]:
    """``world_from_camera`` rotation of C-arm angles in degrees; roll is applied first."""
    # A Python float would become float32, which turns 12.7 degrees into 12.6999998.
    angles = [
        a if isinstance(a, Tensor) else torch.tensor(a, dtype=torch.float64)
        for a in (primary_deg, secondary_deg, roll_deg)
    ]
    dtype = torch.float64
    for angle in angles:
        if angle.is_floating_point() and angle.ndim > 0:
            dtype = angle.dtype
    p, s, r = torch.broadcast_tensors(*(torch.deg2rad(a.to(dtype)) for a in angles))
    cp, sp, cs, ss = p.cos(), p.sin(), s.cos(), s.sin()
    cr, sr, zero = r.cos(), r.sin(), torch.zeros_like(p)
    x = torch.stack([-cp, -sp, zero], -1)
    y = torch.stack([sp * ss, -cp * ss, -cs], -1)
    z = torch.stack([sp * cs, -cp * cs, ss], -1)
    columns = [x * cr[..., None] + y * sr[..., None], y * cr[..., None] - x * sr[..., None], z]
    return torch.stack(columns, -1)


CARM_PARAMETERS = ("primary", "secondary", "roll", "x", "y", "depth")
"""The six degrees of freedom of `CArmPose`, in the order of `twists_of_carm_parameters`."""


def twists_of_carm_parameters(world_from_camera: Pose, carm_pose: CArmPose) -> Float[Tensor, "6 6"]:
    """How each C-arm parameter moves the pose: columns are left twists about the isocenter.

    Parameters
    ----------
    world_from_camera, carm_pose
        The same pose twice: as SE(3) and as C-arm terms (see `CArm.carm_pose`).

    Returns
    -------
    Tensor
        Row order (omega, v) in world axes; column order `CARM_PARAMETERS`, per radian and per mm.
    """
    p = math.radians(carm_pose.primary_deg)
    rotation = world_from_camera.rotation.detach().to("cpu", torch.float64)
    twists = torch.zeros(6, 6, dtype=torch.float64)
    twists[:3, 0] = torch.tensor([0.0, 0.0, 1.0])
    twists[:3, 1] = torch.tensor([-math.cos(p), -math.sin(p), 0.0])
    twists[:3, 2] = rotation[:, 2]
    twists[3:, 3:] = rotation
    return twists
