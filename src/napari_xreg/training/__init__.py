"""CT to synthetic radiographs to weights: poses, patients, appearance, the loop, checkpoints."""

from napari_xreg.training.appearance import CLEAN, Appearance
from napari_xreg.training.bend import Bend, bent
from napari_xreg.training.blocks import Block, doubled
from napari_xreg.training.checkpoint import (
    Checkpoint,
    CheckpointError,
    read_checkpoint,
    read_torch_weights,
    write_checkpoint,
)
from napari_xreg.training.draws import drawn_from
from napari_xreg.training.events import Step, Trained, TrainingStatus, Validation
from napari_xreg.training.kept import Kept, best_scores, card, reason
from napari_xreg.training.loop import Task, TrainSettings, train
from napari_xreg.training.network_file import built, fill, read_network
from napari_xreg.training.patient import Patient, bone_mask, patient_from_volume, points_in
from napari_xreg.training.population import (
    CTFolder,
    Mixture,
    OnePatient,
    PhantomPopulation,
    Population,
    ct_files,
)
from napari_xreg.training.pose_range import STANDARD_CARM, PoseRange
from napari_xreg.training.recent import Recent
from napari_xreg.training.state_file import check_state, read_state, write_state

__all__ = [
    "CLEAN",
    "STANDARD_CARM",
    "Appearance",
    "Block",
    "Bend",
    "CTFolder",
    "Checkpoint",
    "CheckpointError",
    "Kept",
    "Mixture",
    "OnePatient",
    "Patient",
    "PhantomPopulation",
    "Population",
    "PoseRange",
    "Recent",
    "Step",
    "Task",
    "TrainSettings",
    "Trained",
    "TrainingStatus",
    "Validation",
    "bent",
    "best_scores",
    "bone_mask",
    "built",
    "card",
    "check_state",
    "ct_files",
    "doubled",
    "drawn_from",
    "fill",
    "patient_from_volume",
    "points_in",
    "read_checkpoint",
    "read_network",
    "read_state",
    "read_torch_weights",
    "reason",
    "train",
    "write_checkpoint",
    "write_state",
]
