"""What one iteration did, read from where the sums are made in one transfer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.registration.refinement.result import Iterate
from napari_xreg.registration.refinement.second_order.damped_steps import Round, Starts
from napari_xreg.registration.refinement.second_order.tracks import Track


@dataclass(frozen=True, eq=False)
class Turn:
    """What one iteration did to the starts that are left; a row a start, on the processor.

    Parameters
    ----------
    tracks
        The starts.
    tried, accepted, active
        Which took a step, whose was kept, and which have not ended.
    damping, step_mm
        Of the step.
    tried_losses, tried_poses, terms
        Of the pose tried: its loss, the pose of the first view [s], the terms of the loss.
    losses, poses
        Where each start is; what is not a number is infinite.
    names
        Of the terms.
    images
        First view's DRRs, where they are kept.
    """

    level: int
    tracks: Sequence[Track]
    tried: Sequence[bool]
    accepted: Sequence[bool]
    active: Sequence[bool]
    damping: Sequence[float]
    step_mm: Sequence[float]
    tried_losses: Sequence[float]
    losses: Sequence[float]
    tried_poses: Pose
    poses: Pose
    terms: Float[Tensor, "s terms"]
    names: tuple[str, ...]
    images: Float[Tensor, "s rows columns"] | tuple[Tensor, ...] | None

    def shown(self, row: int) -> bool:
        """Whether a user follows this start: an antipode only where it was the better."""
        return not self.tracks[row].antipode or len(self.tracks) == 1

    def iterate(self, row: int, *, index: int, seconds: float) -> Iterate:
        """The step of a start, as tried."""
        terms = dict(zip(self.names, self.terms[row].tolist(), strict=True))
        return Iterate(
            index=index,
            start=self.tracks[row].start,
            level=self.level,
            world_from_camera=copied(self.tried_poses, row),
            losses={"loss": self.tried_losses[row], **terms},
            accepted=self.accepted[row],
            damping=self.damping[row],
            step=self.step_mm[row],
            seconds=seconds,
            image=None if self.images is None else self.images[row],
        )


def turn_of(
    tried: Round,
    state: Starts[Any],
    *,
    level: int,
    tracks: Sequence[Track],
    names: tuple[str, ...],
    keep_images: bool,
) -> Turn:
    """A row a start, on the processor.

    Parameters
    ----------
    tried, state
        The poses tried, and where the starts are now.
    level, tracks, names, keep_images
        As of `Turn`; whether the DRRs are wanted.
    """
    numbers = torch.stack(
        [
            tried.tried.double(), tried.accepted.double(), state.active.double(),
            tried.damping, tried.step_mm, tried.model.loss, state.model.loss,
        ],
        1,
    )  # fmt: skip
    poses = [_flat(tried.poses[0]), _flat(state.poses[0])]
    table = torch.cat([numbers, *poses, tried.model.terms], 1).cpu()
    numbers, tried_poses, poses_now, terms = table.split([7, 12, 12, len(names)], 1)
    was_tried, accepted, active, damping, step_mm, tried_losses, losses = numbers.T.tolist()
    images = tried.drrs if keep_images else None
    return Turn(
        level=level,
        tracks=tracks,
        tried=[flag > 0 for flag in was_tried],
        accepted=[flag > 0 for flag in accepted],
        active=[flag > 0 for flag in active],
        damping=damping,
        step_mm=step_mm,
        tried_losses=tried_losses,
        # What is not a number is never the best.
        losses=[loss if math.isfinite(loss) else math.inf for loss in losses],
        tried_poses=_unflat(tried_poses),
        poses=_unflat(poses_now),
        terms=terms,
        names=names,
        images=images.cpu() if isinstance(images, Tensor) else images,
    )


def _flat(pose: Pose) -> Tensor:
    return torch.cat([pose.rotation.flatten(1), pose.translation], 1)


def _unflat(rows: Float[Tensor, "s 12"]) -> Pose:
    return Pose(rows[:, :9].reshape(-1, 3, 3), rows[:, 9:])


def copied(poses: Pose, row: int) -> Pose:
    """One of a batch, without the rest of its table."""
    return Pose(poses.rotation[row].clone(), poses.translation[row].clone())
