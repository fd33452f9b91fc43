"""Patients to train on: one, a folder of CTs, the phantom's population, or a mixture."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from napari_xreg.images import (
    Landmark,
    ReadError,
    formats_in_words,
    input_files,
    named,
    read_labels,
    read_landmarks,
    read_volume,
    suffixes,
)
from napari_xreg.simulation import TUNING_SEEDS, phantom
from napari_xreg.training.images.bend import Bend, bent_by
from napari_xreg.training.patients.patient import Patient, patient_from_volume

LANDMARK_FILES = ("landmarks.mrk.json", "landmarks.fcsv", "landmarks.csv")


@runtime_checkable
class Population(Protocol):
    """Where patients come from."""

    def draw(self, generator: torch.Generator) -> Patient:
        """A patient; the same for the same state of the generator."""
        ...


@dataclass(frozen=True, eq=False)
class OnePatient:
    """Always the same: patient-specific training."""

    patient: Patient

    def draw(self, generator: torch.Generator) -> Patient:
        """The patient."""
        return self.patient


@dataclass(frozen=True)
class PhantomPopulation:
    """Pelves of the simulator, each bent a little so that few are alike.

    Parameters
    ----------
    seeds
        Of `simulation.phantom`. The default are the seeds that may be used for tuning.
    spacing_mm
        Voxels; half a second each at 3 mm, a quarter at 4 mm.
    bend_mm
        Standard deviation of a smooth random displacement of the anatomy, mm.
    stretch
        Standard deviation of the relative size along each axis.
    texture
        Standard deviation of a smooth random factor on attenuation.
    """

    seeds: Sequence[int] = TUNING_SEEDS[:900]
    spacing_mm: float = 4.0
    bend_mm: float = 4.0
    stretch: float = 0.05
    texture: float = 0.06

    def draw(self, generator: torch.Generator) -> Patient:
        """A bent phantom."""
        at = int(torch.randint(len(self.seeds), (1,), generator=generator))
        seed = int(self.seeds[at])
        made = phantom(spacing_mm=self.spacing_mm, seed=seed)
        bend = Bend.draw(made.volume, generator, bend_mm=self.bend_mm, stretch=self.stretch)
        volume, labels = bent_by(bend, made.volume, made.labels, generator, texture=self.texture)
        places = torch.tensor(list(made.landmarks.values()), dtype=torch.float64)
        moved = bend.moved(places).tolist()
        landmarks = [
            Landmark(name, (x, y, z)) for name, (x, y, z) in zip(made.landmarks, moved, strict=True)
        ]
        return patient_from_volume(
            volume, labels=labels, landmarks=landmarks, voxel_mm=self.spacing_mm, seed=seed,
            name=f"phantom {seed}",
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class CTFolder:
    """The CTs of a folder: ``ct.nii.gz`` (with ``labels.nii.gz``, if any) in folders, or files.

    Beside a CT in its own folder lie its landmarks, if any: ``landmarks.mrk.json``, ``.fcsv`` or
    ``.csv``. Each is read when it is first drawn and kept as its coarse grids.

    Parameters
    ----------
    folder
        Searched one level deep.
    bone_above_hu
        Where points are sampled if there are no labels.

    Raises
    ------
    ReadError
        If the folder holds no CT.
    """

    folder: Path
    bone_above_hu: float = 250.0
    voxel_mm: float = 4.0
    files: tuple[Path, ...] = field(init=False)
    _kept: dict[Path, Patient] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", ct_files(self.folder))

    def draw(self, generator: torch.Generator) -> Patient:
        """One of them, each as often as another."""
        file = self.files[int(torch.randint(len(self.files), (1,), generator=generator))]
        if file not in self._kept:
            beside = file.parent / file.name.replace("ct.", "labels.", 1)
            labels = read_labels(beside) if beside != file and beside.is_file() else None
            self._kept[file] = patient_from_volume(
                read_volume(file), labels=labels, landmarks=landmarks_beside(file),
                bone_above_hu=self.bone_above_hu, voxel_mm=self.voxel_mm, name=file.parent.name,
            )  # fmt: skip
        return self._kept[file]


@dataclass(frozen=True, eq=False)
class Mixture:
    """Several populations, drawn by weight."""

    parts: Sequence[tuple[Population, float]]

    def __post_init__(self) -> None:
        if not self.parts or not all(weight > 0 for _, weight in self.parts):
            raise ValueError("a mixture needs populations with positive weights")

    def draw(self, generator: torch.Generator) -> Patient:
        """A patient of one of the parts."""
        weights = torch.tensor([weight for _, weight in self.parts])
        at = int(torch.multinomial(weights, 1, generator=generator))
        return self.parts[at][0].draw(generator)


def ct_files(folder: Path) -> tuple[Path, ...]:
    """CTs of a folder, in order of their names: files in it, or ``ct.*`` one level deeper.

    Raises
    ------
    ReadError
        If there is none.
    """
    names = ct_file_names()
    found = sorted(file for file in folder.glob("*/*") if file.name in names)
    found += sorted(
        file
        for file in folder.glob("*")
        if file.is_file()
        and named(file, "volume") is not None
        and not file.name.startswith("labels.")
    )
    if not found:
        raise ReadError(
            f"{folder} holds no CT: expected files of {formats_in_words('volume')}, or folders with "
            f"one of {', '.join(names)} each"
        )
    # Not the voxels beside their header.
    return tuple(file for file in found if input_files(file)[0] == file)


def ct_file_names() -> tuple[str, ...]:
    """Of CTs in folders of their own."""
    return tuple(f"ct{suffix}" for suffix in suffixes("volume", dicom=False))


def landmarks_beside(file: Path) -> tuple[Landmark, ...]:
    """Those of a CT that lies in a folder of its own; none where there is no such file."""
    found = landmark_file_beside(file)
    return () if found is None else tuple(read_landmarks(found))


def landmark_file_beside(file: Path) -> Path | None:
    """Where the landmarks of a CT lie that has a folder of its own; None: nowhere."""
    if file.name not in ct_file_names():
        return None
    beside = (file.parent / name for name in LANDMARK_FILES)
    return next((each for each in beside if each.is_file()), None)
