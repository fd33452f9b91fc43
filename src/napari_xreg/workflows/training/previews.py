"""What a network would be shown: images sampled from a pose range."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.geometry import CArmPose
from napari_xreg.training import OneCT, Patient, Patients, PoseRange, Shown

SAMPLES = 8
"""Images at a time."""

PATIENTS = 4
"""At most so many, where there are several."""


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """One image.

    Parameters
    ----------
    grey
        0 to 255, masked pixels 0.
    mask
        False where the network is told to look away.
    pose
        Of the C-arm, about the middle of the patient's bones.
    patient
        Its name.
    """

    grey: npt.NDArray[np.uint8] = field(repr=False)
    mask: npt.NDArray[np.bool_] = field(repr=False)
    pose: CArmPose
    patient: str


class KnownPatients:
    """The patients of the last request, made ready; for one thread."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] | None = None
        self._held: Patients | None = None
        self._patients: list[Patient] = []

    def of(self, patients: Patients) -> list[Patient]:
        """One patient, or a few of many."""
        key = _key(patients)
        if key != self._key:
            self._key = None
            population = patients.population()
            generator = torch.Generator().manual_seed(0)
            count = 1 if isinstance(patients, OneCT) else PATIENTS
            self._patients = [population.draw(generator) for _ in range(count)]
            self._held = patients  # what the key names must not be replaced by a namesake
            self._key = key
        return self._patients


def _key(patients: Patients) -> tuple[Any, ...]:
    if isinstance(patients, OneCT):
        ids = (id(patients.volume), id(patients.labels))
        return (*ids, patients.label_ids, patients.bone_above_hu)
    return (patients,)


@dataclass(frozen=True, eq=False)
class TrainingSamplesRequest:
    """Everything the images need, captured.

    Parameters
    ----------
    patients, poses
        As the training would have them.
    shown
        How the network sees them.
    known
        Where patients are remembered between requests.
    count, seed
        How many; the same seed gives the same draws of another range.
    """

    patients: Patients
    poses: PoseRange
    shown: Shown
    known: KnownPatients
    count: int = SAMPLES
    seed: int = 0

    def answer(self) -> list[TrainingSample]:
        """Render views and draw their appearance."""
        carm = self.shown.carm
        samples: list[TrainingSample] = []
        patients = self.known.of(self.patients)
        share = -(-self.count // len(patients))
        generator = torch.Generator().manual_seed(self.seed)
        for patient in patients:
            count = min(share, self.count - len(samples))
            if count <= 0:
                break
            poses = self.poses.sample(carm, patient.isocenter, count, generator)
            images, masks = self.shown.draw(patient.render(carm, poses), generator)
            for i in range(count):
                terms = carm.carm_pose(poses[i], patient.isocenter.double())
                mask = masks[i].cpu().numpy()
                grey = _grey(images[i].cpu().numpy(), mask)
                samples.append(TrainingSample(grey, mask, terms, patient.name))
        return samples


def _grey(image: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Stretched over its usable pixels, since the network sees contrast only."""
    usable = image[mask]
    if not usable.size:
        return np.zeros(image.shape, np.uint8)
    low, high = np.percentile(usable, (1, 99))
    grey = np.clip((image - low) / max(float(high - low), 1e-6), 0, 1) * 255
    return np.where(mask, grey, 0).astype(np.uint8)
