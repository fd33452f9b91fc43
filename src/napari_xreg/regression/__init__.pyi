from .frame import (
    Center as Center,
    Place as Place,
    PoseFrame as PoseFrame,
    rotation_numbers as rotation_numbers,
)
from .joining import JoinedView as JoinedView, OneView as OneView, join_views as join_views
from .network.compact import CompactTrunk as CompactTrunk
from .network.pose_network import (
    Look as Look,
    PoseNetwork as PoseNetwork,
    Said as Said,
    network_of_configuration as network_of_configuration,
)
from .network.published import (
    OF_TEMPLATE as OF_TEMPLATE,
    generation as generation,
    network_of_published as network_of_published,
    published_content as published_content,
)
from .network.resnet import BLOCKS as BLOCKS, ResNet as ResNet
from .network.weights_file import load_pose_network as load_pose_network
from .predicting import (
    Prediction as Prediction,
    predict as predict,
)
from .recipe import PoseRecipe as PoseRecipe
from .task import PoseSettings as PoseSettings, PoseTask as PoseTask
from .validation import (
    DEGREES_OF_FREEDOM as DEGREES_OF_FREEDOM,
    PoseCase as PoseCase,
    PoseCaseResult as PoseCaseResult,
    PoseValidator as PoseValidator,
    evaluate as evaluate,
    pose_cases as pose_cases,
    standard_errors as standard_errors,
)
from .view_pool import PoseViewPool as PoseViewPool, PoseViewSettings as PoseViewSettings
