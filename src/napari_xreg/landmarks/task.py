"""What a landmark detector learns: where each landmark is, and whether it is in the image."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from napari_xreg.geometry import CArm, Pose
from napari_xreg.landmarks.detector import Heatmaps, LandmarkDetector
from napari_xreg.landmarks.labels import DilationErosion, ball, point_loss, weighted_bce
from napari_xreg.landmarks.mirror import mirrored_order, mirrored_pixels
from napari_xreg.landmarks.soft_argmax import local_soft_argmax
from napari_xreg.landmarks.view_pool import LandmarkViewPool, LandmarkViewSettings
from napari_xreg.training import (
    Appearance,
    PoolTask,
    Population,
    drawn_from,
    isocenter_pixel_mm,
    usable_at,
)


@dataclass(frozen=True)
class LandmarkSettings:
    """A batch, what its images look like, and what a heatmap should be.

    Parameters
    ----------
    views
        See `LandmarkViewSettings`.
    batch
        Images.
    labels
        ``"point"``: a posterior over the pixels (`point_loss`), for detectors whose
        `spread_logits` are trained so. ``"dilation"``: the paper's shrinking balls and weighted
        binary cross-entropy.
    schedule, steps
        Of ``"dilation"``; `steps` is when it ends.
    mirror
        Chance that an image is mirrored and its landmarks change sides. 0 by default: a patient
        has a left and a right that differ.
    visibility
        Weight of "is it in the image at all".
    appearance
        Of the images.
    seed
        Of the patients.
    """

    views: LandmarkViewSettings = field(default_factory=LandmarkViewSettings)
    batch: int = 8
    labels: Literal["point", "dilation"] = "point"
    schedule: DilationErosion = field(default_factory=DilationErosion)
    steps: int = 4000
    mirror: float = 0.0
    visibility: float = 1.0
    appearance: Appearance = field(default_factory=Appearance)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch < 1 or self.steps < 1 or not 0 <= self.mirror <= 1:
            raise ValueError(
                "a batch holds at least one image, steps are at least 1 and mirror is a chance: "
                f"got batch={self.batch}, steps={self.steps}, mirror={self.mirror}"
            )


@dataclass(frozen=True, eq=False)
class LandmarkBatch:
    """Images and where their landmarks are.

    Parameters
    ----------
    images, masks
        Line integrals and usable pixels.
    pixels
        (row, column) of the network's image; NaN where not known.
    known, inside
        Whether the place is known; whether it is a usable pixel of the image.
    landmarks, poses
        World mm, and ``world_from_camera``: of the image before it was mirrored.
    carm
        Of the images.
    """

    images: Float[Tensor, "b rows columns"]
    masks: Bool[Tensor, "b rows columns"]
    pixels: Float[Tensor, "b n 2"]
    known: Bool[Tensor, "b n"]
    inside: Bool[Tensor, "b n"]
    landmarks: Float[Tensor, "b n 3"]
    poses: Pose
    carm: CArm


class LandmarkTask(PoolTask[LandmarkDetector, LandmarkViewPool, LandmarkSettings]):
    """A `training.Task` of patients with landmarks."""

    usual = LandmarkSettings
    steps = 0

    def pool_of(self, population: Population) -> LandmarkViewPool:
        """See `PoolTask`; names that have no partner are not mirrored."""
        s, detector = self.settings, self.network
        if s.mirror > 0:
            mirrored_order(detector.names)  # refuses names without a partner
        return LandmarkViewPool(population, detector.names, detector.framing, s.views, s.seed)

    def losses(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Losses of a batch and the median error, mm at the isocenter."""
        batch = draw_batch(self.pool, self.settings, generator, self.network.device)
        with drawn_from(generator):
            maps = self.network(self.network.inputs(batch.images, batch.masks, batch.carm))
        progress = self.steps / self.settings.steps
        self.steps += 1
        return landmark_losses(self.network, maps, batch, self.settings, progress)

    def state(self) -> Mapping[str, Any]:
        """Counts."""
        return {**super().state(), "schedule": self.steps}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Make the pool of a state again."""
        self.steps = int(state["schedule"])
        super().restore(state)


def draw_batch(
    pool: LandmarkViewPool,
    settings: LandmarkSettings,
    generator: torch.Generator,
    device: torch.device,
) -> LandmarkBatch:
    """Some views of the pool's patients, made to look acquired."""
    chosen = pool.draw(settings.batch, generator)
    kinds = torch.stack([views.kinds[at] for views, at in chosen]).to(device)
    poses = Pose(
        torch.stack([views.poses[at].rotation for views, at in chosen]),
        torch.stack([views.poses[at].translation for views, at in chosen]),
    )
    landmarks = torch.stack([views.landmarks for views, _ in chosen])
    known = torch.stack([views.known for views, _ in chosen])
    pixels = pool.carm.project(landmarks.nan_to_num(0.0), poses)
    pixels = torch.where(known[..., None], pixels, torch.nan)
    mirrored = torch.rand(len(chosen), generator=generator) < settings.mirror
    if bool(mirrored.any()):
        columns = kinds.shape[-1]
        order = mirrored_order(pool.names)
        flip = mirrored.to(device)[:, None, None, None]
        kinds = torch.where(flip, kinds.flip(-1), kinds)
        other = mirrored_pixels(pixels, columns, pool.names)
        pixels = torch.where(mirrored[:, None, None], other, pixels)
        known = torch.where(mirrored[:, None], known[:, order], known)
    images, masks = settings.appearance.draw(kinds, generator)
    inside = known & usable_at(masks.cpu(), pixels)
    return LandmarkBatch(
        images, masks, pixels.float().to(device), known.to(device), inside.to(device), landmarks,
        poses, pool.carm,
    )  # fmt: skip


def landmark_losses(
    detector: LandmarkDetector,
    maps: Heatmaps,
    batch: LandmarkBatch,
    settings: LandmarkSettings,
    progress: float,
) -> dict[str, Tensor]:
    """``loss``, its parts, and ``median_error_mm`` of this batch (at the isocenter)."""
    rows, columns = maps.logits.shape[-2:]
    places = heatmap_pixels(batch.pixels, detector.stride)
    parts: dict[str, Tensor] = {}
    if settings.labels == "dilation":
        radius = settings.schedule.radius(progress, (rows, columns))
        shown = torch.where(batch.inside[..., None], places, torch.nan)
        labels = ball(shown, radius, (rows, columns))
        parts["where"] = weighted_bce(maps.logits, labels, batch.known, radius)
    else:
        parts["where"] = point_loss(maps.logits, places, batch.inside)
    seen = functional.binary_cross_entropy_with_logits(
        maps.visible, batch.inside.to(maps.visible.dtype), reduction="none"
    )
    parts["whether"] = (seen * batch.known).sum() / batch.known.sum().clamp_min(1)
    with torch.no_grad():
        found = local_soft_argmax(detector.spread_logits(maps.logits)).pixels
        away = (found - places).square().sum(-1).sqrt()[batch.inside]
        pixel = detector.stride * isocenter_pixel_mm(batch.carm)
        error = away.median() * pixel if len(away) else away.new_tensor(float("nan"))
    loss = parts["where"] + settings.visibility * parts["whether"]
    return {"loss": loss, **parts, "median_error_mm": error}


def heatmap_pixels(pixels: Float[Tensor, "*n 2"], stride: int) -> Float[Tensor, "*n 2"]:
    """Image pixels on the heatmap's grid: outer edges in place, integer = centre of a pixel."""
    return (pixels + 0.5) / stride - 0.5
