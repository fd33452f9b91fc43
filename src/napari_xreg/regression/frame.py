"""From the numbers a network says to the pose of a C-arm, in the frames of xvr and of DiffPose."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import (
    PARAMETERIZATIONS,
    CArm,
    Detector,
    DiffDRRCamera,
    Pose,
    carm_from_diffdrr,
    diffdrr_from_carm,
    matrix_from_euler,
    matrix_from_parameters,
    matrix_from_xvr_parameters,
    xvr_parameters_from_matrix,
)
from napari_xreg.images import Volume

Center: TypeAlias = str | tuple[float, float, float]
"""The point a pose is said about: ``volume``, the middle of the CT's grid; ``bone``, that of its
bone; or world mm."""

SE3 = "se3_log_map"
_DIFFPOSE_SOURCE_TO_CENTER = 510.0  # half of DeepFluoro's 1020 mm


def rotation_numbers(parameterization: str) -> int:
    """How many numbers a head says for the rotation.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if parameterization == SE3:
        return 3
    if parameterization not in PARAMETERIZATIONS:
        names = ", ".join((*PARAMETERIZATIONS, SE3))
        raise ValueError(f"a rotation is said as one of {names}: got {parameterization!r}")
    return PARAMETERIZATIONS[parameterization]


@dataclass(frozen=True, eq=False)
class Place:
    """Where a CT lies.

    Parameters
    ----------
    center
        The point a network speaks about, world mm.
    extent_mm
        Size of the CT's grid along the world axes; only DiffPose asks for it.
    world_from_template
        Where the network speaks of a template, with its own `center` and `extent_mm`: what takes the
        template's world to that of the CT. None: it speaks of the CT.
    """

    center: Float[Tensor, "3"]
    extent_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    world_from_template: Pose | None = None

    @classmethod
    def of_volume(cls, volume: Volume, center: Float[Tensor, "3"] | None = None) -> "Place":
        """Of a CT; its middle unless another point is given."""
        z, y, x = volume.shape
        matrix = volume.world_from_index.double().cpu()[:3, :3]
        extent = (matrix * matrix.new_tensor([x, y, z])).abs().sum(1)
        middle = volume.center if center is None else center
        a, b, c = extent.tolist()
        return cls(middle.double().cpu(), (a, b, c))


@dataclass(frozen=True)
class PoseFrame:
    """How the numbers of a network are meant.

    Parameters
    ----------
    parameterization, convention
        Of the rotation: see `geometry.PARAMETERIZATIONS`, or ``se3_log_map``; letters of Euler angles.
    unit_mm
        Millimetres for each number of the translation.
    orientation, reverse_x_axis
        Of the DiffDRR subject that it was trained with: ``AP``, ``PA`` or None.
    center
        See `Center`.
    meant
        ``xvr``: as `geometry.matrix_from_xvr_parameters`, then the orientation. ``diffpose``: the
        motion from a frontal pose at the middle of the CT, about the corner of its grid, in the
        frame of DiffDRR before 0.4.
    """

    parameterization: str = "rotation_6d"
    convention: str | None = "ZXY"
    unit_mm: float = 1000.0
    orientation: str | None = "PA"
    reverse_x_axis: bool = True
    center: Center = "bone"
    meant: str = "xvr"

    def __post_init__(self) -> None:
        rotation_numbers(self.parameterization)
        if self.orientation not in ("AP", "PA", None):
            raise ValueError(f"the orientation is AP, PA or None: got {self.orientation!r}")
        if self.meant not in ("xvr", "diffpose"):
            raise ValueError(f"a pose is meant as xvr or diffpose do: got {self.meant!r}")
        if not 0 < self.unit_mm < math.inf:
            raise ValueError(f"the unit is a length in mm: got {self.unit_mm!r}")
        at = self.center
        if isinstance(at, str):
            placed = at in ("volume", "bone")
        else:
            placed = len(at) == 3 and all(math.isfinite(value) for value in at)
        if not placed:
            raise ValueError(f"the center is volume, bone or world mm: got {at!r}")

    @property
    def mirrored(self) -> bool:
        """Of the detector that the network saw; see `Detector.mirrored`."""
        return self.meant == "diffpose" or self.reverse_x_axis != (self.orientation != "PA")

    def world_from_camera(
        self, rotation: Float[Tensor, "b n"], translation: Float[Tensor, "b 3"], place: Place
    ) -> Pose:
        """Poses of what the heads say; float64, differentiable.

        Parameters
        ----------
        rotation, translation
            Numbers of the heads.
        place
            Of the CT.
        """
        rotation, xyz = rotation.double(), translation.double() * self.unit_mm
        if self.meant == "diffpose":
            pose = self._from_offset(rotation, xyz, place)
        else:
            matrix = matrix_from_xvr_parameters(
                rotation, xyz, self.parameterization, convention=self.convention
            )
            pose = self._from_matrix(matrix, place)
        moved = place.world_from_template
        return pose if moved is None else moved.to(device=xyz.device) @ pose

    def numbers(
        self, world_from_camera: Pose, place: Place
    ) -> tuple[Float[Tensor, "*b n"], Float[Tensor, "*b 3"]]:
        """What the heads would have to say; for frames of xvr alone."""
        if self.meant == "diffpose":
            raise ValueError("poses cannot be put into the numbers of DiffPose")
        if place.world_from_template is not None:
            back = place.world_from_template.inverse()
            world_from_camera = back.to(dtype=world_from_camera.rotation.dtype) @ world_from_camera
        carm = CArm(1000.0, 500.0, Detector((8, 8), (1.0, 1.0), mirrored=self.mirrored))
        x, y, z = place.center.tolist()
        camera = diffdrr_from_carm(
            carm, world_from_camera, volume_center=(x, y, z), orientation=self.orientation
        )
        rotation, xyz = xvr_parameters_from_matrix(
            camera.matrix, self.parameterization, convention=self.convention
        )
        return rotation, xyz / self.unit_mm

    def _from_matrix(self, matrix: Float[Tensor, "b 4 4"], place: Place) -> Pose:
        camera = DiffDRRCamera(
            matrix, 1000.0, 8, 8, 1.0, 1.0, 0.0, 0.0, self.orientation, self.reverse_x_axis
        )
        x, y, z = place.center.tolist()
        return carm_from_diffdrr(camera, volume_center=(x, y, z), source_to_isocenter=500.0)[1]

    def _from_offset(
        self, rotation: Float[Tensor, "b n"], xyz: Float[Tensor, "b 3"], place: Place
    ) -> Pose:
        """METHODS D: translate(corner) offset frontal translate(f/2) flip, then our axes."""
        if self.parameterization == SE3:
            offset = Pose.exp(torch.cat([rotation, xyz], -1))
        else:
            euler = self.parameterization == "euler_angles"
            convention = self.convention if euler else None
            matrix = matrix_from_parameters(rotation, self.parameterization, convention=convention)
            offset = Pose(matrix, xyz)
        half = xyz.new_tensor(place.extent_mm) / 2
        turn = matrix_from_euler(xyz.new_tensor([math.pi / 2, 0.0, -math.pi / 2]), "ZYX")
        frontal = Pose(turn, half)
        # Their camera: x to the source, which stands at f / 2; DeepFluoro's: columns, rows, and z
        # to the source; ours turns about its rows.
        axes = xyz.new_tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
        ours = axes * xyz.new_tensor([-1.0, 1.0, -1.0])
        at_source = xyz.new_tensor([_DIFFPOSE_SOURCE_TO_CENTER, 0.0, 0.0])
        in_volume = offset @ (frontal @ Pose(ours, at_source))
        corner = place.center.to(xyz) - half
        return Pose(in_volume.rotation, in_volume.translation + corner)
