"""A starting pose from named landmarks that a network finds on the radiograph."""

from collections.abc import Generator

import torch

from napari_xreg.landmarks import DetectSettings, PassesDone
from napari_xreg.progress import Control
from napari_xreg.registration import Weighting
from napari_xreg.workflows.landmarks.detecting import DetectRequest, detect
from napari_xreg.workflows.landmarks.solving import SolveRequest, solve
from napari_xreg.workflows.preparing import WeightsRead
from napari_xreg.workflows.starting.initialisers import NoStart
from napari_xreg.workflows.starting.starting import InitialiseRequest, StartingPose
from napari_xreg.workflows.starting.starts_by_method import LANDMARK_SPREAD, LANDMARK_STARTS


def find_start(
    request: InitialiseRequest, *, control: Control | None = None
) -> Generator[WeightsRead | PassesDone, None, StartingPose | None]:
    """Detect, then solve, each landmark by its covariance: see `INITIALISERS`."""
    assert request.weights is not None
    control = control or Control()
    settings = DetectSettings(seed=request.seed, keep_heatmaps=False)
    found = yield from detect(
        DetectRequest(request.weights, request.radiograph, settings), control=control
    )
    if found is None or control.cancelled:
        return None
    trust = found.trust
    solution = solve(
        SolveRequest(
            request.landmarks, found.detections.landmarks(), request.radiograph.carm,
            weighting=Weighting("covariance"),
        )
    ).solution  # fmt: skip
    if solution.world_from_camera is None:
        raise NoStart(f"the landmarks give no start. {solution.reason} {trust.reason}")
    notes = [] if trust else [f"the start of the landmarks: {trust.reason}"]
    if not solution:
        notes.append(f"the start of the landmarks: {solution.reason}")
    used = [name for name, flag in zip(solution.names, solution.used, strict=True) if flag]
    evidence = {
        "method": "landmarks",
        "weights": dict(found.weights.about),
        "landmarks_used": used,
        "trusted": trust.trusted if solution else False,
        "probability": trust.likelihood.probability,
        "within_mm": trust.likelihood.within_mm,
        "uncertainty_mm": trust.uncertainty_mm,
        "sentence": trust.reason,
    }
    isocenter = request.isocenter
    if isocenter is None:
        places = [mark.position for mark in request.landmarks]
        isocenter = torch.tensor(places, dtype=torch.float64).mean(0)
    return StartingPose(
        solution.world_from_camera, isocenter, "landmarks", tuple(notes),
        f"landmarks: {len(used)} used. {trust.reason}", {"init": evidence},
        LANDMARK_STARTS, LANDMARK_SPREAD,
    )  # fmt: skip
