from .blocks import Block as Block, doubled as doubled
from .draws import drawn_from as drawn_from
from .events import (
    Step as Step,
    Trained as Trained,
    TrainingStatus as TrainingStatus,
    Validation as Validation,
)
from .images.appearance import CLEAN as CLEAN, Appearance as Appearance
from .images.bend import Bend as Bend, bent as bent
from .images.fixed_camera import FixedCamera as FixedCamera
from .images.framing import (
    LOCAL_PIXELS as LOCAL_PIXELS,
    Align as Align,
    Framing as Framing,
    cells_from_pixels as cells_from_pixels,
    contrast_channels as contrast_channels,
    sample_cells as sample_cells,
)
from .images.on_image import (
    inside_image as inside_image,
    isocenter_mm as isocenter_mm,
    isocenter_pixel_mm as isocenter_pixel_mm,
    usable_at as usable_at,
)
from .loop import Task as Task, TrainSettings as TrainSettings, train as train
from .network import RadiographNetwork as RadiographNetwork
from .patients.cases import (
    LOST_MM as LOST_MM,
    images_of_one as images_of_one,
    images_of_phantoms as images_of_phantoms,
    points_in_bone as points_in_bone,
    pose_error_mm as pose_error_mm,
    radiographs_at_random as radiographs_at_random,
    scores_of as scores_of,
)
from .patients.patient import (
    Patient as Patient,
    bone_mask as bone_mask,
    no_bone as no_bone,
    patient_from_volume as patient_from_volume,
    points_in as points_in,
)
from .patients.patients import (
    CTsOfFolder as CTsOfFolder,
    OneCT as OneCT,
    Patients as Patients,
    Phantoms as Phantoms,
)
from .patients.pool import (
    PatientPool as PatientPool,
    PoolSettings as PoolSettings,
    PoolTask as PoolTask,
    Validate as Validate,
)
from .patients.population import (
    CTFolder as CTFolder,
    Mixture as Mixture,
    OnePatient as OnePatient,
    PhantomPopulation as PhantomPopulation,
    Population as Population,
    ct_files as ct_files,
    landmark_file_beside as landmark_file_beside,
    landmarks_beside as landmarks_beside,
)
from .patients.pose_range import (
    NAMED_RANGES as NAMED_RANGES,
    STANDARD_CARM as STANDARD_CARM,
    EvenOffsets as EvenOffsets,
    PoseRange as PoseRange,
)
from .patients.recent import Recent as Recent
from .recipe import (
    USABLE_MTRE_MM as USABLE_MTRE_MM,
    Cloud as Cloud,
    ErrorsByDirection as ErrorsByDirection,
    FindsPoints as FindsPoints,
    Recipe as Recipe,
    Shown as Shown,
    Start as Start,
)
from .weights.checkpoint import (
    Checkpoint as Checkpoint,
    CheckpointError as CheckpointError,
    read_checkpoint as read_checkpoint,
    read_torch_weights as read_torch_weights,
    write_checkpoint as write_checkpoint,
)
from .weights.event_file import EventFile as EventFile
from .weights.journal import Journal as Journal
from .weights.kept import Kept as Kept, best_scores as best_scores, reason as reason
from .weights.network_file import (
    PUBLISHED as PUBLISHED,
    built as built,
    fill as fill,
    read_network as read_network,
    save_network as save_network,
)
from .weights.state_file import (
    check_state as check_state,
    read_state as read_state,
    write_state as write_state,
)
from .weights.torch_file import (
    Named as Named,
    finite_weights as finite_weights,
    read_torch as read_torch,
    stands_alone as stands_alone,
)
