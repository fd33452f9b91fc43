"""Landmarks: pair points of the CT with points of the radiograph, and see the pose they give."""

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xreg.images import FrameUnknown, LandmarkFrame, read_landmarks
from napari_xreg.landmarks import Detections
from napari_xreg.widgets.data.questions import OneOf
from napari_xreg.widgets.data.reading import FRAMES
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.docks.opening import found, opened
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.telling import show_error, show_info, show_warning
from napari_xreg.widgets.landmarks.detection import DetectionPanel
from napari_xreg.widgets.landmarks.drawing import LandmarksDrawing
from napari_xreg.widgets.landmarks.pick_panel import PickPanel
from napari_xreg.widgets.landmarks.result import LandmarksResult
from napari_xreg.widgets.landmarks.solving import LiveSolution
from napari_xreg.widgets.landmarks.table import LandmarksModel, LandmarksTable
from napari_xreg.widgets.landmarks.weighting import COVARIANCE, WeightingPanel
from napari_xreg.widgets.parts.collapsible import Collapsible
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.refine.choices import RefineChoices
from napari_xreg.widgets.refine.widget import RefineWidget
from napari_xreg.widgets.slices.widget import SlicesWidget
from napari_xreg.workflows import (
    LANDMARK_SPREAD,
    LANDMARK_STARTS,
    Pixel,
    Placed,
    PlaceRequest,
    Places,
    Position,
    Side,
    Solved,
    Template,
    landmark_rows,
    pick_landmark,
    place_landmark,
    remove_landmark,
    rename_landmark,
    save_landmarks,
    set_landmark_sigma,
    set_landmark_ticked,
    set_landmark_visible,
    take_detected,
    take_landmarks,
    take_placed,
)


class LandmarksWidget(Docked):
    """Picking, table, weights, pose.

    Parameters
    ----------
    napari_viewer
        Whose session is worked on.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        bench = self.workbench
        self._session = bench.session
        self._canvas = bench.canvas
        self._drawing = LandmarksDrawing(bench.canvas, bench.session)
        self._placing = Lane(self._take_placed, name="Landmarks of the label map")
        self.picking = PickPanel(bench)
        self.model = LandmarksModel(self._canvas.landmarks.colours)
        self.table = LandmarksTable(self.model)
        self.weighting = WeightingPanel()
        self.result = LandmarksResult()
        self._live = LiveSolution(bench.session, self.weighting, self.result.follow.isChecked)
        self.detection = DetectionPanel(self._session, bench.jobs)
        self._lay_out()
        self._connect()
        self._follow_session()

    @property
    def solved(self) -> Solved | None:
        """What is shown."""
        return self._live.shown

    @property
    def busy(self) -> bool:
        """Whether a solution is under way."""
        return self._live.busy

    @property
    def places(self) -> Places:
        """Which landmarks there are, and where."""
        return self.picking.places

    # ------------------------------------------------------------------ what is shown

    def _show(self) -> None:
        session, solved = self._session, self.solved
        rows = landmark_rows(session, self.places, solved, self.weighting.hand_sigma_px)
        self.model.show(rows)
        why = "" if session.exposures.active else "Load a CT and a radiograph first (Data)."
        self.result.show_solved(solved, session, why)
        self._draw()

    def _draw(self) -> None:
        following = self.result.follow.isChecked()
        ellipses = self.result.ellipses.isChecked()
        self._drawing.show(self.solved, at_solution=not following, predicted=ellipses)

    # ------------------------------------------------------------------ what the user does

    def pick_pixel(self, pixel: Pixel) -> None:
        """The radiograph was clicked while a landmark is being picked."""
        self._picked("radiograph", pixel)

    def pick_position(self, position: Position) -> None:
        """The CT was clicked, in slices or in the room: (x, y, z), LPS mm."""
        self._picked("patient", position)

    def _picked(self, side: Side, at: Any) -> None:
        name, before = self.picking.guide.name, self.places
        if name is None or (side == "radiograph" and self._session.exposures.active is None):
            return
        self._live.acted = True
        if side == "patient":
            place_landmark(self._session, name, at)
        else:
            pick_landmark(self._session, name, at)
        self.picking.guide.clicked(side, before, self.places)

    def _drag(self, name: str, pixel: Pixel) -> None:
        if self._live.held is None:
            self.workbench.preview.begin_drag()
        self._live.held = name, pixel
        self._canvas.landmarks.picked.hold(name, pixel)
        self.table.choose(name)
        self._live.solve(acted=True)

    def _drop(self, name: str, pixel: Pixel) -> None:
        self._end_drag()
        self._live.acted = True
        with self._session.one_step(f"move landmark {name}", since_recorded=True):
            pick_landmark(self._session, name, pixel)

    def _drag_in_layer(self, name: str, pixel: Pixel) -> None:
        """napari's own tool drags it; the layer draws it already, and tells the session at the end."""
        self._live.held = name, pixel
        self._live.solve(acted=True)

    def _end_drag(self) -> None:
        if self._live.held is not None:
            self._live.held = None
            self._canvas.landmarks.picked.hold("", None)
            self.workbench.preview.end_drag()

    def _act(self) -> None:
        """The user is about to change a landmark elsewhere."""
        self._live.acted = True

    def _tick(self, name: str, ticked: bool) -> None:
        self._live.acted = True
        set_landmark_ticked(self._session, name, ticked)

    def _rename(self, old: str, new: str) -> None:
        if old == new:
            return
        self._canvas.landmarks.colours.renamed(old, new)
        try:
            rename_landmark(self._session, old, new, others=self.places.names)
        except ValueError as error:
            show_error(f"{error}.")
            return
        self.picking.renamed(old, new)

    def _set_sigma(self, name: str, sigma: float) -> None:
        self._live.acted = True
        set_landmark_sigma(self._session, name, sigma)

    def remove(self) -> None:
        """Forget the chosen landmark: its pick on the radiograph, else its position in the CT."""
        name = self.table.name
        if name is not None:
            self._live.acted = True
            remove_landmark(self._session, name, patient=name not in self.places.radiograph)

    def toggle_visible(self) -> None:
        """Mark the chosen landmark as invisible on this radiograph, or as visible again."""
        active, name = self._session.exposures.active, self.table.name
        mark = next((m for m in (active.landmarks if active else ()) if m.name == name), None)
        if mark is not None:
            self._live.acted = True
            set_landmark_visible(self._session, mark.name, not mark.visible)

    def use_file(self, path: str, write: bool, frame: LandmarkFrame | None = None) -> None:
        """Load or save landmarks of the CT and of this radiograph.

        Where a file does not say which axes its positions have, and `frame` does not either, the
        user is asked.
        """
        name = Path(path).name
        try:
            if write:
                show_info(f"{save_landmarks(self._session, path)} landmarks written to {name}")
            elif not take_landmarks(self._session, read_landmarks(path, frame=frame)):
                show_warning(f"{name} holds pixels: load the radiograph they belong to first.")
        except FrameUnknown:
            self.question = OneOf(
                f"{name} does not say which axes its x, y, z have. Which?", FRAMES, self
            )
            self.question.answered.connect(lambda said: self.use_file(path, False, said))
            self.question.open()
        except (OSError, ValueError) as error:
            show_error(f"Landmarks: {error}.")

    def place(self, template: Template) -> None:
        """Place the landmarks of a region that follow from the label map."""
        labels = self._session.patient.labels
        if labels is not None:
            self._placing.ask(PlaceRequest(template, labels))

    def _take_placed(self, placed: Placed) -> None:
        # A label map that has gone meanwhile was perhaps another patient's.
        if not self.torn_down and placed.labels is self._session.patient.labels:
            self.keep_words(placed.words(take_placed(self._session, placed)), error=False)

    def use_pose(self) -> None:
        """Move the C-arm there, on record; the result is kept."""
        solved = self.solved
        if solved is None or solved.pose is None:
            return
        radiograph = solved.request.radiograph
        if self._session.exposures.find(radiograph) is None:
            return
        with self._session.one_step("landmarks", since_recorded=True):
            self._session.poses.set(solved.pose, "landmarks", exposure=radiograph)
            self._session.results.add(
                solved.registration(), [radiograph], {"kind": "landmarks"}, name="landmarks"
            )

    def refine(self) -> None:
        """Use the pose, then refine from some about it, in the Refine widget."""
        self.use_pose()
        refining = opened(self.workbench.viewer, RefineWidget, "Refine")
        refining.start(RefineChoices(starts=LANDMARK_STARTS, spread=LANDMARK_SPREAD))

    def open_slices(self) -> None:
        """Bring the CT's slices to the front, opened if they are not there."""
        slices = opened(self.workbench.viewer, SlicesWidget, "Slices", area="bottom")
        if self.table.name is not None:
            slices.choose(self.table.name)

    def _take_detected(self, detections: Detections, trusted: bool) -> None:
        """More passes, or all of them; the C-arm follows only what is to be trusted."""
        radiograph = self.detection.radiograph
        assert radiograph is not None
        self._live.acted = self._live.acted or trusted
        self.weighting.suggest(COVARIANCE)
        take_detected(self._session, radiograph.id, detections.landmarks())

    def _draw_samples(self, *_: object) -> None:
        wanted = self.detection.samples.isChecked()
        self._drawing.show_samples(
            self.detection.detections if wanted else None, self.detection.radiograph
        )

    # ------------------------------------------------------------------ following the session

    def _follow_session(self) -> None:
        active = self._session.exposures.active
        self.picking.refresh()
        self.detection.follow()
        self._draw_samples()
        if self._live.held is not None and (
            active is None or self._live.held[0] not in {mark.name for mark in active.landmarks}
        ):
            self._end_drag()
        self._live.solve()

    def _landmarks_changed(self) -> None:
        if self._live.held is not None and not self.workbench.preview.dragging:
            self._live.held = None  # napari's own tool has let go
            self._live.acted = True
        self._follow_session()

    def _choose(self, name: str) -> None:
        """A row was chosen: that landmark is the one to pick, if any is."""
        self.picking.choose(name)
        self._canvas.landmarks.picked.choose(name)
        slices = found(self.workbench.viewer, SlicesWidget)
        if slices is not None:
            slices.choose(name)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Escape stops picking, Delete removes the chosen landmark."""
        if event is not None and event.key() == Qt.Key.Key_Escape and self.picking.guide.name:
            self.picking.stop()
        elif event is not None and event.key() == Qt.Key.Key_Delete:
            self.remove()
        else:
            super().keyPressEvent(event)

    def teardown(self) -> None:
        """The canvas goes back to what the session says."""
        self._live.close()
        self._placing.close()
        self.picking.let_go()
        self.detection.let_go()
        if not self.workbench.closed:
            self._end_drag()
            self._drawing.clear()

    # ------------------------------------------------------------------ building

    def _lay_out(self) -> None:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(6)
        column.addWidget(self.picking)
        column.addWidget(self.table, 1)
        column.addWidget(self.result)
        self.weights = Collapsible("Weights and outliers", self.weighting)
        self.weights.expand(animate=False)
        column.addWidget(self.weights)
        self.detector = Collapsible("Detector", self.detection)
        self.detector.expand(animate=False)
        column.addWidget(self.detector)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scrolled(inside))
        self.setMinimumWidth(290)

    def _connect(self) -> None:
        session = self._session
        self._live.changed.connect(self._show)
        self.listen(session.landmarks.changed, self._landmarks_changed)
        for signal in (
            session.exposures.active_changed,
            session.exposures.changed,
            session.patient.changed,
        ):
            self.listen(signal, self._follow_session)
        self.picking.mouse.pixel_clicked.connect(self.pick_pixel)
        self.picking.mouse.position_clicked.connect(self.pick_position)
        self.picking.mouse.dragged.connect(self._drag)
        self.picking.mouse.dropped.connect(self._drop)
        self.picking.changed.connect(self._follow_session)
        self.listen(self.workbench.point_clicked, self.pick_position)
        self.listen(self.workbench.landmark_dropped, self._act)
        self.picking.slices_wanted.connect(self.open_slices)
        self.picking.file_chosen.connect(lambda path, write: self.use_file(path, write))
        self.picking.placing_wanted.connect(self.place)
        self.picking.remove_wanted.connect(self.remove)
        self.picking.visibility_wanted.connect(self.toggle_visible)
        self.picking.guide.changed.connect(self._follow_guide)
        self.picking.mouse.pressed.connect(self.table.choose)
        self.listen(session.weights.changed, self.detection.show_weights)
        self.detection.found.connect(self._take_detected)
        self.detection.samples_wanted.connect(self._draw_samples)
        self.listen(self._canvas.landmarks.picked.chosen, self.table.choose)
        self.listen(self._canvas.landmarks.picked.dragged, self._drag_in_layer)
        self.model.ticked.connect(self._tick)
        self.model.renamed.connect(self._rename)
        self.model.sigma_given.connect(self._set_sigma)
        self.table.chosen.connect(self._choose)
        self.weighting.changed.connect(lambda: self._live.solve(acted=True))
        self.result.use_wanted.connect(self.use_pose)
        self.result.refine_wanted.connect(self.refine)
        self.result.other_wanted.connect(self._live.go_to_other)
        self.result.follow_changed.connect(self._set_follow)
        self.result.ellipses_changed.connect(
            lambda wanted: self._drawing.show_predicted(self.solved, wanted)
        )

    def _follow_guide(self) -> None:
        name = self.picking.guide.name
        if name is not None:
            self.table.choose(name)

    def _set_follow(self, on: bool) -> None:
        self._draw()
        if on:
            self._live.solve(acted=True)
