"""The least-squares problem of a refinement: z-scored images and their derivatives.

One `ViewProblem` compares one radiograph with the CT at one level of the pyramid. Its residuals
are ``z(DRR) - z(radiograph)`` for the image and for its Gaussian derivatives along rows and
columns, each z-scored over the usable pixels, so that half the mean squared residual of a channel
is ``1 - NCC``. The Jacobian comes from the march that made the image (`rendering`), carried through
the same linear filters and through the z-scoring.
"""

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph
from napari_xreg.metrics import SMALLEST_SPREAD, is_flat
from napari_xreg.registration.refinement.host.planes import (
    dot,
    filtered,
    scored_slopes,
    standardised,
    times,
)
from napari_xreg.registration.refinement.host.robust import median, outlier_weights
from napari_xreg.registration.refinement.host.seen import (
    Compared,
    Nuisance,
    Observation,
    Scored,
    Shown,
)
from napari_xreg.registration.refinement.host.tone import Tone, fit_tone
from napari_xreg.registration.refinement.host.windows import sums_by_windows
from napari_xreg.registration.refinement.second_order.channels import Channels
from napari_xreg.rendering import Method, Prepared, march_views, side_by_side, split, thread_count

Array = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

_CONTRAST_BOX = 9  # pixels of the level, the length of a side
_AT_ONCE = 2**14
"""Pixels of DRRs that are compared at a time: with their Jacobians they stay in a processor's cache."""

Made = TypeVar("Made")


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

    def observe(
        self, prepared: Prepared, world_from_camera: Pose, pivot: Matrix
    ) -> list[Observation]:
        """Render DRRs of a CT from a batch of poses, at the level's resolution, and their Jacobians for
        the left twist about `pivot`.
        """
        found = march_views(
            prepared,
            self.radiograph.carm,
            world_from_camera,
            pivot=pivot,
            method=self._method,
            step_mm=self._step_mm,
            threads=self._threads,
        )
        return [Observation(image, jacobian) for image, jacobian in found]

    def fitted(self, seen: Sequence[Observation]) -> tuple[list[Nuisance], Matrix]:
        """Tone and robust weights that belong to observations, and what `sums_of` says under them."""
        nuisances: list[Nuisance] = []
        sums = self._no_sums(seen)

        def work(some: slice, threads: int) -> list[Nuisance]:
            shown, tones = self._shown(seen[some], None)
            found = self._nuisances(shown, tones)
            self._sum(seen[some], shown, found, sums[some], threads)
            return found

        for found in self._by_blocks(work, len(seen)):
            nuisances += found
        return nuisances, sums

    def sums_of(
        self, seen: Sequence[Observation], nuisances: Sequence[Nuisance], *, slopes: bool = True
    ) -> Matrix:
        """Of observations under tones and weights that are given, for every channel: weighted products of the slopes and the
        residual, which comes last. [s channels k+1 k+1]; without `slopes` the last alone is not zero.
        """
        sums = self._no_sums(seen)

        def work(some: slice, threads: int) -> None:
            held = nuisances[some]
            shown, _ = self._shown(seen[some], held)
            self._sum(seen[some], shown, held, sums[some], threads, slopes=slopes)

        self._by_blocks(work, len(seen))
        return sums

    def _no_sums(self, seen: Sequence[Observation]) -> Matrix:
        size = len(seen[0].jacobian) + 1
        return np.zeros((len(seen), len(self.compared), size, size))

    def _by_blocks(self, work: Callable[[slice, int], Made], count: int) -> list[Made]:
        """A few observations at a time, in our threads; those that are left over help within a block."""
        threads = self._threads or thread_count()
        few = max(1, min(count // threads, _AT_ONCE // self.target.size))
        blocks = [slice(start, start + few) for start in range(0, count, few)]
        within = max(1, threads // len(blocks))
        calls = [functools.partial(work, block, within) for block in blocks]
        return side_by_side(*calls, threads=threads)

    def _shown(
        self, seen: Sequence[Observation], held: Sequence[Nuisance] | None
    ) -> tuple[Shown, list[Tone | None]]:
        """DRRs under tones that are held, or under their own, and those."""
        read = [
            self._as_read(each.image, None if held is None else held[number])
            for number, each in enumerate(seen)
        ]
        steepness = None
        if any(steep is not None for _, steep, _ in read):
            everywhere = np.ones(self.target.shape, np.float32)
            steepness = stacked([everywhere if steep is None else steep for _, steep, _ in read])
        images = stacked([image for image, _, _ in read])
        values = tuple(self._through(images, channel) for channel in self.compared)
        return Shown(steepness, values), [tone for _, _, tone in read]

    def _as_read(
        self, image: Array, held: Nuisance | None
    ) -> tuple[Array, Array | None, Tone | None]:
        """A DRR with scatter and tone, the slope of that pixel by pixel (None: one everywhere), and the tone:
        its own, where none is held.
        """
        slope = None
        if self.scatter is not None:
            image, slope = with_scatter(image, self.scatter)
        if held is not None:
            tone = held.tone
        else:
            tone = fit_tone(image, self.target, self.usable) if self.channels.tone else None
        if tone is not None:
            image, bend = tone.apply(image)
            slope = bend if slope is None else slope * bend
        return image, slope, tone

    def _through(self, planes: Array, channel: Compared) -> Array:
        """Images [*batch rows columns] as a channel compares them, on its pixels [*batch n]."""
        used = filtered(planes, channel.kernels).reshape(*planes.shape[:-2], self.target.size)
        return used if channel.index.size == used.shape[-1] else used.take(channel.index, -1)

    def _nuisances(self, shown: Shown, tones: Sequence[Tone | None]) -> list[Nuisance]:
        """With the robust weights that belong to what is shown."""
        scale = self.channels.outlier_scale
        targets = self._plain
        if any(tone is not None for tone in tones):
            fields = [np.float32(0.0) if tone is None else tone.field for tone in tones]
            bare = stacked([self.target - field for field in fields])
            targets = tuple(self._through(bare, channel) for channel in self.compared)
        elif scale is None:
            return [self._unfitted] * len(tones)
        weights, scored = [], []
        for channel, values, target in zip(self.compared, shown.values, targets, strict=True):
            weight: Array = np.broadcast_to(channel.prior, values.shape)
            if scale is not None:
                residual = (
                    standardised(values, channel.prior)[0] - standardised(target, channel.prior)[0]
                )
                robust = channel.prior * outlier_weights(
                    residual, centre=median(residual), scale=scale, least=1e-6
                )
                weight = (robust / robust.sum(-1, keepdims=True)).astype(np.float32)
            weights.append(weight)
            scored.append(np.broadcast_to(standardised(target, weight)[0], values.shape))
        # Copies: one that is kept does not keep the others.
        return [
            Nuisance(
                tone,
                tuple(weight[row].copy() for weight in weights),
                tuple(target[row].copy() for target in scored),
            )
            for row, tone in enumerate(tones)
        ]

    @functools.cached_property
    def _plain(self) -> tuple[Array, ...]:
        """The radiograph as the channels compare it where nothing is fitted, [1 n]."""
        return tuple(self._through(self.target[None], channel) for channel in self.compared)

    @functools.cached_property
    def _unfitted(self) -> Nuisance:
        """Where nothing is fitted: the same for every pose."""
        weights = tuple(channel.prior for channel in self.compared)
        targets = (standardised(t[0], w)[0] for t, w in zip(self._plain, weights, strict=True))
        return Nuisance(None, weights, tuple(targets))

    def _sum(
        self,
        seen: Sequence[Observation],
        shown: Shown,
        nuisances: Sequence[Nuisance],
        sums: Matrix,
        threads: int,
        *,
        slopes: bool = True,
    ) -> None:
        """A block of `sums_of`, into `sums`."""
        windowed = slopes and bool(seen[0].windows)
        jacobian = self._as_shown(seen, shown) if slopes and not windowed else None

        def some(start: int, stop: int) -> None:
            for number in range(start, stop):
                channel, total = self.compared[number], sums[:, number]
                w = stacked([each.weights[number] for each in nuisances])
                z, spread = standardised(shown.values[number], w)
                residual = z - stacked([each.targets[number] for each in nuisances])
                weighted = w * residual
                total[:, -1, -1:] = dot(weighted, residual)
                if jacobian is not None:
                    along = scored_slopes(self._through(jacobian, channel), z, spread, w)
                    weighted = along * w[:, None]
                    total[:, :-1, :-1] = weighted @ along.swapaxes(1, 2)
                    total[:, :-1, -1] = total[:, -1, :-1] = times(weighted, residual)
                elif windowed:
                    for row, each in enumerate(seen):
                        scored = Scored(z[row], float(spread[row, 0]), residual[row], w[row])
                        steep = None if shown.steepness is None else shown.steepness[row]
                        total[row, :-1, :-1], total[row, :-1, -1] = sums_by_windows(
                            each, steep, channel, scored
                        )
                    total[:, -1, :-1] = total[:, :-1, -1]

        split(some, len(self.compared), threads=threads, smallest=1)

    def _as_shown(self, seen: Sequence[Observation], shown: Shown) -> Array:
        """Jacobians of the DRRs as the radiograph would show them."""
        jacobian = stacked([each.jacobian for each in seen])
        return jacobian if shown.steepness is None else jacobian * shown.steepness[:, None]

    def scores(self, observation: Observation, nuisance: Nuisance) -> Array:
        """The gradient of the loss pixel by pixel, as the jacobian: for `confidence`."""
        total = np.zeros((len(observation.jacobian), self.target.size), np.float32)
        shown, _ = self._shown([observation], [nuisance])
        (jacobian,) = self._as_shown([observation], shown)
        for channel, values, w, target in zip(
            self.compared, shown.values, nuisance.weights, nuisance.targets, strict=True
        ):
            z, spread = standardised(values[0], w)
            slopes = scored_slopes(self._through(jacobian, channel), z, spread, w)
            total[:, channel.index] += channel.weight * slopes * (w * (z - target))
        return total.reshape(observation.jacobian.shape)


OPAQUE = 80.0
"""Line integral beyond which no beam is left, and single precision cannot tell any."""


def with_scatter(image: Array, scatter: Array) -> tuple[Array, Array]:
    """Line integrals as they are read where scatter lies over them, and their slope: the primary's share."""
    primary = np.exp(-np.minimum(image, OPAQUE))
    total = primary + scatter
    return -np.log(total), np.asarray(primary / total, np.float32)


def stacked(planes: Sequence[Array]) -> Array:
    """One below the other."""
    return planes[0][None] if len(planes) == 1 else np.stack(planes)


def _filled(image: Array, usable: npt.NDArray[np.bool_]) -> Array:
    """Unusable pixels replaced by the mean of the usable ones: finite, and never compared."""
    if usable.all():
        return image
    return np.where(usable, image, image[usable].mean() if usable.any() else 0.0).astype(np.float32)
