"""The landmark detector as it is trained: for one patient, or for many."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from napari_xreg.geometry import CArm
from napari_xreg.landmarks.compact import CompactDetector
from napari_xreg.landmarks.detector import LandmarkDetector
from napari_xreg.landmarks.task import LandmarkSettings, LandmarkTask
from napari_xreg.landmarks.validation import (
    LandmarkCase,
    LandmarkValidator,
    landmark_cases,
    phantom_cases,
    trust_threshold,
)
from napari_xreg.landmarks.view_pool import LandmarkViewSettings
from napari_xreg.landmarks.weights_file import load_detector
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
    isocenter_pixel_mm,
)

VALIDATION_PHANTOMS = (953, 954, 955, 956)


def patient_landmark_task(
    detector: LandmarkDetector,
    patient: OneCT,
    *,
    carm: CArm = STANDARD_CARM,
    poses: PoseRange | None = None,
    settings: LandmarkSettings | None = None,
    validation_images: int = 6,
    seed: int = 0,
) -> LandmarkTask:
    """Learn the landmarks of one patient, from scratch or from a detector that knows others.

    Validation is on simulated radiographs of the same CT at other poses: how well the detector
    knows the patient, not how well another one.

    Parameters
    ----------
    detector
        New, with the names of the landmarks, or with weights to finetune.
    patient
        The CT and its landmarks, with positions; matched by name. The C-arm turns about their
        middle.
    carm
        Of the radiographs to come.
    poses
        Where the C-arm may stand. None: see `PoseRange`.
    settings
        Of the batches; None: views of `carm` and `poses`.
    seed
        Of the poses.

    Raises
    ------
    ValueError
        If the patient has none of the detector's landmarks.
    """
    poses = poses or PoseRange()
    names = patient.landmark_names
    if not set(names) & set(detector.names):
        raise ValueError(
            f"the CT has none of the detector's landmarks {', '.join(detector.names)}: it has "
            f"{', '.join(names) or 'none with a position'}"
        )
    placed = [mark.position for mark in patient.landmarks if mark.position is not None]
    isocenter = torch.tensor(placed, dtype=torch.float64).mean(0)
    cases = landmark_cases(
        patient.volume, patient.labels, patient.landmarks,
        seeds=images_of_one(validation_images), poses=poses, carm=carm, isocenter=isocenter,
        bone_above_hu=patient.bone_above_hu, step_mm=1.0, rays_per_side=1,
    )  # fmt: skip
    chosen = settings or LandmarkSettings(
        views=LandmarkViewSettings(carm=carm, poses=poses, kept=40, renew_every=8), seed=seed
    )
    return LandmarkTask(detector, patient.population(isocenter), LandmarkValidator(cases), chosen)


def population_landmark_task(
    detector: LandmarkDetector,
    population: Population,
    *,
    validation: Sequence[LandmarkCase] | None = None,
    settings: LandmarkSettings | None = None,
) -> LandmarkTask:
    """Learn the landmarks of many patients.

    Parameters
    ----------
    population
        `PhantomPopulation`, `CTFolder` with landmarks beside every CT, or a `Mixture` of both.
    validation
        Cases of patients that are not among them. None: phantoms of seeds kept for this, at the
        poses that are learned.
    settings
        Of the batches.
    """
    poses = None if settings is None else settings.views.poses
    cases = validation or validation_phantoms(poses=poses)
    return LandmarkTask(detector, population, LandmarkValidator(cases), settings)


def validation_phantoms(
    images: int = 5, severity: str = "typical", *, poses: PoseRange | None = None
) -> tuple[LandmarkCase, ...]:
    """Phantoms that no population of the package holds, seen from a few sides each."""
    return tuple(
        case
        for seed, seen in images_of_phantoms(VALIDATION_PHANTOMS, images)
        for case in phantom_cases(seed, seen, severity=severity, poses=poses)
    )


class LandmarkRecipe(FindsPoints):
    """The compact detector; names are the patient's, or the phantom's. A `training.Recipe`."""

    kind = "landmarks"
    title = "landmark detector"
    help = (
        "A small network that finds the named landmarks of the patient on a radiograph, and says "
        "how sure it is of each (Suh et al. 2026)."
    )
    widget = "Landmarks"
    found = "visible landmarks"
    shipped = False

    def network(self, patients: Patients, start: Start) -> LandmarkDetector:
        """See `Recipe`."""
        if isinstance(start, Path):
            return load_detector(start)[0]
        if isinstance(patients, OneCT) and not patients.landmark_names:
            raise ValueError(
                "the CT has no landmarks to learn: give landmarks with their positions in the CT, "
                "or train on simulated pelves"
            )
        return self.new(patients.landmark_names)

    def new(self, names: Sequence[str] = ()) -> LandmarkDetector:
        """See `FindsPoints`; None named: those of the phantom."""
        return CompactDetector(names) if names else CompactDetector()

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
        assert isinstance(network, LandmarkDetector)
        if isinstance(patients, OneCT):
            return patient_landmark_task(network, patients, carm=carm, poses=poses, seed=seed)
        settings = LandmarkSettings(LandmarkViewSettings(carm=carm, poses=poses), seed=seed)
        return population_landmark_task(network, patients.population(), settings=settings)

    def finish(self, network: RadiographNetwork, detail: Any) -> None:
        """Up to which spread to trust it; after a resume, as before until it is better."""
        assert isinstance(network, LandmarkDetector)
        if detail:
            network.trusted_mm = trust_threshold(detail)

    def picture(self, detail: Any) -> Cloud | None:
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
