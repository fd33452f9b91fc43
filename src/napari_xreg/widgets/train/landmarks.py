"""Training of the landmark detector, as the Train widget offers it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_xreg.geometry import CArm
from napari_xreg.landmarks import (
    CompactDetector,
    LandmarkDetector,
    LandmarkSettings,
    load_detector,
    patient_landmark_task,
    population_landmark_task,
    save_detector,
    trust_threshold,
)
from napari_xreg.landmarks.task import isocenter_pixel_mm
from napari_xreg.training import Task, TrainSettings
from napari_xreg.widgets.train.recipe import Cloud, Shown, by_time, verdict
from napari_xreg.widgets.train.request import OneCT, TrainRequest


class LandmarkRecipe:
    """The compact landmark detector; names are the patient's, or those of the phantom."""

    kind = "landmarks"
    title = "landmark detector"
    help = (
        "A small network that finds the named landmarks of the patient on a radiograph, and says "
        "how sure it is of each (Suh et al. 2026)."
    )
    widget = "Landmarks"
    shipped = False
    learning_rate = 2e-3
    step_errors: Mapping[str, str] = {"median_error_mm": "training, median"}
    scores: Mapping[str, str] = {
        "median_error_mm": "validation, median",
        "median_mtre_mm": "pose, median mTRE",
    }
    validate_every = TrainSettings.validate_every

    def network(self, request: TrainRequest) -> LandmarkDetector:
        """See `Recipe`."""
        if request.resume is not None and request.resume.like is not None:
            return load_detector(request.resume.like)[0]
        if isinstance(request.start, Path):
            return load_detector(request.start)[0]
        patients = request.patients
        if not isinstance(patients, OneCT):
            return self.new()
        names = tuple(mark.name for mark in patients.landmarks if mark.position is not None)
        if not names:
            raise ValueError(
                "the CT has no landmarks to learn: load or place some first (Data), or train on "
                "simulated pelves"
            )
        return self.new(names)

    def new(self, names: tuple[str, ...] | None = None) -> LandmarkDetector:
        """A network that knows nothing."""
        return CompactDetector() if names is None else CompactDetector(names)

    def task(self, request: TrainRequest, network: nn.Module) -> Task:
        """See `Recipe`."""
        assert isinstance(network, LandmarkDetector)
        patients = request.patients
        if isinstance(patients, OneCT):
            return patient_landmark_task(
                network, patients.volume, patients.landmarks, labels=patients.labels,
                bone_above_hu=patients.bone_above_hu, carm=request.carm, poses=request.poses,
                seed=request.seed,
            )  # fmt: skip
        default = LandmarkSettings()
        views = replace(default.views, carm=request.carm, poses=request.poses)
        settings = replace(default, views=views, seed=request.seed)
        return population_landmark_task(network, patients.population(), settings=settings)

    def settings(self, request: TrainRequest) -> TrainSettings:
        """Until the time is over."""
        return by_time(request, self.validate_every)

    def save(self, file: Path, network: nn.Module, about: Mapping[str, Any]) -> None:
        """See `Recipe`."""
        assert isinstance(network, LandmarkDetector)
        save_detector(file, network, about, half=True)

    def finish(self, network: nn.Module, detail: Any) -> None:
        """Up to which spread to trust it; after a resume, as before until it is better."""
        assert isinstance(network, LandmarkDetector)
        if detail:
            network.trusted_mm = trust_threshold(detail)

    def cloud(self, detail: Any) -> Cloud | None:
        """How uncertain it says it is, against how wrong it was."""
        cases = list(detail or ())
        if not cases:
            return None
        said = [
            torch.diagonal(case.detections.spread(), dim1=-2, dim2=-1).sum(-1).sqrt()
            * isocenter_pixel_mm(case.case.radiograph.carm)
            for case in cases
        ]
        return Cloud(
            torch.cat(said).double().cpu().numpy(),
            torch.cat([case.error_mm for case in cases]).double().cpu().numpy(),
            torch.cat([case.inside for case in cases]).cpu().numpy(),
            "stated standard deviation (mm)",
            surer_is_higher=False,
        )

    def shown(self, carm: CArm) -> Shown:
        """On the detector's pixels."""
        return Shown(self.new().framing.carm(carm), LandmarkSettings().appearance)

    def words(self, scores: Mapping[str, float]) -> str:
        """See `Recipe`."""
        return verdict("visible landmarks", scores, self.widget)
