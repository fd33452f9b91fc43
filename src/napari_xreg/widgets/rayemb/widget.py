"""RayEmb: click any point of the patient and see where the radiograph agrees."""

from typing import Any

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_xreg.rayemb import Looks, embedding_colours
from napari_xreg.session import Exposure
from napari_xreg.viewer import CtPick, HeatmapLayers
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.jobs.telling import show_error, show_info
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.rayemb.list import ListKeeper
from napari_xreg.widgets.rayemb.look import NOTHING, PROBABILITY, SIMILARITY, Point, PointLook
from napari_xreg.widgets.rayemb.plots import ScatterPlot, TemplateStrip
from napari_xreg.widgets.rayemb.points import PointsPanel
from napari_xreg.widgets.rayemb.pose import PosePanel
from napari_xreg.widgets.rayemb.prepare import Preparation, template_folder
from napari_xreg.widgets.rayemb.search import PoseSearch
from napari_xreg.widgets.rayemb.slices import SliceView
from napari_xreg.widgets.rayemb.weights import WeightsGroup
from napari_xreg.workflows import PrepareNetworkRequest


class RayEmbWidget(Docked):
    """Network, point, list, correspondences, plots.

    Parameters
    ----------
    napari_viewer
        Whose session is looked at.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        bench = self.workbench
        self._session = bench.session
        self._state = bench.session.ray_points
        self._layers = HeatmapLayers(bench.viewer)
        self.network = WeightsGroup()
        self.slices = SliceView()
        self.points = PointsPanel()
        self.pose = PosePanel()
        self.scatter = ScatterPlot()
        self.templates = TemplateStrip()
        self.preparation = Preparation(self._session, bench.jobs)
        self.look = PointLook(bench, self._layers)
        self.list = ListKeeper(bench, self.points, self.scatter, self._layers, self.look)
        self.search = PoseSearch(bench, self.pose)
        self._pick = CtPick(bench.viewer, self._session, self.look_at, show_info)
        self._make_controls()
        self._lay_out()
        self._connect()
        self._take_up()
        self._follow_session()
        self._follow_trained()
        self.list.follow_landmarks()
        self.look.again()

    # ------------------------------------------------------------------ what a script may call too

    def prepare(self) -> None:
        """Make templates and embed the radiograph."""
        active = self._session.exposures.active
        request = None if active is None else self._request(active)
        if active is None or request is None:
            show_error("RayEmb needs a CT and a radiograph: load them in the Data widget.")
            return
        self.preparation.start(request, active)

    def look_at(self, point: Point) -> None:
        """Show where a point of the patient (LPS, mm) is on the radiograph."""
        self.look.at(point)

    def teardown(self) -> None:
        """Stop everything; the points stay in the session."""
        self._pick.close()
        self.look.close()
        self.list.close()
        self.search.close()
        self.preparation.close()
        alive = not self.workbench.closed
        if alive:
            self._state.set_look(None)
        self._layers.close(remove_layers=alive)

    # ------------------------------------------------------------------ preparing

    def _request(self, active: Exposure) -> PrepareNetworkRequest | None:
        session, group = self._session, self.network
        if session.patient.volume is None:
            return None
        return PrepareNetworkRequest(
            session.patient.volume,
            active.masked,
            session.patient.labels,
            session.patient.isocenter if group.about_isocenter else None,
            group.weights,
            group.settings,
            self._state.prepared,
            template_folder(),
        )

    def _take_up(self) -> None:
        """What an earlier widget of this viewer prepared."""
        prepared, active = self._state.prepared, self._session.exposures.active
        if prepared is None:
            return
        file = prepared.weights.file
        if file is not None:
            self.network.use(file)
        request = None if active is None else self._request(active)
        if request is not None and request.key == prepared.key:
            self.preparation.remember(request)

    def _follow_weights(self) -> None:
        """Other weights or settings: what was prepared is not theirs."""
        active, prepared = self._session.exposures.active, self._state.prepared
        request = None if active is None else self._request(active)
        if prepared is not None and request is not None and request.key != prepared.key:
            self._state.set_prepared(None)
            self.preparation.words = "Other weights or reference views: prepare again."
        self._follow_preparation()

    def _follow_trained(self) -> None:
        self.network.show_trained(self._session)

    def _follow_preparation(self) -> None:
        prepared, session = self._state.prepared, self._session
        words = self.preparation.words
        if not words and prepared is not None:
            there = self._state.exposure
            exposure = None if there is None else session.exposures.find(there.id)
            words = (
                f"Ready: {len(prepared.templates)} reference views, {prepared.weights.words}, on "
                f"{None if exposure is None else exposure.name}."
            )
            if prepared.polarity.looks is not Looks.RIGHT:
                words += f" {prepared.polarity.sentence}"
        possible = session.patient.volume is not None and session.exposures.active is not None
        if not words:
            words = "Not prepared yet." if possible else "Load a CT and a radiograph first (Data)."
        self.network.show_state(
            words, ready=prepared is not None, running=self.preparation.running, possible=possible
        )
        self.search.follow()

    def _follow_prepared(self) -> None:
        """Other templates, another radiograph, or none."""
        self.list.drop()
        self.search.forget()
        self.look.again()
        if self._state.prepared is not None:
            self.list.follow()
        self._show_embedding()
        self._follow_preparation()

    # ------------------------------------------------------------------ what follows what

    def _follow_session(self) -> None:
        self.preparation.follow()
        self.slices.show_volume(self._session.patient.volume)
        self.pose.show_session(self._session)
        self._follow_preparation()
        self.list.follow()
        self._show_embedding()

    def _follow_pose(self) -> None:
        self.look.follow_pose()
        self.list.follow_pose()

    def _follow_look(self) -> None:
        look = self._state.look
        self.slices.show_point(None if look is None else look.position)
        self.points.add.setEnabled(look is not None)
        self.readout.setText(self.look.words())
        self._show_templates()

    def _follow_tab(self) -> None:
        self._show_templates()
        self.list.show_scatter()

    def _show_templates(self) -> None:
        if self.tabs.currentWidget() is self.templates:
            self.templates.show_point(self._state.prepared, self.look.heatmap)

    def _show_embedding(self) -> None:
        active, prepared = self._session.exposures.active, self._state.prepared
        if active is None:
            return
        colours = None
        if self.embedding.isChecked() and prepared is not None and self._state.shows(active):
            colours = embedding_colours(prepared)
        self._layers.show_embedding(active.radiograph.carm.detector, colours)

    # ------------------------------------------------------------------ building

    def _make_controls(self) -> None:
        self.readout = QLabel()
        self.readout.setWordWrap(True)
        # Two lines from the beginning, or the slice would move under the mouse at the first click.
        self.readout.setMinimumHeight(2 * self.readout.fontMetrics().lineSpacing() + 10)
        self.readout.setToolTip(
            "Similarity: 0 to 1. Spread: standard deviation of where the point may be. Distances "
            "in mm at the isocenter; the error only where the true pose is known."
        )
        self.shown = QComboBox()
        self.shown.addItems([SIMILARITY, PROBABILITY, NOTHING])
        self.shown.setToolTip(
            "What is laid over the radiograph: how alike each pixel is to the point, or the "
            "probability that it is the point (softmax; sums to 1)."
        )
        self.all_points = QCheckBox("Show all points")
        self.all_points.setChecked(True)
        self.all_points.setToolTip(
            "Where all points of the list were found: yellow the best, violet the worst."
        )
        self.embedding = QCheckBox("Show feature map")
        self.embedding.setToolTip(
            "The radiograph as the network sees it: its first three principal components as "
            "colours."
        )
        self.in_viewer = QCheckBox("Click in CT layers")
        self.in_viewer.setChecked(True)
        self.in_viewer.setToolTip(
            "A click or drag on a selected CT or label layer of the viewer (2D display) chooses "
            "its point, too."
        )

    def _lay_out(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(6)
        column.addWidget(self.network)
        column.addWidget(self.slices, 3)
        column.addWidget(self.readout)
        show = QHBoxLayout()
        show.setSpacing(4)
        show.addWidget(QLabel("Show"))
        show.addWidget(self.shown, 1)
        column.addLayout(show)
        more = QHBoxLayout()
        more.addWidget(self.all_points)
        more.addWidget(self.embedding)
        more.addStretch(1)
        column.addLayout(more)
        column.addWidget(self.in_viewer)
        self.tabs = QTabWidget()
        self.tabs.addTab(self.points, "Points")
        self.tabs.addTab(self.pose, "Pose")
        self.tabs.addTab(self.scatter, "Errors")
        self.tabs.addTab(self.templates, "Reference views")
        self.tabs.setMinimumHeight(310)  # the search and its buttons, whole
        column.addWidget(self.tabs, 2)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scrolled(inner))
        self.setMinimumWidth(300)

    def _connect(self) -> None:
        session, state = self._session, self._state
        self.network.prepare_wanted.connect(self.prepare)
        self.network.cancel_wanted.connect(self.preparation.cancel)
        self.network.chosen.connect(self._follow_weights)
        self.preparation.changed.connect(self._follow_preparation)
        self.slices.picked.connect(self.look_at)
        self.look.changed.connect(self._follow_look)
        self.list.changed.connect(self.search.follow)
        self.search.refining.connect(self._step_back)
        self.pose.form.changed.connect(self._set_per_point)
        self.shown.currentTextChanged.connect(lambda what: setattr(self.look, "shown", what))
        self.all_points.toggled.connect(lambda on: setattr(self.list, "drawn", on))
        self.embedding.toggled.connect(lambda _: self._show_embedding())
        self.in_viewer.toggled.connect(lambda on: setattr(self._pick, "on", on))
        self.tabs.currentChanged.connect(lambda _: self._follow_tab())
        for signal, slot in (
            (session.patient.changed, self._follow_session),
            (session.exposures.changed, self._follow_session),
            (session.exposures.active_changed, self._follow_session),
            (session.exposures.mask_changed, self._follow_session),
            (session.poses.changed, self._follow_pose),
            (session.landmarks.changed, self.list.follow_landmarks),
            (session.weights.changed, self._follow_trained),
            (state.prepared_changed, self._follow_prepared),
            (state.points_changed, self.list.follow),
            (self.workbench.point_clicked, self.look_at),
            (self.workbench.point_dragged, self.look_at),
        ):
            self.listen(signal, slot)

    def _step_back(self) -> None:
        """A refinement shows its own pictures on the same radiograph."""
        self.shown.setCurrentText(NOTHING)
        self.all_points.setChecked(False)

    def _set_per_point(self) -> None:
        count = self.pose.form["per_point"].value
        if count != self.look.per_point:
            self.look.per_point = count
            self.look.again()
