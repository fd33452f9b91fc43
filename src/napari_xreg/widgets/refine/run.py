"""One refinement of a session, on its way: a frozen request, and what happens to it."""

from collections.abc import Callable, Generator

from qtpy.QtCore import QObject, Signal

from napari_xreg.progress import Control
from napari_xreg.registration import Iterate, Registration, solver_of
from napari_xreg.session import Session
from napari_xreg.widgets.jobs.jobs import Job, Jobs
from napari_xreg.widgets.jobs.memory_words import say_too_large
from napari_xreg.widgets.jobs.telling import report
from napari_xreg.workflows import BonesAlone, OnCpuInstead, RefineRequest, TryingOthers, refine


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
    explaining = Signal()
    """The result is not trusted: what else would explain the radiographs is tried."""
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
        self._one_step = one_step
        session.patient.changed.connect(self._check)
        session.exposures.changed.connect(self._check)
        self.job: Job = jobs.start(
            "Refinement",
            self._make,
            on_event=self._take,
            on_result=self._finish,
            on_error=self._fail,
            total=solver_of(request.settings).most_iterates(request.settings),
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

    def _make(
        self, control: Control
    ) -> Generator[Iterate | OnCpuInstead | BonesAlone | TryingOthers, None, Registration]:
        if self._one_step:
            control.step()
        return refine(self.request, control=control)

    def _take(
        self, _newest: object, events: list[Iterate | OnCpuInstead | BonesAlone | TryingOthers]
    ) -> None:
        iterates = [event for event in events if isinstance(event, Iterate)]
        if any(isinstance(event, OnCpuInstead) for event in events):
            say_too_large(self.request.volume, self.request.device)
        if iterates and not self._dropped:
            self.advanced.emit(iterates)
        if not self._dropped and any(isinstance(event, TryingOthers) for event in events):
            self.explaining.emit()

    def _finish(self, registration: Registration) -> None:
        self._leave()
        if self._dropped:
            self.ended.emit(None)
            return
        if self.kept is not None:
            registration = self.kept(registration)
        self.ended.emit(
            self._session.results.add(registration, self.request.ids, self.request.described)
        )

    def _fail(self, error: Exception) -> None:
        self._leave()
        if not self._dropped:
            report("Refinement", error)
        self.ended.emit(None)

    def _check(self) -> None:
        """Whether what is being refined is still there."""
        if self._session.patient.rendering is not self.request.volume:
            self._drop("the CT or the structures shown changed")
            return
        there = {exposure.id: exposure for exposure in self._session.exposures.all}
        for id, view in zip(self.request.ids, self.request.views, strict=True):
            if id not in there:
                self._drop("a radiograph it uses was removed")
            elif there[id].radiograph.carm is not view.radiograph.carm:
                self._drop(f"{there[id].name} was changed")

    def _drop(self, why: str) -> None:
        self._dropped = why
        self.job.cancel()

    def _leave(self) -> None:
        self._session.patient.changed.disconnect(self._check, missing_ok=True)
        self._session.exposures.changed.disconnect(self._check, missing_ok=True)
