"""Images for the landmark benchmark: phantoms held out by seed, and the pelvis of the data folder.

Simulated once and kept on disk, like those of `benchmarks.cases`.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import cases
from napari_xreg.geometry import Pose
from napari_xreg.images import Landmark, Radiograph, read_landmarks
from napari_xreg.landmarks import LandmarkCase, landmark_cases
from napari_xreg.simulation import phantom
from napari_xreg.training import STANDARD_CARM, PoseRange

PELVIS = "pelvis_totalseg"
MARKS = Path(__file__).resolve().parent / "landmarks"

TUNING_PHANTOMS = range(960, 970)
"""Not among those trained on (0 to 899) nor those validated on; thresholds are fitted on these."""

EVALUATION_PHANTOMS = range(20_100, 20_110)
PAPER_POSES = PoseRange()
"""Angles of 45, 22.5 and 10 degrees, offsets of 50 mm (normal, cut at two standard deviations)."""


def phantom_case(seed: int, image: int) -> LandmarkCase:
    """One image of a phantom; `image` counts from 0."""
    seeds = (seed * 100 + image,) if seed >= 10_000 else (970 + image + 3 * (seed - 960),)
    return _kept(f"phantom{seed}", seeds[0])


def pelvis_case(image: int) -> LandmarkCase:
    """One image of the real CT."""
    return _kept(PELVIS, 31_000 + image)


def marks_of(name: str, occasion: str = "") -> tuple[Landmark, ...]:
    """Landmarks of a CT as placed by hand: the mean of the two occasions, or one of them."""
    return tuple(read_landmarks(MARKS / f"{name}{occasion and '-' + occasion}.mrk.json"))


def tuning_cases() -> list[LandmarkCase]:
    """For fitting."""
    return [phantom_case(seed, image) for seed in TUNING_PHANTOMS for image in range(3)]


def evaluation_cases(phantoms: int = 10, images: int = 5) -> list[LandmarkCase]:
    """For reporting."""
    return [
        phantom_case(seed, image)
        for seed in EVALUATION_PHANTOMS[:phantoms]
        for image in range(images)
    ]


def pelvis_cases(images: int = 20) -> list[LandmarkCase]:
    """For reporting, of the one real pelvis."""
    return [pelvis_case(image) for image in range(images)]


def _kept(name: str, seed: int) -> LandmarkCase:
    key = hashlib.sha256(f"{cases._simulator_fingerprint()} {PAPER_POSES} {STANDARD_CARM}".encode())
    file = cases.cache_folder() / f"landmarks-{name}-{seed}-{key.hexdigest()[:12]}.pt"
    if file.is_file():
        kept = torch.load(file, weights_only=True)
        mask = kept["mask"]
        radiograph = Radiograph(
            kept["line_integrals"], STANDARD_CARM, mask=None if bool(mask.all()) else mask,
            read_as="intensity", simulated=True, source=f"{name}, image {seed}",
        )  # fmt: skip
        truth = Pose(kept["rotation"], kept["translation"])
        marks = tuple(
            Landmark(mark, tuple(place))
            for mark, place in zip(kept["names"], kept["places"], strict=True)
        )
        if name == PELVIS:  # placed again since
            marks = marks_of(name)
        return LandmarkCase(f"{name}, image {seed}", radiograph, truth, marks)
    made = _made(name, (seed,))[0]
    part = file.with_name(f"{file.stem}.{os.getpid()}.part")
    torch.save(
        {
            "line_integrals": made.radiograph.line_integrals.float(),
            "mask": made.radiograph.usable,
            "rotation": made.truth.rotation,
            "translation": made.truth.translation,
            "names": [mark.name for mark in made.landmarks],
            "places": [mark.position for mark in made.landmarks],
        },
        part,
    )
    part.replace(file)
    return made


_phantoms: dict[str, tuple] = {}


def _made(name: str, seeds: Sequence[int]) -> tuple[LandmarkCase, ...]:
    if name == PELVIS:
        volume, labels = cases.volume_of(name), cases.labels_of(name)
        marks: Sequence[Landmark] = marks_of(name)
    else:
        if name not in _phantoms:
            _phantoms.clear()
            made = phantom(spacing_mm=2.0, seed=int(name.removeprefix("phantom")))
            points = [Landmark(mark, place) for mark, place in made.landmarks.items()]
            _phantoms[name] = (made.volume, made.labels, points)
        volume, labels, marks = _phantoms[name]
    isocenter = None
    if name == PELVIS:  # this CT reaches up to the chest: the middle of its bones is the spine
        isocenter = torch.tensor([mark.position for mark in marks], dtype=torch.float64).mean(0)
        isocenter = isocenter.round()  # placed again they are no other images
    return landmark_cases(
        volume, labels, marks, seeds=seeds, name=name, poses=PAPER_POSES, isocenter=isocenter
    )


if __name__ == "__main__":
    for _ in (*tuning_cases(), *evaluation_cases(), *pelvis_cases()):
        pass
