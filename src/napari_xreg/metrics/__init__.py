"""How far apart: image similarities (higher is better), pose errors (mm), success rates."""

from napari_xreg.metrics.flat import SMALLEST_SPREAD, is_flat
from napari_xreg.metrics.gradient_ncc import gradient_ncc, xvr_similarity
from napari_xreg.metrics.information import mutual_information, normalized_mutual_information
from napari_xreg.metrics.legacy_error import (
    diffpose_legacy_mtre,
    rayemb_legacy_mpd,
    suh_legacy_translation_rmse,
    xvr_legacy_mpe,
)
from napari_xreg.metrics.ncc import local_ncc, multiscale_ncc, ncc
from napari_xreg.metrics.pose_error import (
    double_geodesic,
    mean_depth_error,
    mean_in_plane_error,
    mean_projection_error,
    mean_reprojection_distance,
    mean_reprojection_error,
    mean_target_registration_error,
    pose_error_components,
    rotation_error_deg,
    source_position_error,
    target_registration_error,
)
from napari_xreg.metrics.sparse_ncc import distinct_pixels, sample_patches, sparse_multiscale_ncc
from napari_xreg.metrics.ssim import ssim
from napari_xreg.metrics.success import (
    Rate,
    SuccessCurve,
    clopper_pearson_interval,
    error_percentiles,
    gross_failure_rate,
    submillimeter_success_rate,
    success_curve,
    success_rate,
    wilson_interval,
)

__all__ = [
    "ncc",
    "local_ncc",
    "multiscale_ncc",
    "gradient_ncc",
    "xvr_similarity",
    "sample_patches",
    "distinct_pixels",
    "sparse_multiscale_ncc",
    "mutual_information",
    "normalized_mutual_information",
    "ssim",
    "is_flat",
    "SMALLEST_SPREAD",
    "target_registration_error",
    "mean_target_registration_error",
    "mean_in_plane_error",
    "mean_depth_error",
    "mean_projection_error",
    "mean_reprojection_error",
    "mean_reprojection_distance",
    "rotation_error_deg",
    "source_position_error",
    "double_geodesic",
    "pose_error_components",
    "diffpose_legacy_mtre",
    "rayemb_legacy_mpd",
    "xvr_legacy_mpe",
    "suh_legacy_translation_rmse",
    "Rate",
    "SuccessCurve",
    "success_rate",
    "submillimeter_success_rate",
    "gross_failure_rate",
    "success_curve",
    "error_percentiles",
    "wilson_interval",
    "clopper_pearson_interval",
]
