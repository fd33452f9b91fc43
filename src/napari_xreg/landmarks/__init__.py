"""Named landmarks found by a network, and how sure it is of each.

Suh, Schott, Mo, Martin and Moyer, "Landmark Detection Uncertainty as a Reliability Weight for
Robust Landmark-based 2D/3D Pelvic Pose Estimation", MIDL 2026.
"""

from napari_xreg.landmarks.detect import DetectSettings, PassesDone, detect, heatmap_carm
from napari_xreg.landmarks.detections import Detections, Spread
from napari_xreg.landmarks.detector import (
    DEEPFLUORO_NAMES,
    Heatmaps,
    LandmarkDetector,
    dropout_active,
)
from napari_xreg.landmarks.soft_argmax import Peak, local_soft_argmax

__all__ = [
    "DEEPFLUORO_NAMES",
    "DetectSettings",
    "Detections",
    "Heatmaps",
    "LandmarkDetector",
    "PassesDone",
    "Peak",
    "Spread",
    "detect",
    "dropout_active",
    "heatmap_carm",
    "local_soft_argmax",
]
