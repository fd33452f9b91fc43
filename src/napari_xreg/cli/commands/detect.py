"""``napari-xreg detect``: named landmarks of a radiograph, and the pose that follows."""

import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.cli.console import Console
from napari_xreg.cli.finding_start import shown
from napari_xreg.cli.further_views import check_counts, masked
from napari_xreg.cli.inputs import placed_landmarks, read_xray
from napari_xreg.cli.outputs import said_anyway, say_missing
from napari_xreg.files import (
    DETECTIONS,
    EachFile,
    check_folder,
    plain,
    schema_head,
    written,
    written_folder,
)
from napari_xreg.geometry import CArm, pixels_between
from napari_xreg.images import Radiograph, write_landmarks
from napari_xreg.landmarks import Detections, DetectionTrust, DetectSettings
from napari_xreg.progress import Control
from napari_xreg.records import carm_to_json, drawing, write_picture, write_pose
from napari_xreg.registration import PnPSolution, Weighting
from napari_xreg.workflows import Detected, DetectRequest, SolveRequest, detect, solve

PIXELS = 640


def run(arguments: Namespace, console: Console) -> int:
    """Detect and write; the exit code is 1 where the result is not to be trusted, or nobody knows."""
    out = Path(arguments.out)
    check_folder(out)
    check_counts(arguments)
    beta = Weighting().beta if arguments.beta is None else arguments.beta
    weighting = Weighting(arguments.weighting, beta, discard=arguments.discard)
    marks = None if arguments.landmarks is None else placed_landmarks(arguments)
    console.step("reading")
    radiograph = masked(arguments, read_xray(arguments), 0)
    console.step("looking for landmarks")
    settings = DetectSettings(seed=arguments.seed, keep_heatmaps=False)
    if arguments.passes is not None:
        settings = replace(settings, passes=arguments.passes)
    request, control = DetectRequest(Path(arguments.weights), radiograph, settings), Control()
    detected = shown(detect(request, control=control), control, arguments.threads, console)
    found, trust = detected.detections, detected.trust
    answer = _answer(detected, radiograph)
    solution = None
    if marks is not None:
        solution = solve(
            SolveRequest(tuple(marks), found.landmarks(), radiograph.carm, weighting=weighting)
        ).solution
    if solution is not None:
        answer["pose"] = _pose(solution)
    with (
        said_anyway(lambda: _say(answer, trust, solution, console)),
        written_folder(out, "detect") as part,
    ):
        each = EachFile(part)
        with each.file("landmarks.csv") as path:
            write_landmarks(path, found.landmarks())
        with each.file("detections.json") as path, written(path) as beside:
            beside.write_text(json.dumps(plain(answer), indent=1, allow_nan=False) + "\n")
        with each.file("landmarks.png") as path:
            write_picture(path, detections_picture(radiograph, found))
        if solution is not None and solution.world_from_camera is not None:
            with each.file("pose.json") as path:
                write_pose(path, solution.world_from_camera)
        each.check()
    _say(answer, trust, solution, console)
    console.say(f"written to {out}: {', '.join(each.files)}")
    files = [str(out / name) for name in each.files]
    console.answer(plain(answer) | {"files": files, "missing": each.missing})
    missing = say_missing(each.missing, console)
    good = bool(trust) and (marks is None or answer["pose"]["solved"])
    return 0 if good and not missing else 1


def _say(
    answer: Mapping[str, Any], trust: DetectionTrust, solution: PnPSolution | None, console: Console
) -> None:
    """Every landmark, and how far they are to be trusted."""
    for entry in answer["landmarks"]:
        row, column = entry["pixel_row_column"]
        seen = "" if entry["visible"] >= 0.5 else ", probably not in the image"
        console.say(
            f"{entry['name']}: row {row:.1f}, column {column:.1f}, +- {entry['spread_px']:.1f} px"
            f"{seen}"
        )
    console.say(trust.reason)
    if solution is not None:
        console.say(solution.reason)


def detections_picture(radiograph: Radiograph, found: Detections) -> drawing.Picture:
    """The radiograph with a dot and a 95 % ellipse for every landmark that may be in it."""
    detector = radiograph.carm.detector
    scale = PIXELS / max(detector.shape)
    rows, columns = (max(1, round(side * scale)) for side in detector.shape)
    shown = radiograph.resize(rows, columns)
    grey = drawing.grey(shown.line_integrals.cpu().float().numpy(), shown.usable.cpu().numpy())
    picture: drawing.Picture = np.ascontiguousarray(grey)
    roots = torch.linalg.cholesky(found.spread())
    angle = torch.linspace(0, 2 * torch.pi, 65, dtype=torch.float64)
    # 95 % of a normal distribution in the plane lie within 5.991 squared standard deviations.
    circle = 5.991**0.5 * torch.stack([angle.cos(), angle.sin()])
    for i, name in enumerate(found.names):
        if float(found.visible[i]) < 0.5:
            continue
        outline = _points(found.pixels[i] + (roots[i] @ circle).T, radiograph.carm, shown.carm)
        cv2.polylines(picture, [outline], True, drawing.AFTER, 1, cv2.LINE_AA)
        x, y = _points(found.pixels[i][None], radiograph.carm, shown.carm)[0].tolist()
        cv2.circle(picture, (x, y), 2, drawing.WARNING, -1, cv2.LINE_AA)
        at = (x + 6, y - 6)
        cv2.putText(picture, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, drawing.AFTER, 1, cv2.LINE_AA)
    return picture


def _points(pixels: Float[Tensor, "n 2"], source: CArm, target: CArm) -> npt.NDArray[np.int32]:
    """As OpenCV wants them: (x, y) of the picture, whole pixels."""
    points = pixels_between(pixels, source, target).flip(1).round()
    return np.asarray(points.numpy(), dtype=np.int32)


def _answer(detected: Detected, radiograph: Radiograph) -> dict[str, Any]:
    found, trust, weights = detected.detections, detected.trust, detected.weights
    spread = torch.diagonal(found.spread(), dim1=-2, dim2=-1).sum(-1).sqrt()
    entries = [
        {
            "name": name,
            "pixel_row_column": found.pixels[i].tolist(),
            "covariance_px2": found.spread()[i].tolist(),
            "covariance_of_passes_px2": found.between[i].tolist(),
            "spread_px": float(spread[i]),
            "visible": float(found.visible[i]),
        }
        for i, name in enumerate(found.names)
    ]
    known = ("trained_on", "trained_by", "steps")
    finite = trust.uncertainty_mm < float("inf")
    return {
        **schema_head(DETECTIONS),
        "radiograph": radiograph.source,
        "simulated": radiograph.simulated,
        "passes": found.passes,
        "landmarks": entries,
        "trusted": trust.trusted,
        "probability": trust.likelihood.probability,
        "within_mm": trust.likelihood.within_mm,
        "uncertainty_mm": trust.uncertainty_mm if finite else None,
        "sentence": trust.reason,
        "geometry": carm_to_json(radiograph.carm),
        "weights": {
            "file": weights.name,
            **{k: weights.about[k] for k in known if k in weights.about},
        },
    }


def _pose(solution: PnPSolution) -> dict[str, Any]:
    used = [n for n, flag in zip(solution.names, solution.used.tolist(), strict=True) if flag]
    pose = solution.world_from_camera
    return {
        "solved": bool(solution),
        "reason": solution.reason,
        "used": used,
        "outliers": list(solution.outliers),
        "world_from_camera": None if pose is None else pose.matrix().detach().tolist(),
    }
