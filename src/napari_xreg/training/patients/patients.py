"""Whom a network learns, as a user says it; nothing is read or rendered until it is asked for."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import LabelMap, Landmark, Volume
from napari_xreg.training.patients.patient import patient_from_volume
from napari_xreg.training.patients.population import (
    CTFolder,
    Mixture,
    OnePatient,
    PhantomPopulation,
    Population,
)


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

    @property
    def landmark_names(self) -> tuple[str, ...]:
        """Of those that lie in the CT."""
        return tuple(mark.name for mark in self.landmarks if mark.position is not None)

    def population(self, isocenter: Float[Tensor, "3"] | None = None) -> Population:
        """That patient; ValueError if there is nothing to sample points from.

        Parameters
        ----------
        isocenter
            World mm. None: the middle of the points in bone.
        """
        patient = patient_from_volume(
            self.volume, labels=self.labels, label_ids=self.label_ids, landmarks=self.landmarks,
            bone_above_hu=self.bone_above_hu, isocenter=isocenter, name=self.name,
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
    landmark_names
        To learn; empty: those that a new network of the kind knows.
    """

    folder: Path
    phantoms: float = 0.5
    bone_above_hu: float = 250.0
    landmark_names: tuple[str, ...] = ()

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
    """Simulated pelves alone; `landmark_names` as of `CTsOfFolder`."""

    landmark_names: tuple[str, ...] = ()

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
