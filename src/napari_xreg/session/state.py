"""All that a session holds at one moment, as a value: what a session file says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import LabelMap, Landmark, Volume
from napari_xreg.session.exposure import Exposure
from napari_xreg.session.history import PoseRecord, same_pose
from napari_xreg.session.result import Result
from napari_xreg.session.source import Source


@dataclass(frozen=True, eq=False)
class Missing:
    """Something a session file names that could not be read; nothing said about it is lost.

    Parameters
    ----------
    role
        What it is.
    name
        "CT", "labels", or the radiograph's name.
    source
        Where it was looked for.
    why
        One sentence for the user: which file, what is wrong, what to do.
    entry
        What the session file says about it; written back when the session is saved.
    """

    role: Literal["ct", "labels", "radiograph"]
    name: str
    source: Source | None
    why: str
    entry: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, eq=False)
class SessionState:
    """See `Session` for what each of these means."""

    volume: Volume | None = None
    volume_source: Source | None = None
    labels: LabelMap | None = None
    labels_source: Source | None = None
    structures: tuple[int, ...] = ()
    isocenter: Float[Tensor, "3"] | None = None
    exposures: tuple[Exposure, ...] = ()
    active: str | None = None
    rig_locked: bool = True
    landmarks: tuple[Landmark, ...] = ()
    records: tuple[PoseRecord, ...] = ()
    at: int = -1
    named: Mapping[str, PoseRecord] = field(default_factory=dict)
    results: tuple[Result, ...] = ()
    missing: tuple[Missing, ...] = ()
    problems: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [entry.name for entry in self.exposures]
        if len(set(names)) < len(names):
            raise ValueError(f"the names of radiographs must be unique: got {', '.join(names)}")
        ids = {entry.id for entry in self.exposures}
        if len(ids) < len(names):
            raise ValueError("two radiographs of a session have the same id")
        if self.active is not None and self.active not in names:
            raise ValueError(f"there is no radiograph {self.active!r} to show")
        if not -1 <= self.at < max(len(self.records), 1) or (self.records and self.at < 0):
            raise ValueError(
                f"the history holds {len(self.records)} records, there is no record {self.at}"
            )


def alike(a: SessionState, b: SessionState) -> bool:
    """Whether nothing that an undo would bring back differs.

    Which radiograph is shown and whether the rig is locked are settings of now: no undo changes
    them.
    """
    return (
        all(_one(getattr(a, key), getattr(b, key)) for key in _VALUES)
        and len(a.exposures) == len(b.exposures)
        and all(map(_alike_exposures, a.exposures, b.exposures))
        and _one(a.isocenter, b.isocenter)
        and a.named.keys() == b.named.keys()
        and all(record is b.named[key] for key, record in a.named.items())
        and _all_one(a.results, b.results)
        and _all_one(a.missing, b.missing)
    )


_VALUES = ("volume", "volume_source", "labels", "labels_source", "structures", "landmarks")
_OF_EXPOSURE = (
    *("id", "name", "radiograph", "used", "painted", "landmarks", "left_out", "source", "edited"),
)
_POSES = ("world_from_camera", "start", "truth")


def _alike_exposures(a: Exposure, b: Exposure) -> bool:
    if a is b:
        return True
    poses = ((getattr(a, key), getattr(b, key)) for key in _POSES)
    return all(_one(getattr(a, key), getattr(b, key)) for key in _OF_EXPOSURE) and all(
        one is other or (one is not None and other is not None and same_pose(one, other))
        for one, other in poses
    )


def _one(a: Any, b: Any) -> bool:
    """The same object, or plain values that are equal; what holds tensors is compared by identity."""
    if a is b:
        return True
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return False
    return type(a) is type(b) and bool(a == b)


def _all_one(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    return len(a) == len(b) and all(one is other for one, other in zip(a, b, strict=True))
