"""The point that is looked at: its heatmap, asked for and painted while it is dragged."""

import math

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from qtpy.QtCore import QObject, Signal

from napari_xreg.rendering import torch_threads
from napari_xreg.session import Exposure, Look
from napari_xreg.viewer import HeatmapLayers
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.parts.radiograph_alone import RadiographAlone
from napari_xreg.workflows import HeatmapRequest, Heatmaps, heatmaps

Point = tuple[float, float, float]
SIMILARITY, PROBABILITY, NOTHING = "similarity", "probability", "nothing"
one_thread = torch_threads(1)
"""A few ms of small operations, that took 50 where several threads of torch waited for each other
while the window was drawn."""

DARK_SHARE = 0.6
"""Most of an image is somewhat similar to any point: this share of it is left uncoloured."""


class PointLook(QObject):
    """Asks for heatmaps, the newest point first, and paints them on the detector canvas.

    Parameters
    ----------
    bench
        Whose session and canvas it is.
    layers
        Peak, ellipse, projection.
    """

    changed = Signal()
    """Another point, its heatmap, or neither any more; or the pose moved."""

    def __init__(self, bench: Workbench, layers: HeatmapLayers) -> None:
        super().__init__()
        self._bench, self._layers = bench, layers
        self._session, self._state = bench.session, bench.session.ray_points
        self._lane = Lane(self._take, one_thread(heatmaps), name="RayEmb")
        self._heatmap: Heatmaps | None = None
        self._closed = False
        self.per_point = 4
        """From the last click or move to its heatmap on the canvas."""
        self._shown = SIMILARITY
        # Under a heatmap the radiograph alone, darker: colours would mix, and bone be white.
        self._alone = RadiographAlone(bench.canvas, ("blend", "blink"))

    @property
    def heatmap(self) -> Heatmaps | None:
        """Of the point looked at; None until it is there."""
        heatmap, look = self._heatmap, self._state.look
        if heatmap is None or look is None or heatmap.request.points != (look.position,):
            return None
        return heatmap

    @property
    def shown(self) -> str:
        """What is laid over the radiograph."""
        return self._shown

    @shown.setter
    def shown(self, what: str) -> None:
        self._shown = what
        self.paint()

    def at(self, point: Point) -> None:
        """Look at a point of the patient: LPS, mm."""
        active = self._session.exposures.active
        self._state.set_look(Look(point, "" if active is None else active.id))
        prepared = self._state.prepared
        if prepared is not None:
            self._lane.ask(HeatmapRequest(prepared, (point,), self.per_point))
        self.changed.emit()

    def again(self) -> None:
        """Other templates or another radiograph: the same point, or nothing without them."""
        self._lane.drop()
        self._heatmap = None
        look = self._state.look
        if self._state.prepared is None or look is None:
            self._layers.hide_point()
            self._alone.show(False)
            self._bench.canvas.show_heatmap(None)
            self.changed.emit()
        else:
            self.at(look.position)

    def paint(self) -> None:
        """Heatmap, peak and ellipse in one go."""
        heatmap, active = self._heatmap, self._session.exposures.active
        if heatmap is None or active is None or not self._current(heatmap):
            return
        canvas = self._bench.canvas
        self._alone.show(self._shown != NOTHING)
        if self._shown == NOTHING:
            canvas.show_heatmap(None)
        elif self._shown == PROBABILITY:
            canvas.show_heatmap(heatmap.probability())
        else:
            similarity = heatmap.similarity()
            low = float(np.quantile(similarity, DARK_SHARE))
            high = max(float(similarity.max()), low + 1e-3)
            canvas.show_heatmap(similarity, limits=(low, high))
        self._layers.show_point(
            active.radiograph.carm.detector,
            heatmap.maps.found.pixels[0].numpy(),
            heatmap.maps.found.covariances[0].numpy(),
            projection(active, *heatmap.request.points),
        )

    def follow_pose(self) -> None:
        """The projection, after the C-arm moved."""
        heatmap, active = self.heatmap, self._session.exposures.active
        if heatmap is not None and active is not None and self._current(heatmap):
            self._layers.move_projection(
                active.radiograph.carm.detector,
                heatmap.maps.found.pixels[0].numpy(),
                projection(active, *heatmap.request.points),
            )
            self.changed.emit()

    def words(self) -> str:
        """What is known of the point, or of the one before until its heatmap is there; rich text."""
        heatmap, active = self._heatmap, self._session.exposures.active
        if heatmap is None or active is None:
            waiting = self._state.look is not None and self._state.prepared is None
            return "Prepare, to see where this point is." if waiting else ""
        carm, found = active.radiograph.carm, heatmap.maps.found
        words = [f"<b>similarity {float(found.similarity[0]):.2f}</b>"]
        inside = float(found.in_image[0])
        if math.isfinite(inside):
            words.append(f"in image {100 * inside:.0f} %")
        words.append(f"spread {float(found.spread_mm(carm)[0]):.1f} mm")
        poses = {"from the current projection": active.world_from_camera, "error": active.truth}
        for title, pose in poses.items():
            if pose is None:
                continue
            apart = float(found.distances_mm(carm, pose)[0])
            if math.isfinite(apart):
                words.append(f"{title} {apart:.1f} mm")
        return ", ".join(words)

    def close(self) -> None:
        """Take no more answers; the canvas is as it was before."""
        self._closed = True
        self._lane.close()
        if not self._bench.closed:
            self._alone.show(False)
            self._bench.canvas.drop_heatmap()

    def _current(self, heatmap: Heatmaps) -> bool:
        state = self._state
        return heatmap.request.prepared is state.prepared and state.shows(
            self._session.exposures.active
        )

    def _take(self, answer: Heatmaps) -> None:
        prepared, active = self._state.prepared, self._session.exposures.active
        if self._closed or active is None or answer.request.prepared is not prepared:
            return
        self._heatmap = answer
        self.paint()
        row, column = answer.maps.found.pixels[0].tolist()
        look = self._state.look
        if look is not None and (look.position,) == answer.request.points:
            self._state.set_look(Look(look.position, active.id, (row, column)))
        self.changed.emit()


def projection(exposure: Exposure, position: Point) -> Float[ndarray, "2"]:
    """(row, column) of a point at the current pose of a radiograph; NaN behind the source."""
    point = torch.tensor([position], dtype=torch.float64)
    pixels: ndarray = exposure.radiograph.carm.project(point, exposure.world_from_camera)[0].numpy()
    return pixels
