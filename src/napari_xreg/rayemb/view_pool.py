"""Rendered views of patients, kept for a while: rendering is dearer than looking again."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.rayemb.template_range import templates_around
from napari_xreg.training import (
    Framing,
    Patient,
    PatientPool,
    PoolSettings,
    Population,
    inside_image,
)


@dataclass(frozen=True)
class ViewSettings(PoolSettings):
    """Which views to learn from; templates stand about the poses (`templates_around`).

    Parameters
    ----------
    template_extent
        Side of a template over that of a radiograph.
    queries, templates
        Views of one patient that are rendered together.
    """

    renew_every: int = 10
    template_extent: float = 1.25
    queries: int = 10
    templates: int = 10


@dataclass(frozen=True, eq=False)
class Views:
    """Rendered views of one patient.

    Parameters
    ----------
    name
        Of the patient.
    queries, templates
        Line integrals of bone and of soft tissue.
    query_poses, template_poses
        ``world_from_camera``.
    points
        Candidates, world mm.
    """

    name: str
    queries: Float[Tensor, "q 2 rows columns"]
    query_poses: Pose
    templates: Float[Tensor, "t 2 side side"]
    template_poses: Pose
    points: Float[Tensor, "n 3"]


class ViewPool(PatientPool[Views, ViewSettings]):
    """See `training.PatientPool`."""

    salt = 17

    def __init__(
        self, population: Population, framing: Framing, settings: ViewSettings, seed: int
    ) -> None:
        super().__init__(population, framing, settings, seed)
        self.template_carm = framing.template_carm(settings.carm, settings.template_extent)

    def draw(self, generator: torch.Generator) -> Views:
        """Views of one patient of the pool; every few steps a new one has come in."""
        views = self.step()
        return views[int(torch.randint(len(views), (1,), generator=generator))]

    def views_of(self, patient: Patient, generator: torch.Generator) -> Views:
        """Queries and templates of a patient."""
        s = self.settings
        query_poses = s.poses.sample(self.carm, patient.isocenter, s.queries, generator)
        template_poses = templates_around(s.poses).sample(
            self.template_carm, patient.isocenter, s.templates, generator
        )
        queries = patient.render(self.carm, query_poses)
        templates = patient.render(self.template_carm, template_poses)
        at = torch.randperm(len(patient.points), generator=generator)[:4096]
        return Views(
            patient.name, queries, query_poses, templates, template_poses, patient.points[at]
        )


def projected(
    carm: CArm, poses: Pose, points: Float[Tensor, "n 3"]
) -> tuple[Float[Tensor, "v n 2"], Bool[Tensor, "v n"]]:
    """Row, column of points in views, and whether they lie in the image."""
    pixels = carm.project(points.double(), poses)
    return pixels, inside_image(pixels, carm.detector.shape)
