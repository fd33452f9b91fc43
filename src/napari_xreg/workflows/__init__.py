"""Everything a button or a command does: a request, events, an answer. No napari, no Qt.

A request is a frozen value that has captured its inputs; the workflow of its name takes it and a
`Control`, yields events and returns the answer, in any thread::

    answer = run(refine(RefineRequest(ct, views, settings, isocenter)))

The command line, the window and scripts call the same ones. Names are imported when they are asked
for: a command that reads no CT does not wait for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_xreg.workflows.confidence import CALIBRATION_WORDS as CALIBRATION_WORDS
    from napari_xreg.workflows.confidence import Confidence as Confidence
    from napari_xreg.workflows.confidence import confidence_of as confidence_of
    from napari_xreg.workflows.confidence import target_words as target_words
    from napari_xreg.workflows.exporting import Drawn as Drawn
    from napari_xreg.workflows.exporting import Exported as Exported
    from napari_xreg.workflows.exporting import ExportRequest as ExportRequest
    from napari_xreg.workflows.exporting import check_film as check_film
    from napari_xreg.workflows.exporting import error_words as error_words
    from napari_xreg.workflows.exporting import export as export
    from napari_xreg.workflows.judging import bone_points as bone_points
    from napari_xreg.workflows.judging import errors_against as errors_against
    from napari_xreg.workflows.judging import pose_errors as pose_errors
    from napari_xreg.workflows.judging import predicted_landmarks as predicted_landmarks
    from napari_xreg.workflows.landscapes import LandscapeRequest as LandscapeRequest
    from napari_xreg.workflows.landscapes import landscape as landscape
    from napari_xreg.workflows.landscapes import landscape_words as landscape_words
    from napari_xreg.workflows.landscapes import with_unit as with_unit
    from napari_xreg.workflows.recipes import RECIPES as RECIPES
    from napari_xreg.workflows.refining import OnCpuInstead as OnCpuInstead
    from napari_xreg.workflows.refining import RefineRequest as RefineRequest
    from napari_xreg.workflows.refining import expected_iterations as expected_iterations
    from napari_xreg.workflows.refining import level_count as level_count
    from napari_xreg.workflows.refining import refine as refine
    from napari_xreg.workflows.refining import refine_request as refine_request
    from napari_xreg.workflows.refining import rig_poses as rig_poses
    from napari_xreg.workflows.resuming import Interrupted as Interrupted
    from napari_xreg.workflows.resuming import interrupted as interrupted
    from napari_xreg.workflows.sample_settings import SIZE_MM as SIZE_MM
    from napari_xreg.workflows.sample_settings import SampleSettings as SampleSettings
    from napari_xreg.workflows.training import Preparing as Preparing
    from napari_xreg.workflows.training import Resume as Resume
    from napari_xreg.workflows.training import TrainingEvent as TrainingEvent
    from napari_xreg.workflows.training import TrainingOutcome as TrainingOutcome
    from napari_xreg.workflows.training import TrainRequest as TrainRequest
    from napari_xreg.workflows.training import Unwritten as Unwritten
    from napari_xreg.workflows.training import check_out as check_out
    from napari_xreg.workflows.training import train as train
    from napari_xreg.workflows.training import training_carm as training_carm
    from napari_xreg.workflows.training_samples import KnownPatients as KnownPatients
    from napari_xreg.workflows.training_samples import TrainingSample as TrainingSample
    from napari_xreg.workflows.training_samples import (
        TrainingSamplesRequest as TrainingSamplesRequest,
    )
    from napari_xreg.workflows.warming import COMPILING_WORDS as COMPILING_WORDS
    from napari_xreg.workflows.warming import compiled as compiled
    from napari_xreg.workflows.warming import compiling as compiling

# Module: its public names. A test compares this with the imports above.
_NAMES = {
    "confidence": ("CALIBRATION_WORDS", "Confidence", "confidence_of", "target_words"),
    "exporting": ("Drawn", "ExportRequest", "Exported", "check_film", "error_words", "export"),
    "judging": ("bone_points", "errors_against", "pose_errors", "predicted_landmarks"),
    "landscapes": ("LandscapeRequest", "landscape", "landscape_words", "with_unit"),
    "recipes": ("RECIPES",),
    "refining": (
        "OnCpuInstead", "RefineRequest", "expected_iterations", "level_count", "refine",
        "refine_request", "rig_poses",
    ),
    "resuming": ("Interrupted", "interrupted"),
    "sample_settings": ("SIZE_MM", "SampleSettings"),
    "training": (
        "Preparing", "Resume", "TrainRequest", "TrainingEvent", "TrainingOutcome", "Unwritten",
        "check_out", "train", "training_carm",
    ),
    "training_samples": ("KnownPatients", "TrainingSample", "TrainingSamplesRequest"),
    "warming": ("COMPILING_WORDS", "compiled", "compiling"),
}  # fmt: skip
_HOME = {name: module for module, names in _NAMES.items() for name in names}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
