"""Patients rendered and kept for a while: rendering is dearer than looking again."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from napari_xreg.geometry import CArm
from napari_xreg.training.images.fixed_camera import FixedCamera
from napari_xreg.training.images.framing import Framing
from napari_xreg.training.network import RadiographNetwork
from napari_xreg.training.patients.patient import Patient
from napari_xreg.training.patients.population import Population
from napari_xreg.training.patients.pose_range import STANDARD_CARM, PoseRange
from napari_xreg.training.patients.recent import Recent

Views = TypeVar("Views")
Network = TypeVar("Network", bound=RadiographNetwork)
Pool = TypeVar("Pool", bound=Recent[Any])
Batch = TypeVar("Batch")

Validate = Callable[[Network], tuple[Mapping[str, float], Any]]
"""Scores of a network as it is, and details."""


@dataclass(frozen=True)
class PoolSettings:
    """Which views to learn from, and how many patients they are of; networks add what else they need.

    Parameters
    ----------
    carm
        Of the radiographs.
    poses
        Of the radiographs.
    kept
        Patients in memory.
    renew_every
        Steps after which the oldest gives way to a new one.
    first
        Patients to begin with.
    """

    carm: CArm = STANDARD_CARM
    poses: PoseRange = field(default_factory=PoseRange)
    kept: int = 96
    renew_every: int = 8
    first: int = 8


Settings = TypeVar("Settings", bound=PoolSettings)


class PatientPool(Recent[Views], Generic[Views, Settings], ABC):
    """Views of the last few patients drawn.

    Parameters
    ----------
    population
        Where patients come from.
    framing
        How the network samples a detector; `carm` is that of the settings on its pixels.
    settings
        See `Recent`.
    seed
        Of the patients.
    """

    salt: int
    """Keeps the patients of one kind of network from being those of another."""

    def __init__(
        self, population: Population, framing: Framing | FixedCamera, settings: Settings, seed: int
    ) -> None:
        super().__init__(
            self._drawn, first=settings.first, renew_every=settings.renew_every, kept=settings.kept
        )
        self.population, self.settings, self.seed = population, settings, seed
        self.carm = framing.carm(settings.carm)

    @staticmethod
    def single(
        sets: Sequence[Views], each: int, count: int, generator: torch.Generator
    ) -> list[tuple[Views, int]]:
        """So many views, each of any of the sets, with its number among the `each` of that set."""
        chosen = torch.randint(len(sets) * each, (count,), generator=generator).tolist()
        return [(sets[at // each], at % each) for at in chosen]

    @abstractmethod
    def views_of(self, patient: Patient, generator: torch.Generator) -> Views:
        """Render a patient."""

    def _drawn(self, number: int) -> Views:
        # Distinct for every patient of every run: a 63-bit seed of two numbers.
        seed = (self.seed * 7_919 + self.salt) * 1_000_003 + number
        generator = torch.Generator().manual_seed(seed)
        return self.views_of(self.population.draw(generator), generator)


class PoolTask(Generic[Network, Pool, Batch], ABC):
    """What tasks that learn from a pool have in common; pool and losses are to be added.

    Parameters
    ----------
    network
        To train, on the device to train on.
    population
        Patients to learn from.
    validate
        Scores of the network, and details.
    settings
        Of the batches. None: the usual ones.
    """

    usual: type[Batch]
    """Made without arguments: the usual settings."""

    def __init__(
        self,
        network: Network,
        population: Population,
        validate: Validate[Network],
        settings: Batch | None = None,
    ) -> None:
        self.network, self._validate = network, validate
        self.settings = self.usual() if settings is None else settings
        self.pool = self.pool_of(population)

    @abstractmethod
    def pool_of(self, population: Population) -> Pool:
        """Views of these patients, as the settings want them.

        Raises
        ------
        ValueError
            If network and settings do not go together.
        """

    @abstractmethod
    def losses(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        """See `Task`."""

    def validate(self) -> tuple[Mapping[str, float], Any]:
        """See the constructor."""
        return self._validate(self.network)

    def state(self) -> Mapping[str, Any]:
        """Counts of the pool."""
        return self.pool.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Make the pool of a state again."""
        self.pool.restore({"steps": state["steps"]})
