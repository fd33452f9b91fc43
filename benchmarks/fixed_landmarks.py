"""The rival of RayEmb: a U-Net that knows a fixed list of landmarks, trained on the same patient as long.

The idea of RayEmb's "Fixed-Landmark" baseline (a U-Net with a heatmap for each landmark, those
with a peak solve the PnP), with this package's small detector in place of the paper's of 64 to 512
channels, which sees too few images in some minutes on a CPU. No dropout passes, no weights.
"""

import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import cases, trained
from napari_xreg.geometry import Pose
from napari_xreg.images import Landmark, Radiograph, read_landmarks
from napari_xreg.landmarks import (
    CompactDetector,
    DetectSettings,
    LandmarkDetector,
    detect,
    load_detector,
    patient_landmark_task,
)
from napari_xreg.progress import run
from napari_xreg.registration import PnPSettings, Weighting, solve_pnp
from napari_xreg.rendering import set_thread_count
from napari_xreg.training import OneCT

MARKS = Path(__file__).resolve().parent / "landmarks"
"""Landmarks placed by hand, ``<volume>.mrk.json``."""


def marks_of(name: str) -> tuple[Landmark, ...]:
    """The landmarks of a CT; none where nobody placed any."""
    if name == cases.PHANTOM:
        places = cases.phantom_made().landmarks
        return tuple(Landmark(key, (x, y, z)) for key, (x, y, z) in places.items())
    file = MARKS / f"{name}.mrk.json"
    return tuple(read_landmarks(file)) if file.is_file() else ()


def train_detector(
    name: str, file: Path, minutes: float, threads: int, validation_images: int
) -> None:
    """From scratch, on renderings of the CT."""
    torch.set_num_threads(threads)
    set_thread_count(threads)
    torch.manual_seed(0)
    marks = marks_of(name)
    detector = CompactDetector(names=[mark.name for mark in marks])
    task = patient_landmark_task(
        detector, OneCT(name, cases.volume_of(name), landmarks=tuple(marks)), carm=cases.carm(),
        validation_images=validation_images,
    )  # fmt: skip
    trained.learn(name, task, trained.for_minutes(minutes), file, minutes=minutes, threads=threads)


def landmark_start(
    name: str, radiograph: Radiograph, detector: LandmarkDetector
) -> tuple[dict[str, Any], Pose | None]:
    """The pose from what the detector sees, every landmark alike; None where there is none."""
    wall, processor = time.perf_counter(), time.process_time()
    found = run(detect(detector, radiograph, settings=DetectSettings(passes=0)))
    assert found is not None
    pairs = found.correspondences(marks_of(name), weighting=Weighting("none"))
    spacing = radiograph.carm.detector.spacing[0]
    solution = solve_pnp(pairs, radiograph.carm, settings=PnPSettings(threshold_px=12.0 / spacing))
    seconds = {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - processor,
        "landmarks": int((found.visible >= 0.5).sum()),
    }
    return seconds, solution.world_from_camera


def read_detector(file: Path) -> LandmarkDetector:
    """What `train_detector` wrote."""
    return load_detector(file)[0]
