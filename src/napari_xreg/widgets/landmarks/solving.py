"""The pose of the landmarks, found again whenever something about them changes."""

from collections.abc import Callable
from dataclasses import replace

from qtpy.QtCore import QObject, Signal

from napari_xreg.geometry import Pose
from napari_xreg.registration import PnPStatus
from napari_xreg.session import Session
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.landmarks.weighting import WeightingPanel
from napari_xreg.workflows import Pixel, Solved, SolveRequest, solve

_FOLLOWED = (PnPStatus.SOLVED, PnPStatus.AMBIGUOUS)


class LiveSolution(QObject):
    """Solves off the main thread; the C-arm follows where the user acted, and wants it to.

    Parameters
    ----------
    session
        Whose landmarks, and whose C-arm.
    weighting
        How they are weighed.
    follows
        Whether the C-arm is to follow.
    """

    changed = Signal()
    """There is another solution, or none."""

    def __init__(
        self, session: Session, weighting: WeightingPanel, follows: Callable[[], bool]
    ) -> None:
        super().__init__()
        self._session, self._weighting, self._follows = session, weighting, follows
        self.shown: Solved | None = None
        self.held: tuple[str, Pixel] | None = None
        """The landmark that is being dragged, and where it is meanwhile."""
        self.acted = False
        """What is being solved was caused by the user."""
        self._start: Pose | None = None  # the solution last shown: of two, the same one again
        self._lane = Lane(self._take, solve, name="Landmarks")
        self.close = self._lane.close

    @property
    def busy(self) -> bool:
        """Whether a solution is under way."""
        return self._lane.busy

    def solve(self, *, acted: bool = False) -> None:
        """Ask for the pose of the landmarks as they are."""
        self.acted = self.acted or acted
        request = self._request()
        if request is None:
            self._lane.drop()
            self._show(None)
        else:
            self._lane.ask(request)

    def go_to_other(self) -> None:
        """Of two poses that explain the landmarks, the one that is not shown."""
        if self.shown is not None and self.shown.other is not None:
            self._start = self.shown.other
            self.solve(acted=True)

    def _request(self) -> SolveRequest | None:
        session, active = self._session, self._session.exposures.active
        if active is None:
            return None
        picked = active.landmarks
        if self.held is not None:
            name, pixel = self.held
            picked = tuple(
                replace(m, pixel=pixel, covariance=None) if m.name == name else m for m in picked
            )
        carm = active.radiograph.carm
        known = self.shown is not None and self.shown.request.radiograph == active.id
        return SolveRequest(
            session.landmarks.all,
            picked,
            carm,
            frozenset(active.left_out),
            session.patient.isocenter,
            self._weighting.weighting(),
            self._weighting.settings(carm),
            self._weighting.hand_sigma_px,
            self._start if known and self._start is not None else active.world_from_camera,
            session.patient.volume,
            active.id,
        )

    def _take(self, solved: Solved) -> None:
        active = self._session.exposures.active
        if active is None or active.id != solved.request.radiograph:
            return
        acted, self.acted = self.acted, self._lane.busy and self.acted
        self._start = solved.pose
        self._show(solved)
        follow = acted and self._follows()
        if follow and solved.pose is not None and solved.solution.status in _FOLLOWED:
            self._session.poses.move(solved.pose, exposure=active.id)
            if self.held is None:
                self._session.amend()  # the pick and the pose that follows from it: one undo

    def _show(self, solved: Solved | None) -> None:
        self.shown = solved
        self.changed.emit()
