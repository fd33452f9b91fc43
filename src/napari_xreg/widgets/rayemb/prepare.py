"""Preparing RayEmb: templates rendered and embedded, the radiograph embedded; and when it expires."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from platformdirs import user_cache_path
from qtpy.QtCore import QObject, Signal

from napari_xreg.progress import Control
from napari_xreg.rayemb import PreparedNetwork, TemplateMade
from napari_xreg.session import Exposure, Session, same_picture
from napari_xreg.widgets.jobs.jobs import Job, Jobs
from napari_xreg.widgets.jobs.telling import report, show_warning
from napari_xreg.workflows import PrepareNetworkRequest, WeightsRead, prepare_network

MOST_BYTES = 2_000_000_000
"""Of templates kept on disk; the ones used longest ago go first."""


def template_folder() -> Path:
    """Where embedded templates are kept between sessions."""
    return user_cache_path("napari-xreg") / "templates"


def tidy(folder: Path, most_bytes: int = MOST_BYTES) -> None:
    """Delete the oldest templates beyond a size; what cannot be deleted stays."""
    try:
        files = sorted(folder.glob("templates-*"), key=lambda f: f.stat().st_mtime, reverse=True)
        kept = 0
        for file in files:
            kept += file.stat().st_size
            if kept > most_bytes:
                file.unlink()
    except OSError:
        return


class Preparation(QObject):
    """Makes what heatmaps are made of, in the background, and notices when it holds no longer.

    Parameters
    ----------
    session
        Where it is kept: `Session.ray_points`.
    jobs
        Of the viewer.
    """

    changed = Signal()
    """It began, went on, or ended: see `words`."""

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__()
        self._session, self._jobs = session, jobs
        self._job: Job | None = None
        self._request: PrepareNetworkRequest | None = None
        self._last: PrepareNetworkRequest | None = None
        self._exposure: Exposure | None = None  # whose radiograph is being prepared
        kept = session.ray_points.prepared
        self._volume = session.patient.volume if kept is None else kept.volume
        self._closed = False
        self.words = ""

    @property
    def running(self) -> bool:
        """Whether something is being made."""
        return self._job is not None and self._job.running

    def start(self, request: PrepareNetworkRequest, exposure: Exposure) -> None:
        """Make it of this radiograph; what was being made is given up."""
        self._abandon()
        self._exposure = exposure
        self._request = self._last = request
        self.words = "Reading the radiograph …" if request.quick else "Rendering reference views …"
        folder = request.cache

        def make(
            control: Control,
        ) -> Generator[WeightsRead | TemplateMade, None, PreparedNetwork | None]:
            made = yield from prepare_network(request, control=control)
            if folder is not None:
                tidy(folder)
            return made

        self._job = self._jobs.start(
            "Preparing RayEmb",
            make,
            on_event=self._say,
            on_result=self._take,
            on_error=self._fail,
            total=None if request.quick else request.settings.count + 1,
            description="Reading the radiograph" if request.quick else "Rendering reference views",
        )
        self.changed.emit()

    def cancel(self) -> None:
        """Give up what is being made; what was prepared before stays."""
        if self._job is not None and self._job.running:
            self.words = "Cancelling …"
            self._job.cancel()
            self.changed.emit()

    def follow(self) -> None:
        """After the session changed: drop what no longer holds, embed another radiograph."""
        session, points = self._session, self._session.ray_points
        prepared, active = points.prepared, session.exposures.active
        if self.running and self._request is not None and not self._fits(self._request):
            self._abandon()
            self.words = ""
        if self._volume is not session.patient.volume:
            self._volume = session.patient.volume
            points.clear()
            if prepared is not None:
                self.words = "The CT changed: prepare again."
            self.changed.emit()
            return
        if prepared is None or points.shows(active):
            self.changed.emit()
            return
        points.set_prepared(None)
        again = self.again(prepared)
        if again is not None and active is not None and again.quick:
            self.start(again, active)
        elif active is None:
            self.words = "There is no radiograph."
        else:
            self.words = "Another radiograph, of another size: prepare again."
        self.changed.emit()

    def again(self, prepared: PreparedNetwork) -> PrepareNetworkRequest | None:
        """What would prepare the active radiograph with the templates there are."""
        last, active, volume = (
            self._last,
            self._session.exposures.active,
            self._session.patient.volume,
        )
        if last is None or active is None or volume is None:
            return None
        return replace(last, volume=volume, radiograph=active.masked, before=prepared)

    def remember(self, request: PrepareNetworkRequest) -> None:
        """What was prepared already was made by this."""
        self._last = request

    def close(self) -> None:
        """Hand nothing over any more."""
        self._closed = True
        self._abandon()

    # ------------------------------------------------------------------ inside

    def _abandon(self) -> None:
        if self._job is not None and self._job.running:
            self._job.abandon()
        self._job = self._request = None

    def _fits(self, request: PrepareNetworkRequest) -> bool:
        """Whether what is asked for is still what the session holds."""
        same = request.volume is self._session.patient.volume
        return same and same_picture(self._exposure, self._session.exposures.active)

    def _say(self, newest: WeightsRead | TemplateMade, _: list[object]) -> None:
        if isinstance(newest, TemplateMade):
            self.words = f"{newest.index + 1} of {newest.count} reference views"
            self.changed.emit()

    def _take(self, prepared: PreparedNetwork | None) -> None:
        request, self._request, self._job = self._request, None, None
        if prepared is None:
            self.words = "Cancelled."
        elif request is None or not self._fits(request):
            self.words = "CT or radiograph changed meanwhile: prepare again."
            show_warning("RayEmb: CT or radiograph changed while reference views were rendered.")
        else:
            self.words = ""
            self._session.ray_points.set_prepared(prepared, self._exposure)
        self.changed.emit()

    def _fail(self, error: Exception) -> None:
        self._request = self._job = None
        self.words = "Failed."
        report("Preparing RayEmb", error)
        self.changed.emit()
