"""Rendered views of patients at known poses, kept for a while."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.regression.frame import Center
from napari_xreg.training import (
    FixedCamera,
    Patient,
    PatientPool,
    PoolSettings,
    Population,
)


@dataclass(frozen=True)
class PoseViewSettings(PoolSettings):
    """Which views to learn from; of the C-arm only where it turns counts, for the network has a camera
    of its own.

    Parameters
    ----------
    views
        Of one patient that are rendered together: a set, of which `kept` are in memory.
    """

    kept: int = 64
    renew_every: int = 3
    views: int = 16


@dataclass(frozen=True, eq=False)
class PoseViews:
    """Rendered views of one patient.

    Parameters
    ----------
    patient
        Who.
    kinds
        Line integrals of bone and of soft tissue.
    poses
        ``world_from_camera``.
    center
        The point that the network speaks about, world mm.
    """

    patient: Patient
    kinds: Float[Tensor, "v 2 rows columns"]
    poses: Pose
    center: Float[Tensor, "3"]


class PoseViewPool(PatientPool[PoseViews, PoseViewSettings]):
    """See `training.PatientPool`."""

    salt = 41

    def __init__(
        self,
        population: Population,
        camera: FixedCamera,
        center: Center,
        settings: PoseViewSettings,
        seed: int,
    ) -> None:
        super().__init__(population, camera, settings, seed)
        self.center = center

    def draw(
        self, count: int, generator: torch.Generator, *, one_patient: bool = False
    ) -> list[tuple[PoseViews, int]]:
        """Views of the pool, each with its number; now and then new ones come in.

        Parameters
        ----------
        one_patient
            All of the views that were rendered together.
        """
        sets = self.step()
        if one_patient:
            sets = [sets[int(torch.randint(len(sets), (1,), generator=generator))]]
        return self.single(sets, self.settings.views, count, generator)

    def views_of(self, patient: Patient, generator: torch.Generator) -> PoseViews:
        """Images of a patient and their poses."""
        s = self.settings
        poses = s.poses.sample(s.carm, patient.isocenter, s.views, generator)
        kinds = patient.render(self.carm, poses)
        return PoseViews(patient, kinds, poses, center_of(patient, self.center))


def center_of(patient: Patient, center: Center) -> Float[Tensor, "3"]:
    """The point of a patient that a network speaks about, world mm."""
    if center == "bone":
        return patient.isocenter.double()
    if center == "volume":
        return patient.bone.center.double()
    return torch.tensor(center, dtype=torch.float64)
