"""What a session holds and how it announces changes; its parts build on this."""

from psygnal import Signal
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import LabelMap, Landmark, Volume
from napari_xreg.session.exposure import Exposure
from napari_xreg.session.history import PoseHistory, PoseRecord
from napari_xreg.session.ray_points import RayPoints
from napari_xreg.session.result import Result
from napari_xreg.session.source import Source
from napari_xreg.session.state import Missing
from napari_xreg.session.weights import TrainedWeights


class Held(TrainedWeights):
    """Signals and private state of a `Session`.

    A change is complete before the first signal says so, and each signal comes once a change.
    """

    volume_changed = Signal()
    """The CT, its label map, the structures chosen, or the isocenter."""
    radiographs_changed = Signal()
    """A radiograph was added, removed, replaced, renamed or (un)used."""
    active_changed = Signal()
    """Another radiograph is the one shown and dragged."""
    pose_changed = Signal()
    """Some pose, of whatever radiograph; many times a second while one is dragged."""
    history_changed = Signal()
    """Undo, redo, a new record, or the named poses."""
    landmarks_changed = Signal()
    """Landmarks of the patient or on a radiograph."""
    mask_changed = Signal()
    """What was painted on a radiograph."""
    results_changed = Signal()
    """A registration came or went."""

    def __init__(self) -> None:
        super().__init__()
        self._volume: Volume | None = None
        self._volume_source: Source | None = None
        self._labels: LabelMap | None = None
        self._labels_source: Source | None = None
        self._structures: tuple[int, ...] = ()
        self._shown: Volume | None = None
        self._isocenter: Tensor | None = None
        self._exposures: dict[str, Exposure] = {}
        self._active: str | None = None
        self._landmarks: dict[str, Landmark] = {}
        self._results: dict[str, Result] = {}
        self._named: dict[str, PoseRecord] = {}
        self._history = PoseHistory()
        self._missing: dict[str, Missing] = {}
        self._problems: tuple[str, ...] = ()
        self.rig_locked = True
        """True: moving one radiograph's pose moves the others with it (a calibrated rig)."""
        self.ray_points = RayPoints()
        """Points that RayEmb looks for."""

    def _poses(self) -> dict[str, Pose]:
        """World from camera now, by name."""
        return {key: entry.world_from_camera for key, entry in self._exposures.items()}
