"""The least-squares problem of a refinement: z-scored images and their derivatives.

One `ViewProblem` compares one radiograph with the CT at one level of the pyramid. Its residuals
are ``z(DRR) - z(radiograph)`` for the image and for its Gaussian derivatives along rows and
columns, each z-scored over the usable pixels, so that half the mean squared residual of a channel
is ``1 - NCC``. The Jacobian comes from the march that made the image (`rendering`), carried through
the same linear filters and through the z-scoring.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph
from napari_xreg.metrics import SMALLEST_SPREAD, is_flat
from napari_xreg.registration.refinement.host.robust import outlier_weights
from napari_xreg.registration.refinement.host.tone import Tone, fit_tone
from napari_xreg.registration.refinement.host.windows import Window, common, grown, within
from napari_xreg.registration.refinement.second_order.channels import Channels
from napari_xreg.rendering import Method, Prepared, march_view

Array = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

_CONTRAST_BOX = 9  # pixels of the level, the length of a side


@dataclass(frozen=True, eq=False)
class Observation:
    """What the march at one pose gave."""

    image: Array  # rows x columns
    jacobian: Array  # 6 of every body that moves x rows x columns
    windows: tuple[Window, ...] = ()  # where that of each body is not zero; none: anywhere


@dataclass(frozen=True, eq=False)
class Nuisance:
    """What is fitted beside the pose, and held while a step is judged."""

    tone: Tone | None
    weights: tuple[Array, ...]  # per channel, each sums to 1


@dataclass(frozen=True, eq=False)
class Linearisation:
    """Residuals of one pose, summed: what a Gauss-Newton step needs.

    Parameters
    ----------
    names, shares
        Of the channels, and what each weighs.
    sums
        Of each: weighted products of the slopes and the residual, which comes last.
    """

    names: tuple[str, ...]
    shares: tuple[float, ...]
    sums: Matrix

    @property
    def terms(self) -> Mapping[str, float]:
        """Loss of every channel."""
        return dict(zip(self.names, (0.5 * self.sums[:, -1, -1]).tolist(), strict=True))

    @property
    def loss(self) -> float:
        """Sum of the terms as they weigh."""
        return float(np.dot(self.shares, 0.5 * self.sums[:, -1, -1]))

    @property
    def gradient(self) -> Matrix:
        """Of the loss."""
        gradient: Matrix = np.asarray(self.shares) @ self.sums[:, :-1, -1]
        return gradient


@dataclass(frozen=True, eq=False)
class Compared:
    """A channel of one radiograph; `size` is how many pixels its filter reaches over, 1 for none."""

    name: str
    weight: float
    kernels: tuple[Array, Array]  # along a row, along a column
    size: int
    index: npt.NDArray[np.intp]  # flat indices of its usable pixels
    prior: Array  # their weights before any residual is seen; sums to 1


@dataclass(frozen=True, eq=False)
class Plane:
    """One compared image of one pose, on its usable pixels."""

    values: Array  # n
    slopes: Array  # of the observation's jacobian x n
    target: Array  # n


class ViewProblem:
    """One radiograph at one level, and what DRRs are to be compared with it.

    Parameters
    ----------
    radiograph
        At the level's size.
    channels
        What is compared.
    scatter
        Signal that lies over the primary, as a share of the open beam; None: none is known.
    method, step_mm, threads
        Passed to the renderer.

    Raises
    ------
    ValueError
        If the radiograph is constant or its mask leaves fewer than 16 pixels.
    """

    def __init__(
        self,
        radiograph: Radiograph,
        channels: Channels,
        *,
        scatter: Array | None = None,
        method: Method = "joseph",
        step_mm: float | None = None,
        threads: int | None = None,
    ) -> None:
        self.radiograph = radiograph
        self.channels = channels
        self.scatter = scatter
        self._method, self._step_mm, self._threads = method, step_mm, threads
        usable = radiograph.usable.numpy()
        image = radiograph.line_integrals.detach().cpu().numpy().astype(np.float32)
        self.usable = np.flatnonzero(usable.ravel())
        if self.usable.size < 16 or is_flat(torch.from_numpy(image.ravel()[self.usable])):
            raise ValueError(
                "the radiograph has no usable content: it is constant, or its mask leaves fewer "
                "than 16 pixels"
            )
        self.target = _filled(image, usable)
        self.compared = self._make_channels(usable)

    def _make_channels(self, usable: npt.NDArray[np.bool_]) -> tuple[Compared, ...]:
        reached: dict[int, tuple[npt.NDArray[np.intp], Array | None]] = {}
        compared = []
        for channel in self.channels.compared:
            kernels = channel.filter.kernels()
            size = max(kernel.size for kernel in kernels)
            if size not in reached:
                inner = usable
                if size > 1 and not usable.all():
                    # Filled pixels must not reach what is compared.
                    box = np.ones((size, size), np.uint8)
                    inner = cv2.erode(usable.astype(np.uint8), box, borderValue=1).astype(bool)
                index = np.flatnonzero(inner.ravel())
                reached[size] = index, self._contrast_prior(index)
            index, by_contrast = reached[size]
            if channel.weight > 0 and index.size >= 16:
                prior = by_contrast if channel.filter.edges else None
                if prior is None:
                    prior = np.full(index.size, 1.0 / index.size, np.float32)
                compared.append(Compared(channel.name, channel.weight, kernels, size, index, prior))
        return tuple(compared)

    def _contrast_prior(self, index: npt.NDArray[np.intp]) -> Array | None:
        """By local contrast of the edge images, at these pixels; None: every pixel alike."""
        floor = self.channels.contrast_floor
        filters = [c.filter.kernels() for c in self.channels.compared if c.filter.edges]
        if floor is None or index.size == 0 or not filters:
            return None
        edges = [filtered(self.target, kernels) for kernels in filters]
        square = edges[0] * edges[0]
        for edge in edges[1:]:
            square = square + edge * edge
        box = (_CONTRAST_BOX, _CONTRAST_BOX)
        mean_square = cv2.blur(square, box, borderType=cv2.BORDER_REFLECT)
        # The running sums of the blur may end a rounding below zero.
        contrast = np.sqrt(np.maximum(mean_square, 0.0)).ravel()[index]
        # Air cut off at zero has none but rounding: if it had a say in the median, it could take all.
        some = contrast[contrast > SMALLEST_SPREAD]
        if some.size == 0:
            return None
        prior = 1.0 / (contrast + floor * np.median(some))
        return np.asarray(prior / prior.sum(), np.float32)

    def observe(self, prepared: Prepared, world_from_camera: Pose, pivot: Matrix) -> Observation:
        """Render the DRR of a CT, at the level's resolution, and its Jacobian for the left twist about `pivot`."""
        image, jacobian = march_view(
            prepared,
            self.radiograph.carm,
            world_from_camera,
            pivot=pivot,
            method=self._method,
            step_mm=self._step_mm,
            threads=self._threads,
        )
        return Observation(image, jacobian)

    def nuisance(self, observation: Observation) -> Nuisance:
        """Tone and robust weights that belong to an observation."""
        tone = None
        if self.channels.tone:
            image = observation.image
            if self.scatter is not None:
                image, _ = with_scatter(image, self.scatter)
            tone = fit_tone(image, self.target, self.usable)
        scale = self.channels.outlier_scale
        if scale is None:
            return Nuisance(tone, tuple(channel.prior for channel in self.compared))
        weights = []
        planes = self._planes(observation, tone, slopes=False)
        for channel, plane in zip(self.compared, planes, strict=True):
            residual, _ = residuals(plane, channel.prior)
            weight = channel.prior * outlier_weights(
                residual, centre=float(np.median(residual)), scale=scale, least=1e-6
            )
            weights.append((weight / weight.sum()).astype(np.float32))
        return Nuisance(tone, tuple(weights))

    def _planes(
        self, observation: Observation, tone: Tone | None, *, slopes: bool = True
    ) -> list[Plane]:
        """DRR, its Jacobian and the radiograph, filtered alike, on the pixels of each channel."""
        image, jacobian, target = observation.image, observation.jacobian, self.target
        image, steepness = self._as_read(image, tone)
        if steepness is not None and slopes:
            jacobian = jacobian * steepness
        if tone is not None:
            target = target - tone.field
        stack = [target, image, *(jacobian if slopes else ())]
        planes = []
        for channel in self.compared:
            used = np.stack([filtered(plane, channel.kernels) for plane in stack])
            used = used.reshape(len(stack), -1)
            if channel.index.size < used.shape[1]:
                used = used[:, channel.index]
            planes.append(Plane(used[1], used[2:], used[0]))
        return planes

    def _as_read(self, image: Array, tone: Tone | None) -> tuple[Array, Array | None]:
        """A DRR with scatter and tone, and the slope of that pixel by pixel; None: one everywhere."""
        slope = None
        if self.scatter is not None:
            image, slope = with_scatter(image, self.scatter)
        if tone is not None:
            image, bend = tone.apply(image)
            slope = bend if slope is None else slope * bend
        return image, slope

    def linearise(
        self, observation: Observation, nuisance: Nuisance, *, slopes: bool = True
    ) -> Linearisation:
        """Loss ``sum of weight (1 - NCC)``, Gauss-Newton matrix and gradient; without `slopes` the loss alone."""
        size = len(observation.jacobian) + 1
        sums = np.zeros((len(self.compared), size, size))
        windowed = slopes and bool(observation.windows)
        planes = self._planes(observation, nuisance.tone, slopes=slopes and not windowed)
        for total, channel, plane, w in zip(
            sums, self.compared, planes, nuisance.weights, strict=True
        ):
            residual, along = residuals(plane, w)
            total[-1, -1] = np.dot(w * residual, residual)
            if windowed:
                total[:-1, :-1], total[:-1, -1] = self._by_windows(
                    observation, nuisance.tone, channel, plane, w
                )
                total[-1, :-1] = total[:-1, -1]
            elif slopes:
                weighted = along * w
                total[:-1, :-1] = weighted @ along.T
                total[:-1, -1] = total[-1, :-1] = weighted @ residual
        names = tuple(channel.name for channel in self.compared)
        return Linearisation(names, tuple(channel.weight for channel in self.compared), sums)

    def _by_windows(
        self,
        observation: Observation,
        tone: Tone | None,
        channel: Compared,
        plane: Plane,
        w: Array,
    ) -> tuple[Matrix, Matrix]:
        """Gauss-Newton matrix and gradient of a channel, of bodies each of which is seen in a window.

        As of `residuals`, whose slopes are nowhere zero since the z-scoring is of the whole image: with means m
        and a over the whole, ``sum w dz dz' = (sum w dI dI' - m m' - a a') / variance``.
        """
        z, spread = _standardised(plane.values, w)
        residual = z - _standardised(plane.target, w)[0]
        # [weight, times z, times the residual] of every pixel; nothing where it is not compared.
        whole = np.zeros((3, self.target.size), np.float32)
        whole[:, channel.index] = w, w * z, w * residual
        whole = whole.reshape(3, *self.target.shape)
        _, steepness = self._as_read(observation.image, tone)
        reach = channel.size // 2
        parts = []
        for body, window in enumerate(observation.windows):
            at = grown(window, reach, self.target.shape)
            seen = observation.jacobian[6 * body : 6 * body + 6, at[0], at[1]]
            seen = seen if steepness is None else seen * steepness[at]
            parts.append((at, np.stack([filtered(each, channel.kernels) for each in seen])))
        size = len(observation.jacobian)
        products, means = np.zeros((size, size)), np.zeros((size, 3))
        for one, (at, slopes) in enumerate(parts):
            own = slice(6 * one, 6 * one + 6)
            means[own] = slopes.reshape(6, -1) @ whole[:, at[0], at[1]].reshape(3, -1).T
            weighted = slopes * whole[0][at]
            for other, (there, further) in enumerate(parts[: one + 1]):
                both = common(at, there)
                if both is None:
                    continue
                here, beside = (
                    each[:, rows, columns].reshape(6, -1)
                    for each, (rows, columns) in (
                        (weighted, within(both, at)), (further, within(both, there))
                    )
                )  # fmt: skip
                theirs = slice(6 * other, 6 * other + 6)
                products[own, theirs] = here @ beside.T
                products[theirs, own] = products[own, theirs].T
        mean, along, across = means.T
        matrix = products - np.outer(mean, mean) - np.outer(along, along)
        gradient = (
            across - mean * float(np.dot(w, residual)) - along * float(np.dot(w * z, residual))
        )
        return matrix / float(spread) ** 2, gradient / float(spread)

    def scores(self, observation: Observation, nuisance: Nuisance) -> Array:
        """The gradient of the loss pixel by pixel, as the jacobian: for `confidence`."""
        total = np.zeros((len(observation.jacobian), self.target.size), np.float32)
        planes = self._planes(observation, nuisance.tone)
        for channel, plane, w in zip(self.compared, planes, nuisance.weights, strict=True):
            residual, slopes = residuals(plane, w)
            total[:, channel.index] += channel.weight * slopes * (w * residual)
        return total.reshape(observation.jacobian.shape)


OPAQUE = 80.0
"""Line integral beyond which no beam is left, and single precision cannot tell any."""


def with_scatter(image: Array, scatter: Array) -> tuple[Array, Array]:
    """Line integrals as they are read where scatter lies over them, and their slope: the primary's share."""
    primary = np.exp(-np.minimum(image, OPAQUE))
    total = primary + scatter
    return -np.log(total), np.asarray(primary / total, np.float32)


def _standardised(values: Array, w: Array) -> tuple[Array, float]:
    """Weighted mean 0 and spread 1, and the spread it had."""
    # Twice: float32 weights do not sum to exactly 1, which a flat image would take for a spread; the
    # second in float64, since a float32 dot product is off by up to 1e-5 of the mean, by processor.
    centred = values - np.dot(w, values)
    centred -= np.float32(np.sum(w * centred, dtype=np.float64))
    spread = max(float(np.sqrt(np.dot(w, centred * centred))), SMALLEST_SPREAD)
    return centred / np.float32(spread), spread


def residuals(plane: Plane, w: Array) -> tuple[Array, Array]:
    """``z(DRR) - z(radiograph)`` and its derivative, including that of the z-scoring itself.

    ``dz = (dI - mean(dI) - z mean(z dI)) / std``, means weighted by `w`, which sums to 1.
    """
    z, spread = _standardised(plane.values, w)
    t, _ = _standardised(plane.target, w)
    mean = plane.slopes @ w
    along = plane.slopes @ (w * z)
    slopes = plane.slopes - mean[:, None]
    slopes -= along[:, None] * z
    slopes /= np.float32(spread)
    return z - t, slopes


def filtered(plane: Array, kernels: tuple[Array, Array]) -> Array:
    """An image through a separable filter, mirrored at its borders."""
    along_row, along_column = kernels
    if along_row.size == along_column.size == 1:
        return plane
    return np.asarray(
        cv2.sepFilter2D(plane, cv2.CV_32F, along_row, along_column, borderType=cv2.BORDER_REFLECT)
    )


def _filled(image: Array, usable: npt.NDArray[np.bool_]) -> Array:
    """Unusable pixels replaced by the mean of the usable ones: finite, and never compared."""
    if usable.all():
        return image
    return np.where(usable, image, image[usable].mean() if usable.any() else 0.0).astype(np.float32)
