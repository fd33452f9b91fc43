"""One refinement of a session, on its way: a frozen request, and what happens to it."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from qtpy.QtCore import QObject, Signal
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.progress import Control
from napari_xreg.registration import (
    AdamSettings,
    Iterate,
    RefineSettings,
    Registration,
    View,
    refine,
    refine_adam,
)
from napari_xreg.rendering import OutOfMemory, volume_on
from napari_xreg.session import Rendering, Session, rendered
from napari_xreg.widgets.jobs.jobs import Job, Jobs, report
from napari_xreg.widgets.jobs.memory_words import say_too_large
from napari_xreg.widgets.parts.device_choice import preferred_device
from napari_xreg.widgets.refine.choices import expected_iterates

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class RefineRequest:
    """Everything a refinement needs, captured: `events` may run in any thread.

    Parameters
    ----------
    volume
        `Session.rendering` when it was asked for.
    ids
        Of the radiographs (`Exposure.id`: they may be renamed meanwhile), in the order of `views`;
        the first is the one shown.
    views
        Radiographs, masked, with their starting poses.
    settings
        Of the library.
    isocenter
        Pivot, world mm.
    described
        The choices as plain values, for the session's file.
    device
        Where to refine; on the CPU after all if the CT does not fit there.
    """

    volume: Volume | Rendering
    ids: tuple[str, ...]
    views: tuple[View, ...]
    settings: RefineSettings | AdamSettings
    isocenter: Float[Tensor, "3"]
    described: Mapping[str, Any]
    device: torch.device = CPU

    def events(
        self, control: Control, too_large: Callable[[], None] = lambda: None
    ) -> Generator[Iterate, None, Registration]:
        """The refinement; `too_large` is called, in its thread, where the CPU has to stand in."""
        volume = rendered(self.volume)
        if isinstance(self.settings, AdamSettings):
            return refine_adam(
                volume,
                self.views,
                settings=self.settings,
                isocenter=self.isocenter,
                control=control,
            )
        return refine(
            self._where_it_fits(volume, too_large),
            self.views,
            settings=self.settings,
            isocenter=self.isocenter,
            control=control,
        )

    def _where_it_fits(self, volume: Volume, too_large: Callable[[], None]) -> Volume:
        try:
            return volume_on(volume, self.device)
        except OutOfMemory:
            too_large()
            return volume

    @property
    def levels(self) -> int:
        """Of its pyramid."""
        if isinstance(self.settings, AdamSettings):
            return len(self.settings.pixels)
        return len(self.settings.levels)

    def poses_at(self, iterate: Iterate) -> dict[str, Pose]:
        """Of every radiograph, by its id: they move together."""
        return rig_poses(
            self.ids, [view.world_from_camera for view in self.views], iterate.world_from_camera
        )


def rig_poses(
    ids: tuple[str, ...], rig: list[Pose] | tuple[Pose, ...], first: Pose
) -> dict[str, Pose]:
    """The poses of a rig whose first camera stands at `first`."""
    back = first @ rig[0].inverse().to(dtype=first.translation.dtype)
    return {
        id: back @ pose.to(dtype=first.translation.dtype) for id, pose in zip(ids, rig, strict=True)
    }


def request_of(
    session: Session,
    settings: RefineSettings | AdamSettings,
    described: Mapping[str, Any],
    *,
    use_painted: bool = True,
) -> RefineRequest:
    """Capture the session as it is; the active radiograph comes first if it is used.

    Raises
    ------
    ValueError
        If there is nothing to refine, in words for the user.
    """
    volume = session.rendering
    if volume is None:
        raise ValueError("there is no CT: load one in the Data widget first")
    used = [exposure for exposure in session.exposures if exposure.used]
    if not session.exposures:
        raise ValueError("there is no radiograph: load one in the Data widget first")
    if not used:
        raise ValueError("no radiograph is ticked: choose at least one to use")
    active = session.active
    used.sort(key=lambda exposure: active is None or exposure.name != active.name)
    views = tuple(
        View(entry.masked if use_painted else entry.radiograph, entry.world_from_camera)
        for entry in used
    )
    return RefineRequest(
        volume,
        tuple(entry.id for entry in used),
        views,
        settings,
        session.isocenter,
        dict(described),
        preferred_device(),
    )


class RefineRun(QObject):
    """A refinement in the background; its result goes to the session, whoever still looks.

    Parameters
    ----------
    session
        Where the result goes; if its CT or a radiograph used changes meanwhile, the result is
        dropped, for it would belong to something that is no longer there.
    jobs
        Of the viewer.
    request
        What to run.
    one_step
        Make one iteration, then wait.
    kept
        Makes of the registration what the session keeps; None: the registration itself.
    """

    advanced = Signal(list)
    """New iterates, in order."""
    ended = Signal(object)
    """The name of the result in the session, or None where there is none."""

    def __init__(
        self,
        session: Session,
        jobs: Jobs,
        request: RefineRequest,
        *,
        one_step: bool = False,
        kept: Callable[[Registration], Registration] | None = None,
    ) -> None:
        super().__init__()
        self.request = request
        self.kept = kept
        self._session = session
        self._dropped = ""
        self._too_large = False
        self._one_step = one_step
        session.volume_changed.connect(self._check)
        session.radiographs_changed.connect(self._check)
        self.job: Job = jobs.start(
            "Refinement",
            self._make,
            on_event=self._take,
            on_result=self._finish,
            on_error=self._fail,
            total=expected_iterates(request.settings),
            description="Refining",
        )

    @property
    def running(self) -> bool:
        """Until the result was handed over."""
        return self.job.running

    @property
    def dropped(self) -> str:
        """Why there will be no result; empty where there will be one."""
        return self._dropped

    def _make(self, control: Control) -> Generator[Iterate, None, Registration]:
        if self._one_step:
            control.step()
        return self.request.events(control, self._note_too_large)

    def _note_too_large(self) -> None:
        self._too_large = True

    def _take(self, _newest: Iterate, iterates: list[Iterate]) -> None:
        if self._too_large:
            say_too_large(self.request.volume, self.request.device)
        if not self._dropped:
            self.advanced.emit(iterates)

    def _finish(self, registration: Registration) -> None:
        self._leave()
        if self._dropped:
            self.ended.emit(None)
            return
        if self.kept is not None:
            registration = self.kept(registration)
        names = [self._session.named(id) or "" for id in self.request.ids]
        name = self._session.add_result(
            registration, names, self.request.described, name="refinement"
        )
        self.ended.emit(name)

    def _fail(self, error: Exception) -> None:
        self._leave()
        if not self._dropped:
            report("Refinement", error)
        self.ended.emit(None)

    def _check(self) -> None:
        """Whether what is being refined is still there."""
        if self._session.rendering is not self.request.volume:
            self._drop("the CT or the structures shown changed")
            return
        there = {exposure.id: exposure for exposure in self._session.exposures}
        for id, view in zip(self.request.ids, self.request.views, strict=True):
            if id not in there:
                self._drop("a radiograph it uses was removed")
            elif there[id].radiograph.carm is not view.radiograph.carm:
                self._drop(f"{there[id].name} was changed")

    def _drop(self, why: str) -> None:
        self._dropped = why
        self.job.cancel()

    def _leave(self) -> None:
        self._session.volume_changed.disconnect(self._check, missing_ok=True)
        self._session.radiographs_changed.disconnect(self._check, missing_ok=True)
