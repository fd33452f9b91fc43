"""What to train, frozen: everything a training needs, so that it may run in any thread."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from napari_xreg.geometry import CArm
from napari_xreg.images import LabelMap, Landmark, Volume
from napari_xreg.rayemb import STANDARD_CARM
from napari_xreg.training import (
    CTFolder,
    Mixture,
    OnePatient,
    PhantomPopulation,
    Population,
    PoseRange,
    patient_from_volume,
)

MOST_PIXELS = 256
"""Longer side of the radiographs that are simulated to validate on."""

Start = Literal["scratch", "shipped"] | Path
"""Where the weights come from at the beginning."""


@dataclass(frozen=True, eq=False)
class OneCT:
    """One patient.

    Parameters
    ----------
    name
        Of the CT, for the model card.
    volume, labels, label_ids, bone_above_hu, landmarks
        See `training.patient_from_volume`.
    """

    name: str
    volume: Volume = field(repr=False)
    labels: LabelMap | None = field(default=None, repr=False)
    label_ids: tuple[int, ...] | None = None
    bone_above_hu: float = 250.0
    landmarks: tuple[Landmark, ...] = field(default=(), repr=False)

    def population(self) -> Population:
        """That patient; ValueError if there is nothing to sample points from."""
        patient = patient_from_volume(
            self.volume, labels=self.labels, label_ids=self.label_ids,
            bone_above_hu=self.bone_above_hu, name=self.name,
        )  # fmt: skip
        return OnePatient(patient)

    def words(self) -> str:
        """What it is, for the model card."""
        return self.name

    def described(self) -> dict[str, Any]:
        """As plain values."""
        points: dict[str, Any] = {"above_hu": self.bone_above_hu}
        if self.labels is not None:
            ids = self.label_ids or ()
            points = {"structures": [self.labels.names.get(i, str(i)) for i in ids] or "all"}
        return {"on": "one CT", "ct": self.name, "points": points}


@dataclass(frozen=True)
class CTsOfFolder:
    """The CTs of a folder, mixed with simulated pelves.

    Parameters
    ----------
    folder
        See `training.CTFolder`.
    phantoms
        Simulated pelves for each CT; 0: none.
    bone_above_hu
        Where points are sampled in CTs without labels.
    """

    folder: Path
    phantoms: float = 0.5
    bone_above_hu: float = 250.0

    def population(self) -> Population:
        """Those patients; `ReadError` if there is no CT."""
        folder = CTFolder(self.folder, bone_above_hu=self.bone_above_hu)
        if self.phantoms == 0:
            return folder
        return Mixture([(folder, 1.0), (PhantomPopulation(), self.phantoms)])

    def words(self) -> str:
        """What it is, for the model card."""
        count = len(CTFolder(self.folder).files)
        words = f"{count} CT{'s' if count > 1 else ''}"
        if self.phantoms == 0:
            return words
        return f"{words}, and {self.phantoms:g} times as often simulated pelves"

    def described(self) -> dict[str, Any]:
        """As plain values; no path, which may name a patient."""
        return {"on": "folder", "phantoms": self.phantoms, "above_hu": self.bone_above_hu}


@dataclass(frozen=True)
class Phantoms:
    """Simulated pelves alone."""

    def population(self) -> Population:
        """All of them."""
        return PhantomPopulation()

    def words(self) -> str:
        """What it is, for the model card."""
        return "simulated pelves"

    def described(self) -> dict[str, Any]:
        """As plain values."""
        return {"on": "phantoms"}


Patients = OneCT | CTsOfFolder | Phantoms


@dataclass(frozen=True, eq=False)
class Resume:
    """An interrupted training to go on with.

    Parameters
    ----------
    state
        A ``.resume`` file, or the state itself.
    like
        Weights of the same network; None: the network a new training would have.
    steps, seconds
        What was done already, where that is known.
    """

    state: Path | Mapping[str, Any] = field(repr=False)
    like: Path | None = None
    steps: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class TrainRequest:
    """Everything a training needs.

    Parameters
    ----------
    patients
        Whom to learn.
    out
        Where weights go (``.safetensors``); the state to resume from is written beside them.
    start
        Of a new training.
    poses
        Where the C-arm may stand.
    carm, carm_name
        Of the radiographs to come, and whose it is.
    minutes
        In all, those before an interruption included.
    learning_rate, seed, device
        See `training.TrainSettings`; device as torch names it.
    threads
        Processors that torch may use.
    resume
        What to go on with; None: a new training.
    """

    patients: Patients
    out: Path
    start: Start = "scratch"
    poses: PoseRange = field(default_factory=PoseRange)
    carm: CArm = STANDARD_CARM
    carm_name: str = "standard"
    minutes: float = 5.0
    learning_rate: float = 2e-3
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    resume: Resume | None = None

    @property
    def state_file(self) -> Path:
        """Where the state to resume from is written."""
        return self.out.with_suffix(".resume")

    def described(self) -> dict[str, Any]:
        """As plain values, for the file of weights."""
        start = self.start.name if isinstance(self.start, Path) else self.start
        return {
            **self.patients.described(),
            "start": start,
            **self.poses.described(),
            "carm": {
                "source_to_detector_mm": self.carm.source_to_detector,
                "source_to_isocenter_mm": self.carm.source_to_isocenter,
                "detector_mm": list(self.carm.detector.size_mm),
            },
            "minutes": self.minutes,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
        }


def training_carm(carm: CArm) -> CArm:
    """The same C-arm with at most `MOST_PIXELS` a side: networks see far fewer."""
    rows, columns = carm.detector.shape
    scale = MOST_PIXELS / max(rows, columns)
    if scale >= 1:
        return carm
    shape = max(8, round(rows * scale)), max(8, round(columns * scale))
    return replace(carm, detector=carm.detector.resize(*shape))
