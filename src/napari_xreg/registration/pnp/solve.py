"""Perspective-n-point: the pose from points of the patient and their pixels on a radiograph."""

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.registration.pnp.correspondences import Correspondences
from napari_xreg.registration.pnp.fit import Observations, polished
from napari_xreg.registration.pnp.gradient import with_gradient
from napari_xreg.registration.pnp.search import PnPAnswer, PnPViews, search
from napari_xreg.registration.pnp.settings import PnPSettings, as_array, search_of, views_of
from napari_xreg.registration.pnp.solution import PnPSolution, PnPStatus, failed
from napari_xreg.registration.pnp.starts import PnPStart, shape_of

Array = npt.NDArray[np.float64]

_FINEST_PX = 0.5
"""No landmark is picked better than this, however well few points happen to fit."""

_AS_GOOD = 9.0
"""Difference of chi-square up to which two poses explain the points about equally well."""


def solve_pnp(
    correspondences: Correspondences,
    carm: CArm,
    *,
    start: Pose | None = None,
    pivot: Float[Tensor, "3"] | None = None,
    settings: PnPSettings | None = None,
) -> PnPSolution:
    r"""The pose that brings points of the patient to their pixels.

    Closed-form solutions (SQPnP, EPnP, a direct linear transform, IPPE for points near a plane, P3P
    for four) with every point in front of the source are starts; MAGSAC finds the points that agree;
    Levenberg-Marquardt minimises

    .. math:: \tfrac12 \sum_i \rho(r_i^T C_i^{-1} r_i), \quad r_i = \pi(T, p_i) - u_i,

    from each, and the lowest minimum wins. Differentiable (once) in points, pixels, covariances and
    weights, by the implicit function theorem; which points are outliers is taken as given.

    Parameters
    ----------
    correspondences
        What was seen where; points that are not kept, or of weight 0, have no say.
    carm
        Of the radiograph as stored: mirrored or not, square pixels or not.
    start
        A pose to begin from as well, as while a landmark is dragged; of two poses that explain the
        points about equally well the one nearer to it is taken. It need not be good.
    pivot
        Point about which the covariance's twist rotates (the isocenter), world mm. None: the
        centroid of the points that are kept.
    settings
        See `PnPSettings`.

    Returns
    -------
    PnPSolution
        False, with a reason, where the points do not determine a pose.
    """
    settings = settings or PnPSettings()
    names, kept = correspondences.names, correspondences.kept
    assert names is not None and kept is not None
    considered = kept.cpu()
    if correspondences.weights is not None:
        considered = considered & (correspondences.weights.detach().cpu() > 0)
    world = as_array(correspondences.points)
    mask = considered.numpy()
    if pivot is None:
        pivot = torch.from_numpy(world[mask].mean(0) if mask.any() else np.zeros(3))
    pivot = pivot.detach().to("cpu", torch.float64)
    status = _degenerate(world[mask])
    if status is not None:
        count = (f"{int(mask.sum())} of {len(names)} used",) if len(names) else ()
        return failed(status, pivot, names, considered, *count, *correspondences.notes)
    views = views_of(correspondences, carm, mask, settings)
    answer = search(views, search_of(correspondences, carm, settings), _start(start))
    if answer.near < 0.8 * mask.sum():
        note = _mirror_note(correspondences, carm, mask, settings, answer.near)
        if note:
            notes = (*note, *correspondences.notes)
            return failed(PnPStatus.MIRRORED, pivot, names, considered, *notes)
    if answer.best is None:
        return failed(answer.status, pivot, names, considered, *correspondences.notes)
    return _solution(correspondences, carm, views, answer, start, pivot, mask, settings)


def _degenerate(points: Array) -> PnPStatus | None:
    if len(points) < 4 or len(np.unique(points.round(6), axis=0)) < 4:
        return PnPStatus.TOO_FEW
    return PnPStatus.COLLINEAR if shape_of(points).collinear else None


def _solution(
    correspondences: Correspondences,
    carm: CArm,
    views: PnPViews,
    answer: PnPAnswer,
    start: Pose | None,
    pivot: Float[Tensor, "3"],
    mask: npt.NDArray[np.bool_],
    settings: PnPSettings,
) -> PnPSolution:
    """The answer of the search with its covariance, its rivals and its gradient."""
    assert answer.best is not None and correspondences.names is not None
    seen = views.seen.subset(answer.used)
    best, others = answer.best, answer.others
    scale = settings.scale_covariance
    if scale is None:
        scale = correspondences.covariances is None
    variance = _variance(seen, best.cost)
    floor = 1.0 if correspondences.covariances is not None else _finest_variance(seen)
    rivals = [o for o in others if 2 * (o.cost - best.cost) < _AS_GOOD * max(variance, floor)]
    if start is not None and rivals:
        nearest = min([best, *rivals], key=lambda f: _turn(f.rotation, _start(start)))
        rivals = [f for f in (best, *rivals) if f is not nearest]
        best = nearest
    status = PnPStatus.AMBIGUOUS if rivals else PnPStatus.SOLVED
    if best.converged:
        best = polished(seen, best)
    else:
        status = PnPStatus.NOT_CONVERGED
    center = pivot.numpy()
    hessian, _ = seen.normal_equations(best.rotation, best.translation, center)
    covariance = _inverse(hessian)
    if covariance is None:
        status = PnPStatus.UNDETERMINED
    factor = _variance(seen, best.cost) if scale else 1.0
    used = mask.copy()
    used[mask] = answer.used
    pose = Pose(torch.from_numpy(best.rotation.copy()), torch.from_numpy(best.translation.copy()))
    residuals = carm.project(
        correspondences.points.detach().to("cpu", torch.float64), pose
    ) - correspondences.pixels.detach().to("cpu", torch.float64)
    solution = PnPSolution(
        status,
        pivot,
        correspondences.names,
        torch.from_numpy(used),
        torch.from_numpy(mask.copy()),
        None if status is PnPStatus.UNDETERMINED else pose,
        None if covariance is None else torch.from_numpy(covariance * factor),
        residuals,
        tuple(Pose(torch.from_numpy(f.rotation), torch.from_numpy(f.translation)) for f in rivals),
        factor,
        best.cost,
        best.iterations,
        correspondences.notes,
    )
    solution = replace(solution, notes=(*solution.notes, *_outlier_note(solution)))
    if solution.world_from_camera is None or not _wants_gradient(correspondences):
        return solution
    return replace(solution, world_from_camera=_graded(correspondences, carm, solution, settings))


def _graded(
    correspondences: Correspondences, carm: CArm, solution: PnPSolution, settings: PnPSettings
) -> Pose:
    assert solution.world_from_camera is not None
    used = solution.used
    pixels = correspondences.pixels.double()[used]
    if correspondences.covariances is not None:
        precisions = torch.linalg.inv(correspondences.covariances.double()[used])
    else:
        precisions = torch.eye(2, dtype=torch.float64).expand(len(pixels), 2, 2)
        if correspondences.weights is not None:
            precisions = correspondences.weights.double()[used][:, None, None] * precisions
    return with_gradient(
        correspondences.points.double()[used],
        pixels,
        precisions,
        carm.camera_matrix(),
        solution.world_from_camera,
        loss=settings.loss,
        loss_scale=settings.loss_scale,
    )


def _wants_gradient(correspondences: Correspondences) -> bool:
    c = correspondences
    given = (c.points, c.pixels, c.covariances, c.weights)
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in given)


def _mirror_note(
    correspondences: Correspondences,
    carm: CArm,
    mask: npt.NDArray[np.bool_],
    settings: PnPSettings,
    near: int,
) -> tuple[str, ...]:
    """What to say if clearly more points agree on the mirror image."""
    flipped = replace(carm, detector=replace(carm.detector, mirrored=not carm.detector.mirrored))
    views = views_of(correspondences, flipped, mask, settings)
    answer = search(views, search_of(correspondences, carm, settings), None)
    n = int(mask.sum())
    if answer.near < max(5.0, 0.7 * n, near + max(2.0, 0.2 * n)):
        return ()
    return (f"{answer.near} of {n} landmarks fit the mirror image, {near} this one",)


def _outlier_note(solution: PnPSolution) -> tuple[str, ...]:
    out = solution.outliers
    if not out:
        return ()
    verb = (
        "does not agree with the others and was"
        if len(out) == 1
        else ("do not agree with the others and were")
    )
    return (f"{', '.join(out)} {verb} left out of the fit",)


def _variance(seen: Observations, cost: float) -> float:
    """Residual variance of unit weight."""
    return 2 * cost / (2 * len(seen.points) - 6)


def _finest_variance(seen: Observations) -> float:
    weights = 0.5 * (seen.roots**2).sum((1, 2))
    return float(_FINEST_PX**2 * np.median(weights))


def _inverse(hessian: Array) -> Array | None:
    """None where the balanced matrix is singular; radians and millimetres must compare."""
    scale = np.sqrt(np.diag(hessian))
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        return None
    balanced = hessian / np.outer(scale, scale)
    values = np.linalg.eigvalsh(balanced)
    if values[0] <= 1e-12 * values[-1]:
        return None
    inverse: Array = np.linalg.inv(balanced) / np.outer(scale, scale)
    return 0.5 * (inverse + inverse.T)


def _start(pose: Pose | None) -> PnPStart | None:
    if pose is None:
        return None
    return PnPStart("given", as_array(pose.rotation), as_array(pose.translation))


def _turn(rotation: Array, start: PnPStart | None) -> float:
    assert start is not None
    return float(np.linalg.norm(cv2.Rodrigues(rotation @ start.rotation.T)[0]))
