"""Landmarks by network and the pose that follows: does it pay to weigh them by their uncertainty?

Table 2 and Fig. 6 of the paper, on simulated radiographs: phantoms held out by seed, and the real
pelvis of the data folder with landmarks placed by hand. Every detector is asked once for each image
(`--passes` with dropout); then every weighting solves the PnP from the same detections.

Train first: scripts/train_landmarks.py, and for the finetuned rows benchmarks/finetune_landmarks.py.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import cases, landmark_cases, report
from benchmarks.retention import retention
from napari_xreg.landmarks import (
    Detections,
    DetectSettings,
    LandmarkCase,
    detect,
    fitted_threshold,
    image_uncertainty_mm,
    judged,
    load_detector,
)
from napari_xreg.metrics import rotation_error_deg
from napari_xreg.progress import run
from napari_xreg.registration import PnPSettings, Weighting

ALL = PnPSettings(selection="none")
"""As in the paper: every landmark that is kept is fitted."""

THRESHOLD_MM = 12.0
"""Of MAGSAC, on the detector."""

GOOD_MM = 20.0
"""mTRE of a pose that a refinement can start from."""

MODES: dict[str, tuple[Weighting, bool, float]] = {
    "all 14, no weights (shortcut)": (Weighting(), False, 0.0),
    "no weights": (Weighting(), False, 0.5),
    "DS, K = 3": (Weighting.selection(3), False, 0.5),
    "CW, beta 0.01 / px": (Weighting("continuous", 0.01), False, 0.5),
    "CW, beta 0.3 / px": (Weighting("continuous", 0.3), False, 0.5),
    "CW, normalised, beta 0.01": (Weighting("continuous", 0.01, "normalised"), False, 0.5),
    "inverse": (Weighting("inverse"), False, 0.5),
    "rank": (Weighting("rank"), False, 0.5),
    "covariance": (Weighting("covariance"), False, 0.5),
    "no weights, MAGSAC": (Weighting(), True, 0.5),
    "covariance, MAGSAC": (Weighting("covariance"), True, 0.5),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``landmarks``."""
    parser.add_argument("--detector", type=Path, help="weights of scripts/train_landmarks.py")
    parser.add_argument("--finetuned", type=Path, nargs="*", default=[], metavar="FILE")
    parser.add_argument("--passes", type=int, default=40)
    parser.add_argument("--phantoms", type=int, default=10)
    parser.add_argument("--images", type=int, default=5, help="of each phantom")
    parser.add_argument("--pelvis-images", type=int, default=20)


def main(options: argparse.Namespace, folder: Path | None = None) -> None:
    """Measure and write ``landmarks.md`` and ``.json``."""
    if options.detector is None:
        print("landmarks: give --detector FILE (train one with scripts/train_landmarks.py)")
        return
    report.one_thread()
    sets = {"phantoms": landmark_cases.evaluation_cases(options.phantoms, options.images)}
    if options.pelvis_images and (cases.data_folder() / landmark_cases.PELVIS).is_dir():
        sets["pelvis_totalseg"] = landmark_cases.pelvis_cases(options.pelvis_images)
    tuning = landmark_cases.tuning_cases()
    data: dict[str, Any] = {"environment": report.environment(), "detectors": {}}
    lines = [
        "# Landmarks by network",
        "",
        f"{report.described(data['environment'])}.",
        (
            f"Simulated radiographs (`typical`): {len(sets['phantoms'])} of {options.phantoms} phantoms "
            f"that nothing was trained or tuned on; {options.passes} passes. Rotation in degrees; "
            "translation (of the landmarks' mean, in the camera's frame) and camera-frame mTRE over "
            "the patient's landmarks in mm. Percentiles count an image without a pose as infinitely wrong; means are "
            "over the others."
        ),
    ]
    for file in (options.detector, *options.finetuned):
        entry, text = measured(file, sets, tuning, options.passes)
        data["detectors"][file.stem] = entry
        lines += ["", f"## {file.stem}", "", *text]
    report.write("landmarks", "\n".join(lines), data, folder)


def measured(
    file: Path, sets: dict[str, list[LandmarkCase]], tuning: list[LandmarkCase], passes: int
) -> tuple[dict[str, Any], list[str]]:
    """One detector on all images."""
    entry: dict[str, Any] = {"about": dict(load_detector(file)[1]), "passes": passes}
    found = {name: detections(file, images, passes) for name, images in sets.items()}
    fit = detections(file, tuning, passes)
    lines: list[str] = []
    for name, images in sets.items():
        lines += [f"### {name}, {len(images)} images", ""]
        entry[name] = {"detection": detection_scores(images, found[name])}
        lines += [detection_words(entry[name]["detection"]), ""]
        rows, entry[name]["modes"] = [], {}
        for mode in MODES:
            results = poses(images, found[name], mode)
            entry[name]["modes"][mode] = results
            rows.append([mode, *row(results)])
        header = [
            "weighting", "no pose", "rotation", "P50", "P70", "P90", "translation", "P50", "P70",
            "P90", "mTRE", "P50", "P70", "P90",
        ]  # fmt: skip
        lines += [report.table(header, rows), ""]
        entry[name]["retention"], text = retention_table(images, found[name], entry[name]["modes"])
        lines += [text, ""]
    entry["coverage"], text = coverage(tuning, fit, sets, found)
    lines += [text, ""]
    entry["trust"], text = trust(tuning, fit, sets, found)
    return entry, [*lines, text]


def detections(file: Path, images: Sequence[LandmarkCase], passes: int) -> list[Detections]:
    """From disk, or detected now."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    detector, out = load_detector(file)[0], []
    for case in images:
        name = case.name.replace(", image ", "-")
        kept = cases.cache_folder() / f"detected-{digest}-{passes}-{name}.pt"
        if kept.is_file():
            stored = torch.load(kept, weights_only=True)
            out.append(Detections(tuple(stored.pop("names")), **stored))
            continue
        settings = DetectSettings(passes, batch=20, keep_heatmaps=False)
        found = run(detect(detector, case.radiograph, settings=settings))
        assert found is not None
        torch.save(
            {
                "names": list(found.names), "pixels": found.pixels, "visible": found.visible,
                "covariances": found.covariances, "samples": found.samples,
            },
            kept,
        )  # fmt: skip
        out.append(found)
    return out


def detection_scores(
    images: Sequence[LandmarkCase], found: Sequence[Detections]
) -> dict[str, float]:
    """How far the landmarks in the image are missed, and how often visibility is right."""
    judgements = [judged(c, d) for c, d in zip(images, found, strict=True)]
    errors = torch.cat([j.error_mm[j.inside] for j in judgements])
    known = torch.cat([~torch.isnan(j.error_mm) for j in judgements])
    told = torch.cat([j.detections.visible >= 0.5 for j in judgements])[known]
    truly = torch.cat([j.inside for j in judgements])[known]
    return {
        "landmarks_in_image": int(truly.sum()),
        "median_error_mm": float(errors.median()),
        "p90_error_mm": float(errors.quantile(0.9)),
        "beyond_15mm_share": float((errors > 15).double().mean()),
        "visible_accuracy": float((told == truly).double().mean()),
        "said_visible_but_not": float((told & ~truly).double().mean()),
    }


def detection_words(scores: dict[str, float]) -> str:
    """In a sentence."""
    return (
        f"Of {scores['landmarks_in_image']} landmarks in the images the median is missed by "
        f"{scores['median_error_mm']:.1f} mm at the isocenter, 90 % by less than "
        f"{scores['p90_error_mm']:.1f} mm, {100 * scores['beyond_15mm_share']:.0f} % by more than "
        f"15 mm; whether a landmark is in the image was told right for "
        f"{100 * scores['visible_accuracy']:.0f} %."
    )


def poses(
    images: Sequence[LandmarkCase], found: Sequence[Detections], mode: str
) -> dict[str, list[float]]:
    """Errors of every image under one weighting; infinite without a pose."""
    weighting, select, visible_above = MODES[mode]
    errors: dict[str, list[float]] = {"rotation_deg": [], "translation_mm": [], "mtre_mm": []}
    for case, detected in zip(images, found, strict=True):
        spacing = case.radiograph.carm.detector.spacing[0]
        settings = PnPSettings(threshold_px=THRESHOLD_MM / spacing) if select else ALL
        result = judged(case, detected, weighting, settings, visible_above=visible_above)
        pose, truth = result.solution.world_from_camera, case.truth
        if pose is None:
            triple = (float("inf"),) * 3
        else:
            # As the paper's, of the patient in the camera's frame.
            middle = case.places.mean(0)
            moved = pose.inverse().apply(middle[None]) - truth.inverse().apply(middle[None])
            far = pose.inverse().apply(case.places) - truth.inverse().apply(case.places)
            triple = (
                float(rotation_error_deg(pose, truth)),
                float(moved.norm()),
                float(far.norm(dim=1).mean()),
            )
        for values, value in zip(errors.values(), triple, strict=True):
            values.append(value)
    return errors


def row(errors: dict[str, list[float]]) -> list[str]:
    """Cells of the table."""
    first = np.array(errors["mtre_mm"])
    cells = [str(int(np.isinf(first).sum()))]
    for name in errors:
        values = np.array(errors[name])
        solved = values[np.isfinite(values)]
        mean = f"{solved.mean():.1f} ± {solved.std():.1f}" if len(solved) else "-"
        at = np.quantile(values, [0.5, 0.7, 0.9], method="higher")
        cells += [mean, *(report.number(value, 1) for value in at)]
    return cells


def retention_table(
    images: Sequence[LandmarkCase],
    found: Sequence[Detections],
    modes: dict[str, dict[str, list[float]]],
) -> tuple[dict[str, Any], str]:
    """Mean errors when the most uncertain images are withheld; errors are cut at 200 mm."""
    kept_shares = (1.0, 0.8, 0.6, 0.4, 0.2)
    rows, data = [], {}
    for mode in ("no weights", "covariance, MAGSAC"):
        errors = np.minimum(modes[mode]["mtre_mm"], 200.0).tolist()
        for spread in ("passes", "total"):
            u = [
                min(image_uncertainty_mm(d, c.radiograph.carm, spread=spread), 1e6)
                for c, d in zip(images, found, strict=True)
            ]
            curve = retention(u, errors)
            first = [min(round((1 - s) * len(u)), len(u) - 1) for s in kept_shares]
            at = [float(curve.error[i]) for i in first]
            best = [float(curve.oracle[i]) for i in first]
            data[f"{mode}, {spread}"] = {
                "kept": curve.kept.tolist(), "mtre_mm": curve.error.tolist(),
                "oracle_mm": curve.oracle.tolist(), "skill": curve.skill,
            }  # fmt: skip
            cells = [f"{a:.1f} ({b:.1f})" for a, b in zip(at, best, strict=True)]
            rows.append([mode, spread, *cells, report.number(curve.skill)])
    header = ["weighting", "spread", *(f"{100 * s:.0f} % kept" for s in kept_shares), "skill"]
    words = "Mean mTRE (cut at 200 mm) of the images kept, in brackets that of the best choice:\n\n"
    return data, words + report.table(header, rows)


def squared_distances(
    images: Sequence[LandmarkCase], found: Sequence[Detections], spread: str
) -> np.ndarray:
    """Mahalanobis, of landmarks that are in the image and were said to be."""
    out = []
    for case, detected in zip(images, found, strict=True):
        judgement = judged(case, detected)
        places = {mark.name: mark.position for mark in case.landmarks}
        covariances = detected.spread(spread)
        for i, name in enumerate(detected.names):
            if bool(judgement.inside[i]) and float(detected.visible[i]) >= 0.5:
                point = torch.tensor([places[name]], dtype=torch.float64)
                away = detected.pixels[i] - case.radiograph.carm.project(point, case.truth)[0]
                out.append(float(away @ torch.linalg.solve(covariances[i], away)))
    return np.array(out)


def coverage(
    tuning: list[LandmarkCase],
    fit: list[Detections],
    sets: dict[str, list[LandmarkCase]],
    found: dict[str, list[Detections]],
) -> tuple[dict[str, Any], str]:
    """Shares of landmarks in their 50 and 95 % ellipses, as they are and with a fitted scale."""
    rows, data = [], {}
    for spread in ("passes", "total"):
        scale = float(np.median(squared_distances(tuning, fit, spread))) / 1.386
        for name, images in sets.items():
            d2 = squared_distances(images, found[name], spread)
            shares = [
                float((d2 / f < limit).mean()) for f in (1.0, scale) for limit in (1.386, 5.991)
            ]
            data[f"{name}, {spread}"] = {"scale": scale, "shares": shares}
            rows.append([name, spread, report.number(scale), *(f"{100 * s:.0f}" for s in shares)])
    header = [
        "images",
        "spread",
        "scale",
        "in 50 %",
        "in 95 %",
        "in 50 %, scaled",
        "in 95 %, scaled",
    ]
    words = (
        "Ellipses (percent of the landmarks inside; the scale of the covariances is fitted on "
        f"{len(tuning)} tuning images):\n\n"
    )
    return data, words + report.table(header, rows)


def trust(
    tuning: list[LandmarkCase],
    fit: list[Detections],
    sets: dict[str, list[LandmarkCase]],
    found: dict[str, list[Detections]],
) -> tuple[dict[str, Any], str]:
    """The threshold at which a result is not trusted, and what it does on the other images."""
    mode = "covariance, MAGSAC"

    def table(images: list[LandmarkCase], seen: list[Detections]) -> tuple[np.ndarray, np.ndarray]:
        u = [image_uncertainty_mm(d, c.radiograph.carm) for c, d in zip(images, seen, strict=True)]
        return np.array(u), np.array(poses(images, seen, mode)["mtre_mm"])

    u, errors = table(tuning, fit)
    threshold = fitted_threshold(u.tolist(), errors.tolist(), good=GOOD_MM, wanted=0.9)
    data: dict[str, Any] = {"threshold_mm": threshold, "good_mm": GOOD_MM}
    if threshold is None:
        return data, (
            f"No uncertainty keeps five tuning images of which 90 % have an mTRE under {GOOD_MM:g} "
            "mm: this detector has no threshold of trust."
        )
    lines = [
        (
            f"Trusted up to a spread of {threshold:.2f} mm (fitted on tuning images: 90 % under "
            f"{GOOD_MM:g} mm)."
        )
    ]
    for name, images in sets.items():
        u, errors = table(images, found[name])
        kept, good = u <= threshold, errors <= GOOD_MM
        data[name] = {
            "trusted": int(kept.sum()), "of": len(u), "good_of_trusted": int((kept & good).sum()),
            "good_of_refused": int((~kept & good).sum()),
        }  # fmt: skip
        lines.append(
            f"{name}: {kept.sum()} of {len(u)} trusted, {(kept & good).sum()} of these under "
            f"{GOOD_MM:g} mm; of the {(~kept).sum()} refused {(~kept & good).sum()} were."
        )
    return data, " ".join(lines)


def smoke(folder: Path) -> None:
    """One phantom, an untrained detector, a few passes."""
    from napari_xreg.landmarks import CompactDetector, phantom_cases
    from napari_xreg.training import save_network

    torch.manual_seed(0)
    file = folder / "untrained.safetensors"
    save_network(file, CompactDetector(widths=(8, 8, 8, 8)), {"trained_on": "nothing"})
    images = list(phantom_cases(20_100, [2_010_000], spacing_mm=6.0))
    entry, lines = measured(file, {"phantoms": images}, images, 3)
    assert set(entry["phantoms"]["modes"]) == set(MODES)
    report.write("landmarks-smoke", "\n".join(lines), {"trust": entry["trust"]}, folder)
