"""Cases that are simulated: phantoms and CTs, in several severities, from many directions."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_xreg.files import ReadError
from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Landmark, read_labels, read_volume
from napari_xreg.records import SimulatedCases
from napari_xreg.session import PHANTOM, Source, file_source
from napari_xreg.simulation import SEVERITIES, phantom
from napari_xreg.study.case import (
    Prepared,
    StudyCase,
    content,
    fiducials_of,
    middle_of,
    placed,
)
from napari_xreg.training import landmark_file_beside, landmarks_beside
from napari_xreg.workflows import SIZE_MM, Patient, SampleSettings, SimulateRequest, simulate

SOURCE_TO_DETECTOR_MM, SOURCE_TO_ISOCENTER_MM = 1020.0, 750.0
_MOST_PHANTOMS = 10_000


@dataclass(frozen=True)
class SimulatedCase:
    """One simulated radiograph of a CT.

    Parameters
    ----------
    ct
        A file, or "phantom:" and a number.
    severity, seed
        As of `simulate_radiograph`; the seed draws the direction too.
    entry
        What all of its kind have in common.
    """

    ct: str
    severity: str
    seed: int
    entry: SimulatedCases

    def described(self) -> dict[str, Any]:
        """See `Described`."""
        e = self.entry
        marks = None if _number(self.ct) is not None else landmark_file_beside(Path(self.ct))
        return {
            "kind": "simulated",
            "ct": self.ct if _number(self.ct) is not None else content(Path(self.ct)),
            "labels": "" if _number(self.ct) is not None else content(_labels(self.ct)),
            "severity": self.severity,
            "seed": self.seed,
            "pixels": e.pixels,
            "angles": [e.primary_deg, e.secondary_deg],
            "header_error": e.header_error,
            "voxel": e.phantom_voxel_mm,
            # Absent where there are none: their keys are those of before landmarks were read.
            **({} if marks is None else {"landmarks": content(marks)}),
        }

    def prepare(self) -> Prepared:
        """See `Described`."""
        patient, sources = _patient(self.ct, self.entry.phantom_voxel_mm)
        isocenter = _middle(patient)
        size = SIZE_MM / self.entry.pixels
        detector = Detector((self.entry.pixels, self.entry.pixels), (size, size))
        carm = CArm(SOURCE_TO_DETECTOR_MM, SOURCE_TO_ISOCENTER_MM, detector)
        reach = (self.entry.primary_deg, self.entry.secondary_deg)
        primary, secondary = np.random.default_rng(self.seed).uniform(-1, 1, 2) * reach
        pose = carm.world_from_camera(float(primary), float(secondary), isocenter=isocenter)
        settings = SampleSettings(
            self.severity, self.seed, pixels=self.entry.pixels, start_error=self.entry.header_error
        )
        made = simulate(
            SimulateRequest(patient.volume, patient.labels, isocenter, settings, carm, pose)
        )
        truth = made.truth.to(dtype=torch.float64)
        points = fiducials_of(patient, made.radiograph, truth, self.seed)
        return Prepared(patient, (made.radiograph,), isocenter, truth, points, sources=sources)


def expand(entry: SimulatedCases, folder: Path) -> Iterator[StudyCase]:
    """The cases of an entry of a manifest in a folder.

    Raises
    ------
    ReadError
        If a severity or a phantom is not known.
    """
    wrong = [name for name in entry.severities if name not in SEVERITIES]
    if wrong:
        raise ReadError(f"a severity is one of {', '.join(SEVERITIES)}: got {wrong[0]!r}")
    for ct in (each for said in entry.cts for each in _cts(said, folder)):
        name = ct if _number(ct) is not None else _called(Path(ct))
        for severity in entry.severities:
            for seed in range(entry.seed, entry.seed + entry.views):
                made = SimulatedCase(ct, severity, seed, entry)
                yield StudyCase(f"{name} {severity} {seed}", name, made, severity)


def _cts(said: str, folder: Path) -> Iterator[str]:
    kind, _, numbers = said.partition(":")
    if kind != PHANTOM:
        yield str(folder / said)
        return
    first, _, last = numbers.partition("-")
    last = last or first
    if not (first.isdecimal() and last.isdecimal() and len(last) < 10 and int(first) <= int(last)):
        raise ReadError(f"phantoms are said as phantom:7 or phantom:7-12: got {said!r}")
    if int(last) - int(first) >= _MOST_PHANTOMS:
        raise ReadError(f"{said}: more than {_MOST_PHANTOMS} phantoms")
    yield from (f"{PHANTOM}:{number}" for number in range(int(first), int(last) + 1))


def _number(ct: str) -> int | None:
    """Of a phantom."""
    kind, colon, number = ct.partition(":")
    return int(number) if kind == PHANTOM and colon else None


def _called(ct: Path) -> str:
    """Half of all CTs are called ct.nii.gz: the folder tells them apart."""
    return ct.absolute().parent.name if ct.name.split(".")[0] in ("ct", "volume") else ct.name


def _labels(ct: str) -> Path:
    """A label map beside a CT, by the one name that this program gives it."""
    return Path(ct).parent / "labels.nii.gz"


@lru_cache(maxsize=2)
def _patient(ct: str, voxel_mm: float) -> tuple[Patient, dict[str, Source]]:
    number = _number(ct)
    if number is not None:
        made = phantom(spacing_mm=voxel_mm, seed=number)
        marks = tuple(Landmark(name, place) for name, place in made.landmarks.items())
        source = Source(PHANTOM, built_in=True, options={"spacing_mm": voxel_mm, "seed": number})
        patient = Patient(made.volume, ct, None, made.labels, {}, marks)
        return patient, {"ct": source, "labels": source}
    volume = read_volume(ct)
    beside = _labels(ct)
    labels = read_labels(beside).onto(volume) if beside.is_file() else None
    sources = {"ct": file_source(ct)}
    if labels is not None:
        sources["labels"] = file_source(beside)
    marks = placed(landmarks_beside(Path(ct)))
    return Patient(volume, _called(Path(ct)), Path(ct), labels, landmarks=marks), sources


@lru_cache(maxsize=2)
def _middle(patient: Patient) -> torch.Tensor:
    return middle_of(patient)
