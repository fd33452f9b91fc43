"""Which pose explains a radiograph: refinement, its trajectory and its confidence."""

from napari_xreg.registration.adam import AdamSettings, refine_adam
from napari_xreg.registration.adam_steps import AdamSteps
from napari_xreg.registration.confidence import (
    LandmarkUncertainty,
    carm_covariance,
    landmark_uncertainty,
    weakest_direction,
)
from napari_xreg.registration.control import Control
from napari_xreg.registration.correspondences import Correspondences, pair_landmarks
from napari_xreg.registration.landscape import (
    Landscape,
    LandscapeSample,
    LandscapeSettings,
    landscape,
)
from napari_xreg.registration.levels import COARSE_TO_FINE, ROBUST, Level
from napari_xreg.registration.many import refine_many
from napari_xreg.registration.minima import Minimum, local_minima
from napari_xreg.registration.pnp import solve_pnp
from napari_xreg.registration.pnp_inputs import PnPSettings
from napari_xreg.registration.pnp_solution import PnPSolution, PnPStatus
from napari_xreg.registration.pnp_weights import Weighting, weighted
from napari_xreg.registration.pose_files import read_pose, write_pose
from napari_xreg.registration.problem import Channels
from napari_xreg.registration.refine import RefineSettings, refine, run
from napari_xreg.registration.result import Candidate, Iterate, Registration, Status
from napari_xreg.registration.result_files import read_result, write_result
from napari_xreg.registration.starts import Spread, perturbed, spread_starts
from napari_xreg.registration.views import View

__all__ = [
    "COARSE_TO_FINE",
    "ROBUST",
    "AdamSettings",
    "AdamSteps",
    "Candidate",
    "Channels",
    "Control",
    "Correspondences",
    "Iterate",
    "Landscape",
    "LandmarkUncertainty",
    "LandscapeSample",
    "LandscapeSettings",
    "Level",
    "Minimum",
    "PnPSettings",
    "PnPSolution",
    "PnPStatus",
    "RefineSettings",
    "Registration",
    "Spread",
    "Status",
    "View",
    "Weighting",
    "carm_covariance",
    "landmark_uncertainty",
    "landscape",
    "local_minima",
    "pair_landmarks",
    "perturbed",
    "read_pose",
    "read_result",
    "refine",
    "refine_adam",
    "refine_many",
    "run",
    "solve_pnp",
    "spread_starts",
    "weakest_direction",
    "weighted",
    "write_pose",
    "write_result",
]
