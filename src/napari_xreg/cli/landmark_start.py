"""``--init landmarks``: a start from named landmarks that a detector finds, and what ``detect`` shares."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from napari_xreg.cli.console import Console
from napari_xreg.cli.initialisers import NoStart
from napari_xreg.cli.inputs import Patient, Start, given_isocenter, placed_landmarks
from napari_xreg.cli.refining import cancelled_by_interrupt
from napari_xreg.images import Landmark, Radiograph
from napari_xreg.landmarks import (
    Detections,
    DetectSettings,
    LandmarkDetector,
    detect,
    load_detector,
    trust_of,
)
from napari_xreg.progress import Control, run as run_events
from napari_xreg.registration import PnPSettings, PnPSolution, Spread, Weighting, solve_pnp
from napari_xreg.rendering import thread_count

THRESHOLD_MM = 12.0
"""Of MAGSAC, on the detector: a small detector misses a landmark by several millimetres."""

STARTS = 16
SPREAD = Spread(4.0, 6.0, 20.0)
"""Around the pose of a PnP depth is what is known least."""


def find_start(
    arguments: Namespace, patient: Patient, radiograph: Radiograph, console: Console
) -> Start:
    """See `initialisers`."""
    if arguments.weights is None:
        raise ValueError(
            "--init landmarks needs --weights: train a detector first (napari-xreg train landmarks)"
        )
    marks = landmarks_of(arguments, patient)
    detector, about = chosen_detector(arguments.weights, console, arguments.threads)
    settings = DetectSettings(seed=arguments.seed, keep_heatmaps=False)
    found = detected(detector, radiograph, settings, console)
    trust = trust_of(found, radiograph.carm, threshold_mm=detector.trusted_mm)
    solution = solved(found, marks, radiograph, Weighting("covariance"))
    pose = solution.world_from_camera
    if pose is None:
        raise NoStart(f"the landmarks give no start. {solution.reason} {trust.reason}")
    console.say(f"landmarks: {int(solution.used.sum())} used. {trust.reason}")
    notes = [] if trust else [f"the start of the landmarks: {trust.reason}"]
    if not solution:
        notes.append(f"the start of the landmarks: {solution.reason}")
    middle = torch.tensor([m.position for m in marks], dtype=torch.float64).mean(0)
    extra = {
        "init": {
            "method": "landmarks",
            "weights": dict(about),
            "landmarks_used": [
                name for name, used in zip(solution.names, solution.used, strict=True) if used
            ],
            "trusted": trust.trusted if solution else False,
            "uncertainty_mm": trust.uncertainty_mm,
            "sentence": trust.reason,
        }
    }
    isocenter = given_isocenter(arguments, middle)
    return Start(pose, isocenter, "landmarks", tuple(notes), extra, STARTS, SPREAD)


def chosen_detector(
    file: str, console: Console, threads: int | None
) -> tuple[LandmarkDetector, Mapping[str, Any]]:
    """The detector of --weights."""
    torch.set_num_threads(threads or thread_count())
    detector, about = load_detector(Path(file))
    trained = about.get("trained_on", "something they do not name")
    console.say(
        f"weights: {Path(file).name}, {len(detector.names)} landmarks, trained on {trained}"
    )
    return detector, about


def landmarks_of(arguments: Namespace, patient: Patient) -> list[Landmark]:
    """Those of the CT: of a file, or the phantom's own.

    Raises
    ------
    ReadError, ValueError
        If there are none with a position.
    """
    if arguments.landmarks is not None:
        return placed_landmarks(arguments)
    if patient.phantom is not None:
        return [Landmark(name, place) for name, place in patient.phantom.landmarks.items()]
    raise ValueError("give the landmarks of the CT: --landmarks FILE (.mrk.json, .fcsv or .csv)")


def detected(
    detector: LandmarkDetector, radiograph: Radiograph, settings: DetectSettings, console: Console
) -> Detections:
    """All passes; Ctrl-C ends the program."""
    control = Control()
    console.step(f"looking for {len(detector.names)} landmarks")
    with cancelled_by_interrupt(control):
        found = run_events(
            detect(detector, radiograph, settings=settings, control=control),
            lambda event: console.progress(
                event.done / event.of, f"pass {event.done}/{event.of}", last=event.done == event.of
            ),
        )
    if found is None or control.cancelled:
        raise KeyboardInterrupt
    return found


def solved(
    found: Detections, marks: list[Landmark], radiograph: Radiograph, weighting: Weighting
) -> PnPSolution:
    """The pose that follows."""
    s_row, s_column = radiograph.carm.detector.spacing
    threshold = THRESHOLD_MM / (s_row * s_column) ** 0.5
    pairs = found.correspondences(marks, weighting=weighting)
    return solve_pnp(pairs, radiograph.carm, settings=PnPSettings(threshold_px=threshold))
