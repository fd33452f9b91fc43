"""The pose that minimises the Mahalanobis reprojection error, by Levenberg-Marquardt.

Everything is float64 numpy: a fit of a dozen points is a few dozen small products, and a tensor
library's overhead would be most of its time.
"""

from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Loss = Literal["squared", "huber", "cauchy", "geman-mcclure"]

_MAX_ROTATION_RAD = 0.5
_MAX_DAMPING = 1e12


@dataclass(frozen=True, eq=False)
class Observations:
    """What a fit compares with.

    Parameters
    ----------
    points, pixels
        [n, 3] world mm; [n, 2] (row, column) of the image as stored.
    roots
        [n, 2, 2]: S with S^T S the inverse covariance of the pixel, so that S r has unit variance.
    k
        `CArm.camera_matrix`: its first focal length is negative for a mirrored detector.
    loss, loss_scale
        Of the length of S r; where the loss is not squared, lengths beyond the scale count less.
    """

    points: Array
    pixels: Array
    roots: Array
    k: Array
    loss: Loss = "squared"
    loss_scale: float = 1.0

    def subset(self, chosen: npt.NDArray[np.bool_]) -> "Observations":
        """Some of the points."""
        return Observations(
            self.points[chosen],
            self.pixels[chosen],
            self.roots[chosen],
            self.k,
            self.loss,
            self.loss_scale,
        )

    def residuals(self, rotation: Array, translation: Array) -> Array | None:
        """Projected minus observed, [n, 2] pixels; None where a point is not in front."""
        camera = (self.points - translation) @ rotation
        if not (camera[:, 2] > 0).all():
            return None
        k = self.k
        out = np.empty((len(camera), 2))
        out[:, 0] = k[1, 1] * camera[:, 1] / camera[:, 2] + k[1, 2]
        out[:, 1] = k[0, 0] * camera[:, 0] / camera[:, 2] + k[0, 2]
        out -= self.pixels
        return out

    def lengths(self, residuals: Array) -> Array:
        """Squared Mahalanobis length of each residual."""
        whitened = np.matmul(self.roots, residuals[:, :, None])[:, :, 0]
        squared: Array = (whitened * whitened).sum(1)
        return squared

    def cost(self, rotation: Array, translation: Array) -> float:
        """Half the sum of losses; infinite where a point is not in front."""
        residuals = self.residuals(rotation, translation)
        if residuals is None:
            return float("inf")
        return 0.5 * float(loss_values(self.lengths(residuals), self.loss, self.loss_scale).sum())

    def normal_equations(
        self, rotation: Array, translation: Array, pivot: Array
    ) -> tuple[Array, Array]:
        """Gauss-Newton matrix and gradient for the left twist (omega, v) about the pivot.

        A twist of the camera moves a point, as seen by the camera, the other way: by
        ``-R^T (omega x (p - pivot) + v)``.
        """
        camera = (self.points - translation) @ rotation
        arm = self.points - pivot
        x, y, z = camera.T
        k = self.k
        projection = np.zeros((len(z), 2, 3))
        projection[:, 0, 1] = k[1, 1] / z
        projection[:, 0, 2] = -k[1, 1] * y / z**2
        projection[:, 1, 0] = k[0, 0] / z
        projection[:, 1, 2] = -k[0, 0] * x / z**2
        to_pixels = self.roots @ (projection @ -rotation.T)
        jacobian = np.empty((len(z), 2, 6))
        # a . (omega x arm) = omega . (arm x a)
        jacobian[:, 0, :3] = _cross(arm, to_pixels[:, 0])
        jacobian[:, 1, :3] = _cross(arm, to_pixels[:, 1])
        jacobian[:, :, 3:] = to_pixels
        residuals = self.residuals(rotation, translation)
        assert residuals is not None
        whitened = np.matmul(self.roots, residuals[:, :, None])[:, :, 0]
        weight = loss_weights((whitened * whitened).sum(1), self.loss, self.loss_scale)
        root = np.sqrt(weight)[:, None]
        flat = (jacobian * root[:, :, None]).reshape(-1, 6)
        return flat.T @ flat, flat.T @ (whitened * root).reshape(-1)


@dataclass(frozen=True, eq=False)
class Fit:
    """Where a fit ended: world from camera, half the sum of losses, and how."""

    rotation: Array
    translation: Array
    cost: float
    iterations: int
    converged: bool


def fit(seen: Observations, rotation: Array, translation: Array, *, iterations: int) -> Fit | None:
    """Minimise from a start; None where a point is behind the source there.

    Damping follows the gain ratio (Nielsen, 1999). A step that brings a point behind the source
    has an infinite cost and is taken back, so the result has every point in front.
    """
    cost = seen.cost(rotation, translation)
    if not np.isfinite(cost):
        return None
    pivot = seen.points.mean(0)
    damping, growth = 1e-4, 2.0
    hessian, gradient = seen.normal_equations(rotation, translation, pivot)
    for iteration in range(iterations):
        step = _damped_step(hessian, gradient, damping)
        predicted = -float(gradient @ step) - 0.5 * float(step @ hessian @ step)
        if not predicted > 1e-16 * cost + 1e-24:
            return Fit(rotation, translation, cost, iteration, True)
        moved, shifted = retract(rotation, translation, step, pivot)
        new_cost = seen.cost(moved, shifted)
        gain = (cost - new_cost) / predicted if np.isfinite(new_cost) else -1.0
        if gain > 0:
            rotation, translation, cost = moved, shifted, new_cost
            damping = max(damping * max(1 / 9, 1 - (2 * gain - 1) ** 3), 1e-15)
            growth = 2.0
            hessian, gradient = seen.normal_equations(rotation, translation, pivot)
        else:
            damping, growth = damping * growth, growth * 2
            if damping > _MAX_DAMPING:
                # No step helps any more: rounding, if the gradient says that little was left.
                small = predicted < 1e-9 * cost + 1e-18
                return Fit(rotation, translation, cost, iteration, small)
    return Fit(rotation, translation, cost, iterations, False)


def polished(seen: Observations, end: Fit) -> Fit:
    """The same minimum to the last digits: a cost near its minimum hides what a gradient still shows.

    The cost is flat to rounding within about 1e-8 standard deviations; derivatives taken by finite
    differences of the solution need better.
    """
    pivot = seen.points.mean(0)
    rotation, translation, last = end.rotation, end.translation, float("inf")
    for _ in range(100):  # reweighting by a robust loss converges slowly
        hessian, gradient = seen.normal_equations(rotation, translation, pivot)
        step = _damped_step(hessian, gradient, 0.0)
        length = float(step @ hessian @ step)
        moved, shifted = retract(rotation, translation, step, pivot)
        if not length < 0.9 * last or seen.residuals(moved, shifted) is None:
            break
        rotation, translation, last = moved, shifted, length
        if length < 1e-22:
            break
    if not seen.cost(rotation, translation) <= end.cost * (1 + 1e-12) + 1e-24:
        return end
    return replace(end, rotation=rotation, translation=translation)


def retract(rotation: Array, translation: Array, twist: Array, pivot: Array) -> tuple[Array, Array]:
    """The pose turned by omega about the pivot, then shifted by v (to first order its exponential)."""
    turn = np.asarray(cv2.Rodrigues(twist[:3])[0])
    return turn @ rotation, turn @ (translation - pivot) + pivot + twist[3:]


def loss_values(squared: Array, loss: Loss, scale: float) -> Array:
    """The loss of a squared length s: s where the length is small against the scale."""
    if loss == "squared":
        return squared
    c2 = scale * scale
    if loss == "huber":
        return np.where(squared <= c2, squared, 2 * scale * np.sqrt(squared) - c2)
    if loss == "cauchy":
        values: Array = c2 * np.log1p(squared / c2)
        return values
    return squared * c2 / (squared + c2)


def loss_weights(squared: Array, loss: Loss, scale: float) -> Array:
    """Derivative of `loss_values` with respect to s."""
    ones: Array = np.ones_like(squared)
    if loss == "squared":
        return ones
    c2 = scale * scale
    if loss == "huber":
        inside: Array = scale / np.sqrt(np.maximum(squared, c2))
        return inside
    weights = ones / (1.0 + squared / c2)
    return weights if loss == "cauchy" else weights * weights


def _damped_step(hessian: Array, gradient: Array, damping: float) -> Array:
    diagonal = np.diag(hessian)
    floor = 1e-12 * max(float(diagonal.max()), 1e-30)
    damped = hessian + np.diag(damping * np.maximum(diagonal, floor))
    try:
        step = np.linalg.solve(damped, -gradient)
    except np.linalg.LinAlgError:
        step = np.linalg.lstsq(damped, -gradient, rcond=None)[0]
    turn = float(np.sqrt(step[:3] @ step[:3]))
    return np.asarray(step, np.float64) * min(1.0, _MAX_ROTATION_RAD / max(turn, 1e-300))


def _cross(a: Array, b: Array) -> Array:
    """np.cross takes ten times as long for a dozen vectors."""
    out = np.empty_like(a)
    out[:, 0] = a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1]
    out[:, 1] = a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2]
    out[:, 2] = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return out
