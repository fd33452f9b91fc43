from .comparing import (
    Comparison as Comparison,
    learned_loss as learned_loss,
    prepared_for as prepared_for,
)
from .descending import Descended as Descended, damped_step as damped_step, descend as descend
from .network.encoder import (
    SimilarityNetwork as SimilarityNetwork,
    network_of_configuration as network_of_configuration,
)
from .network.weights_file import load_similarity as load_similarity
from .pose_distance import (
    METRICS as METRICS,
    Metric as Metric,
    pair_distances as pair_distances,
    squared_pose_distance as squared_pose_distance,
)
from .recipe import SimilarityRecipe as SimilarityRecipe
from .spaces import (
    SPACES as SPACES,
    Space as Space,
    placed as placed,
    residual as residual,
    squared_distance as squared_distance,
)
from .task import (
    SimilaritySettings as SimilaritySettings,
    SimilarityTask as SimilarityTask,
    around as around,
)
from .validation import (
    DescentCase as DescentCase,
    DescentResult as DescentResult,
    DescentValidator as DescentValidator,
    descent_cases as descent_cases,
    evaluate as evaluate,
)
from .view_pool import PairPool as PairPool, PairSettings as PairSettings
