"""Detect: named landmarks of a radiograph by a network, and whether they are to be trusted."""

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from napari_xreg import landmarks
from napari_xreg.images import Radiograph
from napari_xreg.landmarks import (
    Detections,
    DetectionTrust,
    DetectSettings,
    PassesDone,
    load_detector,
    trust_of,
)
from napari_xreg.progress import Control
from napari_xreg.workflows.preparing import WeightsRead


@dataclass(frozen=True, eq=False)
class DetectRequest:
    """A radiograph, and what is to read it.

    Parameters
    ----------
    weights
        File of a detector.
    radiograph
        With its geometry, without what is masked.
    settings
        How many passes, and from which seed.
    id
        Of the radiograph in a session (`Exposure.id`: it may be renamed meanwhile).
    """

    weights: Path
    radiograph: Radiograph
    settings: DetectSettings = field(default_factory=lambda: DetectSettings(keep_heatmaps=False))
    id: str = ""


@dataclass(frozen=True, eq=False)
class Detected:
    """What a detector found.

    Parameters
    ----------
    detections
        Pixels with their uncertainty, from the passes that were made.
    trust
        Whether to go on with them.
    weights
        Of the detector.
    """

    detections: Detections
    trust: DetectionTrust
    weights: WeightsRead


def detect(
    request: DetectRequest, *, control: Control | None = None
) -> Generator[WeightsRead | PassesDone, None, Detected | None]:
    """Read a radiograph pass after pass.

    Yields
    ------
    WeightsRead
        Once.
    PassesDone
        What was found so far.

    Returns
    -------
    Detected or None
        From the passes made before it was cancelled; None if there was none.

    Raises
    ------
    CheckpointError
        If the weights cannot be read.
    ValueError
        If no pixel of the radiograph is usable.
    """
    detector, about = load_detector(request.weights)
    weights = WeightsRead(request.weights.name, about, landmarks=len(detector.names))
    yield weights
    found = yield from landmarks.detect(
        detector, request.radiograph, settings=request.settings, control=control
    )
    if found is None:
        return None
    trust = trust_of(found, request.radiograph.carm, threshold_mm=detector.trusted_mm)
    return Detected(found, trust, weights)
