"""A motion as curves: what a plot shows."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.session import BodiesTrack, Track, TrackedFrame

NAMES = ("turn x", "turn y", "turn z", "shift x", "shift y", "shift z")
UNITS = ("degrees",) * 3 + ("mm",) * 3


@dataclass(frozen=True, eq=False)
class MotionCurves:
    """How a body moved since the first frame that has a pose, in its own axes.

    Parameters
    ----------
    values
        [frames, 6]: the turn (rotation vector, degrees) and the shift of the pivot, mm, of the body in the
        rig as it was in that frame; NaN where there is no pose.
    deviations
        Standard deviations of the same.
    names, units
        Of the six.
    """

    values: Float[ndarray, "frames 6"]
    deviations: Float[ndarray, "frames 6"]
    names: tuple[str, ...] = NAMES
    units: tuple[str, ...] = UNITS


def curves_of(frames: tuple[TrackedFrame, ...], pivot: Float[Tensor, "3"]) -> MotionCurves:
    """Of the poses as they were registered."""
    poses = [frame.world_from_rig for frame in frames]
    return _curves(poses, [frame.covariance for frame in frames], poses, pivot)


def smooth_curves(track: Track) -> MotionCurves | None:
    """Of the smooth motion, from the same first frame; None where there is none."""
    smooth = track.smoothed
    if smooth is None:
        return None
    registered = [frame.world_from_rig for frame in track.frames]
    return _curves(list(smooth.poses), list(smooth.covariances), registered, track.pivot)


def curves_between(found: BodiesTrack, one: str, other: str) -> MotionCurves:
    """How one body moved against another since the first frame that both have a pose in, as they were registered.

    As of one body, the other in place of the rig; standard deviations from the joint covariance, where that is known.
    """
    pairs = [found.between(one, other, place) for place in range(len(found[one].frames))]
    poses = [None if pair is None else pair[0] for pair in pairs]
    covariances = [None if pair is None else pair[1] for pair in pairs]
    return _curves(poses, covariances, poses, found[one].pivot)


def _curves(
    poses: list[Pose | None],
    covariances: list[Float[Tensor, "6 6"] | None],
    registered: list[Pose | None],
    pivot: Float[Tensor, "3"],
) -> MotionCurves:
    values = np.full((len(poses), 6), np.nan)
    deviations = np.zeros((len(poses), 6))
    first = next((pose for pose in registered if pose is not None), None)
    scale = np.repeat([180.0 / np.pi, 1.0], 3)
    known = {place: pose for place, pose in enumerate(poses) if pose is not None}
    if first is None or not known:
        return MotionCurves(values, deviations)
    # All at once: a hundred frames one by one take longer than to draw them.
    # A pose is the rig as the body sees it: the body moves the other way.
    motion = first @ Pose.stack(list(known.values())).inverse()
    shift = motion.apply(pivot.double()) - pivot.double()
    values[list(known)] = torch.cat([motion.log()[:, :3], shift], -1).numpy() * scale
    for place in known:
        covariance = covariances[place]
        if covariance is not None:
            deviations[place] = np.sqrt(np.diagonal(covariance.numpy()).clip(0.0)) * scale
    return MotionCurves(values, deviations)
