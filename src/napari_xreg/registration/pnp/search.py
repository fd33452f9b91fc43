"""From closed-form starts to the minima of the reprojection error, with or without outliers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_xreg.registration.pnp.dlt import dlt
from napari_xreg.registration.pnp.fit import Fit, Observations, fit
from napari_xreg.registration.pnp.selection import by_chance, magsac
from napari_xreg.registration.pnp.solution import PnPStatus
from napari_xreg.registration.pnp.starts import PnPStart, closed_form_starts, shape_of

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_CHI2_999 = 13.8
"""99.9 % of two Gaussian coordinates lie within this squared Mahalanobis distance."""

_CHANCE = 0.1
"""Expected number of accidental poses above which an agreement means nothing."""

_FINEST_PX = 0.5
"""Points that agree better than this agree by chance no less often."""

_SAME_RAD = 0.01
"""Minima closer than this are one."""


@dataclass(frozen=True, eq=False)
class PnPViews:
    """The same points for our fit (pixels as stored) and for OpenCV (u, v unmirrored, K > 0)."""

    seen: Observations
    uv: Array
    k: Array


@dataclass(frozen=True)
class PnPSearch:
    """How to look: see `PnPSettings`; `area_px` is that of the image.

    A pose that is right brings its points within `near_px`, where a wrong one may bring many
    within the limit of outliers.
    """

    robust: bool
    threshold_px: float
    near_px: float
    area_px: float
    has_covariances: bool
    iterations: int
    seed: int


@dataclass(frozen=True, eq=False)
class PnPAnswer:
    """The best minimum, the other ones, and the points they were fitted to.

    Parameters
    ----------
    status
        Why there is no `best`, where there is none.
    used
        [n]; all of the points searched where there is no best.
    near
        How many points lie within `PnPSearch.near_px` of their pixel, or where their covariance
        allows it.
    """

    status: PnPStatus
    best: Fit | None
    others: tuple[Fit, ...]
    used: Mask
    near: int = 0


def search(views: PnPViews, settings: PnPSearch, given: PnPStart | None) -> PnPAnswer:
    """The minima of the cost over the points that agree (or all), best first.

    `given` is one more start, tried first.
    """
    seen = views.seen
    everyone = np.ones(len(seen.points), bool)
    used, extra = everyone, [given] if given is not None else []
    if settings.robust and len(seen.points) > 4:
        model = magsac(
            seen.points, views.uv, views.k, threshold_px=settings.threshold_px, seed=settings.seed
        )
        if model is not None:
            extra.append(model)
            agreeing = _agreeing(seen, model, settings)
            if agreeing.sum() >= 4 and not shape_of(seen.points[agreeing]).collinear:
                used = agreeing
    minima, behind = _minima(views, used, extra, settings)
    if settings.robust and minima:
        used, minima = _settled(views, used, minima, settings)
    if not minima:
        status = PnPStatus.BEHIND_SOURCE if behind else PnPStatus.NO_CONSENSUS
        return PnPAnswer(status, None, (), everyone)
    agreeing = _agreeing(seen, _as_start(minima[0]), settings)
    near = _agreeing(seen, _as_start(minima[0]), replace(settings, threshold_px=settings.near_px))
    if near.mean() < 0.8 and _fits_through_source(views, settings):
        return PnPAnswer(PnPStatus.BEHIND_SOURCE, None, (), everyone)
    count = int(agreeing.sum())
    if settings.robust and (count < 4 or _chance(seen, minima[0], agreeing, settings) > _CHANCE):
        return PnPAnswer(PnPStatus.NO_CONSENSUS, None, (), everyone)
    return PnPAnswer(PnPStatus.SOLVED, minima[0], tuple(minima[1:]), used, int(near.sum()))


def _chance(seen: Observations, end: Fit, agreeing: Mask, settings: PnPSearch) -> float:
    """How many poses would bring as many random pixels as near as these are."""
    distances = np.sqrt((_residuals(seen, _as_start(end))[0][agreeing] ** 2).sum(1))
    radius = max(float(distances.max()), _FINEST_PX)
    return by_chance(len(agreeing), int(agreeing.sum()), radius, settings.area_px)


def _minima(
    views: PnPViews, used: Mask, extra: Sequence[PnPStart], settings: PnPSearch
) -> tuple[list[Fit], int]:
    """Distinct minima over the points used, lowest first, and how many starts were behind."""
    seen = views.seen.subset(used)
    found, behind = closed_form_starts(seen.points, views.uv[used], views.k)
    precision = (seen.roots**2).sum((1, 2))
    if precision.max() > 10 * precision.min():
        # The closed forms know no weights: let them see those points that weigh the most, too.
        heavy = precision >= np.sort(precision)[::-1][max(3, len(precision) // 2 - 1)]
        if not shape_of(seen.points[heavy]).collinear:
            more, _ = closed_form_starts(seen.points[heavy], views.uv[used][heavy], views.k)
            found += more
    starts = sorted([*extra, *found], key=lambda s: seen.cost(s.rotation, s.translation))
    return _fits(seen, starts, settings), behind


def _fits(seen: Observations, starts: Sequence[PnPStart], settings: PnPSearch) -> list[Fit]:
    center = seen.points.mean(0)
    minima: list[Fit] = []
    tried: list[PnPStart] = []
    for start in starts:
        # A neighbour of a start or a minimum would end where that did.
        seen_before: list[PnPStart | Fit] = [*tried, *minima]
        if any(_near(start, other, 0.03, center) for other in seen_before):
            continue
        tried.append(start)
        end = fit(seen, start.rotation, start.translation, iterations=settings.iterations)
        if end is not None:
            minima.append(end)
    minima.sort(key=lambda end: end.cost)
    distinct: list[Fit] = []
    for minimum in minima:
        if not any(_near(minimum, other, _SAME_RAD, center) for other in distinct):
            distinct.append(minimum)
    return distinct


def _settled(
    views: PnPViews, used: Mask, minima: list[Fit], settings: PnPSearch
) -> tuple[Mask, list[Fit]]:
    """Sort the points into used and outliers by the fit, and fit again, until nothing changes."""
    for _ in range(5):
        agreeing = _agreeing(views.seen, _as_start(minima[0]), settings)
        same = bool((agreeing == used).all())
        if same or agreeing.sum() < 4 or shape_of(views.seen.points[agreeing]).collinear:
            break
        again, _ = _minima(views, agreeing, [_as_start(m) for m in minima], settings)
        if not again:
            break
        used, minima = agreeing, again
    return used, minima


def _agreeing(seen: Observations, pose: PnPStart, settings: PnPSearch) -> Mask:
    """Points near their pixel: within the threshold, or within what their covariance allows."""
    residuals, front = _residuals(seen, pose)
    near: Mask = (residuals**2).sum(1) <= settings.threshold_px**2
    if settings.has_covariances:
        near = near | (seen.lengths(residuals) <= _CHI2_999)
    return near & front


def _residuals(seen: Observations, pose: PnPStart) -> tuple[Array, Mask]:
    """Projected minus observed (anything behind the source), and which points are in front."""
    camera = (seen.points - pose.translation) @ pose.rotation
    front = camera[:, 2] > 0
    z = np.where(front, camera[:, 2], 1.0)
    k = seen.k
    row = k[1, 1] * camera[:, 1] / z + k[1, 2]
    column = k[0, 0] * camera[:, 0] / z + k[0, 2]
    return np.column_stack([row, column]) - seen.pixels, front


def _fits_through_source(views: PnPViews, settings: PnPSearch) -> bool:
    """Whether the pinhole equations hold once points may lie behind the source."""
    points = views.seen.points
    shape = shape_of(points)
    if len(points) < 6 or shape.flatness < 1e-3:
        return False
    focal = np.array([views.k[0, 0], views.k[1, 1]])
    solved = dlt(points - shape.center, (views.uv - views.k[:2, 2]) / focal)
    if solved is None or solved[2]:
        return False
    camera = (points - shape.center) @ solved[0].T + solved[1]
    if (camera[:, 2] > 0).all():
        return False
    uv = focal * camera[:, :2] / camera[:, 2:] + views.k[:2, 2]
    distances = np.sqrt(((uv - views.uv) ** 2).sum(1))
    return bool(np.quantile(distances, 0.8) <= settings.near_px)


def _near(a: PnPStart | Fit, b: PnPStart | Fit, angle: float, center: Array) -> bool:
    """Closer than an angle, in rotation and in the source's place as seen from a point."""
    cosine = (float((a.rotation * b.rotation).sum()) - 1) / 2
    apart = float(np.linalg.norm(a.translation - b.translation))
    distance = float(np.linalg.norm(b.translation - center))
    return cosine > math.cos(angle) and apart < angle * distance


def _as_start(end: Fit) -> PnPStart:
    return PnPStart("fit", end.rotation, end.translation)
