"""Correspondences of arbitrary 3D points: ray embeddings, subspaces, heatmaps (RayEmb).

Shrestha, Xie, Yoshii and Kitahara, "RayEmb: Arbitrary Landmark Detection in X-Ray Images Using Ray
Embedding Subspace", ACCV 2024.
"""

from napari_xreg.rayemb.correspond import (
    CorrespondSettings,
    Found,
    Round,
    correspond,
    heatmap_basis,
    heatmap_carm,
    point_heatmaps,
)
from napari_xreg.rayemb.heatmap import Posterior, posterior, probabilities, similarity
from napari_xreg.rayemb.info_nce import info_nce
from napari_xreg.rayemb.locate import (
    START_SPREAD,
    STARTS,
    Located,
    locate,
    pose_of,
    sample_points,
    start_of,
)
from napari_xreg.rayemb.network.compact import CompactEncoder
from napari_xreg.rayemb.network.encoder import Embedded, RayEncoder, embed
from napari_xreg.rayemb.network.vit import DinoEncoder, encoder_from_dinov2, encoder_of_published
from napari_xreg.rayemb.network.weights_file import load_encoder, shipped_encoder
from napari_xreg.rayemb.polarity import Looks, Polarity, coarse_drrs, polarity_of
from napari_xreg.rayemb.recipe import (
    RayEmbRecipe,
    patient_task,
    phantom_validation,
    population_task,
)
from napari_xreg.rayemb.subspace import projector, subspace_basis, subspace_rank
from napari_xreg.rayemb.task import RayEmbSettings, RayEmbTask
from napari_xreg.rayemb.template_range import TEMPLATE_POSES, templates_around
from napari_xreg.rayemb.templates import (
    RAYEMB_V1,
    TemplateMade,
    Templates,
    TemplateSettings,
    choose_templates,
    make_templates,
    templates_for,
)
from napari_xreg.rayemb.trust import Trust, Verdict, trust_of, verdict_of
from napari_xreg.rayemb.validation import (
    CaseResult,
    Scatter,
    ValidationPatient,
    Validator,
    evaluate,
    validation_patient,
)
from napari_xreg.rayemb.view_pool import ViewPool, Views, ViewSettings

__all__ = [
    "RAYEMB_V1",
    "STARTS",
    "START_SPREAD",
    "TEMPLATE_POSES",
    "CaseResult",
    "CompactEncoder",
    "CorrespondSettings",
    "DinoEncoder",
    "Embedded",
    "Found",
    "Located",
    "Looks",
    "Polarity",
    "Posterior",
    "RayEmbRecipe",
    "RayEmbSettings",
    "RayEmbTask",
    "RayEncoder",
    "Round",
    "Scatter",
    "TemplateMade",
    "TemplateSettings",
    "Templates",
    "Trust",
    "ValidationPatient",
    "Validator",
    "Verdict",
    "ViewPool",
    "ViewSettings",
    "Views",
    "choose_templates",
    "coarse_drrs",
    "correspond",
    "embed",
    "encoder_from_dinov2",
    "encoder_of_published",
    "evaluate",
    "heatmap_basis",
    "heatmap_carm",
    "info_nce",
    "load_encoder",
    "locate",
    "make_templates",
    "patient_task",
    "phantom_validation",
    "polarity_of",
    "point_heatmaps",
    "population_task",
    "pose_of",
    "posterior",
    "probabilities",
    "projector",
    "sample_points",
    "shipped_encoder",
    "similarity",
    "start_of",
    "subspace_basis",
    "subspace_rank",
    "templates_around",
    "templates_for",
    "trust_of",
    "validation_patient",
    "verdict_of",
]
