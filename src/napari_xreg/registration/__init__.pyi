from .bodies.body import Body as Body
from .bodies.cutting import cut_bodies as cut_bodies
from .bodies.priors import Expected as Expected, ExpectedBetween as ExpectedBetween
from .bodies.refining import refine_bodies as refine_bodies
from .bodies.result import (
    BodiesIterate as BodiesIterate,
    BodiesRegistration as BodiesRegistration,
    BodyIterate as BodyIterate,
)
from .landscape.minima import Minimum as Minimum, local_minima as local_minima
from .landscape.result import (
    Landscape as Landscape,
    LandscapeSample as LandscapeSample,
    PairMap as PairMap,
    Profile as Profile,
    empty_landscape as empty_landscape,
    shifted_pose as shifted_pose,
    unit_of as unit_of,
)
from .landscape.sampling import (
    LearnedLoss as LearnedLoss,
    LossOfPoses as LossOfPoses,
    loss_landscape as loss_landscape,
)
from .landscape.settings import LEARNED as LEARNED, LandscapeSettings as LandscapeSettings
from .motion.constant_velocity import moved_on as moved_on, step_between as step_between
from .motion.joint import (
    JOINT_MOTIONS as JOINT_MOTIONS,
    Bends as Bends,
    Side as Side,
    bone_axes as bone_axes,
    helical_motion as helical_motion,
    joint_deviation as joint_deviation,
    joint_motion as joint_motion,
)
from .motion.smoothing import Smoothed as Smoothed, smoothed as smoothed
from .near_bone.cut_ends import cut_end_points as cut_end_points
from .near_bone.mask import near_bone_mask as near_bone_mask
from .near_bone.refining import (
    NearBone as NearBone,
    near_bone_words as near_bone_words,
    refine_near_bone as refine_near_bone,
)
from .near_bone.view import near_bone_view as near_bone_view
from .pnp.correspondences import (
    Correspondences as Correspondences,
    pair_landmarks as pair_landmarks,
)
from .pnp.settings import OUTLIER_MM as OUTLIER_MM, PnPSettings as PnPSettings
from .pnp.solution import PnPSolution as PnPSolution, PnPStatus as PnPStatus
from .pnp.solve import solve_pnp as solve_pnp
from .pnp.weighting import Weighting as Weighting, weighted as weighted
from .refinement.attention import Attention as Attention
from .refinement.confidence import (
    LandmarkUncertainty as LandmarkUncertainty,
    carm_covariance as carm_covariance,
    landmark_uncertainty as landmark_uncertainty,
    relative_covariance as relative_covariance,
    weakest_direction as weakest_direction,
)
from .refinement.first_order.adam import (
    AdamSettings as AdamSettings,
)
from .refinement.first_order.adam_steps import AdamSteps as AdamSteps
from .refinement.first_order.diffpose import DiffPoseSettings as DiffPoseSettings
from .refinement.hypotheses import (
    SagittalPlane as SagittalPlane,
    antipode as antipode,
    sagittal_plane as sagittal_plane,
)
from .refinement.refine_many import refine_many as refine_many
from .refinement.refining import refine as refine
from .refinement.result import (
    Candidate as Candidate,
    Iterate as Iterate,
    Registration as Registration,
    RunnerUp as RunnerUp,
    Status as Status,
)
from .refinement.second_order.channels import (
    ROBUST as ROBUST,
    Channel as Channel,
    Channels as Channels,
    GaussianDerivative as GaussianDerivative,
    gradient as gradient,
    intensity as intensity,
)
from .refinement.second_order.comparisons import (
    COMPARISONS as COMPARISONS,
    Comparison as Comparison,
)
from .refinement.second_order.levels import (
    COARSE_TO_FINE as COARSE_TO_FINE,
    Level as Level,
    levels_at as levels_at,
)
from .refinement.settings import RefineSettings as RefineSettings
from .refinement.solver import Solver as Solver, Wanted as Wanted
from .refinement.solvers import SOLVERS as SOLVERS, solver_of as solver_of
from .refinement.starts import (
    Hypothesis as Hypothesis,
    Spread as Spread,
    perturbed as perturbed,
    spread_starts as spread_starts,
)
from .refinement.views import View as View, at_pixels as at_pixels, pivot_of as pivot_of
from .verdict.evidence import Evidence as Evidence, evidence_of as evidence_of
from .verdict.likelihood import (
    CAUTION as CAUTION,
    COLORS as COLORS,
    TRUSTED as TRUSTED,
    Likelihood as Likelihood,
)
from .verdict.verdict import (
    Verdict as Verdict,
    depth_words as depth_words,
    is_verdict as is_verdict,
    judged as judged,
    likelihood_of as likelihood_of,
    verdict_on as verdict_on,
)
