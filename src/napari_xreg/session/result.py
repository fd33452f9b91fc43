"""A registration that was run in a session."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from napari_xreg.geometry import Pose
from napari_xreg.registration import Registration
from napari_xreg.session.exposure import new_id


@dataclass(frozen=True, eq=False)
class Result:
    """A registration that was run in this session.

    Parameters
    ----------
    name
        Unique in the session; what the user sees.
    radiographs
        `Exposure.id` of the radiographs it used, in the order of its views; in a session's file
        their names.
    registration
        The answer with its whole trajectory.
    settings
        What it was run with, as plain JSON values.
    id
        The same for as long as it is this result, whatever it is called.

    Raises
    ------
    ValueError
        If it does not hold one pose for each radiograph.
    """

    name: str
    radiographs: tuple[str, ...]
    registration: Registration
    settings: Mapping[str, Any]
    id: str = field(default_factory=new_id)

    def __post_init__(self) -> None:
        views = self.registration.views or (self.registration.world_from_camera,)
        if len(views) != len(self.radiographs):
            raise ValueError(
                f"{self.name} holds poses of {len(views)} radiographs, but "
                f"{len(self.radiographs)} are named"
            )

    @property
    def poses(self) -> dict[str, Pose]:
        """World from camera, by `Exposure.id`."""
        views = self.registration.views or (self.registration.world_from_camera,)
        return dict(zip(self.radiographs, views, strict=True))

    @property
    def bone(self) -> str | None:
        """Which bone alone it is of; None: its poses are those of the whole CT."""
        return self.settings.get("bone")

    def keyed(self, keys: Mapping[str, str]) -> "Result":
        """The same with other keys of its radiographs: names of ids, ids of names."""
        return replace(self, radiographs=tuple(keys.get(key, key) for key in self.radiographs))
