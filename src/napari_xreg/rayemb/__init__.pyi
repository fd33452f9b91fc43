from .colouring import embedding_colours as embedding_colours
from .contrast import info_nce as info_nce
from .corresponding import (
    CorrespondSettings as CorrespondSettings,
    SearchRound as SearchRound,
    correspond as correspond,
)
from .found import FoundPoints as FoundPoints, RankBy as RankBy, rank_score as rank_score
from .heatmap import (
    Posterior as Posterior,
    posterior as posterior,
    probabilities as probabilities,
    similarity as similarity,
)
from .heatmaps_of_points import (
    PER_POINT as PER_POINT,
    PointHeatmaps as PointHeatmaps,
    find_each as find_each,
    point_heatmaps as point_heatmaps,
)
from .locating import (
    Located as Located,
    locate as locate,
    located_by as located_by,
    pose_of as pose_of,
)
from .network.compact import CompactEncoder as CompactEncoder
from .network.encoder import Embedded as Embedded, RayEncoder as RayEncoder, embed as embed
from .network.vit import (
    DinoEncoder as DinoEncoder,
    encoder_from_dinov2 as encoder_from_dinov2,
    encoder_of_published as encoder_of_published,
)
from .network.weights_file import (
    WeightsFile as WeightsFile,
    load_encoder as load_encoder,
    shipped_encoder as shipped_encoder,
)
from .polarity import (
    Looks as Looks,
    Polarity as Polarity,
    coarse_drrs as coarse_drrs,
    polarity_of as polarity_of,
)
from .prepared import (
    BONE_HU as BONE_HU,
    POINTS as POINTS,
    PreparedNetwork as PreparedNetwork,
    bone_center as bone_center,
    prepare_network as prepare_network,
    sample_points as sample_points,
)
from .recipe import (
    RayEmbRecipe as RayEmbRecipe,
    patient_task as patient_task,
    phantom_validation as phantom_validation,
    population_task as population_task,
)
from .subspace import subspace_basis as subspace_basis
from .task import RayEmbSettings as RayEmbSettings, RayEmbTask as RayEmbTask
from .template_range import TEMPLATE_POSES as TEMPLATE_POSES, templates_around as templates_around
from .templates import (
    RAYEMB_V1 as RAYEMB_V1,
    TemplateMade as TemplateMade,
    Templates as Templates,
    TemplateSettings as TemplateSettings,
    choose_templates as choose_templates,
    make_templates as make_templates,
    templates_for as templates_for,
)
from .trust import (
    PoseEvidence as PoseEvidence,
    PoseVerdict as PoseVerdict,
    pose_evidence as pose_evidence,
    pose_verdict as pose_verdict,
)
from .validation import (
    CaseResult as CaseResult,
    Scatter as Scatter,
    ValidationPatient as ValidationPatient,
    Validator as Validator,
    evaluate as evaluate,
    validation_patient as validation_patient,
)
from .view_pool import ViewPool as ViewPool, Views as Views, ViewSettings as ViewSettings
