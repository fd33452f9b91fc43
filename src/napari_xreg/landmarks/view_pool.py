"""Rendered views of patients with their landmarks, kept for a while."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.training import Patient, Population, PoseRange
from napari_xreg.training.framing import Framing

STANDARD_CARM = CArm(1020.0, 750.0, Detector((256, 256), (300 / 256, 300 / 256)))
"""A mobile C-arm of 300 mm."""


@dataclass(frozen=True)
class LandmarkViewSettings:
    """Which views to learn from.

    Parameters
    ----------
    carm
        Of the radiographs.
    poses
        Of the radiographs.
    views
        Of one patient that are rendered together.
    kept
        Patients in memory.
    renew_every
        Steps after which the oldest gives way to a new one.
    first
        Patients to begin with.
    """

    carm: CArm = STANDARD_CARM
    poses: PoseRange = field(default_factory=PoseRange)
    views: int = 12
    kept: int = 200
    renew_every: int = 8
    first: int = 8


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


class LandmarkViewPool:
    """The last few patients drawn, the k-th the same whatever happened before.

    So a resumed run has the pool of the interrupted one without keeping its images.
    """

    def __init__(
        self,
        population: Population,
        names: Sequence[str],
        framing: Framing,
        settings: LandmarkViewSettings,
        seed: int,
    ) -> None:
        self.population, self.names = population, tuple(names)
        self.settings, self.seed = settings, seed
        self.carm = framing.carm(settings.carm)
        self.made = 0
        self.steps = 0
        self._views: list[LandmarkViews] = []

    def draw(self, count: int, generator: torch.Generator) -> list[tuple[LandmarkViews, int]]:
        """Views of patients of the pool, each with its number; now and then a new one comes in."""
        s = self.settings
        wanted = s.first + self.steps // s.renew_every
        self.steps += 1
        self._make_until(wanted)
        chosen = torch.randint(len(self._views) * s.views, (count,), generator=generator).tolist()
        return [(self._views[at // s.views], at % s.views) for at in chosen]

    def state(self) -> dict[str, int]:
        """Counts, from which the pool can be made again."""
        return {"made": self.made, "steps": self.steps}

    def restore(self, state: dict[str, int]) -> None:
        """Make the pool of a `state` again."""
        self._views = []
        self.made = max(0, state["made"] - self.settings.kept)
        self.steps = state["steps"]
        self._make_until(state["made"])

    def _make_until(self, count: int) -> None:
        while self.made < count:
            self._views.append(self._make(self.made))
            self.made += 1
            del self._views[: -self.settings.kept]

    def _make(self, number: int) -> LandmarkViews:
        s = self.settings
        # Distinct for every patient of every run: a 63-bit seed of two numbers.
        generator = torch.Generator().manual_seed((self.seed * 7_919 + 23) * 1_000_003 + number)
        patient = self.population.draw(generator)
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
