"""The pose as a loss: heatmaps to pixels to a weighted PnP, differentiable all the way.

In the median it gains a millimetre over the same steps on heatmaps, and nothing in the mean (decision 8): the
program does not offer it, `finetune_landmarks` measures it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose, covariance_between, pixels_between
from napari_xreg.landmarks.detecting import heatmap_carm
from napari_xreg.landmarks.detector import Heatmaps, LandmarkDetector, dropout_active
from napari_xreg.landmarks.soft_argmax import WINDOW, local_soft_argmax
from napari_xreg.landmarks.task import (
    LandmarkBatch,
    LandmarkSettings,
    draw_batch,
    landmark_losses,
)
from napari_xreg.landmarks.view_pool import LandmarkViewPool
from napari_xreg.registration import Correspondences, PnPSettings, Weighting, solve_pnp, weighted
from napari_xreg.training import (
    PoolTask,
    Population,
    drawn_from,
)

_FLOOR_PX2 = 0.05
"""Least variance of a landmark in the PnP, heatmap pixels squared: 0.2 of a pixel."""


@dataclass(frozen=True)
class PoseLossSettings:
    """Finetuning through the pose.

    Parameters
    ----------
    labels
        Batches and heatmap loss, as in the training before; its mirror must be 0.
    weighting
        Of the PnP. ``"covariance"``: each landmark's, and its gradient reaches the network.
    passes
        Stochastic passes for mean and covariance. 0: one pass without dropout, the covariance is
        that within the heatmaps.
    gradient
        ``"full"``: through the weights too. ``"pixels"``: weights are taken as given, as in the
        paper's NG variant.
    pose_weight
        Of the pose loss (log of 1 mm + target registration error) beside the heatmap loss.
    window
        Of the local soft-argmax.
    fewest
        Visible landmarks below which an image has no pose loss.
    """

    labels: LandmarkSettings = field(default_factory=LandmarkSettings)
    weighting: Weighting = field(default_factory=lambda: Weighting("covariance"))
    passes: int = 0
    gradient: Literal["full", "pixels"] = "full"
    pose_weight: float = 0.5
    window: int = WINDOW
    fewest: int = 6

    def __post_init__(self) -> None:
        if self.labels.mirror > 0:
            raise ValueError("a mirrored image has no pose: finetune with mirror=0")
        if self.fewest < 4 or self.passes < 0:
            raise ValueError(
                "a pose needs 4 landmarks, and passes are not negative: got "
                f"fewest={self.fewest}, passes={self.passes}"
            )


class PoseFinetuneTask(PoolTask[LandmarkDetector, LandmarkViewPool, PoseLossSettings]):
    """A `training.Task` that goes on with a detector that already finds its landmarks.

    The loss of a batch is that of the heatmaps plus `pose_weight` times the mean over the images of
    ``log(1 + mTRE)``, mTRE in mm over the patient's landmarks. The logarithm keeps one lost image
    from outweighing all others.
    """

    usual = PoseLossSettings

    def pool_of(self, population: Population) -> LandmarkViewPool:
        """See `PoolTask`."""
        labels, detector = self.settings.labels, self.network
        return LandmarkViewPool(
            population, detector.names, detector.framing, labels.views, labels.seed
        )

    def losses(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Losses of a batch; ``pose`` and ``mtre_mm`` of the images that gave a pose."""
        s = self.settings
        batch = draw_batch(self.pool, s.labels, generator, self.network.device)
        inputs = self.network.inputs(batch.images, batch.masks, batch.carm)
        with drawn_from(generator):
            features = self.network.encode(inputs)
            maps = self.network.decode(features)
            pixels, covariances = self._spread(features, maps)
        losses = landmark_losses(self.network, maps, batch, s.labels, 1.0)
        errors = pose_errors(
            pixels, covariances, batch, heatmap_carm(batch.carm, self.network.stride), s
        )
        nothing = losses["loss"].new_tensor(0.0)
        pose = torch.log1p(errors).mean() if len(errors) else nothing
        total = losses["loss"] + s.pose_weight * pose.to(losses["loss"])
        mtre = errors.detach().median() if len(errors) else nothing + torch.nan
        return {**losses, "loss": total, "pose": pose, "mtre_mm": mtre}

    def _spread(
        self, features: tuple[Tensor, ...], maps: Heatmaps
    ) -> tuple[Float[Tensor, "b n 2"], Float[Tensor, "b n 2 2"]]:
        """Mean and total covariance of the passes, heatmap pixels."""
        s = self.settings
        if s.passes == 0:
            peak = local_soft_argmax(self.network.spread_logits(maps.logits), window=s.window)
            return peak.pixels, peak.covariances
        b = len(maps.logits)
        many = tuple(f.repeat_interleave(s.passes, 0) for f in features)
        with dropout_active(self.network):
            logits = self.network.decode(many).logits
        peak = local_soft_argmax(self.network.spread_logits(logits), window=s.window)
        pixels = peak.pixels.unflatten(0, (b, s.passes))
        mean = pixels.mean(1)
        away = pixels - mean[:, None]
        between = (away[..., :, None] * away[..., None, :]).mean(1)
        return mean, between + peak.covariances.unflatten(0, (b, s.passes)).mean(1)


def pose_errors(
    pixels: Float[Tensor, "b n 2"],
    covariances: Float[Tensor, "b n 2 2"],
    batch: LandmarkBatch,
    grid: CArm,
    settings: PoseLossSettings,
) -> Float[Tensor, "m"]:
    """mTRE, mm, of the images whose landmarks determine a pose; with gradients.

    The PnP is solved from the truth, with no search for outliers: its minimum is what is
    differentiated.

    Parameters
    ----------
    pixels, covariances
        On `grid`, heatmap pixels.
    """
    carm = batch.carm
    pixels = pixels_between(pixels.cpu().double(), grid, carm)
    floor = _FLOOR_PX2 * torch.eye(2, dtype=torch.float64)
    covariances = covariance_between(covariances.cpu().double() + floor, grid, carm)
    inside = batch.inside.cpu()
    errors = []
    for i in range(len(pixels)):
        if int(inside[i].sum()) < settings.fewest:
            continue
        error = _pose_error(
            pixels[i], covariances[i], batch.landmarks[i], inside[i], batch.poses[i], carm, settings
        )
        if error is not None:
            errors.append(error)
    return torch.stack(errors) if errors else torch.zeros(0, dtype=torch.float64)


def _pose_error(
    pixels: Float[Tensor, "n 2"],
    covariances: Float[Tensor, "n 2 2"],
    places: Float[Tensor, "n 3"],
    inside: Bool[Tensor, "n"],
    truth: Pose,
    carm: CArm,
    settings: PoseLossSettings,
) -> Float[Tensor, ""] | None:
    spread = covariances if settings.gradient == "full" else covariances.detach()
    seen = Correspondences(places[inside], pixels[inside], spread[inside])
    solution = solve_pnp(
        weighted(seen, settings.weighting),
        carm,
        start=truth,
        settings=PnPSettings(selection="none"),
    )
    pose = solution.world_from_camera
    if not solution or pose is None or not pose.translation.requires_grad:
        return None
    known = places[~torch.isnan(places).any(1)]
    # Where the patient is in the camera, by the pose found and by the true one.
    away = pose.inverse().apply(known) - truth.inverse().apply(known)
    distances: Float[Tensor, "n"] = (away.square().sum(-1) + 1e-12).sqrt()
    return distances.mean()
