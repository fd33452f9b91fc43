r"""How sure a refined pose is: a 6 x 6 covariance, landmark error ellipses, and words.

Residuals of neighbouring pixels are correlated (scatter, soft tissue, blur), so the textbook
:math:`\sigma^2 (J^T J)^{-1}` over pixels as if independent is an order of magnitude too small.
The sandwich :math:`H^{-1} S H^{-1}` with :math:`S = \sum_{pq} k(p - q)\, s_p s_q^T`, the sum over
the per-pixel gradients :math:`s_p` within reach of a triangular kernel k, allows for that
(Newey and West, 1987; Conley, 1999, in two dimensions). What is left, mostly bias of the image
model, is a single factor calibrated on simulated radiographs (`docs/decisions`).

No residual shows how large the CT truly is: about the source, a larger patient farther away casts the
same image. So its scale is a nuisance with a prior, and what it does to the pose is added (`scale_twist`).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CARM_PARAMETERS, CArm, Pose, twists_of_carm_parameters

CORRELATION_REACH = 0.125
"""Reach of the kernel k, as a share of the longer side of the image."""

CALIBRATION = 2.3
"""Standard deviations are the sandwich's times this: docs/decisions/0005-calibrated-covariance.md."""

SCALE_SIGMA = 0.01
"""What a CT's scale and a radiograph's distances are trusted to, standard deviation: voxel sizes, the
source-detector distance and the pixel spacing are written down, and rarely measured."""


def scale_twist(
    hessians: Float[Tensor, "views n n"],
    sources: Float[Tensor, "views *bodies 3"],
    pivot: Float[Tensor, "*bodies 3"],
    free: Float[Tensor, "n k"] | None = None,
    known: Float[Tensor, "n n"] | None = None,
) -> Float[Tensor, "n"]:
    """How the pose moves if the CT is one `SCALE_SIGMA` larger than the patient: a left twist about `pivot`,
    of several bodies one after the other.

    Larger about the pivot, the CT looks to each source as if it came towards it by that share of the way
    between them: the camera has to step back. Where several views disagree, the one that tells more
    about it has more say. With one view this is its depth, whatever it shows.

    Parameters
    ----------
    hessians
        Of the loss, the part of each view; rad and mm, about `pivot`, world axes.
    sources
        Where each view's source stands, world mm; of several bodies in the world of each.
    pivot
        World, mm; of each body.
    free
        Twists that were sought, of `Locks.free`; None: all six.
    known
        The Gauss-Newton matrix of what is known beforehand; None: nothing is.
    """
    back = torch.cat([torch.zeros_like(sources), SCALE_SIGMA * (sources - pivot)], -1).flatten(1)
    wanted = (hessians @ back[..., None])[..., 0].sum(0)
    hessian = hessians.sum(0) if known is None else hessians.sum(0) + known
    if free is None:
        return torch.linalg.solve(hessian, wanted)
    return free @ torch.linalg.solve(free.mT @ hessian @ free, free.mT @ wanted)


def as_deep_as_one_view(
    covariance: Float[Tensor, "6 6"],
    scale: Float[Tensor, "6"] | None,
    source: Float[Tensor, "3"],
    pivot: Float[Tensor, "3"],
) -> tuple[Float[Tensor, "6 6"], Float[Tensor, "6"]] | None:
    """Covariance and scale of a pose that one view alone tells, where they say it is surer along its rays than one view can
    be (`SCALE_SIGMA` of its depth): with that view's own `scale_twist`. None: they do not.

    Parameters
    ----------
    covariance, scale, pivot
        As in `Registration`.
    source
        Where that view's source stands, world mm.
    """
    back = SCALE_SIGMA * (source - pivot).to(covariance)
    ray = back / back.norm()
    if float(ray @ covariance[3:, 3:] @ ray) >= float(back @ back):
        return None
    own = torch.cat([torch.zeros_like(back), back])
    held = covariance if scale is None else covariance - scale.outer(scale)
    return held + own.outer(own), own


def sandwich(
    hessian: npt.NDArray[np.float64],
    meat: npt.NDArray[np.float64],
    free: Float[Tensor, "n k"] | None = None,
) -> Float[Tensor, "n n"] | None:
    """The calibrated covariance ``H^-1 S H^-1``; None where H does not determine all that is sought.

    Of the left twist (omega, v) about the problem's pivot, rad and mm, world axes; of several bodies one
    after the other. What is held has no error, and none of its error goes into the rest.

    Parameters
    ----------
    hessian
        Of the loss.
    meat
        S, of `Problem.correlated_sums`.
    free
        As of `scale_twist`.
    """
    if free is not None:
        basis = free.numpy()
        found = sandwich(basis.T @ hessian @ basis, basis.T @ meat @ basis)
        return None if found is None else free @ found @ free.mT
    if not np.isfinite(hessian).all():
        return None
    eigenvalues = np.linalg.eigvalsh(_balanced(hessian))
    if not np.isfinite(eigenvalues).all() or eigenvalues[0] <= 1e-9 * eigenvalues[-1]:
        return None
    bread = np.linalg.inv(hessian)
    covariance = CALIBRATION**2 * bread @ meat @ bread
    return torch.from_numpy(0.5 * (covariance + covariance.T))


def _balanced(hessian: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Unit diagonal, so that radians and millimetres compare."""
    scale = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    balanced: npt.NDArray[np.float64] = hessian / np.outer(scale, scale)
    return balanced


@dataclass(frozen=True, eq=False)
class LandmarkUncertainty:
    """Predicted error of landmarks under a pose.

    Parameters
    ----------
    pixels
        Projections, (row, column).
    pixel_covariance
        Of each projection, pixels squared, order (row, column).
    camera_covariance
        Of each landmark's position in camera axes (x, y, depth), mm squared: the predicted target
        registration error, between where the pose puts it as the CT has it and where the patient has it.
    """

    pixels: Float[Tensor, "n 2"]
    pixel_covariance: Float[Tensor, "n 2 2"]
    camera_covariance: Float[Tensor, "n 3 3"]


def landmark_uncertainty(
    points: Float[Tensor, "n 3"],
    carm: CArm,
    world_from_camera: Pose,
    covariance: Float[Tensor, "6 6"],
    pivot: Float[Tensor, "3"],
    scale: Float[Tensor, "6"] | None = None,
) -> LandmarkUncertainty:
    """Carry the covariance of a pose to landmarks, to first order.

    A CT that is too large also puts its landmarks too far out, about the pivot. From one view that is
    what the pose steps back for, so in the image nothing is seen of it; in space they lie farther away.

    Parameters
    ----------
    points
        World (LPS), mm.
    carm, world_from_camera
        View.
    covariance, pivot, scale
        As in `Registration`. None: all of the covariance is the pose's, and the CT as large as it says.
    """
    points = points.to(covariance)
    rotation = world_from_camera.rotation.to(covariance)
    camera = world_from_camera.inverse().to(dtype=covariance.dtype).apply(points)
    # A left twist of the camera moves the point, as seen by the camera, the other way.
    arm = points - pivot.to(covariance)
    moved = torch.zeros(len(points), 3, 6, dtype=covariance.dtype)
    for axis in range(3):
        unit = torch.zeros(3, dtype=covariance.dtype)
        unit[axis] = 1.0
        moved[:, :, axis] = -torch.linalg.cross(unit.expand_as(arm), arm)
        moved[:, axis, 3 + axis] = -1.0
    in_camera = rotation.mT @ moved
    if scale is not None:
        scale = scale.to(covariance)
        covariance = covariance - scale.outer(scale)
    camera_covariance = in_camera @ covariance @ in_camera.mT
    if scale is not None:
        grown = in_camera @ scale + SCALE_SIGMA * arm @ rotation
        camera_covariance = camera_covariance + grown[:, :, None] * grown[:, None]
    k = carm.camera_matrix(dtype=covariance.dtype)
    x, y, z = camera.unbind(-1)
    zero = torch.zeros_like(z)
    row = torch.stack([zero, k[1, 1] / z, -k[1, 1] * y / z**2], -1)
    column = torch.stack([k[0, 0] / z, zero, -k[0, 0] * x / z**2], -1)
    projection = torch.stack([row, column], -2)
    pixel_covariance = projection @ camera_covariance @ projection.mT
    return LandmarkUncertainty(
        carm.project(points, world_from_camera.to(dtype=covariance.dtype)),
        pixel_covariance,
        camera_covariance,
    )


def relative_covariance(
    one_from_other: Pose,
    pivots: tuple[Float[Tensor, "3"], Float[Tensor, "3"]],
    covariance: Float[Tensor, "12 12"],
) -> Float[Tensor, "6 6"]:
    """How sure it is how two bones lie to each other.

    Parameters
    ----------
    one_from_other
        The pose of the one by the inverse of the other's, float64.
    pivots
        Of the one and the other, each in its own world, mm.
    covariance
        Of the left twists (omega, v) of the one and the other, each about its pivot, rad and mm.

    Returns
    -------
    Tensor
        Of the left twist of `one_from_other` about the pivot of the one.
    """
    here, there = (pivot.double() for pivot in pivots)
    carried = Pose(one_from_other.rotation, one_from_other.apply(there) - here).adjoint()
    slopes = torch.cat([torch.eye(6, dtype=torch.float64), -carried], 1)
    return slopes @ covariance.double() @ slopes.mT


def carm_covariance(
    carm: CArm,
    world_from_camera: Pose,
    covariance: Float[Tensor, "6 6"],
    pivot: Float[Tensor, "3"],
) -> Float[Tensor, "6 6"]:
    """The covariance in C-arm terms: order `CARM_PARAMETERS`, degrees and mm."""
    terms = carm.carm_pose(world_from_camera, pivot)
    twists = twists_of_carm_parameters(world_from_camera, terms).to(covariance)
    units = torch.tensor([180 / torch.pi] * 3 + [1.0] * 3, dtype=covariance.dtype)
    change = units[:, None] * torch.linalg.inv(twists)
    return change @ covariance @ change.mT


def weakest_direction(
    carm: CArm,
    world_from_camera: Pose,
    covariance: Float[Tensor, "6 6"],
    pivot: Float[Tensor, "3"],
) -> str:
    """In words: the C-arm parameter that moves a point at arm's length the most unnoticed."""
    deviations = torch.diagonal(carm_covariance(carm, world_from_camera, covariance, pivot))
    deviations = deviations.clamp_min(0).sqrt()
    in_mm = deviations * deviations.new_tensor([100 * torch.pi / 180] * 3 + [1.0] * 3)
    weakest = int(in_mm.argmax())
    unit = "degrees" if weakest < 3 else "mm"
    return (
        f"{CARM_PARAMETERS[weakest]} (standard deviation {float(deviations[weakest]):.2f} {unit})"
    )
