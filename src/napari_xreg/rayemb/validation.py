"""What an encoder can do, on simulated radiographs of patients it does not learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import LabelMap, Radiograph, Volume
from napari_xreg.metrics import mean_target_registration_error
from napari_xreg.progress import run
from napari_xreg.rayemb.correspond import CorrespondSettings, Found, correspond
from napari_xreg.rayemb.framing import Framing
from napari_xreg.rayemb.locate import pose_of
from napari_xreg.rayemb.network.encoder import RayEncoder, embed
from napari_xreg.rayemb.template_range import templates_around
from napari_xreg.rayemb.templates import (
    Templates,
    TemplateSettings,
    embed_images,
    inside_image,
    template_poses,
)
from napari_xreg.registration import PnPSolution
from napari_xreg.rendering import at_voxel_size, render_drr
from napari_xreg.simulation import simulate_radiograph
from napari_xreg.training import STANDARD_CARM, PoseRange, bone_mask, points_in

LOST_MM = 200.0
"""Written where there is no pose at all."""


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
        See `Found` and `PnPSolution`.
    mtre_mm
        Of the PnP's pose; `LOST_MM` where there is none.
    scatter
        Of the first round over all points.
    chosen_error_mm
        Of the points in `found`, mm at the isocenter, wherever they truly are.
    """

    found: Found
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
        One radiograph each: its pose and the simulator's seed. The caller says whether they are
        for tuning or for reports (`simulation.TUNING_SEEDS`, `EVALUATION_SEEDS`).
    poses
        None: those of training.
    carm
        Of the radiographs.
    """
    mask = bone_mask(volume, labels, None, bone_above_hu)
    generator = torch.Generator().manual_seed(seeds[0])
    in_bone = points_in(volume, mask, 100_000, generator)
    isocenter = in_bone.mean(0)
    poses = poses or PoseRange()
    settings = templates or TemplateSettings(count=48, poses=templates_around(poses))
    template_carm = framing.template_carm(carm, settings.extent)
    at = template_poses(template_carm, isocenter, settings)
    coarse = at_voxel_size(volume.to(dtype=torch.float32), settings.voxel_mm)
    images = render_drr(coarse, template_carm, at, method="joseph")
    radiographs, truths = [], []
    for seed in seeds:
        own = torch.Generator().manual_seed(seed)
        truth = poses.sample(carm, isocenter, 1, own)[0]
        made = simulate_radiograph(volume, labels, carm, truth, severity=severity, seed=seed)
        radiographs.append(made.radiograph)
        truths.append(truth)
    return ValidationPatient(
        carm,
        template_carm,
        isocenter,
        images, at, in_bone[:points], in_bone[points : points + 50], tuple(radiographs),
        tuple(truths),
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
        mtre = LOST_MM
        if solution.world_from_camera is not None:
            error = mean_target_registration_error(
                solution.world_from_camera, truth, patient.fiducials
            )
            mtre = min(LOST_MM, float(error))
        chosen = scatter(found, radiograph, truth).error_mm
        seen = scatter(all_points, radiograph, truth)
        results.append(CaseResult(found, solution, mtre, seen, chosen))
    return results


def scatter(found: Found, radiograph: Radiograph, truth: Pose) -> Scatter:
    """Errors of what was found, against the truth."""
    carm = radiograph.carm
    pixels = carm.project(found.points, truth)
    inside = inside_image(pixels, carm.detector.shape)
    at = pixels.nan_to_num(0.0).round().long()
    row = at[:, 0].clamp(0, carm.detector.shape[0] - 1)
    column = at[:, 1].clamp(0, carm.detector.shape[1] - 1)
    inside &= radiograph.usable[row, column]
    ratio = carm.source_to_isocenter / carm.source_to_detector
    spacing = pixels.new_tensor(carm.detector.spacing) * ratio
    error = ((found.pixels - pixels) * spacing).square().sum(1).sqrt()
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
        mtre = torch.tensor([r.mtre_mm for r in results])
        inside = torch.cat([r.scatter.truly_in_image for r in results])
        told = torch.cat([r.scatter.in_image for r in results]) > 0.5
        scores = {
            "score": float(errors.median()),
            "median_error_mm": float(errors.median()),
            "within_10mm_share": float((errors < 10).double().mean()),
            "chosen_error_mm": float(torch.cat([r.chosen_error_mm for r in results]).nanmedian()),
            "median_mtre_mm": float(mtre.median()),
            "in_image_accuracy": float((told == inside).double().mean()),
        }
        return scores, results
