"""Training of the RayEmb encoder, as the Train widget offers it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_xreg.geometry import CArm
from napari_xreg.rayemb import (
    CompactEncoder,
    RayEmbSettings,
    RayEncoder,
    load_encoder,
    patient_task,
    population_task,
    save_encoder,
    shipped_encoder,
)
from napari_xreg.training import Task, TrainSettings
from napari_xreg.widgets.train.recipe import Cloud, Shown, by_time, verdict
from napari_xreg.widgets.train.request import OneCT, TrainRequest


class RayEmbRecipe:
    """The compact encoder of RayEmb."""

    kind = "rayemb"
    title = "RayEmb encoder"
    help = (
        "A small network that tells, for any point of the CT, where it is on a radiograph "
        "(RayEmb, Shrestha et al. 2024)."
    )
    widget = "RayEmb"
    shipped = True
    learning_rate = 2e-3
    step_errors: Mapping[str, str] = {"median_error_mm": "training, median"}
    scores: Mapping[str, str] = {
        "median_error_mm": "validation, median",
        "median_mtre_mm": "pose, median mTRE",
    }
    validate_every = TrainSettings.validate_every

    def network(self, request: TrainRequest) -> RayEncoder:
        """See `Recipe`."""
        start, resume = request.start, request.resume
        if resume is not None and resume.like is not None:
            return load_encoder(resume.like)[0]
        if start == "shipped":
            return shipped_encoder()[0]
        if isinstance(start, Path):
            return load_encoder(start)[0]
        return self.new()

    def new(self) -> RayEncoder:
        """A network that knows nothing."""
        return CompactEncoder()

    def task(self, request: TrainRequest, network: nn.Module) -> Task:
        """See `Recipe`."""
        assert isinstance(network, RayEncoder)
        patients = request.patients
        if isinstance(patients, OneCT):
            return patient_task(
                network, patients.volume, labels=patients.labels, label_ids=patients.label_ids,
                bone_above_hu=patients.bone_above_hu, carm=request.carm, poses=request.poses,
                seed=request.seed,
            )  # fmt: skip
        default = RayEmbSettings()
        views = replace(default.views, carm=request.carm, poses=request.poses)
        settings = replace(default, views=views, seed=request.seed)
        return population_task(network, patients.population(), settings=settings)

    def settings(self, request: TrainRequest) -> TrainSettings:
        """Until the time is over."""
        return by_time(request, self.validate_every)

    def save(self, file: Path, network: nn.Module, about: Mapping[str, Any]) -> None:
        """See `Recipe`."""
        assert isinstance(network, RayEncoder)
        save_encoder(file, network, about, half=True)

    def finish(self, network: nn.Module, detail: Any) -> None:
        """Nothing: its heads are trained."""

    def cloud(self, detail: Any) -> Cloud | None:
        """Similarity of the peaks against their error, as in the paper's Fig. 5."""
        scatters = [case.scatter for case in detail or ()]
        if not scatters:
            return None
        said, error, counts = (
            torch.cat([getattr(s, name) for s in scatters]).cpu().numpy()
            for name in ("similarity", "error_mm", "truly_in_image")
        )
        return Cloud(said.astype(float), error.astype(float), counts, "similarity")

    def shown(self, carm: CArm) -> Shown:
        """On the encoder's pixels."""
        return Shown(self.new().framing.carm(carm), RayEmbSettings().appearance)

    def words(self, scores: Mapping[str, float]) -> str:
        """See `Recipe`."""
        return verdict("visible points", scores, self.widget)
