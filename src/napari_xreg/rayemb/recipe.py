"""RayEmb as it is trained: for one patient, or for many."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from napari_xreg.geometry import CArm
from napari_xreg.rayemb.network.compact import CompactEncoder
from napari_xreg.rayemb.network.encoder import RayEncoder
from napari_xreg.rayemb.network.weights_file import load_encoder, shipped_encoder
from napari_xreg.rayemb.task import RayEmbSettings, RayEmbTask
from napari_xreg.rayemb.validation import ValidationPatient, Validator, validation_patient
from napari_xreg.rayemb.view_pool import ViewSettings
from napari_xreg.simulation import phantom
from napari_xreg.training import (
    STANDARD_CARM,
    Cloud,
    FindsPoints,
    OneCT,
    Patients,
    Population,
    PoseRange,
    RadiographNetwork,
    Start,
    Task,
    images_of_one,
    images_of_phantoms,
)

VALIDATION_PHANTOMS = (950, 951, 952)


def patient_task(
    encoder: RayEncoder,
    patient: OneCT,
    *,
    carm: CArm = STANDARD_CARM,
    poses: PoseRange | None = None,
    settings: RayEmbSettings | None = None,
    validation_images: int = 6,
    seed: int = 0,
) -> RayEmbTask:
    """Learn one patient, from scratch or from an encoder that knows others.

    Validation is on simulated radiographs of the same CT at other poses: how well the encoder knows
    the patient, not how well another one.

    Parameters
    ----------
    encoder
        New, or with weights to finetune.
    patient
        The CT, and where points are sampled in it.
    carm
        Of the radiographs to come.
    poses
        Where the C-arm may stand. None: as in the paper, see `PoseRange`.
    settings
        Of the batches; None: views of `carm` and `poses`.
    seed
        Of the poses.
    """
    poses = poses or PoseRange()
    images = validation_patient(
        patient.volume, patient.labels, encoder.framing,
        seeds=images_of_one(validation_images), poses=poses, carm=carm,
        bone_above_hu=patient.bone_above_hu,
    )  # fmt: skip
    chosen = settings or RayEmbSettings(
        views=ViewSettings(carm=carm, poses=poses, kept=24, renew_every=8), seed=seed
    )
    return RayEmbTask(encoder, patient.population(), Validator([images]), chosen)


def population_task(
    encoder: RayEncoder,
    population: Population,
    *,
    validation: Sequence[ValidationPatient] | None = None,
    settings: RayEmbSettings | None = None,
) -> RayEmbTask:
    """Learn many patients.

    Parameters
    ----------
    population
        `CTFolder`, `PhantomPopulation`, or a `Mixture` of both.
    validation
        Patients that are not among them. None: three phantoms of seeds kept for this, at the poses
        that are learned.
    settings
        Of the batches.
    """
    if validation is None:
        poses = None if settings is None else settings.views.poses
        validation = [
            phantom_validation(encoder, seed, images, poses=poses)
            for seed, images in images_of_phantoms(VALIDATION_PHANTOMS, 4)
        ]
    return RayEmbTask(encoder, population, Validator(validation), settings)


def phantom_validation(
    encoder: RayEncoder, seed: int, images: Sequence[int], *, poses: PoseRange | None = None
) -> ValidationPatient:
    """A phantom with one simulated radiograph for each image seed; poses as `validation_patient`."""
    made = phantom(spacing_mm=3.0, seed=seed)
    return validation_patient(made.volume, made.labels, encoder.framing, seeds=images, poses=poses)


class RayEmbRecipe(FindsPoints):
    """The compact encoder of RayEmb; a `training.Recipe`."""

    kind = "rayemb"
    title = "RayEmb encoder"
    help = (
        "A small network that tells, for any point of the CT, where it is on a radiograph "
        "(RayEmb, Shrestha et al. 2024)."
    )
    widget = "Points"
    found = "visible points"
    shipped = True

    def network(self, patients: Patients, start: Start) -> RayEncoder:
        """See `Recipe`."""
        if isinstance(start, Path):
            return load_encoder(start)[0]
        return shipped_encoder()[0] if start == "shipped" else self.new()

    def new(self) -> RayEncoder:
        """See `FindsPoints`."""
        return CompactEncoder()

    def task(
        self,
        network: RadiographNetwork,
        patients: Patients,
        *,
        carm: CArm,
        poses: PoseRange,
        seed: int,
    ) -> Task:
        """See `Recipe`."""
        assert isinstance(network, RayEncoder)
        if isinstance(patients, OneCT):
            return patient_task(network, patients, carm=carm, poses=poses, seed=seed)
        settings = RayEmbSettings(views=ViewSettings(carm=carm, poses=poses), seed=seed)
        return population_task(network, patients.population(), settings=settings)

    def finish(self, network: RadiographNetwork, detail: Any) -> None:
        """Nothing: its heads are trained."""

    def picture(self, detail: Any) -> Cloud | None:
        """Similarity of the peaks against their error, as in the paper's Fig. 5."""
        scatters = [case.scatter for case in detail or ()]
        if not scatters:
            return None
        said, error, counts = (
            torch.cat([getattr(s, name) for s in scatters]).cpu().numpy()
            for name in ("similarity", "error_mm", "truly_in_image")
        )
        return Cloud(said.astype(float), error.astype(float), counts, "similarity")
