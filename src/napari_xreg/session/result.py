"""A registration that was run in a session."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_xreg.geometry import Pose
from napari_xreg.registration import Registration


@dataclass(frozen=True, eq=False)
class Result:
    """A registration that was run in this session.

    Parameters
    ----------
    name
        Unique in the session.
    radiographs
        Names of the radiographs it used, in the order of its views.
    registration
        The answer with its whole trajectory.
    settings
        What it was run with, as plain JSON values.

    Raises
    ------
    ValueError
        If it does not hold one pose for each radiograph.
    """

    name: str
    radiographs: tuple[str, ...]
    registration: Registration
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        views = self.registration.views or (self.registration.world_from_camera,)
        if len(views) != len(self.radiographs):
            raise ValueError(
                f"{self.name} holds poses of {len(views)} radiographs, but "
                f"{len(self.radiographs)} are named: {', '.join(self.radiographs)}"
            )

    @property
    def poses(self) -> dict[str, Pose]:
        """World from camera, by the radiograph's name."""
        views = self.registration.views or (self.registration.world_from_camera,)
        return dict(zip(self.radiographs, views, strict=True))
