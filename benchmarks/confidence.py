"""Confidence: do predicted error ellipses hold as many landmarks as they say?

``python -m benchmarks confidence`` refines seeded cases and projects the 20 bone points under the
found and the true pose. The squared Mahalanobis length of the difference under the predicted 2 x 2
covariance follows chi-squared with 2 degrees of freedom if the prediction is right, so 50 % of the
landmarks lie within 1.386 and 95 % within 5.991; in space (camera axes) the same with 3 degrees.
One factor on the standard deviations is found on the calibration CTs with tuning seeds (the median
of the squared lengths is brought to that of chi-squared), and coverage is reported on other CTs and
evaluation seeds, before and after. Landmarks of one case are not independent: intervals are found
by resampling cases.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import chi2

from benchmarks import cases, report
from benchmarks.refinement import digest, newest_code, source_digest, stamp
from napari_xreg.progress import run
from napari_xreg.registration import (
    RefineSettings,
    Registration,
    View,
    landmark_uncertainty,
    refine,
)
from napari_xreg.registration.refinement import confidence as library

CALIBRATION_CTS = ("pelvis_totalseg", "skull_phantom")
EVALUATION_CTS = ("chest_lidc", "hip_sts020", "knee_sts013")
SHARES = (0.50, 0.95)
Array = npt.NDArray[np.float64]


def squared_lengths(case: cases.Case, found: Registration) -> dict[str, list[float]]:
    """Squared Mahalanobis lengths of every landmark's error, in the image and in camera axes."""
    assert found.covariance is not None
    arm, points = case.radiograph.carm, case.points
    predicted = landmark_uncertainty(
        points, arm, found.world_from_camera.to(dtype=torch.float64), found.covariance, found.pivot
    )
    pose = found.world_from_camera.to(dtype=torch.float64)
    in_image = arm.project(points, pose) - arm.project(points, case.truth)
    in_camera = pose.inverse().apply(points) - case.truth.inverse().apply(points)
    return {
        "image": mahalanobis(in_image, predicted.pixel_covariance),
        "space": mahalanobis(in_camera, predicted.camera_covariance),
    }


def mahalanobis(errors: torch.Tensor, covariance: torch.Tensor) -> list[float]:
    """``e^T C^-1 e`` for every row."""
    solved = torch.linalg.solve(covariance.double(), errors.double()[..., None])[..., 0]
    lengths: list[float] = (errors.double() * solved).sum(-1).tolist()
    return lengths


def run_volume(name: str, first: int, count: int, options: argparse.Namespace, file: Path) -> None:
    """All missing cases of a CT."""
    settings = settings_of(options)
    key = key_of(options)
    done = {
        (r["volume"], r["seed"], r["key"])
        for r in report.records(file)
        if r["code"] == source_digest()
    }
    for seed in range(first, first + count):
        if (name, seed, key) in done:
            continue
        case = cases.case(name, seed, severity=options.severity)
        found = run(
            refine(
                cases.volume_of(name),
                View(case.radiograph, case.start),
                settings=settings,
                isocenter=case.isocenter,
            )
        )
        record: dict[str, Any] = {
            "volume": name, "seed": seed, "key": key, "code": source_digest(), "final_mm": case.mtre(found.world_from_camera),
            "status": found.status.name,
        }  # fmt: skip
        if found.covariance is not None:
            record |= squared_lengths(case, found)
        report.append(file, {**record, **stamp()})
        print(f"{name} seed {seed}: {record['final_mm']:.3f} mm, {record['status']}", flush=True)


def settings_of(options: argparse.Namespace) -> RefineSettings:
    """The library's defaults, on one thread."""
    return RefineSettings(starts=options.starts, keep_images=False, threads=1)


def key_of(options: argparse.Namespace) -> str:
    """Of the settings a record was made with."""
    return digest(repr(settings_of(options)), options.severity)


def usable(records: list[dict[str, Any]], space: str, options: argparse.Namespace) -> list[Array]:
    """Lengths case by case, of cases whose registration says it may be trusted."""
    return [
        np.array(r[space])
        for r in records
        if space in r and (options.untrusted or r["status"] == "CONVERGED")
    ]


def factor_from(lengths: list[Array], freedom: int) -> float:
    """What to multiply standard deviations by, from the median of the squared lengths."""
    if not lengths:
        return float("nan")
    return float(np.sqrt(np.median(np.concatenate(lengths)) / chi2.ppf(0.5, freedom)))


def coverage(lengths: list[Array], freedom: int, share: float, factor: float) -> str:
    """Share of landmarks within the ellipse, with an interval from resampled cases."""
    if not lengths:
        return "-"
    inside = np.array([(x / factor**2 < chi2.ppf(share, freedom)).mean() for x in lengths])
    rng = np.random.default_rng(0)
    means = inside[rng.integers(len(inside), size=(2000, len(inside)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{100 * inside.mean():.0f} % ({100 * low:.0f}-{100 * high:.0f})"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add = parser.add_argument
    add("--calibration-cts", nargs="+", default=list(CALIBRATION_CTS), choices=cases.VOLUMES)
    add("--evaluation-cts", nargs="+", default=list(EVALUATION_CTS), choices=cases.VOLUMES)
    add("--calibration-cases", type=int, default=30, help="tuning seeds, a CT")
    add("--evaluation-cases", type=int, default=40, help="evaluation seeds, a CT")
    add("--first-calibration-seed", type=int, default=100)
    add("--first-evaluation-seed", type=int, default=30_000)
    add("--starts", type=int, default=1)
    add("--severity", default="typical", choices=("clean", "typical", "hard"))
    add("--untrusted", action="store_true", help="count registrations that say not to be trusted")
    add("--report-only", action="store_true", help="tables from what is there")


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Run what is missing, then write the tables."""
    report.one_thread()
    calibration = (options.first_calibration_seed, options.calibration_cases)
    evaluation = (options.first_evaluation_seed, options.evaluation_cases)
    kinds = cases.seed_kind(*calibration), cases.seed_kind(*evaluation)
    if not kinds[0].startswith("tuning") or not (
        kinds[1].startswith("evaluation") or options.first_evaluation_seed < 190
    ):
        raise SystemExit(f"calibrate on tuning seeds, evaluate on others: got {kinds}")
    file = folder / "confidence" / f"{options.severity}.jsonl"
    if not options.report_only:
        for name in options.calibration_cts:
            run_volume(name, *calibration, options, file)
        for name in options.evaluation_cts:
            run_volume(name, *evaluation, options, file)
    key = key_of(options)
    code = newest_code(report.records(file))
    newest = {
        (r["volume"], r["seed"]): r
        for r in report.records(file)
        if (r["key"], r["code"]) == (key, code)
    }

    def of(names: list[str], first: int, count: int) -> list[dict[str, Any]]:
        seeds = range(first, first + count)
        return [r for (name, seed), r in newest.items() if name in names and seed in seeds]

    held = of(options.calibration_cts, *calibration)
    # The library already multiplies by its committed factor; both figures are shown without it.
    built_in = float(library.CALIBRATION)
    rows, data = [], {"calibration_in_library": built_in}
    for space, freedom, title in (("image", 2, "ellipse, image"), ("space", 3, "ellipsoid, space")):
        raw = [x * built_in**2 for x in usable(held, space, options)]
        factor = data[f"factor_{space}"] = factor_from(raw, freedom)
        groups = [("calibration", held)]
        groups += [(name, of([name], *evaluation)) for name in options.evaluation_cts]
        groups.append(("all evaluation", of(options.evaluation_cts, *evaluation)))
        for name, records in groups:
            lengths = [x * built_in**2 for x in usable(records, space, options)]
            row = [title, name, len(records), len(lengths)]
            for share in SHARES:
                row += [coverage(lengths, freedom, share, f) for f in (1.0, built_in, factor)]
            rows.append(row)
    data["rows"] = [list(map(str, row)) for row in rows]
    data["settings"] = {k: v for k, v in vars(options).items() if k not in ("output", "command")}
    env = report.environment()
    header = ["what", "CT", "cases", "counted"]
    for share in SHARES:
        header += [f"{share:.0%} {when}" for when in ("raw", "library", "fitted here")]
    counted = "all that have a covariance" if options.untrusted else "those that CONVERGED"
    markdown = f"""# Confidence: coverage of predicted landmark errors

Simulated radiographs, severity `{options.severity}`. Calibration: {", ".join(options.calibration_cts)}, {kinds[0]}.
Evaluation: {", ".join(options.evaluation_cts)}, {kinds[1]}. Starts as in the refinement benchmark, {options.starts} start(s).
20 bone points a case; counted: {counted}. Interval: 95 %, resampling cases.
Standard deviations are multiplied by: raw 1, library {built_in:g} (committed), fitted here {data["factor_image"]:.2f} (image), {data["factor_space"]:.2f} (space).
{report.described(env)}

{report.table(header, rows)}
"""
    report.write(f"confidence-{options.severity}", markdown, {"environment": env, **data}, folder)


def smoke(folder: Path) -> None:
    """Two cases each."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args([])
    options.calibration_cts, options.calibration_cases = ["pelvis_totalseg"], 2
    options.evaluation_cts, options.evaluation_cases = ["pelvis_totalseg"], 2
    options.first_evaluation_seed = 1
    main(options, folder)
