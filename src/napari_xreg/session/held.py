"""What a session holds, how a change becomes a step that can be undone, and how it is announced."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from psygnal import Signal, SignalInstance
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import LabelMap, Landmark, Volume
from napari_xreg.session.exposure import Exposure
from napari_xreg.session.history import PoseRecord, same_pose
from napari_xreg.session.ray_points import RayPoints
from napari_xreg.session.rendering import Rendering
from napari_xreg.session.result import Result
from napari_xreg.session.source import Source
from napari_xreg.session.state import Missing, SessionState, alike
from napari_xreg.session.undo import History
from napari_xreg.session.weights import TrainedWeights

Say = Callable[[SignalInstance], None]


class Held(TrainedWeights):
    """Signals and private state of a `Session`.

    A change is complete, and can be undone, before the first signal says so; each signal comes once
    a change.
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
    """A step was made, undone or done again: whatever can be undone was changed."""
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
        self._rendering: Rendering | None = None
        self._isocenter: Tensor | None = None
        self._exposures: dict[str, Exposure] = {}
        self._active: str | None = None
        self._landmarks: dict[str, Landmark] = {}
        self._results: dict[str, Result] = {}
        self._named: dict[str, PoseRecord] = {}
        self._missing: dict[str, Missing] = {}
        self._problems: tuple[str, ...] = ()
        self._depth = 0
        self._saved = 0
        self.rig_locked = True
        """True: moving one radiograph's pose moves the others with it (a calibrated rig)."""
        self.ray_points = RayPoints()
        """Points that RayEmb looks for."""
        self._history = History(self._snapshot())

    def _poses(self) -> dict[str, Pose]:
        """World from camera now, by name."""
        return {key: entry.world_from_camera for key, entry in self._exposures.items()}

    # ------------------------------------------------------------------ steps

    @contextmanager
    def one_step(
        self, why: str, *, since_recorded: bool = False, work: bool = True
    ) -> Iterator[None]:
        """Whatever is changed inside is one step of undo; if it fails, nothing was changed.

        Parameters
        ----------
        why
            What it is, as undo will say it: "load sample".
        since_recorded
            Moves that were not recorded yet belong to it too.
        work
            False for what can be made again by loading the same files: it is nothing to be saved.
        """
        with self._step(why, settle=not since_recorded, work=work):
            yield

    @contextmanager
    def _step(self, why: str, *, settle: bool = True, work: bool = True) -> Iterator[Say]:
        """Make a change inside, and name its signals: they come when it is complete and recorded.

        `work`: see `Moment.work`.
        """
        if settle:
            self._settle()
        before = self._snapshot()
        said: list[SignalInstance] = []
        self._depth += 1
        try:
            yield said.append
        except BaseException:
            said = self._become(before)
            raise
        finally:
            self._depth -= 1
            recorded = self._record(why, work=work)
            for number, signal in enumerate(said):
                if not any(signal is earlier for earlier in said[:number]):
                    signal.emit()
            if recorded:
                self.history_changed.emit()

    def _record(self, why: str, *, work: bool = True) -> bool:
        """Remember the present as a step; whether there was anything to remember."""
        state = self._snapshot()
        if self._depth or alike(self._history.now.state, state):
            return False
        self._history.record(why, state, work=work)
        return True

    def _settle(self) -> None:
        """What was moved and not recorded is a step of its own, before another is made."""
        if self._record("move"):
            self.history_changed.emit()

    def amend(self) -> None:
        """What changed since the last step belongs to it: undo takes both back."""
        state = self._snapshot()
        if not self._depth and not alike(self._history.now.state, state):
            self._history.amend(state)
            self.history_changed.emit()

    # ------------------------------------------------------------------ as a value

    def _snapshot(self) -> SessionState:
        """All that undo brings back, at this moment; tensors are shared."""
        return SessionState(
            self._volume,
            self._volume_source,
            self._labels,
            self._labels_source,
            self._structures,
            self._isocenter,
            tuple(self._exposures.values()),
            self._active,
            self.rig_locked,
            tuple(self._landmarks.values()),
            named=dict(self._named),
            results=tuple(self._results.values()),
            missing=tuple(self._missing.values()),
            problems=self._problems,
        )

    def _become(self, state: SessionState) -> list[SignalInstance]:
        """Hold this; the signals that say what differs. The radiograph shown stays if it can."""
        old = self._snapshot()
        same_patient = (
            old.volume is state.volume
            and old.labels is state.labels
            and old.structures == state.structures
        )
        self._volume, self._volume_source = state.volume, state.volume_source
        self._labels, self._labels_source = state.labels, state.labels_source
        self._structures, self._isocenter = state.structures, state.isocenter
        self._exposures = {entry.name: entry for entry in state.exposures}
        came_or_went = {e.id for e in old.exposures} ^ {e.id for e in state.exposures}
        self._active = state.active if came_or_went else self._shown_now(old)
        self._landmarks = {mark.name: mark for mark in state.landmarks}
        self._results = {result.name: result for result in state.results}
        self._named = dict(state.named)
        self._missing = {gone.name: gone for gone in state.missing}
        self._problems = state.problems
        pairs = [
            (e, next((o for o in old.exposures if o.id == e.id), None)) for e in state.exposures
        ]

        def differs(*keys: str) -> bool:
            return any(
                was is not None and any(getattr(was, key) is not getattr(now, key) for key in keys)
                for now, was in pairs
            )

        sources = old.volume_source is not state.volume_source
        sources = sources or old.labels_source is not state.labels_source
        moved = any(
            was is not None and not same_pose(was.world_from_camera, now.world_from_camera)
            for now, was in pairs
        )
        kept = ("name", "radiograph", "used", "start", "source", "edited", "truth")
        order = [entry.id for entry in old.exposures] != [entry.id for entry in state.exposures]
        gone = old.missing != state.missing
        shown = next((e.id for e in old.exposures if e.name == old.active), None)
        shows = next((e.id for e in state.exposures if e.name == self._active), None)
        changed = {
            self.volume_changed: not same_patient
            or sources
            or old.isocenter is not state.isocenter,
            self.landmarks_changed: old.landmarks != state.landmarks
            or differs("landmarks", "left_out"),
            self.radiographs_changed: order or gone or differs(*kept),
            self.active_changed: shown != shows,
            self.mask_changed: differs("painted"),
            self.pose_changed: moved,
            self.results_changed: [*map(id, old.results)] != [*map(id, state.results)],
        }
        return [signal for signal, is_so in changed.items() if is_so]

    def _shown_now(self, old: SessionState) -> str | None:
        """The radiograph shown before, by the name it has now."""
        shown = next((e.id for e in old.exposures if e.name == old.active), None)
        return next((e.name for e in self._exposures.values() if e.id == shown), None)
