"""CT to synthetic radiographs to weights: poses, patients, appearance, the loop, checkpoints."""

from napari_xreg.training.appearance import CLEAN, Appearance
from napari_xreg.training.bend import Bend, bent
from napari_xreg.training.blocks import Block, doubled
from napari_xreg.training.cases import (
    LOST_MM,
    points_in_bone,
    pose_error_mm,
    radiographs_at_random,
    scores_of,
)
from napari_xreg.training.checkpoint import (
    Checkpoint,
    CheckpointError,
    read_checkpoint,
    read_torch_weights,
    write_checkpoint,
)
from napari_xreg.training.draws import drawn_from
from napari_xreg.training.events import Step, Trained, TrainingStatus, Validation
from napari_xreg.training.framing import (
    LOCAL_PIXELS,
    Align,
    Framing,
    cells_from_pixels,
    contrast_channels,
    covariance_between,
    pixels_between,
    sample_cells,
)
from napari_xreg.training.kept import Kept, best_scores, reason
from napari_xreg.training.loop import Task, TrainSettings, train
from napari_xreg.training.network import RadiographNetwork
from napari_xreg.training.network_file import built, fill, read_network, save_network
from napari_xreg.training.on_image import (
    inside_image,
    isocenter_mm,
    isocenter_pixel_mm,
    usable_at,
)
from napari_xreg.training.patient import Patient, bone_mask, patient_from_volume, points_in
from napari_xreg.training.patients import CTsOfFolder, OneCT, Patients, Phantoms
from napari_xreg.training.pool import PatientPool, PoolTask
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
from napari_xreg.training.recipe import Cloud, Recipe, Shown, Start, verdict
from napari_xreg.training.state_file import check_state, read_state, write_state

__all__ = [
    "CLEAN",
    "LOCAL_PIXELS",
    "LOST_MM",
    "STANDARD_CARM",
    "Align",
    "Appearance",
    "Bend",
    "Block",
    "CTFolder",
    "CTsOfFolder",
    "Checkpoint",
    "CheckpointError",
    "Cloud",
    "Framing",
    "Kept",
    "Mixture",
    "OneCT",
    "OnePatient",
    "Patient",
    "PatientPool",
    "Patients",
    "PhantomPopulation",
    "Phantoms",
    "PoolTask",
    "Population",
    "PoseRange",
    "RadiographNetwork",
    "Recent",
    "Recipe",
    "Shown",
    "Start",
    "Step",
    "Task",
    "TrainSettings",
    "Trained",
    "TrainingStatus",
    "Validation",
    "bent",
    "best_scores",
    "bone_mask",
    "points_in_bone",
    "built",
    "cells_from_pixels",
    "check_state",
    "contrast_channels",
    "covariance_between",
    "ct_files",
    "doubled",
    "drawn_from",
    "fill",
    "inside_image",
    "isocenter_mm",
    "isocenter_pixel_mm",
    "patient_from_volume",
    "pixels_between",
    "points_in",
    "pose_error_mm",
    "radiographs_at_random",
    "read_checkpoint",
    "read_network",
    "read_state",
    "read_torch_weights",
    "reason",
    "sample_cells",
    "save_network",
    "scores_of",
    "train",
    "usable_at",
    "verdict",
    "write_checkpoint",
    "write_state",
]
