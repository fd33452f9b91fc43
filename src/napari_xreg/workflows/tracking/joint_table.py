"""Two bones that were tracked through one sequence, one against the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.records import JointRow, TrackTable
from napari_xreg.registration import (
    Bends,
    Side,
    helical_motion,
    joint_deviation,
    joint_motion,
    relative_covariance,
)
from napari_xreg.session import FrameState

_STATES = [state.value for state in FrameState]
_SURE = {state.value for state in FrameState if state.sure}
_SAME_S = 1e-3
"""Times of a frame that differ by more, seconds, are not of one sequence."""


@dataclass(frozen=True, eq=False)
class JointBone:
    """A bone of a joint.

    Parameters
    ----------
    table
        Where it was: of `read_track`, by the same first camera as the other bone.
    axes
        Its own, ``world_from_axes`` (`bone_axes`); None: the motion is told without anatomical axes.
    """

    table: TrackTable
    axes: Pose | None = None


@dataclass(frozen=True, eq=False)
class JointRequest:
    """What is wanted of a joint.

    Parameters
    ----------
    proximal, distal
        The bones; the second is seen to move against the first.
    side, bends
        As of `joint_motion`.
    reference
        Frame that helical motions are counted from; None: the first that has both bones, trusted where there
        is such a one.
    """

    proximal: JointBone
    distal: JointBone
    side: Side = "right"
    bends: Bends = "backward"
    reference: int | None = None


def joint_rows(request: JointRequest) -> list[JointRow]:
    """The motion of a joint, a row for each frame that both tables have.

    Raises
    ------
    ValueError
        If the tables share no frame or give one other times, or the reference is none of those that have both bones.
    """
    of_distal = {row.frame: row for row in request.distal.table.rows}
    of_proximal = request.proximal.table.rows
    pairs = [(row, of_distal[row.frame]) for row in of_proximal if row.frame in of_distal]
    if not pairs:
        raise ValueError("the two tracks have no frame in common: they are of different sequences")
    for one, other in pairs:
        times = one.time_s, other.time_s
        if times[0] is not None and times[1] is not None and abs(times[0] - times[1]) > _SAME_S:
            raise ValueError(
                f"frame {one.frame} is at {times[0]:g} s in one table and at {times[1]:g} s in the other: "
                "they are of different sequences"
            )
    found = [_against(one.world_from_camera, other.world_from_camera) for one, other in pairs]
    smooth = [_against(one.smooth, other.smooth) for one, other in pairs]
    unsure = [(one.covariance, other.covariance) for one, other in pairs]
    smooth_unsure = [(one.smooth_covariance, other.smooth_covariance) for one, other in pairs]
    states = [max(one.state, other.state, key=_place) for one, other in pairs]
    at = _reference(request, [one.frame for one, _ in pairs], found, states)
    first = None if at is None else found[at]
    smooth_first = None if at is None else smooth[at] or first
    rows = []
    for place, ((one, _), pose, smoothed, state) in enumerate(
        zip(pairs, found, smooth, states, strict=True)
    ):
        rows.append(
            JointRow(
                one.frame,
                one.time_s,
                state,
                state in _SURE,
                _of_axes(request, pose),
                _since(first, pose),
                _of_axes(request, smoothed),
                _since(smooth_first, smoothed),
                _deviation(request, pose, unsure[place]),
                _deviation(request, smoothed, smooth_unsure[place]),
            )
        )
    return rows


def _place(state: str) -> int:
    return _STATES.index(state) if state in _STATES else len(_STATES)


def _against(proximal: Pose | None, distal: Pose | None) -> Pose | None:
    """``world_of_proximal_from_world_of_distal``: one camera saw both."""
    if proximal is None or distal is None:
        return None
    return proximal @ distal.inverse()


def _reference(
    request: JointRequest,
    frames: Sequence[int],
    found: Sequence[Pose | None],
    states: Sequence[str],
) -> int | None:
    """Which of the frames helical motions are counted from."""
    known = [place for place, pose in enumerate(found) if pose is not None]
    if request.reference is not None:
        chosen = [place for place in known if frames[place] == request.reference]
        if not chosen:
            raise ValueError(
                f"frame {request.reference} has no pose of both bones: choose another for the reference"
            )
        return chosen[0]
    trusted = [place for place in known if states[place] in _SURE]
    return next(iter(trusted or known), None)


def _of_axes(request: JointRequest, pose: Pose | None) -> Float[Tensor, "6"] | None:
    one, other = request.proximal.axes, request.distal.axes
    if pose is None or one is None or other is None:
        return None
    return joint_motion(one.inverse() @ pose @ other, side=request.side, bends=request.bends)


def _deviation(
    request: JointRequest,
    pose: Pose | None,
    unsure: tuple[Float[Tensor, "6 6"] | None, Float[Tensor, "6 6"] | None],
) -> Float[Tensor, "6"] | None:
    """Standard deviations of the motion; the errors of the two bones are taken for independent."""
    axes = request.proximal.axes, request.distal.axes
    here, there = unsure
    if pose is None or axes[0] is None or axes[1] is None or here is None or there is None:
        return None
    pivots = request.proximal.table.pivot, request.distal.table.pivot
    covariance = relative_covariance(pose, pivots, torch.block_diag(here, there))
    return joint_deviation(
        pose, covariance, pivots[0], (axes[0], axes[1]), side=request.side, bends=request.bends
    )


def _since(first: Pose | None, pose: Pose | None) -> tuple[float, float] | None:
    """Turn and shift of the helical motion of the distal bone, in the proximal bone's frame."""
    if first is None or pose is None:
        return None
    turn, shift, _ = helical_motion(pose @ first.inverse())
    return float(turn), float(shift)
