"""Rendered views of patients with their landmarks, kept for a while."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.training import (
    Framing,
    Patient,
    PatientPool,
    PoolSettings,
    Population,
)


@dataclass(frozen=True)
class LandmarkViewSettings(PoolSettings):
    """Which views to learn from.

    Parameters
    ----------
    views
        Of one patient that are rendered together.
    """

    kept: int = 200
    views: int = 12


@dataclass(frozen=True, eq=False)
class LandmarkViews:
    """Rendered views of one patient.

    Parameters
    ----------
    name
        Of the patient.
    kinds
        Line integrals of bone and of soft tissue.
    poses
        ``world_from_camera``.
    landmarks
        World mm, in the detector's order; NaN where not known.
    known
        Whether it is.
    """

    name: str
    kinds: Float[Tensor, "v 2 rows columns"]
    poses: Pose
    landmarks: Float[Tensor, "n 3"]
    known: Bool[Tensor, "n"]


class LandmarkViewPool(PatientPool[LandmarkViews, LandmarkViewSettings]):
    """See `training.PatientPool`."""

    salt = 23

    def __init__(
        self,
        population: Population,
        names: Sequence[str],
        framing: Framing,
        settings: LandmarkViewSettings,
        seed: int,
    ) -> None:
        super().__init__(population, framing, settings, seed)
        self.names = tuple(names)

    def draw(self, count: int, generator: torch.Generator) -> list[tuple[LandmarkViews, int]]:
        """Views of patients of the pool, each with its number; now and then a new one comes in."""
        return self.single(self.step(), self.settings.views, count, generator)

    def views_of(self, patient: Patient, generator: torch.Generator) -> LandmarkViews:
        """Images of a patient and its landmarks."""
        s = self.settings
        places = landmark_table(patient, self.names)
        poses = s.poses.sample(self.carm, patient.isocenter, s.views, generator)
        kinds = patient.render(self.carm, poses)
        return LandmarkViews(patient.name, kinds, poses, places, ~torch.isnan(places).any(1))


def landmark_table(patient: Patient, names: Sequence[str]) -> Float[Tensor, "n 3"]:
    """Positions of the named landmarks, world mm; NaN for those the patient does not have.

    Raises
    ------
    ValueError
        If it has none of them.
    """
    places = {mark.name: mark.position for mark in patient.landmarks}
    shared = [name for name in names if name in places]
    if not shared:
        has = ", ".join(places) or "none"
        raise ValueError(
            f"{patient.name} has none of the landmarks {', '.join(names)}: it has {has}. Landmarks "
            "are matched by name; place them in the CT first"
        )
    nothing = (float("nan"),) * 3
    rows = [places.get(name) or nothing for name in names]
    return torch.tensor(rows, dtype=torch.float64)
