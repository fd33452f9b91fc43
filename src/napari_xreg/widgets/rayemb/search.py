"""From heatmaps to a pose: correspondences searched for in the background, the pose, refinement."""

from collections.abc import Callable

from qtpy.QtCore import QObject, Signal

from napari_xreg.rayemb import FoundPoints, Located, SearchRound
from napari_xreg.session import Exposure, PointList
from napari_xreg.widgets.docks.opening import opened
from napari_xreg.widgets.jobs.jobs import Job
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.telling import report, show_error, show_warning
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.pose.words import truth_error_mm
from napari_xreg.widgets.rayemb.pose import PosePanel
from napari_xreg.widgets.refine.choices import RefineChoices
from napari_xreg.widgets.refine.widget import RefineWidget
from napari_xreg.workflows import (
    RAYEMB_SPREAD,
    RAYEMB_STARTS,
    FindPointsRequest,
    LocateRequest,
    find_points,
    locate,
)


class PoseSearch(QObject):
    """What the buttons of a `PosePanel` do.

    Parameters
    ----------
    bench
        Whose session it works on.
    panel
        Settings, buttons, words.
    """

    refining = Signal()
    """A refinement is about to begin: its pictures matter now."""

    def __init__(self, bench: Workbench, panel: PosePanel) -> None:
        super().__init__()
        self._bench, self._panel = bench, panel
        self._session, self._state = bench.session, bench.session.ray_points
        self._job: Job | None = None
        self._solved: Located | None = None
        self._then: Callable[[Located], None] | None = None
        self._own = PointList()
        self._added: set[str] = set()
        self._lane = Lane(self._take_pose, locate, on_error=self._fail_pose, name="RayEmb pose")
        panel.find_wanted.connect(self.find)
        panel.cancel_wanted.connect(self.cancel)
        panel.pose_wanted.connect(self.solve)
        panel.accept_wanted.connect(self.accept)
        panel.refine_wanted.connect(self.refine)
        panel.train_wanted.connect(self.train)

    @property
    def finding(self) -> bool:
        """Whether correspondences are being searched for."""
        return self._job is not None and self._job.running

    @property
    def solved(self) -> Located | None:
        """The pose of the list as it is."""
        return self._solved

    # ------------------------------------------------------------------ correspondences

    def find(self) -> None:
        """Search; each round replaces what the last search found, other points stay."""
        prepared, session, panel = self._state.prepared, self._session, self._panel
        if prepared is None or self.finding:
            return
        try:
            settings = panel.settings
        except ValueError as error:
            show_error(f"RayEmb: {error}.")
            return
        in_structures = panel.in_structures and session.patient.labels is not None
        request = FindPointsRequest(
            prepared,
            session.patient.labels if in_structures else None,
            session.patient.structures,
            panel.above.value(),
            panel.points.value(),
            settings,
        )
        listed = self._state.points
        self._own = listed.without(
            [i for i, name in enumerate(listed.names) if name in self._added]
        )

        panel.words.setText("Computing heatmaps for all points …")
        self._job = self._bench.jobs.start(
            "RayEmb correspondences",
            lambda control: find_points(request, control=control),
            on_event=lambda newest, _: self._take_round(newest),
            on_result=self._finish,
            on_error=self._fail,
            total=settings.redraws + 1,
            description="Finding correspondences",
        )
        self.follow()

    def cancel(self) -> None:
        """End after this round."""
        if self._job is not None:
            self._job.cancel()

    def forget(self) -> None:
        """CT, radiograph or weights changed: nothing of this holds."""
        if self._job is not None and self._job.running:
            self._job.abandon()
            self._panel.words.setText("Stopped: the CT, the radiograph or the weights changed.")
        self._job = None
        self._drop_pose()

    def _take_round(self, newest: SearchRound) -> None:
        self._put(newest.found)
        self._panel.words.setText(
            f"Round {newest.index + 1} of {newest.count}, {newest.seconds:.1f} s"
        )

    def _finish(self, found: FoundPoints) -> None:
        self._job = None
        self._put(found)
        self._panel.words.setText(f"{len(found)} points found; the best are first in the list.")
        self.follow()

    def _fail(self, error: Exception) -> None:
        self._job = None
        self._panel.words.setText("Failed.")
        report("RayEmb correspondences", error)
        self.follow()

    def _put(self, found: FoundPoints) -> None:
        names = tuple(f"found {int(number) + 1}" for number in found.index)
        self._added = set(names)
        self._state.set_points(self._own.joined(PointList(names, found.points, found)))

    # ------------------------------------------------------------------ the pose

    def solve(self, then: Callable[[Located], None] | None = None) -> None:
        """The pose that the list gives."""
        prepared, points = self._state.prepared, self._state.points
        if prepared is None or points.found is None:
            return
        self._then = then
        self._panel.show_verdict("Solving …")
        self._lane.ask(LocateRequest(prepared, points.found))

    def accept(self) -> None:
        """Move the C-arm there."""
        solved = self._solved
        if solved is None or solved.world_from_camera is None:
            return
        exposure = self._radiograph()
        if exposure is not None:
            self._session.poses.set(solved.world_from_camera, "rayemb", exposure=exposure.id)

    def refine(self) -> None:
        """Solve, move there, refine from several starts."""
        self.solve(self._refine_from)

    def _refine_from(self, solved: Located) -> None:
        if (solved.verdict.likelihood.probability or 0.0) < 0.5:
            show_warning(
                "RayEmb: not refined, since this pose is more likely wrong than right. Accept it and refine "
                "by hand if you know better."
            )
            return
        self.accept()
        widget = opened(self._bench.viewer, RefineWidget, "Refine")
        if widget.running:
            show_warning("RayEmb: a refinement is running already; the pose was accepted.")
            return
        self.refining.emit()
        widget.start(RefineChoices(starts=RAYEMB_STARTS, spread=RAYEMB_SPREAD))

    def train(self) -> None:
        """Open the Train widget."""
        from napari_xreg.widgets.train.widget import TrainWidget  # a second of imports

        opened(self._bench.viewer, TrainWidget, "Train")

    def _take_pose(self, answer: Located) -> None:
        then, self._then = self._then, None
        if answer.prepared is not self._state.prepared:
            return
        self._solved = answer
        pose = answer.world_from_camera
        words = answer.verdict.sentence
        if pose is not None:
            exposure = self._radiograph()
            error = None if exposure is None else truth_error_mm(self._session, exposure.id, pose)
            if error is not None:
                words += f" mTRE {error:.1f} mm (the true pose is known)."
        self._panel.show_verdict(words, answer.verdict.likelihood)
        self.follow()
        if then is not None:
            then(answer)

    def _fail_pose(self, error: Exception) -> None:
        self._then = None
        self._panel.show_verdict("Failed.")
        report("RayEmb pose", error)

    def _radiograph(self) -> Exposure | None:
        """The one that was prepared, as long as it is there."""
        exposure = self._state.exposure
        return None if exposure is None else self._session.exposures.find(exposure.id)

    def _drop_pose(self) -> None:
        self._lane.drop()
        self._then = self._solved = None
        self._panel.show_verdict("")

    # ------------------------------------------------------------------ what follows what

    def follow(self) -> None:
        """Buttons, after anything changed."""
        points, solved = self._state.points, self._solved
        if solved is not None and solved.found is not points.found:
            self._drop_pose()
            solved = None
        self._panel.show_state(
            ready=self._state.prepared is not None,
            finding=self.finding,
            listed=0 if points.found is None else len(points),
            posed=solved is not None and solved.world_from_camera is not None,
        )

    def close(self) -> None:
        """Hand nothing over any more."""
        if self._job is not None and self._job.running:
            self._job.abandon()
        self._job = None
        self._lane.close()
