"""The list of points in step with the session: scores, distances, layers, the scatter."""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_xreg.rayemb import rank_score
from napari_xreg.session import PointList
from napari_xreg.training import inside_image
from napari_xreg.viewer import HeatmapLayers
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.telling import show_error, show_info
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.rayemb.look import PointLook
from napari_xreg.widgets.rayemb.plots import ScatterPlot
from napari_xreg.widgets.rayemb.points import ERROR, SIMILARITY, PointsPanel, numbers_of
from napari_xreg.workflows import (
    ScoredPoints,
    ScorePointsRequest,
    copy_to_landmarks,
    score_points,
)

NUMBERS_MS = 200
"""How often the numbers of a long list follow a pose that is dragged."""
NO_TRUTH = "Only where the true pose is known: simulate a radiograph in Data."


class ListKeeper(QObject):
    """Shows the session's list of points and does what the panel asks for.

    Parameters
    ----------
    bench
        Whose session it is.
    panel, scatter, layers
        Where it is shown.
    look
        What a selected row is handed to.
    """

    changed = Signal()

    def __init__(
        self,
        bench: Workbench,
        panel: PointsPanel,
        scatter: ScatterPlot,
        layers: HeatmapLayers,
        look: PointLook,
    ) -> None:
        super().__init__()
        self._session, self._state = bench.session, bench.session.ray_points
        self._panel, self._scatter, self._layers, self._look = panel, scatter, layers, look
        self._scores = Lane(self._take_scores, score_points, name="RayEmb list")
        self._closed = False
        self._drawn = True
        self._numbers = QTimer(self)
        self._numbers.setSingleShot(True)
        self._numbers.setInterval(NUMBERS_MS)
        self._numbers.timeout.connect(self._show_numbers)
        panel.selected.connect(self._select)
        panel.add_wanted.connect(self.add)
        panel.remove_wanted.connect(self.remove)
        panel.accept_wanted.connect(self.accept)
        panel.landmark_wanted.connect(self._look_at_landmark)
        panel.landmarks_wanted.connect(self.add_landmarks)

    @property
    def drawn(self) -> bool:
        """Whether all points are drawn on the radiograph."""
        return self._drawn

    @drawn.setter
    def drawn(self, on: bool) -> None:
        self._drawn = on
        self._draw()

    # ------------------------------------------------------------------ what the user does

    def add(self) -> None:
        """Keep the point looked at."""
        look, known = self._state.look, self._state.points
        if look is None:
            return
        heatmap = self._look.heatmap
        number = 1
        while f"point {number}" in known.names:
            number += 1
        position = torch.tensor([look.position], dtype=torch.float64)
        new = PointList(
            (f"point {number}",), position, None if heatmap is None else heatmap.maps.found
        )
        self._state.set_points(known.joined(new))
        self._panel.select([len(known)])

    def add_landmarks(self) -> None:
        """All landmarks of the patient."""
        known = self._state.points
        marks = [m for m in self._session.landmarks.all if m.name not in known.names]
        if marks:
            positions = torch.tensor([m.position for m in marks], dtype=torch.float64)
            self._state.set_points(known.joined(PointList(tuple(m.name for m in marks), positions)))

    def remove(self, rows: list[int]) -> None:
        """Take rows out."""
        self._state.set_points(self._state.points.without(rows))

    def accept(self, rows: list[int]) -> None:
        """Keep rows as landmarks."""
        try:
            show_info(copy_to_landmarks(self._session, self._state.points.rows(rows)))
        except ValueError as error:
            show_error(f"{error}.")

    def _select(self, row: int) -> None:
        x, y, z = self._state.points.positions[row].tolist()
        self._look.at((x, y, z))

    def _look_at_landmark(self, name: str) -> None:
        for mark in self._session.landmarks.all:
            if mark.name == name and mark.position is not None:
                self._look.at(mark.position)

    # ------------------------------------------------------------------ what follows what

    def follow(self) -> None:
        """Another list, or another radiograph: points not looked for yet are."""
        points, prepared = self._state.points, self._state.prepared
        if prepared is not None and len(points) and points.found is None:
            self._scores.ask(ScorePointsRequest(prepared, points.positions, self._look.per_point))
        self._panel.show_points(points, self._values())
        self.show_scatter()
        self._draw()
        self.changed.emit()

    def follow_pose(self) -> None:
        """Distances, now and then."""
        if len(self._state.points) and not self._numbers.isActive():
            self._numbers.start()

    def follow_landmarks(self) -> None:
        """Those that may be looked at."""
        self._panel.show_marks([mark.name for mark in self._session.landmarks.all])

    def drop(self) -> None:
        """Templates or radiograph are others: what was asked holds no longer."""
        self._scores.drop()

    def show_scatter(self) -> None:
        """Similarity against error, if anybody looks."""
        active, points = self._session.exposures.active, self._state.points
        if not self._scatter.isVisible():
            return
        if active is None or active.truth is None:
            nothing = np.zeros(0)
            self._scatter.show_errors(nothing, nothing, np.zeros(0, bool), NO_TRUTH)
            return
        carm, values = active.radiograph.carm, self._values()
        inside = inside_image(carm.project(points.positions, active.truth), carm.detector.shape)
        self._scatter.show_errors(
            values[:, SIMILARITY - 1], values[:, ERROR - 1], inside.numpy().astype(bool)
        )

    def close(self) -> None:
        """Take no more answers."""
        self._closed = True
        self._numbers.stop()
        self._scores.close()

    def _take_scores(self, answer: ScoredPoints) -> None:
        request, points = answer.request, self._state.points
        if self._closed or request.prepared is not self._state.prepared:
            return
        if request.points is points.positions:
            self._state.set_points(points.looked_for(answer.found))

    def _values(self) -> Float[ndarray, "n 5"]:
        active = self._session.exposures.active
        if active is None:
            return numbers_of(self._state.points, None, None, None)
        return numbers_of(
            self._state.points, active.radiograph.carm, active.world_from_camera, active.truth
        )

    def _show_numbers(self) -> None:
        if not self._closed:
            self._panel.model.update(self._values())

    def _draw(self) -> None:
        active, found = self._session.exposures.active, self._state.points.found
        if active is None:
            return
        detector = active.radiograph.carm.detector
        if found is None or not self._drawn:
            self._layers.show_found(detector, np.zeros((0, 2)), np.zeros(0))
            return
        score = rank_score(found.posterior, "certainty").cpu()
        rank = score.argsort().argsort().double().numpy()
        self._layers.show_found(detector, found.pixels.numpy(), rank / max(len(rank) - 1, 1))
