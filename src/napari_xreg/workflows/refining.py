"""Refine: the pose that explains the radiographs, from a request to a `Registration`."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg import registration
from napari_xreg.geometry import Pose
from napari_xreg.images import ABOVE_WATER, Landmark, Volume
from napari_xreg.progress import CancelOnly, Control, run
from napari_xreg.registration import (
    Iterate,
    NearBone,
    RefineSettings,
    Registration,
    View,
    near_bone_words,
    pivot_of,
    sagittal_plane,
)
from napari_xreg.rendering import OutOfMemory, volume_on
from napari_xreg.session import Rendering, Session
from napari_xreg.workflows.whole_first import (
    STAYS_ALONE,
    STAYS_FIRST,
    WHOLE_FIRST,
    has_a_rest,
    refine_whole_first,
)
from napari_xreg.workflows.why_refused import why_refused, worth_trying

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class RefineRequest:
    """Everything a refinement needs, captured: `refine` may run in any thread.

    Parameters
    ----------
    volume
        The CT, or what of it is rendered (`Patient.rendering`).
    views
        Radiographs, masked, with their starting poses; they move together.
    settings
        Of a solver (`registration.SOLVERS`): which, and how.
    isocenter
        Pivot, world mm; None: the middle of the volume.
    device
        Where to refine.
    cpu_instead
        Refine on the CPU where the CT does not fit on `device`; False: raise `OutOfMemory`.
    near
        How near the rendered bone pixels are compared where the CT, or what is chosen of it, is
        rendered above water since it holds bones alone; None: in the whole image.
    whole_first
        Of structures of a CT that holds the rest of the patient too, register the whole CT first, and the structures from there
        with what the rest shows taken off (`refine_whole_first`); alone too, near the rendered bone, only where one of the two is not
        trusted (`WithTheRest.beside`).
        Not with something locked or a solver that is there for comparison.
    explain
        Where the result is not trusted, try what else would explain the radiographs (`why_refused`), and
        add that to its notes.
    ids
        Of the radiographs in a session (`Exposure.id`: they may be renamed meanwhile), in the order
        of `views`; the first is the one shown.
    described
        The settings as plain values, for a session's file.
    """

    volume: Volume | Rendering
    views: tuple[View, ...]
    settings: Any = field(default_factory=RefineSettings)
    isocenter: Float[Tensor, "3"] | None = None
    device: torch.device = CPU
    cpu_instead: bool = True
    near: NearBone | None = field(default_factory=NearBone)
    explain: bool = False
    whole_first: bool = False
    ids: tuple[str, ...] = ()
    described: Mapping[str, Any] = field(default_factory=dict)

    def poses_at(self, iterate: Iterate) -> dict[str, Pose]:
        """Of every radiograph, by its id: they move together."""
        rig = [view.world_from_camera for view in self.views]
        return rig_poses(self.ids, rig, iterate.world_from_camera)


@dataclass(frozen=True)
class OnCpuInstead:
    """The CT does not fit into the free memory of `device`: the CPU refines."""

    device: torch.device


@dataclass(frozen=True)
class BonesAlone:
    """The CT holds bones alone: what was made of that, in words for the user."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class TryingOthers:
    """The result is not trusted: what else would explain the radiographs is tried (`explain`)."""


def refine(
    request: RefineRequest, *, control: Control | None = None, judge: bool = True
) -> Generator[Iterate | OnCpuInstead | BonesAlone | TryingOthers, None, Registration]:
    """Find the pose under which the CT explains the radiographs, as `registration.refine`.

    Structures of a CT that holds the rest of the patient are registered after the whole CT, if the request says so. Bones without
    their soft tissue are rendered as attenuation above water, and compared near where
    they are rendered, unless the request says otherwise.

    Parameters
    ----------
    request
        What, from where, how.
    control, judge
        As of `registration.refine`.

    Yields
    ------
    BonesAlone, OnCpuInstead
        Before the first iteration, and `BonesAlone` again where the structures are registered alone after all; between them what
        `registration.refine` yields.
    TryingOthers
        At most once, after the last iteration. What is tried then ends when `control` is cancelled; it is
        neither paused nor stepped.

    Raises
    ------
    ValueError
        As `registration.refine`.
    OutOfMemory
        If the CT does not fit on the device, and the CPU may not stand in.
    """
    what = request.volume
    what = what if isinstance(what, Rendering) else Rendering(what, None)
    volume = what.volume()
    near = request.near if what.above_water else None
    words: tuple[str, ...] = ()
    if what.above_water:
        said = () if near is None else (near_bone_words(near, request.settings),)
        words = (ABOVE_WATER, *said)
    settings = request.settings
    adjustable = isinstance(settings, RefineSettings) and not settings.locked
    first = request.whole_first and near is not None and adjustable and has_a_rest(what)
    if first:
        yield BonesAlone((WHOLE_FIRST,))
    elif words:
        yield BonesAlone(words)
    try:
        there = volume_on(volume, request.device)
        whole_ct = volume_on(what.whole, request.device) if first else there
    except OutOfMemory:
        if not request.cpu_instead:
            raise
        yield OnCpuInstead(request.device)
        there, whole_ct = volume, what.whole

    def refined(
        views: Sequence[View], settings: Any, control: Control | None
    ) -> Generator[Iterate, None, Registration]:
        how = {
            "settings": settings, "isocenter": request.isocenter, "control": control,
            "judge": judge,
        }  # fmt: skip
        if near is None:
            return registration.refine(there, views, **how)
        return registration.refine_near_bone(there, views, near=near, **how)

    if first:
        pivot = pivot_of(volume, request.isocenter)
        with_rest = yield from refine_whole_first(
            what, whole_ct, request.views, settings, pivot, control, judge=judge
        )
        found, tried = with_rest.found, with_rest.whole
        told: tuple[str, ...] = (WHOLE_FIRST,)
        if judge and not with_rest.settled:
            # Where the others lie elsewhere too, the CT as a whole leads astray.
            yield BonesAlone(words)
            alone = yield from _numbered_on(
                refined(request.views, settings, control), found.trajectory
            )
            found, by_itself = with_rest.beside(alone, request.views)
            told = (*words, STAYS_ALONE) if by_itself else (WHOLE_FIRST, STAYS_FIRST)
            found = replace(found, trajectory=alone.trajectory)
        words = told
    else:
        found = tried = yield from refined(request.views, settings, control)
    why: tuple[str, ...] = ()
    # What is tried is the whole CT where that came first: what is said of it has to be compared with its own pose.
    if request.explain and adjustable and worth_trying(found) and worth_trying(tried):
        yield TryingOthers()
        once = replace(settings, starts=1, beside=(), keep_images=False)

        def trial(views: Sequence[View]) -> Registration:
            events = (
                registration.refine(
                    whole_ct, views, settings=once, isocenter=request.isocenter,
                    control=CancelOnly(control),
                )
                if first
                else refined(views, once, CancelOnly(control))
            )  # fmt: skip
            return run(events)

        why = why_refused(request.views, tried, trial)
    return replace(found, notes=(*words, *found.notes, *why))


def _numbered_on(
    events: Generator[Iterate, None, Registration], before: Sequence[Iterate]
) -> Generator[Iterate, None, Registration]:
    """Iterates after others."""
    began = before[-1].seconds if before else 0.0

    def later(each: Iterate) -> Iterate:
        return replace(each, index=len(before) + each.index, seconds=began + each.seconds)

    while True:
        try:
            event = next(events)
        except StopIteration as end:
            found: Registration = end.value
            return replace(found, trajectory=(*before, *map(later, found.trajectory)))
        yield later(event)


def refine_request(
    session: Session,
    settings: Any = None,
    *,
    described: Mapping[str, Any] | None = None,
    device: torch.device = CPU,
    use_painted: bool = True,
) -> RefineRequest:
    """Capture a session as it is; the active radiograph comes first if it is used.

    Parameters
    ----------
    session
        Its CT (or the chosen structures), the radiographs that are ticked, their poses.
    settings, described, device
        As of `RefineRequest`.
    use_painted
        Whether to leave out what was painted over.

    Raises
    ------
    ValueError
        If there is nothing to refine, in words for the user.
    """
    volume = session.patient.rendering
    if volume is None:
        raise ValueError("there is no CT: load one first")
    used = [exposure for exposure in session.exposures.all if exposure.used]
    if not session.exposures.all:
        raise ValueError("there is no radiograph: load one first")
    if not used:
        raise ValueError("no radiograph is ticked: choose at least one to use")
    active = session.exposures.active
    used.sort(key=lambda exposure: exposure is not active)
    views = tuple(
        View(entry.masked if use_painted else entry.radiograph, entry.world_from_camera)
        for entry in used
    )
    return RefineRequest(
        volume,
        views,
        with_sagittal(RefineSettings() if settings is None else settings, session.landmarks.all),
        session.patient.isocenter,
        device,
        whole_first=True,
        ids=tuple(entry.id for entry in used),
        described=dict(described or {}),
    )


def with_sagittal(settings: Any, landmarks: Sequence[Landmark]) -> Any:
    """The settings with the sagittal plane that landmarks of both sides say, where they can use one."""
    if not isinstance(settings, RefineSettings) or settings.sagittal is not None:
        return settings
    known = {mark.name: mark.position for mark in landmarks if mark.position}
    return replace(settings, sagittal=sagittal_plane(known))


def rig_poses(ids: Sequence[str], rig: Sequence[Pose], first: Pose) -> dict[str, Pose]:
    """The poses of a rig whose first camera stands at `first`."""
    back = first @ rig[0].inverse().to(dtype=first.translation.dtype)
    return {
        id: back @ pose.to(dtype=first.translation.dtype) for id, pose in zip(ids, rig, strict=True)
    }
