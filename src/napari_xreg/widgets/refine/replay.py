"""The refinement that is shown, in its panel and on the canvas alike: as it runs, and looked back at."""

from collections.abc import Sequence

from qtpy.QtCore import QObject, Signal

from napari_xreg.registration import Iterate
from napari_xreg.session import Result
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.refine.iterations import IterationsPanel
from napari_xreg.widgets.refine.on_canvas import IterationsOnCanvas
from napari_xreg.widgets.refine.shown import ShownRefinement


class Replay(QObject):
    """Keeps curves, readout and pictures at the same iterate.

    Parameters
    ----------
    bench
        Whose canvas.
    panel
        With the curves.
    on_canvas
        The pictures.
    """

    changed = Signal()
    """Another iteration is looked at, or another refinement, or none."""
    looked_back = Signal(object)
    """The user went to another `Iterate`."""
    wanting = Signal(str)
    """Why pictures cannot be drawn again."""

    def __init__(
        self, bench: Workbench, panel: IterationsPanel, on_canvas: IterationsOnCanvas
    ) -> None:
        super().__init__()
        self._bench, self._panel, self._canvas = bench, panel, on_canvas
        on_canvas.layers.scrubbed.connect(self._scrubbed)
        panel.picked.connect(on_canvas.go)

    @property
    def shown(self) -> ShownRefinement | None:
        """None: none is."""
        return self._panel.shown

    def is_of(self, result: Result) -> bool:
        """Whether this result is shown."""
        return self.shown is not None and self.shown.is_of(result)

    def begin(self, shown: ShownRefinement) -> None:
        """Another refinement, whose iterations are still to come."""
        self._panel.begin(shown)
        self._canvas.begin(shown)
        self.changed.emit()

    def append(self, iterates: Sequence[Iterate]) -> None:
        """More of them."""
        self._panel.append(iterates)
        self._look_at(self._canvas.extend(iterates))

    def finish(self, result: Result) -> None:
        """It ended with this."""
        assert self.shown is not None
        self.shown.registration = result.registration
        self._look_at(self._canvas.finish(result.registration))
        self.draw_again()

    def draw_again(self) -> None:
        """Draw pictures that a reopened session does not have."""
        why_not = self._canvas.draw_again(self.shown)
        if why_not:
            self.wanting.emit(why_not)

    def show_best(self) -> None:
        """Back from an earlier iteration to the pose that the refinement ended with."""
        if self.shown is not None and self.shown.ended_at is not None:
            self._canvas.go(self.shown.ended_at)

    def forget(self) -> None:
        """Show no iterations any more, nor what was plotted of them."""
        self._panel.begin(None)
        self._canvas.forget()
        self.changed.emit()

    def close(self) -> None:
        """Follow the layers no longer."""
        self._canvas.layers.scrubbed.disconnect(self._scrubbed)
        self._canvas.close()

    def _scrubbed(self, iterate: Iterate) -> None:
        self._look_at(iterate)
        active = self._bench.session.exposures.active
        if self.shown is not None and active is not None:
            self._bench.canvas.show_landmarks_at(self.shown.poses_at(iterate).get(active.id))
        self.looked_back.emit(iterate)

    def _look_at(self, iterate: Iterate | None) -> None:
        if iterate is not None:
            self._panel.look_at(iterate)
            self.changed.emit()
