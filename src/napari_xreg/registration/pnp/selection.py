"""Which correspondences belong together: MAGSAC, and whether their agreement could be chance."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from napari_xreg.registration.pnp.starts import PnPStart

Array = npt.NDArray[np.float64]


def magsac(
    points: Array, uv: Array, k: Array, *, threshold_px: float, seed: int
) -> PnPStart | None:
    """The pose with the best MAGSAC score over minimal samples (OpenCV's USAC); same seed, same pose.

    Barath et al., "MAGSAC++, a fast, reliable and accurate robust estimator", CVPR 2020.

    Parameters
    ----------
    points, uv, k
        As for `closed_form_starts`.
    threshold_px
        Pixels beyond which a point is an outlier under every noise level considered.
    """
    settings = cv2.UsacParams()
    settings.threshold = threshold_px
    settings.confidence = 0.9999
    settings.maxIterations = 2000
    settings.score = cv2.SCORE_METHOD_MAGSAC
    settings.randomGeneratorState = seed
    settings.isParallel = False
    center = points.mean(0)
    try:
        solved, _, turn, shift, _ = cv2.solvePnPRansac(
            np.ascontiguousarray(points - center),
            np.ascontiguousarray(uv),
            k.copy(),
            None,
            params=settings,
        )
    except cv2.error:  # it throws where every sample is degenerate
        return None
    if not solved or not (np.isfinite(turn).all() and np.isfinite(shift).all()):
        return None
    rotation = np.asarray(cv2.Rodrigues(turn)[0], np.float64).T
    return PnPStart("MAGSAC", rotation, center - rotation @ np.asarray(shift).reshape(3))


def by_chance(count: int, agreeing: int, threshold_px: float, area_px: float) -> float:
    """Expected number of poses on which so many of `count` random pixels would agree.

    Number of false alarms of a-contrario RANSAC (Moisan and Stival, IJCV 57, 2004): three points fix
    up to four poses, any further one agrees with probability ``pi threshold^2 / area``. Below 1 the
    agreement means something.
    """
    if agreeing <= 3 or count <= 3:
        return math.inf
    p = min(1.0, math.pi * threshold_px**2 / area_px)
    log = (
        math.log(4 * (count - 3))
        + _log_choose(count, agreeing)
        + _log_choose(agreeing, 3)
        + (agreeing - 3) * math.log(p)
    )
    return math.exp(min(log, 700.0))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
