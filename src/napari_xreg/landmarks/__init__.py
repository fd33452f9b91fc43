"""Named landmarks found by a network, and how sure it is of each.

Suh, Schott, Mo, Martin and Moyer, "Landmark Detection Uncertainty as a Reliability Weight for
Robust Landmark-based 2D/3D Pelvic Pose Estimation", MIDL 2026.
"""

from napari_xreg.landmarks.compact import CompactDetector
from napari_xreg.landmarks.detect import DetectSettings, PassesDone, detect, heatmap_carm
from napari_xreg.landmarks.detections import Detections, Spread
from napari_xreg.landmarks.detector import (
    DEEPFLUORO_NAMES,
    Heatmaps,
    LandmarkDetector,
    dropout_active,
)
from napari_xreg.landmarks.labels import DilationErosion, ball, point_loss, weighted_bce
from napari_xreg.landmarks.mirror import mirrored_order, mirrored_pixels, other_side
from napari_xreg.landmarks.pose_loss import PoseFinetuneTask, PoseLossSettings, pose_errors
from napari_xreg.landmarks.recipe import (
    LandmarkRecipe,
    patient_landmark_task,
    population_landmark_task,
    validation_phantoms,
)
from napari_xreg.landmarks.resnet_unet import ResNetUNet, resnet_unet_of_published
from napari_xreg.landmarks.soft_argmax import Peak, local_soft_argmax
from napari_xreg.landmarks.task import LandmarkSettings, LandmarkTask
from napari_xreg.landmarks.trust import (
    DetectionTrust,
    Retention,
    fitted_threshold,
    image_uncertainty_mm,
    retention,
    trust_of,
)
from napari_xreg.landmarks.validation import (
    CaseResult,
    LandmarkCase,
    LandmarkValidator,
    evaluate,
    judged,
    landmark_cases,
    phantom_cases,
    trust_threshold,
)
from napari_xreg.landmarks.view_pool import LandmarkViewPool, LandmarkViewSettings
from napari_xreg.landmarks.weights_file import load_detector

__all__ = [
    "DEEPFLUORO_NAMES",
    "CaseResult",
    "CompactDetector",
    "DetectSettings",
    "Detections",
    "DetectionTrust",
    "DilationErosion",
    "Heatmaps",
    "LandmarkCase",
    "LandmarkDetector",
    "LandmarkRecipe",
    "LandmarkSettings",
    "LandmarkTask",
    "LandmarkValidator",
    "LandmarkViewPool",
    "LandmarkViewSettings",
    "PassesDone",
    "Peak",
    "PoseFinetuneTask",
    "PoseLossSettings",
    "ResNetUNet",
    "Retention",
    "Spread",
    "ball",
    "detect",
    "dropout_active",
    "evaluate",
    "fitted_threshold",
    "heatmap_carm",
    "image_uncertainty_mm",
    "judged",
    "landmark_cases",
    "load_detector",
    "local_soft_argmax",
    "mirrored_order",
    "mirrored_pixels",
    "other_side",
    "patient_landmark_task",
    "phantom_cases",
    "point_loss",
    "population_landmark_task",
    "pose_errors",
    "resnet_unet_of_published",
    "retention",
    "trust_of",
    "trust_threshold",
    "validation_phantoms",
    "weighted_bce",
]
