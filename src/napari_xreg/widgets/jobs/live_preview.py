"""The DRR that follows the pose: asked for on every change, painted when it arrives."""

import time

from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_xreg.geometry import Pose
from napari_xreg.progress import FullCollection
from napari_xreg.rendering import thread_count
from napari_xreg.session import Preview, PreviewRequest, Session
from napari_xreg.viewer import DetectorCanvas, preferences
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.memory_words import say_too_large
from napari_xreg.widgets.parts.device_choice import preferred_device

LEAST_PIXELS = 64
DRAG_SHARES = (1.0, 0.75, 0.625, 0.5, 0.375, 0.25)
"""Sizes of the DRR while a pose is dragged, of its longer side at rest."""
REST_MS = 500
"""After a drag, before Python may stop to collect its garbage: the last picture comes first."""
RENDERING_SHARE = 0.6
"""Of the time of a frame; the rest is for drawing it."""


def drag_threads() -> int:
    """While a pose is dragged one processor is left to the window, or both wait for each other."""
    return max(1, thread_count() - 1)


class LivePreview:
    """Keeps the canvas's DRR in step with the session.

    At rest the DRR has the radiograph's own pixels (up to `Preferences.pixels_at_rest`); while a
    pose is dragged it has fewer (`DRAG_SHARES`) if rendering all would take too much of a frame's
    time (`RENDERING_SHARE`, `Preferences.frames_per_second`).

    Parameters
    ----------
    session
        Whose pose, CT and active radiograph are rendered.
    canvas
        Where the DRR is painted.
    """

    painted = Signal(Preview)
    """A DRR was handed to the canvas."""
    looked = Signal(bool)
    """The user wants to see the DRR: of another pose than the session's (True), or of its own."""

    def __init__(self, session: Session, canvas: DetectorCanvas) -> None:
        self._session, self._canvas = session, canvas
        self._lane = Lane(self._paint, name="DRR")
        self._dragging = self._held = False
        self._elsewhere: Pose | None = None
        self._preferences = preferences()
        self._device = preferred_device()
        self._collection = FullCollection()
        self._rest = QTimer()
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self._collection.resume)
        self._drag_pixels = 0
        self._processor_seconds_per_ray = 0.0
        self._latest: Preview | None = None
        session.poses.changed.connect(self.ask)
        for signal in (
            session.patient.changed,
            session.exposures.active_changed,
            session.exposures.changed,
        ):
            signal.connect(self._anew)
        self.ask()

    @property
    def latest(self) -> Preview | None:
        """What was painted last; None where there is nothing to show."""
        return self._latest

    @property
    def busy(self) -> bool:
        """Whether a DRR is on its way."""
        return self._lane.busy

    @property
    def dragging(self) -> bool:
        """Between `begin_drag` and `end_drag`."""
        return self._dragging

    def begin_drag(self) -> None:
        """From now on speed goes before resolution."""
        self._dragging = True
        self._rest.stop()
        self._collection.postpone()
        self._drag_pixels = self.full_pixels()

    def end_drag(self) -> None:
        """Render at full resolution again, now."""
        if self._dragging:
            self._dragging = False
            self._rest.start(REST_MS)
            self.ask()

    def full_pixels(self) -> int:
        """Longer side of a DRR at rest, pixels."""
        active = self._session.exposures.active
        limit = self._preferences.pixels_at_rest
        return 0 if active is None else min(max(active.radiograph.carm.detector.shape), limit)

    def pixels(self) -> int:
        """Longer side of the DRR asked for now, pixels."""
        full = self.full_pixels()
        if not self._dragging:
            return full
        budget = RENDERING_SHARE / self._preferences.frames_per_second
        ladder = [full]
        ladder += [n for n in (round(full * s) for s in DRAG_SHARES[1:]) if n >= LEAST_PIXELS]
        rung = ladder.index(self._drag_pixels) if self._drag_pixels in ladder else 0
        while rung < len(ladder) - 1 and self._expected(ladder[rung]) > budget:
            rung += 1
        # Another size is placed anew, which costs as much as drawing it: finer only with room left.
        if rung > 0 and self._expected(ladder[rung - 1]) < 0.6 * budget:
            rung -= 1
        self._drag_pixels = ladder[rung]
        return self._drag_pixels

    def hold(self) -> None:
        """Ask for nothing until `release`: the renderer is being compiled."""
        self._held = True

    def release(self) -> None:
        """Go on, with the pose as it is now."""
        self._held = False
        self.ask()

    def ask(self) -> None:
        """Render the pose as it is now."""
        self._look(None)
        self._render()

    def _look(self, pose: Pose | None) -> None:
        self._elsewhere = pose
        self._canvas.handles.step_aside(pose is not None)

    def _render(self) -> None:
        if self._held:
            return
        volume, active = self._session.patient.rendering, self._session.exposures.active
        if volume is None or active is None:
            return
        self._lane.ask(
            PreviewRequest(
                volume,
                self._canvas.preview_carm(self.pixels()),
                self._elsewhere or active.world_from_camera,
                time.perf_counter(),
                drag_threads() if self._dragging else None,
                self._device,
            )
        )

    def look_at(self, pose: Pose | None) -> None:
        """Show the DRR of another pose for now, until the session's own is asked for again; None: now."""
        self._look(pose)
        self._render()
        self.looked.emit(pose is not None)

    @property
    def elsewhere(self) -> bool:
        """Whether another pose than the session's is shown."""
        return self._elsewhere is not None

    def close(self) -> None:
        """Stop; nothing is painted any more."""
        self._rest.stop()
        self._collection.resume()
        self._session.poses.changed.disconnect(self.ask)
        for signal in (
            self._session.patient.changed,
            self._session.exposures.active_changed,
            self._session.exposures.changed,
        ):
            signal.disconnect(self._anew)
        self._lane.close(wait_seconds=1.0)

    def _anew(self) -> None:
        """Another CT or radiograph: an answer to what was asked before must not be shown."""
        self._lane.drop()
        self._latest = None
        self._processor_seconds_per_ray = 0.0
        self._preferences = preferences()
        self._device = preferred_device()
        self.ask()

    def _expected(self, pixels: int) -> float:
        """Seconds to render so many pixels on the longer side."""
        active = self._session.exposures.active
        if active is None:
            return 0.0
        rows, columns = active.radiograph.carm.detector.shape
        share = pixels / max(rows, columns)
        rays = rows * columns * share * share
        return self._processor_seconds_per_ray * rays / drag_threads()

    def _paint(self, preview: Preview) -> None:
        threads = preview.request.threads or thread_count()
        per_ray = preview.seconds * threads / max(1, preview.image.size)
        # The quickest of late: one slow frame (compilation, a busy machine) is no measure.
        known = self._processor_seconds_per_ray
        if known:
            per_ray = min(per_ray, 0.9 * known + 0.1 * per_ray)
        self._processor_seconds_per_ray = per_ray
        self._latest = preview
        if preview.too_large:
            say_too_large(preview.request.volume, preview.request.device)
        self._canvas.show_preview(preview)
        self.painted.emit(preview)
