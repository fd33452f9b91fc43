"""What the Landmarks widget draws on the radiograph beside picks and projections."""

from napari_xreg.landmarks import Detections
from napari_xreg.session import Exposure, Result, Session
from napari_xreg.viewer import DetectorCanvas, Ellipse
from napari_xreg.workflows import Solved

_AGREES = ("used", "open", "one side")


class LandmarksDrawing:
    """Ellipses, samples, what was dropped; and from where landmarks are projected.

    Parameters
    ----------
    canvas
        Of the viewer.
    session
        Whose active radiograph it shows.
    """

    def __init__(self, canvas: DetectorCanvas, session: Session) -> None:
        self._canvas, self._session = canvas, session
        self._predicted = False

    def show(self, solved: Solved | None, *, at_solution: bool, predicted: bool) -> None:
        """A solution.

        Parameters
        ----------
        at_solution
            Project the landmarks from its pose, not from the session's.
        predicted
            Draw where the projections are to be expected, from the covariance of its pose.
        """
        landmarks = self._canvas.landmarks
        landmarks.pin(None if solved is None or not at_solution else solved.pose)
        verdicts = {} if solved is None else solved.verdicts
        landmarks.picked.mark_dropped([n for n, v in verdicts.items() if v.fate not in _AGREES])
        active = self._session.exposures.active
        ellipses = []
        for mark in () if active is None else active.landmarks:
            if mark.pixel is not None and mark.covariance is not None:
                verdict = verdicts.get(mark.name)
                weight = None if verdict is None else verdict.weight
                ellipses.append(Ellipse(mark.pixel, mark.covariance, weight))
        detector = None if active is None else active.radiograph.carm.detector
        self._canvas.detections.show_ellipses(ellipses, detector)
        self.show_predicted(solved, predicted)

    def show_predicted(self, solved: Solved | None, wanted: bool) -> None:
        """The 95 % ellipses of the projections, or none."""
        if wanted and solved is not None and solved.pose is not None:
            registration = solved.registration()
            result = Result("landmarks", (solved.request.radiograph,), registration, {})
            self._canvas.show_uncertainty(result)
            self._predicted = True
        elif self._predicted:
            self._canvas.show_uncertainty(None)
            self._predicted = False

    def show_samples(self, found: Detections | None, radiograph: Exposure | None) -> None:
        """The passes of a detector, if they are of the active radiograph; None: none."""
        active = self._session.exposures.active
        if active is None or found is None or active is not radiograph:
            self._canvas.detections.show_samples((), None, None)
            return
        detector = active.radiograph.carm.detector
        self._canvas.detections.show_samples(found.names, found.samples.numpy(), detector)

    def clear(self) -> None:
        """The canvas goes back to what the session says."""
        self.show(None, at_solution=False, predicted=False)
        self._canvas.detections.show_ellipses((), None)
        self.show_samples(None, None)
