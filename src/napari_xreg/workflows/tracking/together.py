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
    NearBone,
    RefineSettings,
    View,
    refine_bodies,
    relative_covariance,
)
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
from napari_xreg.workflows.tracking.tracks import Track, TrackedFrame
from napari_xreg.workflows.tracking.walk import Walk


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
        ``world_from_camera`` of the first camera for every body, in frames that a user has checked.
    settings
        How.
    near
        As of `BodiesRequest`.

    Raises
    ------
    ValueError
        If a key frame lacks the pose of a body.
    """

    bodies: tuple[Body, ...]
    frames: Frames
    start: int
    keys: Mapping[int, tuple[Pose, ...]] = field(default_factory=dict)
    settings: TrackSettings = field(default_factory=TrackSettings)
    near: NearBone | None = None

    def __post_init__(self) -> None:
        for number, poses in self.keys.items():
            if len(poses) != len(self.bodies):
                raise ValueError(
                    f"a key frame has the pose of every bone: frame {number} has {len(poses)} of "
                    f"{len(self.bodies)}"
                )


@dataclass(frozen=True, eq=False)
class BodiesTrack:
    """Where several bodies were in every frame.

    Parameters
    ----------
    names, tracks
        Of each body.
    covariances
        Of every frame, of the left twists of all bodies as they were registered, one after the other, each about
        its own pivot: as `BodiesRegistration.covariance`, the CT taken to be as large as it says; None: not known.
    """

    names: tuple[str, ...]
    tracks: tuple[Track, ...]
    covariances: tuple[Float[Tensor, "n n"] | None, ...] = ()

    def __getitem__(self, name: str) -> Track:
        """Of a body, by its name."""
        return self.tracks[self.names.index(name)]

    @property
    def complete(self) -> bool:
        """Whether every body has a pose in every frame that was given or is trusted."""
        return all(track.complete for track in self.tracks)

    @property
    def cancelled(self) -> bool:
        """Whether it was ended before the last frame."""
        return any(track.cancelled for track in self.tracks)

    @property
    def simulated(self) -> bool:
        """True if any radiograph was simulated."""
        return any(track.simulated for track in self.tracks)

    @property
    def words(self) -> str:
        """What became of every body."""
        return "\n".join(f"{n}: {t.words}" for n, t in zip(self.names, self.tracks, strict=True))

    def between(
        self, one: str, other: str, place: int
    ) -> tuple[Pose, Float[Tensor, "6 6"] | None] | None:
        """``one_from_other`` in the frame at a place, and the covariance of its left twist about the pivot of `one`.

        Two bodies in one picture err alike: how they lie to each other is surer than where each is.

        Returns
        -------
        Pose, Tensor
            Rad and mm, in the world axes of `one`; None where a body has no pose, or there is no covariance.
        """
        numbers = [self.names.index(name) for name in (one, other)]
        tracks = [self.tracks[number] for number in numbers]
        here, there = (track.frames[place].world_from_camera for track in tracks)
        if here is None or there is None:
            return None
        pose, covariance = here @ there.inverse(), self.covariances[place]
        if covariance is None:
            return pose, None
        both = torch.cat([torch.arange(6) + 6 * number for number in numbers])
        part = covariance[both[:, None], both].double()
        if bool(part.isnan().any()):
            return pose, None
        pivots = tracks[0].pivot, tracks[1].pivot
        return pose, relative_covariance(pose, pivots, part)


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

    def __init__(self, request: BodiesTrackRequest, control: Control) -> None:
        self._request, self._control = request, control
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
        )  # fmt: skip
        found = run(steps)
        return Found(found.bodies, _at_scale(found))


def _at_scale(found: BodiesRegistration) -> Float[Tensor, "n n"] | None:
    if found.covariance is None or found.scale is None:
        return found.covariance
    return found.covariance - found.scale.outer(found.scale)
