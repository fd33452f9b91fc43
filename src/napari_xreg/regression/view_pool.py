"""Rendered views of patients at known poses, kept for a while."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.regression.frame import Center
from napari_xreg.training import (
    STANDARD_CARM,
    FixedCamera,
    Patient,
    PatientPool,
    Population,
    PoseRange,
)


@dataclass(frozen=True)
class PoseViewSettings:
    """Which views to learn from.

    Parameters
    ----------
    carm
        Of the radiographs; only where it turns counts, for the network has a camera of its own.
    poses
        Of the radiographs.
    views
        Of one patient that are rendered together.
    kept
        Sets of views in memory.
    renew_every
        Steps after which the oldest gives way to a new one.
    first
        Sets to begin with.
    """

    carm: CArm = STANDARD_CARM
    poses: PoseRange = field(default_factory=PoseRange)
    views: int = 16
    kept: int = 64
    renew_every: int = 3
    first: int = 8


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


class PoseViewPool(PatientPool[PoseViews]):
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
        super().__init__(population, settings, seed)
        self.center, self.settings = center, settings
        self.carm = camera.carm(settings.carm)

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
