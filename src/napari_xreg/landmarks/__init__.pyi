from .compact import CompactDetector as CompactDetector
from .detecting import (
    DetectSettings as DetectSettings,
    PassesDone as PassesDone,
    detect as detect,
    heatmap_carm as heatmap_carm,
)
from .detections import Detections as Detections, SpreadOf as SpreadOf
from .detector import (
    DEEPFLUORO_NAMES as DEEPFLUORO_NAMES,
    Heatmaps as Heatmaps,
    LandmarkDetector as LandmarkDetector,
    dropout_active as dropout_active,
)
from .labels import (
    DilationErosion as DilationErosion,
    ball as ball,
    point_loss as point_loss,
    weighted_bce as weighted_bce,
)
from .mirror import (
    mirrored_order as mirrored_order,
    mirrored_pixels as mirrored_pixels,
    other_side as other_side,
)
from .recipe import (
    LandmarkRecipe as LandmarkRecipe,
    patient_landmark_task as patient_landmark_task,
    population_landmark_task as population_landmark_task,
    validation_phantoms as validation_phantoms,
)
from .resnet_unet import (
    ResNetUNet as ResNetUNet,
    resnet_unet_of_published as resnet_unet_of_published,
)
from .soft_argmax import Peak as Peak, local_soft_argmax as local_soft_argmax
from .task import LandmarkSettings as LandmarkSettings, LandmarkTask as LandmarkTask
from .trust import (
    DetectionTrust as DetectionTrust,
    fitted_threshold as fitted_threshold,
    image_uncertainty_mm as image_uncertainty_mm,
    trust_of as trust_of,
)
from .validation import (
    CaseResult as CaseResult,
    LandmarkCase as LandmarkCase,
    LandmarkValidator as LandmarkValidator,
    evaluate as evaluate,
    judged as judged,
    landmark_cases as landmark_cases,
    phantom_cases as phantom_cases,
    trust_threshold as trust_threshold,
)
from .view_pool import (
    LandmarkViewPool as LandmarkViewPool,
    LandmarkViewSettings as LandmarkViewSettings,
)
from .weights_file import load_detector as load_detector
