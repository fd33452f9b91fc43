from .by_subject import (
    Interval as Interval,
    OfDraws as OfDraws,
    StartBin as StartBin,
    area_of_draws as area_of_draws,
    bootstrap_over_subjects as bootstrap_over_subjects,
    capture_range as capture_range,
    mean_of_draws as mean_of_draws,
    percentile_of_draws as percentile_of_draws,
    success_by_start as success_by_start,
)
from .correlation import local_ncc as local_ncc, multiscale_ncc as multiscale_ncc, ncc as ncc
from .flat import SMALLEST_SPREAD as SMALLEST_SPREAD, is_flat as is_flat
from .gradient_correlation import gradient_ncc as gradient_ncc, xvr_similarity as xvr_similarity
from .information import (
    mutual_information as mutual_information,
    normalized_mutual_information as normalized_mutual_information,
)
from .legacy_error import (
    diffpose_legacy_mtre as diffpose_legacy_mtre,
    rayemb_legacy_mpd as rayemb_legacy_mpd,
    suh_legacy_translation_rmse as suh_legacy_translation_rmse,
    xvr_legacy_mpe as xvr_legacy_mpe,
    xvr_legacy_mtre as xvr_legacy_mtre,
)
from .pose_error import (
    double_geodesic as double_geodesic,
    mean_depth_error as mean_depth_error,
    mean_in_plane_error as mean_in_plane_error,
    mean_projection_error as mean_projection_error,
    mean_reprojection_distance as mean_reprojection_distance,
    mean_reprojection_error as mean_reprojection_error,
    mean_target_registration_error as mean_target_registration_error,
    pose_error_components as pose_error_components,
    rotation_error_deg as rotation_error_deg,
    source_position_error as source_position_error,
    target_registration_error as target_registration_error,
)
from .similarities import (
    SIMILARITIES as SIMILARITIES,
    Similarity as Similarity,
    similarity_words as similarity_words,
)
from .soft_masks import soft_dice as soft_dice, soft_mask as soft_mask
from .structural import ssim as ssim
from .success import (
    Rate as Rate,
    SuccessCurve as SuccessCurve,
    clopper_pearson_interval as clopper_pearson_interval,
    error_percentiles as error_percentiles,
    gross_failure_rate as gross_failure_rate,
    submillimeter_success_rate as submillimeter_success_rate,
    success_curve as success_curve,
    success_rate as success_rate,
    wilson_interval as wilson_interval,
)
