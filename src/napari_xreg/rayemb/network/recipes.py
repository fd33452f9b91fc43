"""Ready-made trainings: one patient, or many."""

from collections.abc import Iterable, Sequence

from napari_xreg.geometry import CArm
from napari_xreg.images import LabelMap, Volume
from napari_xreg.rayemb.network.encoder import RayEncoder
from napari_xreg.rayemb.task import RayEmbSettings, RayEmbTask
from napari_xreg.rayemb.validation import ValidationPatient, Validator, validation_patient
from napari_xreg.rayemb.view_pool import ViewSettings
from napari_xreg.simulation import phantom
from napari_xreg.training import (
    STANDARD_CARM,
    OnePatient,
    Population,
    PoseRange,
    patient_from_volume,
)

VALIDATION_PHANTOMS = (950, 951, 952)


def patient_task(
    encoder: RayEncoder,
    volume: Volume,
    *,
    labels: LabelMap | None = None,
    label_ids: Iterable[int] | None = None,
    bone_above_hu: float = 250.0,
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
    volume, labels, label_ids, bone_above_hu
        Where points are sampled; see `training.patient_from_volume`.
    carm
        Of the radiographs to come.
    poses
        Where the C-arm may stand. None: as in the paper, see `PoseRange`.
    settings
        Of the batches; its views are replaced by `carm` and `poses`.
    seed
        Of the poses.
    """
    poses = poses or PoseRange()
    patient = patient_from_volume(
        volume, labels=labels, label_ids=label_ids, bone_above_hu=bone_above_hu
    )
    images = validation_patient(
        volume, labels, encoder.framing, seeds=range(800, 800 + validation_images), poses=poses,
        carm=carm, bone_above_hu=bone_above_hu,
    )  # fmt: skip
    chosen = settings or RayEmbSettings(
        views=ViewSettings(carm=carm, poses=poses, kept=24, renew_every=8), seed=seed
    )
    return RayEmbTask(encoder, OnePatient(patient), Validator([images]), chosen)


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
            phantom_validation(encoder, seed, range(900 + 4 * i, 904 + 4 * i), poses=poses)
            for i, seed in enumerate(VALIDATION_PHANTOMS)
        ]
    return RayEmbTask(encoder, population, Validator(validation), settings)


def phantom_validation(
    encoder: RayEncoder, seed: int, images: Sequence[int], *, poses: PoseRange | None = None
) -> ValidationPatient:
    """A phantom with one simulated radiograph for each image seed; poses as `validation_patient`."""
    made = phantom(spacing_mm=3.0, seed=seed)
    return validation_patient(made.volume, made.labels, encoder.framing, seeds=images, poses=poses)
