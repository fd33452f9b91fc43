"""Pinhole cameras as matrices, to and from ours: OpenCV, DeepFluoro, and any K with any signs.

Our pose maps camera to world, world is LPS mm, pixel indices are centres, and the mirror is a flag
of the detector; a K and an extrinsic matrix may carry it in a negative focal length or a determinant
of -1. They know no isocenter, so ``source_to_isocenter`` must be given where a `CArm` is made.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry.carm import CArm
from napari_xreg.geometry.detector import Detector
from napari_xreg.geometry.pose import Pose
from napari_xreg.geometry.rotation import matrix_from_rotation_vector, rotation_vector_from_matrix


@dataclass(frozen=True, eq=False)
class OpenCVCamera:
    """Arguments of ``cv2.projectPoints`` and ``cv2.solvePnP``; no distortion.

    Parameters
    ----------
    k
        Camera matrix with positive focal lengths, pixels; integer = centre of a pixel.
    rvec, tvec
        Camera from world (LPS): rotation vector in radians, translation in mm.
    """

    k: Float[Tensor, "3 3"]
    rvec: Float[Tensor, "*batch 3"]
    tvec: Float[Tensor, "*batch 3"]


def opencv_from_carm(carm: CArm, world_from_camera: Pose) -> OpenCVCamera:
    """K, rvec and tvec of the **unmirrored** image; see `opencv_points_from_pixels`.

    A mirrored image has no right-handed OpenCV pose (METHODS F4): its columns are counted the other
    way about the principal point, ``u = 2 c_col - column``, and K keeps its principal point.
    """
    camera_from_world = world_from_camera.inverse()
    k = carm.camera_matrix(dtype=camera_from_world.rotation.dtype)
    k[0, 0] = k[0, 0].abs()
    rvec = rotation_vector_from_matrix(camera_from_world.rotation)
    return OpenCVCamera(k, rvec, camera_from_world.translation)


def opencv_points_from_pixels(
    detector: Detector, pixels: Float[Tensor, "*pixels 2"]
) -> Float[Tensor, "*pixels 2"]:
    """(u, v) for OpenCV from (row, column): swapped, and unmirrored about the principal point."""
    row, column = pixels.unbind(-1)
    u = 2 * detector.center[1] - column if detector.mirrored else column
    return torch.stack([u, row], -1)


def pixels_from_opencv_points(
    detector: Detector, points: Float[Tensor, "*pixels 2"]
) -> Float[Tensor, "*pixels 2"]:
    """(row, column) of the image as stored from OpenCV's (u, v)."""
    u, v = points.unbind(-1)
    column = 2 * detector.center[1] - u if detector.mirrored else u
    return torch.stack([v, column], -1)


def pose_from_opencv(rvec: Float[Tensor, "*batch 3"], tvec: Float[Tensor, "*batch 3"]) -> Pose:
    """World from camera, of what ``cv2.solvePnP`` found with points of `opencv_points_from_pixels`."""
    return Pose(matrix_from_rotation_vector(rvec), tvec).inverse()


def carm_from_camera_matrices(
    k: Float[Tensor, "3 3"],
    camera_from_world: Float[Tensor, "*batch 4 4"],
    *,
    shape: tuple[int, int],
    source_to_isocenter: float,
    source_to_detector: float | None = None,
    spacing: tuple[float, float] | None = None,
    z_to_source: bool = False,
) -> tuple[CArm, Pose]:
    r"""Our C-arm and pose of any pinhole camera, whatever its signs.

    ``(u, v, 1) z = K camera_from_world p`` with u along the columns and p in LPS mm. Focal lengths
    may be negative and the extrinsic matrix may contain a mirror: the axes are turned so that the
    pose becomes a rotation, and what remains is `Detector.mirrored`.

    Parameters
    ----------
    k
        Intrinsics in pixels, integer = centre of a pixel.
    source_to_detector, spacing
        mm; (row, column) mm. K fixes their ratio, so give one, or both to have them compared.
    z_to_source
        Whether the camera's z axis runs from the detector to the source (DeepFluoro).

    Raises
    ------
    ValueError
        If K has a skew, neither or contradicting distances are given, the matrix is no motion, or a
        batch mixes mirrored and unmirrored cameras.
    """
    k = k.double().cpu()
    if float(k[0, 1].abs()) > 1e-6 * float(k[0, 0].abs()) or float(k[2, :2].abs().max()) > 1e-9:
        raise ValueError(f"a detector with square corners has K without skew: got {k.tolist()}")
    k = k / k[2, 2]
    z_sign = -1.0 if z_to_source else 1.0
    fx, fy = z_sign * float(k[0, 0]), z_sign * float(k[1, 1])
    f, spacing = _focal_length(abs(fx), abs(fy), source_to_detector, spacing)
    determinant = torch.linalg.det(camera_from_world[..., :3, :3].double())
    if (determinant > 0).any() and (determinant < 0).any():
        raise ValueError("cameras with and without a mirror cannot share one detector")
    handedness = 1.0 if bool((determinant > 0).all()) else -1.0
    y_sign = 1.0 if fy > 0 else -1.0
    x_sign = handedness * y_sign * z_sign
    signs = camera_from_world.new_tensor([x_sign, y_sign, z_sign, 1.0])
    pose = Pose.from_matrix(signs[:, None] * camera_from_world).inverse()
    center = (float(k[1, 2]), float(k[0, 2]))
    detector = Detector(shape, spacing, center, mirrored=fx * x_sign < 0)
    return CArm(f, source_to_isocenter, detector), pose


def carm_from_deepfluoro(
    intrinsic: Float[Tensor, "3 3"],
    extrinsic: Float[Tensor, "4 4"],
    cam_to_volume: Float[Tensor, "*batch 4 4"],
    *,
    shape: tuple[int, int],
    spacing: tuple[float, float],
    source_to_isocenter: float,
) -> tuple[CArm, Pose]:
    r"""Our C-arm and pose of a DeepFluoro case, world being the LPS of its volume.

    Their camera has its origin at the source, x along columns, y along rows and z **towards the
    source**, and K with negative focal lengths: ``camera_from_world = extrinsic @
    inverse(cam_to_volume)``. As z turns around, the image is mirrored.

    Parameters
    ----------
    intrinsic, extrinsic
        ``proj-params/intrinsic`` (pixels) and ``proj-params/extrinsic`` (camera from device, mm).
    cam_to_volume
        ``gt-poses/cam-to-pelvis-vol``: LPS mm of the volume from device. The stored poses were made
        for a renderer with voxel corners at integers (half a voxel, 0.5 mm per axis, off ours).
    spacing
        ``pixel-row-spacing, pixel-col-spacing``, mm.
    """
    camera_from_world = extrinsic @ torch.linalg.inv(cam_to_volume)
    return carm_from_camera_matrices(
        intrinsic,
        camera_from_world,
        shape=shape,
        spacing=spacing,
        source_to_isocenter=source_to_isocenter,
        z_to_source=True,
    )


def deepfluoro_from_carm(
    carm: CArm, world_from_camera: Pose
) -> tuple[Float[Tensor, "3 3"], Float[Tensor, "*batch 4 4"]]:
    """``intrinsic`` and ``camera from world`` in DeepFluoro's convention (see `carm_from_deepfluoro`).

    Raises
    ------
    ValueError
        If the detector is not mirrored: their camera would need determinant -1.
    """
    if not carm.detector.mirrored:
        raise ValueError(
            "DeepFluoro's camera has z towards the source, which mirrors the image: flip the columns "
            "of this unmirrored radiograph first (Radiograph.flip_columns)"
        )
    k = carm.camera_matrix(dtype=world_from_camera.rotation.dtype)
    k[1, 1] = -k[1, 1]
    signs = k.new_tensor([-1.0, 1.0, -1.0, 1.0]).to(world_from_camera.rotation.device)
    return k, signs[:, None] * world_from_camera.inverse().matrix()


def _focal_length(
    fx: float, fy: float, distance: float | None, spacing: tuple[float, float] | None
) -> tuple[float, tuple[float, float]]:
    """Source-to-detector distance and (row, column) spacing, mm, of focal lengths in pixels."""
    if spacing is None:
        if distance is None:
            raise ValueError("K holds pixels only: give source_to_detector or spacing, in mm")
        return distance, (distance / fy, distance / fx)
    f = (fx * spacing[1] + fy * spacing[0]) / 2
    for found in (fx * spacing[1], fy * spacing[0], distance if distance is not None else f):
        if abs(found - f) > 1e-3 * f:
            raise ValueError(
                "K, spacing and source_to_detector contradict each other: K times spacing gives "
                f"{fx * spacing[1]:.6g} mm along columns and {fy * spacing[0]:.6g} mm along rows, "
                f"source_to_detector is {distance}"
            )
    return f if distance is None else distance, spacing
