from .confidence import (
    CALIBRATION_WORDS as CALIBRATION_WORDS,
    Confidence as Confidence,
    confidence_of as confidence_of,
    target_words as target_words,
)
from .exporting import (
    Drawn as Drawn,
    Exported as Exported,
    ExportRequest as ExportRequest,
    check_film as check_film,
    error_words as error_words,
    export as export,
)
from .judging import (
    bone_points as bone_points,
    errors_against as errors_against,
    pose_errors as pose_errors,
    predicted_landmarks as predicted_landmarks,
)
from .landscapes import (
    LandscapeRequest as LandscapeRequest,
    landscape as landscape,
    landscape_words as landscape_words,
    with_unit as with_unit,
)
from .recipes import RECIPES as RECIPES
from .refining import (
    OnCpuInstead as OnCpuInstead,
    RefineRequest as RefineRequest,
    expected_iterations as expected_iterations,
    level_count as level_count,
    refine as refine,
    refine_request as refine_request,
    rig_poses as rig_poses,
)
from .resuming import Interrupted as Interrupted, interrupted as interrupted
from .sample_settings import SIZE_MM as SIZE_MM, SampleSettings as SampleSettings
from .training import (
    Preparing as Preparing,
    Resume as Resume,
    TrainingEvent as TrainingEvent,
    TrainingOutcome as TrainingOutcome,
    TrainRequest as TrainRequest,
    Unwritten as Unwritten,
    check_out as check_out,
    train as train,
    training_carm as training_carm,
)
from .training_samples import (
    KnownPatients as KnownPatients,
    TrainingSample as TrainingSample,
    TrainingSamplesRequest as TrainingSamplesRequest,
)
from .warming import (
    COMPILING_WORDS as COMPILING_WORDS,
    compiled as compiled,
    compiling as compiling,
)
