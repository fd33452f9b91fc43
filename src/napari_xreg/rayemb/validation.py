"""What an encoder can do, on simulated radiographs of patients it does not learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import LabelMap, Radiograph, Volume
from napari_xreg.progress import run
from napari_xreg.rayemb.corresponding import CorrespondSettings, correspond
from napari_xreg.rayemb.found import FoundPoints
from napari_xreg.rayemb.locating import pose_of
from napari_xreg.rayemb.network.encoder import RayEncoder, embed
from napari_xreg.rayemb.template_range import templates_around
from napari_xreg.rayemb.templates import (
    Templates,
    TemplateSettings,
    embed_images,
    template_poses,
)
from napari_xreg.registration import PnPSolution
from napari_xreg.rendering import at_voxel_size, render_drr
from napari_xreg.training import (
    STANDARD_CARM,
    Framing,
    PoseRange,
    isocenter_mm,
    points_in_bone,
    pose_error_mm,
    radiographs_at_random,
    scores_of,
    usable_at,
)


@dataclass(frozen=True, eq=False)
class ValidationPatient:
    """A CT with radiographs of known pose.

    Parameters
    ----------
    carm, template_carm
        Of the radiographs; of the templates, on the encoder's pixels.
    isocenter
        Middle of the bones, about which the poses were drawn, world mm.
    template_images, template_poses
        Rendered once; embedded anew at each validation.
    points
        3D points to find, world mm.
    fiducials
        Points on which the target registration error is measured, world mm.
    radiographs, truths
        Images and their poses.
    """

    carm: CArm
    template_carm: CArm
    isocenter: Float[Tensor, "3"]
    template_images: Float[Tensor, "t rows columns"]
    template_poses: Pose
    points: Float[Tensor, "n 3"]
    fiducials: Float[Tensor, "m 3"]
    radiographs: tuple[Radiograph, ...]
    truths: tuple[Pose, ...]


@dataclass(frozen=True, eq=False)
class Scatter:
    """Similarity against error, as the paper's Fig. 5.

    Parameters
    ----------
    similarity, in_image
        Of each point: height of its peak, probability that it is in the image.
    error_mm
        Distance of its peak from its true projection, mm at the isocenter.
    truly_in_image
        Whether the projection lies in the usable image.
    """

    similarity: Float[Tensor, "n"]
    in_image: Float[Tensor, "n"]
    error_mm: Float[Tensor, "n"]
    truly_in_image: Bool[Tensor, "n"]


@dataclass(frozen=True, eq=False)
class CaseResult:
    """One radiograph: what was found, the pose that follows, and how far off it is.

    Parameters
    ----------
    found, solution
        See `FoundPoints` and `PnPSolution`.
    mtre_mm
        Of the PnP's pose; `training.LOST_MM` where there is none.
    scatter
        Of the first round over all points.
    chosen_error_mm
        Of the points in `found`, mm at the isocenter, wherever they truly are.
    """

    found: FoundPoints
    solution: PnPSolution
    mtre_mm: float
    scatter: Scatter
    chosen_error_mm: Float[Tensor, "n"]


def validation_patient(
    volume: Volume,
    labels: LabelMap | None,
    framing: Framing,
    *,
    seeds: Sequence[int],
    poses: PoseRange | None = None,
    carm: CArm = STANDARD_CARM,
    severity: str = "typical",
    points: int = 1000,
    templates: TemplateSettings | None = None,
    bone_above_hu: float = 250.0,
) -> ValidationPatient:
    """Simulate radiographs of a CT and render its templates.

    Parameters
    ----------
    seeds
        See `training.radiographs_at_random`.
    poses
        None: those of training.
    carm
        Of the radiographs.
    """
    in_bone = points_in_bone(volume, labels, bone_above_hu, seeds[0])
    isocenter = in_bone.mean(0)
    poses = poses or PoseRange()
    settings = templates or TemplateSettings(count=48, poses=templates_around(poses))
    template_carm = framing.template_carm(carm, settings.extent)
    at = template_poses(template_carm, isocenter, settings)
    coarse = at_voxel_size(volume.to(dtype=torch.float32), settings.voxel_mm)
    images = render_drr(coarse, template_carm, at, method="joseph")
    seen = radiographs_at_random(volume, labels, carm, poses, isocenter, seeds, severity=severity)
    return ValidationPatient(
        carm, template_carm, isocenter, images, at, in_bone[:points],
        in_bone[points : points + 50], tuple(image for image, _ in seen),
        tuple(truth for _, truth in seen),
    )  # fmt: skip


def embedded_templates(encoder: RayEncoder, patient: ValidationPatient) -> Templates:
    """The templates of a patient, embedded."""
    embeddings = embed_images(encoder, patient.template_images, patient.template_carm)
    return Templates(
        patient.template_carm,
        patient.template_poses,
        patient.template_images,
        embeddings,
        encoder.align,
    )


def evaluate(
    encoder: RayEncoder,
    patient: ValidationPatient,
    settings: CorrespondSettings,
    *,
    templates: Templates | None = None,
) -> list[CaseResult]:
    """Localise points, solve for the pose, measure both; one result for each radiograph."""
    templates = templates or embedded_templates(encoder, patient)
    results = []
    for radiograph, truth in zip(patient.radiographs, patient.truths, strict=True):
        embedded = embed(encoder, radiograph)
        everything = CorrespondSettings(
            per_point=settings.per_point, top=len(patient.points), redraws=0, seed=settings.seed,
            rank_by=settings.rank_by, visible=settings.visible,
        )  # fmt: skip
        all_points = run(
            correspond(encoder, embedded, templates, patient.points, settings=everything)
        )
        found = run(correspond(encoder, embedded, templates, patient.points, settings=settings))
        solution = pose_of(found, radiograph)
        mtre = pose_error_mm(solution.world_from_camera, truth, patient.fiducials)
        chosen = scatter(found, radiograph, truth).error_mm
        seen = scatter(all_points, radiograph, truth)
        results.append(CaseResult(found, solution, mtre, seen, chosen))
    return results


def scatter(found: FoundPoints, radiograph: Radiograph, truth: Pose) -> Scatter:
    """Errors of what was found, against the truth."""
    carm = radiograph.carm
    pixels = carm.project(found.points, truth)
    inside = usable_at(radiograph.usable[None], pixels[None])[0]
    error = isocenter_mm(found.pixels, pixels, carm)
    return Scatter(found.similarity.cpu(), found.in_image.cpu(), error, inside)


class Validator:
    """Scores of an encoder over some patients; call it with the encoder."""

    def __init__(
        self, patients: Sequence[ValidationPatient], settings: CorrespondSettings | None = None
    ) -> None:
        self.patients = tuple(patients)
        self.settings = settings or CorrespondSettings(top=300, redraws=3)

    def __call__(self, encoder: RayEncoder) -> tuple[Mapping[str, float], list[CaseResult]]:
        """Scores, the unit in the name; ``"score"`` is the median localisation error."""
        results = [r for p in self.patients for r in evaluate(encoder, p, self.settings)]
        errors = torch.cat([r.scatter.error_mm[r.scatter.truly_in_image] for r in results])
        inside = torch.cat([r.scatter.truly_in_image for r in results])
        told = torch.cat([r.scatter.in_image for r in results]) > 0.5
        scores = {
            "score": float(errors.median()),
            **scores_of(errors, [r.mtre_mm for r in results]),
            "chosen_error_mm": float(torch.cat([r.chosen_error_mm for r in results]).nanmedian()),
            "in_image_accuracy": float((told == inside).double().mean()),
        }
        return scores, results
