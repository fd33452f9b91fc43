"""Track several bodies through one sequence: in every frame all of them together."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.progress import CancelOnly, Control, run
from napari_xreg.registration import (
    BodiesRegistration,
    Body,
    Expected,
    NearBone,
    RefineSettings,
    View,
    refine_bodies,
)
from napari_xreg.session import BodiesTrack, TrackedFrame
from napari_xreg.workflows.tracking.frames import Frames
from napari_xreg.workflows.tracking.settings import TrackSettings
from napari_xreg.workflows.tracking.sought import (
    Found,
    Seen,
    as_bright,
    first_settings,
    levels_of,
    nearer,
    wide_settings,
)
from napari_xreg.workflows.tracking.walk import Walk

_KNOWN = torch.diag(torch.tensor([1e-4] * 3 + [0.01] * 3, dtype=torch.float64) ** 2)
"""Covariance, rad and mm, of a body that a user has put in its place: none that a picture says anything against."""


@dataclass(frozen=True, eq=False)
class BodiesTrackRequest:
    """Everything that tracking several bodies needs, captured.

    Parameters
    ----------
    bodies
        What moves; their cameras are those of the frame that is started from.
    frames
        The radiographs.
    start
        Number of that frame: tracked from there, both ways.
    keys
        ``world_from_camera`` of the first camera for every body, in frames that a user has checked; None: this body is
        looked for there, while those that are given stay.
    settings
        How.
    near
        As of `BodiesRequest`.

    Raises
    ------
    ValueError
        If a key frame does not say of every body what is known.
    """

    bodies: tuple[Body, ...]
    frames: Frames
    start: int
    keys: Mapping[int, tuple[Pose | None, ...]] = field(default_factory=dict)
    settings: TrackSettings = field(default_factory=TrackSettings)
    near: NearBone | None = None

    def __post_init__(self) -> None:
        for number, poses in self.keys.items():
            if len(poses) != len(self.bodies):
                raise ValueError(
                    f"a key frame has the pose of every bone: frame {number} has {len(poses)} of "
                    f"{len(self.bodies)}"
                )


def track_bodies(
    request: BodiesTrackRequest, *, control: Control | None = None
) -> Generator[tuple[TrackedFrame, ...], None, BodiesTrack]:
    """Where several bodies were in every frame; as `track`, each frame with all of them at once (`refine_bodies`).

    Each body is expected by its own velocity, judged by itself with the others taken off, and smoothed by itself; where
    one of them is not trusted, the frame is looked at again as `refine_bodies` does: every body by itself, then all.

    Yields
    ------
    tuple of TrackedFrame
        Of every body, as a frame is done.

    Raises
    ------
    ReadError
        If the frame that is started from cannot be read.
    ValueError
        As `track`, and as `refine_bodies`.
    """
    control = control or Control()
    walk = Walk(
        Together(request, CancelOnly(control)), request.frames, request.start, request.keys,
        request.settings, control,
    )  # fmt: skip
    yield from walk.through()
    names = tuple(body.name for body in request.bodies)
    return BodiesTrack(names, walk.tracks(), walk.together())


class Together:
    """Several bodies, all in every radiograph: a `Sought`."""

    def __init__(
        self, request: BodiesTrackRequest, control: Control, given: Mapping[int, Pose] | None = None
    ) -> None:
        self._request, self._control = request, control
        self._given = dict(given or {})
        self.pivots = tuple(body.pivot for body in request.bodies)
        self._rough, self._fine = levels_of(request.settings)

    def starts(self, first: View) -> tuple[Pose, ...]:
        """See `Sought`."""
        rig = first.world_from_camera.to(dtype=torch.float64)
        return tuple(
            (body.world_from_camera[0].to(dtype=torch.float64) @ rig.inverse()).orthonormal()
            for body in self._request.bodies
        )

    def first(self, seen: Seen) -> Found:
        """See `Sought`."""
        return self._found(seen, first_settings(), self._request.near)

    def rough(self, seen: Seen, before: Found | None) -> Found:
        """See `Sought`."""
        how = as_bright(self._rough, before)
        return self._found(seen, how, nearer(self._request.near), near_start=True, judge=False)

    def fine(self, seen: Seen, before: Found) -> Found:
        """See `Sought`."""
        how = as_bright(self._fine, before)
        return self._found(seen, how, nearer(self._request.near), near_start=True)

    def wide(self, seen: Seen) -> Found:
        """See `Sought`."""
        return self._found(seen, wide_settings(self._request.settings), self._request.near)

    def holding(self, given: Mapping[int, Pose]) -> "Together":
        """See `Sought`."""
        return Together(self._request, self._control, given)

    def _found(
        self, seen: Seen, settings: RefineSettings, near: NearBone | None,
        *, near_start: bool = False, judge: bool = True,
    ) -> Found:  # fmt: skip
        bodies = [
            replace(body, world_from_camera=tuple(view.world_from_camera for view in views))
            for body, views in zip(self._request.bodies, seen, strict=True)
        ]
        steps = refine_bodies(
            bodies, [view.radiograph for view in seen[0]], settings=settings, near=near,
            near_start=near_start, judge=judge, control=self._control,
            priors=[Expected(body, pose, _KNOWN) for body, pose in self._given.items()],
        )  # fmt: skip
        found = run(steps)
        return Found(found.bodies, _at_scale(found))


def _at_scale(found: BodiesRegistration) -> Float[Tensor, "n n"] | None:
    if found.covariance is None or found.scale is None:
        return found.covariance
    return found.covariance - found.scale.outer(found.scale)
