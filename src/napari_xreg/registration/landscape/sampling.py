"""The loss around a pose: along each C-arm parameter and over a pair of them.

A refinement ends in the local minimum it starts above. These sections through the loss show where
the minima are, how wide their basins are, and which parameters the image hardly determines.
"""

from collections.abc import Callable, Generator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.metrics import SIMILARITIES, is_flat
from napari_xreg.progress import Control
from napari_xreg.registration.landscape.result import (
    Landscape,
    LandscapeSample,
    empty_landscape,
    shifted_pose,
)
from napari_xreg.registration.landscape.settings import LEARNED, REFINEMENT, LandscapeSettings
from napari_xreg.registration.refinement.host.problem import Host
from napari_xreg.registration.refinement.second_order.look import look_at
from napari_xreg.registration.refinement.views import View, at_pixels, pivot_of, unsaturated
from napari_xreg.rendering import Prepared, at_voxel_size, march_view, prepare, with_one_blas_thread

LossOfPoses = Callable[[tuple[Pose, ...]], tuple[float, dict[str, float]]]
"""Of the poses of all radiographs: a loss, and what it is made of."""

LearnedLoss = Callable[[Volume, Sequence[View], Float[Tensor, "3"], int | None], LossOfPoses]
"""Of a CT, radiographs, the pivot (world mm) and a number of threads."""


@with_one_blas_thread
def loss_landscape(
    volume: Volume,
    views: View | Sequence[View],
    *,
    settings: LandscapeSettings | None = None,
    isocenter: Float[Tensor, "3"] | None = None,
    learned: LearnedLoss | None = None,
    control: Control | None = None,
) -> Generator[LandscapeSample, None, Landscape]:
    """Sample the loss around the current pose, coarsely first, so that the picture sharpens.

    Parameters
    ----------
    volume
        The CT.
    views
        One or several radiographs with their poses; several move together, and the C-arm terms
        are those of the first.
    settings
        See `LandscapeSettings`.
    isocenter
        Gives the C-arm terms their meaning, world mm; None: the middle of the volume.
    learned
        What ``learned similarity`` is, where that is a measure (`similarity.learned_loss`).
    control
        Cancel, pause, step.

    Yields
    ------
    LandscapeSample
        Every sample, as it is computed.

    Returns
    -------
    Landscape
        Incomplete where it was cancelled. That of a second measure is its `beside`.

    Raises
    ------
    ValueError
        If there is no view, or a radiograph has no usable content, or a network is asked and none was given.
    """
    settings = settings or LandscapeSettings()
    views = (views,) if isinstance(views, View) else tuple(views)
    if not views:
        raise ValueError("a landscape needs at least one radiograph")
    pivot = pivot_of(volume, isocenter)
    carm = views[0].radiograph.carm
    result = empty_landscape(
        carm,
        views[0].world_from_camera,
        pivot,
        settings,
        simulated=any(view.radiograph.simulated for view in views),
    )
    losses = [_loss_function(volume, views, each, pivot, learned) for each in settings.each]
    home = views[0].world_from_camera.inverse()
    for names, index, offset in _places(settings):
        if control is not None and not control.proceed():
            return result
        first = shifted_pose(carm, result.center, dict(zip(names, offset, strict=True)))
        motion = first @ home.to(dtype=first.translation.dtype)
        poses = (
            first,
            *(motion @ view.world_from_camera.to(dtype=torch.float64) for view in views[1:]),
        )
        for each, loss_at in zip(settings.each, losses, strict=True):
            loss, terms = loss_at(poses)
            sample = LandscapeSample(names, index, offset, loss, each.measure, terms)
            result.set(sample)
            yield sample
    return result.completed()


def _places(
    settings: LandscapeSettings,
) -> Generator[tuple[tuple[str, ...], tuple[int, ...], tuple[float, ...]], None, None]:
    """All sections side by side, every fourth sample first; then the map, row by row likewise."""
    for indices in _coarse_first(settings.samples // 2 * 2 + 1):
        for name in settings.parameters:
            for i in indices:
                yield (name,), (i,), (float(settings.offsets(name)[i]),)
    if settings.pair is None:
        return
    rows, columns = (settings.offsets(name, mapped=True) for name in settings.pair)
    for indices in _coarse_first(rows.size):
        for i in indices:
            for j in range(columns.size):
                yield settings.pair, (i, j), (float(rows[i]), float(columns[j]))


def _coarse_first(count: int) -> list[list[int]]:
    """Indices below `count`, an odd number, in rounds: every fourth from the middle, then the rest."""
    middle = count // 2
    rounds: list[list[int]] = [[], [], []]
    for i in range(count):
        distance = abs(i - middle)
        rounds[0 if distance % 4 == 0 else 1 if distance % 2 == 0 else 2].append(i)
    return rounds


class _Refinement:
    """The loss that `refine` minimises at a level, over the total weight of its channels.

    Without saturated pixels, as at all its levels but the first of several; and without scatter, which is
    judged at the last of several alone.
    """

    def __init__(
        self,
        volume: Volume,
        views: Sequence[View],
        settings: LandscapeSettings,
        pivot: Float[Tensor, "3"],
    ) -> None:
        level, host = settings.level, Host(settings.threads)
        look = look_at(volume, [unsaturated(views)], level, pivot)
        gains = None
        if level.channels.tone:
            # As in a refinement: the bone as bright as the radiographs say at its first pose.
            gains = host.bone_gains(look, _alone([view.world_from_camera for view in views]))
        self._problem = host.problem(look, torch.zeros(1, dtype=torch.long), gains)
        self._weight = sum(channel.weight for channel in level.channels.compared)

    def __call__(self, poses: tuple[Pose, ...]) -> tuple[float, dict[str, float]]:
        seen, model = self._problem.begin(_alone(poses))
        names = self._problem.names
        if self._problem.flat(seen, [0])[0]:
            # z-scored, a constant image would score as half explained.
            return 1.0, dict.fromkeys(names, 1.0)
        return float(model.loss[0]) / self._weight, dict(
            zip(names, model.terms[0].tolist(), strict=True)
        )


def _alone(poses: Sequence[Pose]) -> tuple[Pose, ...]:
    """Of every view a batch of one."""
    return tuple(Pose(pose.rotation[None], pose.translation[None]) for pose in poses)


class _Similarity:
    """1 - a similarity of images, mean over the radiographs."""

    def __init__(
        self, prepared: Prepared, views: Sequence[View], settings: LandscapeSettings
    ) -> None:
        self._prepared, self._settings = prepared, settings
        self._radiographs = [
            at_pixels(view.radiograph, settings.level.pixels) for view in unsaturated(views)
        ]
        self._masks = [
            None if bool(radiograph.usable.all()) else radiograph.usable
            for radiograph in self._radiographs
        ]
        if any(is_flat(r.line_integrals[r.usable]) for r in self._radiographs):
            raise ValueError(
                "the radiograph has no usable content: it is constant where it may be used"
            )
        self._similarity = SIMILARITIES[settings.measure]

    def __call__(self, poses: tuple[Pose, ...]) -> tuple[float, dict[str, float]]:
        losses = []
        for radiograph, mask, pose in zip(self._radiographs, self._masks, poses, strict=True):
            image = march_view(
                self._prepared,
                radiograph.carm,
                pose,
                method=self._settings.level.method,
                jacobian=False,
                threads=self._settings.threads,
            )[0]
            fixed = radiograph.line_integrals.detach().cpu().float()
            score = self._similarity(fixed, torch.from_numpy(image), mask=mask)
            losses.append(1.0 - float(score))
        suffixed = len(losses) > 1
        name = self._settings.measure
        terms = {f"{name}[{i + 1}]" if suffixed else name: v for i, v in enumerate(losses)}
        return float(np.mean(losses)), terms


def _loss_function(
    volume: Volume,
    views: Sequence[View],
    settings: LandscapeSettings,
    pivot: Float[Tensor, "3"],
    learned: LearnedLoss | None,
) -> LossOfPoses:
    if settings.measure == LEARNED:
        if learned is None:
            raise ValueError("a learned similarity needs weights: train a network of that kind")
        return learned(volume, views, pivot, settings.threads)
    if settings.measure == REFINEMENT:
        return _Refinement(volume, views, settings, pivot)
    if settings.level.voxel_mm is not None:
        volume = at_voxel_size(volume, settings.level.voxel_mm)
    return _Similarity(prepare(volume, packed=True), views, settings)
