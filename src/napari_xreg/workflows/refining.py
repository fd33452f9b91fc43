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
    sagittal_plane,
)
from napari_xreg.rendering import OutOfMemory, volume_on
from napari_xreg.session import Rendering, Session
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

    Bones without their soft tissue are rendered as attenuation above water, and compared near where
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
        At most once each, before the first iteration; after it what `registration.refine` yields.
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
        yield BonesAlone(words)
    try:
        there = volume_on(volume, request.device)
    except OutOfMemory:
        if not request.cpu_instead:
            raise
        yield OnCpuInstead(request.device)
        there = volume

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

    found = yield from refined(request.views, request.settings, control)
    why: tuple[str, ...] = ()
    if (
        request.explain
        and isinstance(request.settings, RefineSettings)
        and not request.settings.locked
        and worth_trying(found)
    ):
        yield TryingOthers()
        once = replace(request.settings, starts=1, beside=(), keep_images=False)
        why = why_refused(
            request.views, found, lambda views: run(refined(views, once, CancelOnly(control)))
        )
    return replace(found, notes=(*words, *found.notes, *why))


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
