"""Which pose explains a radiograph: refinement, its trajectory and its confidence."""

from napari_xreg.registration.landscape.minima import Minimum, local_minima
from napari_xreg.registration.landscape.sampling import (
    Landscape,
    LandscapeSample,
    LandscapeSettings,
    empty_landscape,
    loss_landscape,
    unit_of,
)
from napari_xreg.registration.pnp.correspondences import Correspondences, pair_landmarks
from napari_xreg.registration.pnp.inputs import PnPSettings
from napari_xreg.registration.pnp.solution import PnPSolution, PnPStatus
from napari_xreg.registration.pnp.solve import solve_pnp
from napari_xreg.registration.pnp.weights import Weighting, weighted
from napari_xreg.registration.refinement.adam import AdamSettings, refine_adam
from napari_xreg.registration.refinement.adam_steps import AdamSteps
from napari_xreg.registration.refinement.batched.refine_many import refine_many
from napari_xreg.registration.refinement.confidence import (
    LandmarkUncertainty,
    carm_covariance,
    landmark_uncertainty,
    weakest_direction,
)
from napari_xreg.registration.refinement.levels import COARSE_TO_FINE, ROBUST, Level
from napari_xreg.registration.refinement.problem import Channels
from napari_xreg.registration.refinement.refining import RefineSettings, refine
from napari_xreg.registration.refinement.result import Candidate, Iterate, Registration, Status
from napari_xreg.registration.refinement.starts import Spread, perturbed, spread_starts
from napari_xreg.registration.refinement.views import View

__all__ = [
    "COARSE_TO_FINE",
    "ROBUST",
    "AdamSettings",
    "AdamSteps",
    "Candidate",
    "Channels",
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
    "empty_landscape",
    "landmark_uncertainty",
    "loss_landscape",
    "local_minima",
    "pair_landmarks",
    "perturbed",
    "refine",
    "refine_adam",
    "refine_many",
    "solve_pnp",
    "spread_starts",
    "unit_of",
    "weakest_direction",
    "weighted",
]
