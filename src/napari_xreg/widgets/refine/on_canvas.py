"""The pictures of the iterations on the canvas, in place of the DRR at the session's pose."""

from collections.abc import Sequence

from napari_xreg.registration import Iterate, Registration
from napari_xreg.session import PreviewRequest
from napari_xreg.viewer import IterateLayers
from napari_xreg.widgets.jobs.live_preview import drag_threads
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.parts.device_choice import preferred_device
from napari_xreg.widgets.parts.radiograph_alone import RadiographAlone
from napari_xreg.widgets.refine.iterate_pictures import IteratePictures
from napari_xreg.widgets.refine.shown import PIXELS_AGAIN, ShownRefinement


class IterationsOnCanvas:
    """Layers of the iterates, and what else the canvas shows while they are looked at.

    Parameters
    ----------
    workbench
        Whose canvas.
    """

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench
        self.layers = IterateLayers(workbench.viewer, workbench.session)
        self._pictures = IteratePictures(self.layers)
        self._alone = RadiographAlone(workbench.canvas)

    def begin(self, shown: ShownRefinement) -> None:
        """Another refinement, whose iterations are still to come."""
        self._pictures.stop()
        rows, columns = shown.shape
        size = shown.carm.detector.size_mm
        self.layers.begin(
            shown.shape,
            (size[0] / rows, size[1] / columns),
            shown.expected,
            radiograph=shown.ids[0],
        )
        self.show(True)

    def extend(self, iterates: Sequence[Iterate]) -> Iterate | None:
        """More of them; the one that is looked at now."""
        self.layers.extend(iterates)
        return self.layers.current()

    def finish(self, registration: Registration) -> Iterate | None:
        """It ended; the one that is looked at now: the best pose is the result, not the last."""
        self.layers.finish(registration)
        if registration.ended_at is not None:
            self.layers.go(registration.ended_at)
        return self.layers.current()

    def go(self, index: int) -> None:
        """Look at another iterate."""
        self.show(True)
        self.layers.go(index)

    def show(self, show: bool) -> None:
        """The iterates in place of the DRR at the session's pose, or that again."""
        canvas, preview = self._workbench.canvas, self._workbench.preview
        if show and preview.elsewhere:
            preview.ask()  # what covers the DRR ends the comparison
        if show:
            self.layers.unhide()
        else:
            self.layers.hide()
        self._alone.show(show)
        # Landmarks at the session's pose over a picture of another would mislead.
        canvas.show_landmarks_at(None if show else self._workbench.session.poses.current)

    def draw_again(self, shown: ShownRefinement | None) -> str:
        """Draw pictures that a reopened session does not have, from the CT that it has.

        Returns
        -------
        str
            Why it cannot; empty where nothing is wanting.
        """
        volume = self._workbench.session.patient.rendering
        self._pictures.stop()
        if shown is None or not shown.name or self.layers.next_without_picture() is None:
            return ""
        if volume is None:
            return (
                "A session file keeps no pictures of the iterations; they are drawn again from its "
                "CT: load that first. Losses and poses are all here."
            )
        carm = shown.carm.at_most(PIXELS_AGAIN)
        poses = [iterate.world_from_camera for iterate in shown.iterates]
        self._pictures.fill(
            lambda number: PreviewRequest(
                volume, carm, poses[number], threads=drag_threads(), device=preferred_device()
            )
        )
        return ""

    def forget(self) -> None:
        """The DRR again, and no layers of iterations."""
        self._pictures.stop()
        self.show(False)
        self.layers.forget()

    def close(self) -> None:
        """For good; the layers go, unless the viewer itself does."""
        self._pictures.close()
        if self._workbench.closed:
            self.layers.close()  # the viewer goes: its layers are not to be touched
        else:
            self.show(False)
            self.layers.close(remove_layers=True)
