"""A sequence of poses made smooth, each as far as it is uncertain (Rauch, Tung and Striebel 1965).

A Kalman filter with constant velocity on SE(3), forward, and the smoother backward. The state is a pose and
the twist from one frame to the next; errors are left twists about the pivot. How much the velocity changes is
not asked for: it is what makes the poses most likely.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose, left_jacobian

_FIRST_TURN, _FIRST_WAY = math.radians(20.0), 50.0
"""Standard deviation of the velocity before anything was seen, rad and mm a frame."""
_TRIED = tuple(10.0 ** (0.5 * half) for half in range(-4, 4))
"""Standard deviations of a change of velocity that are tried: degrees, and mm, a frame and frame."""


@dataclass(frozen=True, eq=False)
class Smoothed:
    """A smooth motion.

    Parameters
    ----------
    poses
        Of every frame, those without a measurement included.
    covariances
        6 x 6 each, of the left twist (omega, v) about the pivot, rad and mm.
    turn_deg, way_mm
        How much the velocity changes from frame to frame, standard deviation: what made the
        measured poses most likely.
    """

    poses: tuple[Pose, ...]
    covariances: tuple[Float[Tensor, "6 6"], ...]
    turn_deg: float
    way_mm: float


def smoothed(
    poses: Sequence[Pose | None],
    covariances: Sequence[Float[Tensor, "6 6"] | None],
    pivot: Float[Tensor, "3"],
    steps: Sequence[float] | None = None,
) -> Smoothed:
    """The motion that measured poses and their covariances make most likely.

    Parameters
    ----------
    poses
        ``world_from_rig`` of each frame; None: not measured.
    covariances
        Of each measured pose, as `Registration.covariance`.
    pivot
        That the covariances turn about, world mm.
    steps
        How many frames after the one before each stands (the first number is not used), in frames of the
        usual distance; None: 1.

    Raises
    ------
    ValueError
        If fewer than three frames were measured, or the lengths differ.
    """
    measured = [
        pose is not None and covariance is not None
        for pose, covariance in zip(poses, covariances, strict=True)
    ]
    if sum(measured) < 3:
        raise ValueError(
            f"a motion is smoothed over three measured frames or more: got {sum(measured)}"
        )
    origin = pivot.double()
    frames = [
        _Frame(
            float(1 if steps is None else steps[number]),
            # With the pivot as the origin, twists about it are plain ones.
            Pose(pose.rotation.double(), pose.translation.double() - origin),
            covariance.double(),
        )
        if pose is not None and covariance is not None
        else _Frame(float(1 if steps is None else steps[number]))
        for number, (pose, covariance) in enumerate(zip(poses, covariances, strict=True))
    ]
    tried = torch.cartesian_prod(*[torch.tensor(_TRIED, dtype=torch.float64)] * 2)
    chosen = tried[_filtered(frames, tried)[1].argmax()]
    states = _smooth(_filtered(frames, chosen[None])[0])
    turn, way = chosen.tolist()
    return Smoothed(
        tuple(Pose(pose.rotation[0], pose.translation[0] + origin) for pose, _ in states),
        tuple(covariance[0, :6, :6] for _, covariance in states),
        turn,
        way,
    )


@dataclass(frozen=True, eq=False)
class _Frame:
    """So many frames after the one before; what was measured there, the pivot at the origin."""

    gap: float
    measured: Pose | None = None
    error: Float[Tensor, "6 6"] | None = None


@dataclass(frozen=True, eq=False)
class _State:
    """A pose, its step from frame to frame, and how sure both are; a row for each thing tried."""

    pose: Pose
    velocity: Float[Tensor, "n 6"]
    covariance: Float[Tensor, "n 12 12"]


@dataclass(frozen=True, eq=False)
class _Step:
    """A frame: how it was expected, by which transition, and what was left after it was seen."""

    expected: _State
    transition: Float[Tensor, "n 12 12"]
    seen: _State


def _filtered(
    frames: Sequence[_Frame], tried: Float[Tensor, "n 2"]
) -> tuple[list[_Step], Float[Tensor, "n"]]:
    """Forward, under several changes of velocity (degrees, mm) at once; how likely each makes what was seen."""
    count = len(tried)
    changes = torch.stack([tried[:, 0].deg2rad(), tried[:, 1]], 1).repeat_interleave(3, 1)
    change = torch.diag_embed(changes**2)
    state, likelihood, steps = _begun(frames, count), torch.zeros(count).double(), []
    met = False
    for number, frame in enumerate(frames):
        expected, transition = state, torch.eye(12).double().expand(count, 12, 12)
        if number > 0:
            expected, transition = _moved(state, frame.gap, change)
        state = expected
        if frame.measured is not None and frame.error is not None:
            corrected, said = _corrected(expected, frame.measured, frame.error)
            # The first measured frame is where the filter begins: it says nothing of itself.
            state = corrected if met or number > 0 else expected
            likelihood = likelihood + said * float(met)
            met = True
        steps.append(_Step(expected, transition, state))
    return steps, likelihood


def _begun(frames: Sequence[_Frame], count: int) -> _State:
    """Where the first measured frame is; unsure where that comes later."""
    first = next(frame for frame in frames if frame.measured is not None)
    assert first.measured is not None
    assert first.error is not None
    wide = torch.tensor([_FIRST_TURN, _FIRST_WAY]).double().repeat_interleave(3) ** 2
    place = first.error if frames[0] is first else torch.diag(wide)
    covariance = torch.block_diag(place, torch.diag(wide)).expand(count, 12, 12)
    pose = Pose.stack([first.measured] * count)
    return _State(pose, torch.zeros(count, 6).double(), covariance)


def _moved(
    state: _State, gap: float, change: Float[Tensor, "n 6 6"]
) -> tuple[_State, Float[Tensor, "n 12 12"]]:
    way = gap * state.velocity
    motion = Pose.exp(way)
    transition = torch.eye(12).double().repeat(len(way), 1, 1)
    transition[:, :6, :6] = motion.adjoint()
    transition[:, :6, 6:] = gap * left_jacobian(way)
    covariance = transition @ state.covariance @ transition.mT + _unrest(gap, change)
    return _State(motion @ state.pose, state.velocity, covariance), transition


def _unrest(gap: float, change: Float[Tensor, "n 6 6"]) -> Float[Tensor, "n 12 12"]:
    """What changes of velocity add to the covariance of place and velocity over a gap.

    One change a frame, of which the place feels half in its own frame and all in those that follow; of a
    gap that is no whole number, between.
    """
    place = max(gap**3 / 3 - gap / 12, gap**3 / 4)
    top = torch.cat([place * change, gap**2 / 2 * change], -1)
    return torch.cat([top, torch.cat([gap**2 / 2 * change, gap * change], -1)], -2)


def _corrected(
    state: _State, measured: Pose, error: Float[Tensor, "6 6"]
) -> tuple[_State, Float[Tensor, "n"]]:
    beside = (measured @ state.pose.inverse()).log()
    spread = state.covariance[:, :6, :6] + error
    gain = torch.linalg.solve(spread, state.covariance[:, :6]).mT
    weighed = torch.linalg.solve(spread, beside)
    said = -0.5 * ((beside * weighed).sum(1) + torch.linalg.slogdet(spread)[1])
    change = (gain @ beside[..., None])[..., 0]
    covariance = state.covariance - gain @ state.covariance[:, :6]
    corrected = _State(
        Pose.exp(change[:, :6]) @ state.pose,
        state.velocity + change[:, 6:],
        0.5 * (covariance + covariance.mT),
    )
    return corrected, said


def _smooth(steps: Sequence[_Step]) -> list[tuple[Pose, Float[Tensor, "n 12 12"]]]:
    """Backward: what later frames say of earlier ones."""
    last = steps[-1].seen
    pose, velocity, covariance = last.pose, last.velocity, last.covariance
    found = [(pose, covariance)]
    for mine, then in reversed(list(pairwise(steps))):
        before, here = then.expected, mine.seen
        back = torch.linalg.solve(before.covariance, then.transition @ here.covariance).mT
        beside = torch.cat([(pose @ before.pose.inverse()).log(), velocity - before.velocity], 1)
        change = (back @ beside[..., None])[..., 0]
        covariance = here.covariance + back @ (covariance - before.covariance) @ back.mT
        pose = Pose.exp(change[:, :6]) @ here.pose
        velocity = here.velocity + change[:, 6:]
        found.append((pose, covariance))
    return found[::-1]
