"""What can be trained: for each network how to make, save, sample and judge it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

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
from napari_xreg.training import Appearance, PoseRange, Task, TrainSettings
from napari_xreg.widgets.train_request import OneCT, Resume, Start, TrainRequest

USABLE_MTRE_MM = 30.0
"""From here on a refinement with several starts mostly finds the pose (the goal of training)."""


@dataclass(frozen=True, eq=False)
class Cloud:
    """Something that the network says against how wrong it is: what the scatter shows.

    Parameters
    ----------
    said
        What it says; `label` names it.
    error_mm
        How wrong it is, mm at the isocenter.
    counts
        False for points that are not in the image.
    label
        Of the horizontal axis.
    """

    said: npt.NDArray[np.float64]
    error_mm: npt.NDArray[np.float64]
    counts: npt.NDArray[np.bool_]
    label: str


@dataclass(frozen=True, eq=False)
class Shown:
    """How the network sees radiographs, for the samples.

    Parameters
    ----------
    carm
        On the network's pixels.
    appearance
        What the images look like.
    """

    carm: CArm
    appearance: Appearance

    def draw(
        self, kinds: Float[Tensor, "b 2 rows columns"], generator: torch.Generator
    ) -> tuple[Float[Tensor, "b rows columns"], Bool[Tensor, "b rows columns"]]:
        """Images and masks of rendered views."""
        return self.appearance.draw(kinds, generator)


@runtime_checkable
class Recipe(Protocol):
    """One kind of network that the Train widget offers.

    Attributes
    ----------
    kind
        As `session.Weights`.
    title, help
        For the user.
    widget
        Display name of the widget that uses the weights.
    shipped
        Whether weights come with the package.
    needs_structures
        Whether only a CT can be trained on.
    learning_rate
        To begin with.
    step_errors
        Of `Step.losses`: those in mm that are drawn, with their names for the user.
    scores
        The same of `Validation.scores`; the first is the one that decides.
    """

    kind: str
    title: str
    help: str
    widget: str
    shipped: bool
    one_ct_only: bool
    learning_rate: float
    step_errors: Mapping[str, str]
    scores: Mapping[str, str]

    def network(self, start: Start, resume: Resume | None) -> nn.Module:
        """A new network, or one with weights to begin with."""
        ...

    def task(self, request: TrainRequest, network: nn.Module) -> Task:
        """What is learned; takes seconds."""
        ...

    def settings(self, request: TrainRequest) -> TrainSettings:
        """How to train."""
        ...

    def save(self, file: Path, network: nn.Module, about: Mapping[str, Any]) -> None:
        """Write weights and model card."""
        ...

    def cloud(self, detail: Any) -> Cloud | None:
        """Of `Validation.detail`."""
        ...

    def shown(self, carm: CArm, poses: PoseRange) -> Shown:
        """How the network would see this C-arm's radiographs."""
        ...

    def words(self, scores: Mapping[str, float]) -> str:
        """How good it is, and what to do next: whole sentences."""
        ...


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
    one_ct_only = False
    learning_rate = 2e-3
    step_errors: Mapping[str, str] = {"median_error_mm": "training, median"}
    scores: Mapping[str, str] = {
        "median_error_mm": "validation, median",
        "median_mtre_mm": "pose, median mTRE",
    }
    validate_every = 200

    def network(self, start: Start, resume: Resume | None) -> RayEncoder:
        """See `Recipe`."""
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
        return TrainSettings(
            steps=10**9, by_time=60.0 * request.minutes, seed=request.seed,
            learning_rate=request.learning_rate, validate_every=self.validate_every,
        )  # fmt: skip

    def save(self, file: Path, network: nn.Module, about: Mapping[str, Any]) -> None:
        """See `Recipe`."""
        assert isinstance(network, RayEncoder)
        save_encoder(file, network, about, half=True)

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

    def shown(self, carm: CArm, poses: PoseRange) -> Shown:
        """On the encoder's pixels."""
        return Shown(self.new().framing.carm(carm), RayEmbSettings().appearance)

    def words(self, scores: Mapping[str, float]) -> str:
        """See `Recipe`."""
        missed, pose = scores["median_error_mm"], scores["median_mtre_mm"]
        share = 100 * scores["within_10mm_share"]
        found = (
            f"On simulated radiographs that it did not learn from, half of the visible points are "
            f"found within {missed:.1f} mm, {share:.0f} % within 10 mm, and the pose that follows "
            f"is off by {pose:.0f} mm (median mTRE)."
        )
        if pose <= USABLE_MTRE_MM:
            return f"{found} Next: use it in RayEmb, then refine with several starts."
        return f"{found} That is too far for a start: raise the minutes and resume, or narrow the poses."


def recipes() -> tuple[Recipe, ...]:
    """All that can be trained; the first is the default."""
    return (RayEmbRecipe(),)
