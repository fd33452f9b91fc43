"""What finds a body, or several, in one frame: roughly, finely, and from farther off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.progress import Control, run
from napari_xreg.registration import (
    NearBone,
    RefineSettings,
    Registration,
    Spread,
    View,
    levels_at,
    pivot_of,
)
from napari_xreg.session import Rendering
from napari_xreg.workflows.refining import RefineRequest, refine
from napari_xreg.workflows.tracking.settings import TrackSettings
from napari_xreg.workflows.tracking.tracks import TrackRequest

FIRST_REACH_MM = 8.0
"""Near a bone: how far the expected pose may be off in a frame (`NearBone.first_mm`)."""
START_ROUNDS = (1, 16)
"""Starts in turn of the first frame (`RefineSettings.rounds`): whoever tracks has a pose to start from."""
ROUGH = 2
"""The first look at a frame is at so many times fewer pixels."""
FEWEST_PIXELS = 64
BONE_PIXELS = 64
"""Where the brightness of bone is judged, and scatter: at 256 pixels the one is the same to 0.01, in six times the
time, and the poses that the other leads to are no nearer."""


@dataclass(frozen=True, eq=False)
class Found:
    """Every body in one frame.

    Parameters
    ----------
    bodies
        One registration each.
    covariance
        Of all of them together, as `BodiesRegistration.covariance` without what is not known of the CT's
        scale; None: of one body, or not known.
    """

    bodies: tuple[Registration, ...]
    covariance: Float[Tensor, "n n"] | None = None


Seen = Sequence[tuple[View, ...]]
"""For every body the radiographs of a frame, with the cameras as it has them."""


@runtime_checkable
class Sought(Protocol):
    """Bodies that are looked for; each way may be called in any thread."""

    @property
    def pivots(self) -> tuple[Float[Tensor, "3"], ...]:
        """Of every body, world mm."""
        ...

    def starts(self, first: View) -> tuple[Pose, ...]:
        """``world_from_rig`` of every body in the frame that is started from, by its first camera in the rig."""
        ...

    def first(self, seen: Seen) -> Found:
        """In the frame that is started from."""
        ...

    def rough(self, seen: Seen, before: Found | None) -> Found:
        """Near where they are expected, coarsely and without a verdict; `before`: of the frame before."""
        ...

    def fine(self, seen: Seen, before: Found) -> Found:
        """From where `rough` ended, judged."""
        ...

    def wide(self, seen: Seen) -> Found:
        """From several starts about where they are expected."""
        ...

    def holding(self, given: Mapping[int, Pose]) -> "Sought":
        """The same in a frame in which some of several bodies were given, by their numbers: they stay where they are."""
        ...


def levels_of(settings: TrackSettings) -> tuple[RefineSettings, RefineSettings]:
    """How a frame is looked at roughly, and finely."""
    fine = RefineSettings(
        levels=levels_at((settings.pixels,)), starts=1, antipode=False, keep_images=False,
        spread=Spread(0.0, 0.0, 0.0),  # near a bone nothing is looked for
        bone_pixels=BONE_PIXELS,
    )  # fmt: skip
    fewer = max(FEWEST_PIXELS, settings.pixels // ROUGH)
    return replace(fine, levels=levels_at((fewer,))), fine


def first_settings() -> RefineSettings:
    """How the frame is looked at that is started from."""
    return RefineSettings(keep_images=False, rounds=START_ROUNDS)


def wide_settings(settings: TrackSettings) -> RefineSettings:
    """How a frame is looked at again."""
    spread = Spread(settings.jump_deg / 3, settings.jump_mm / 3, settings.jump_mm)
    return RefineSettings(
        starts=settings.retry_starts, spread=spread, antipode=False, keep_images=False
    )


def nearer(near: NearBone | None) -> NearBone | None:
    """How near a bone is looked at where it is expected."""
    return near and replace(near, first_mm=min(near.first_mm, FIRST_REACH_MM))


class OneBody:
    """A body by itself, as a CT or what is rendered of it."""

    def __init__(self, request: TrackRequest, control: Control) -> None:
        self._request, self._control = request, control
        what = request.volume
        self._rendering = what if isinstance(what, Rendering) else Rendering(what, None)
        self.pivots = (pivot_of(self._rendering.volume(), request.isocenter),)
        self._rough, fine = levels_of(request.settings)
        # Above water there is no whole patient, whose scatter could be told.
        self._fine = replace(fine, begun_near=not self._rendering.above_water)

    def starts(self, first: View) -> tuple[Pose, ...]:
        """See `Sought`."""
        return (Pose.identity(),)

    def first(self, seen: Seen) -> Found:
        """See `Sought`; structures of a whole CT as `register` looks for them (`RefineRequest.whole_first`)."""
        return self._found(seen, first_settings(), self._request.near, whole_first=True)

    def rough(self, seen: Seen, before: Found | None) -> Found:
        """See `Sought`."""
        return self._found(seen, as_bright(self._rough, before), self._near, judge=False)

    def fine(self, seen: Seen, before: Found) -> Found:
        """See `Sought`."""
        return self._found(seen, as_bright(self._fine, before), self._near)

    def wide(self, seen: Seen) -> Found:
        """See `Sought`."""
        return self._found(seen, wide_settings(self._request.settings), self._request.near)

    def holding(self, given: Mapping[int, Pose]) -> Sought:
        """See `Sought`: where the only body is given nothing is looked for."""
        return self

    @property
    def _near(self) -> NearBone | None:
        return nearer(self._request.near)

    def _found(
        self, seen: Seen, settings: RefineSettings, near: NearBone | None,
        *, judge: bool = True, whole_first: bool = False,
    ) -> Found:  # fmt: skip
        (views,), asked = seen, self._request
        request = RefineRequest(
            self._rendering, views, settings, self.pivots[0], asked.device, near=near,
            whole_first=whole_first,
        )  # fmt: skip
        return Found((run(refine(request, control=self._control, judge=judge)),))


def as_bright(settings: RefineSettings, before: Found | None) -> RefineSettings:
    """With the brightness of bone that a look before it found."""
    return settings if before is None else replace(settings, bone_gain=before.bodies[0].bone_gain)
