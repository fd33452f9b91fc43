"""Confidence: do predicted error regions hold as many landmarks as they say?

``python -m benchmarks confidence`` refines pairs of simulated radiographs, each view alone and both
together, of whole CTs and of single bones in a limb, and asks whether the 20 bone points lie within the
50 and 95 % regions of the predicted covariance, in the image and in space (squared Mahalanobis lengths
against chi-squared of 2 and 3 degrees of freedom). The CT of a simulated radiograph is as large as it
says, so this is asked twice: with `Registration.covariance_at_scale`; and with the CT's scale in it, the
error being what a CT of a scale drawn from that very prior would have: its points farther out about the
pivot, its pose where `Registration.scale` puts it, to first order. So the second only shows that the two
agree, not that CTs are right within 1 %.
Every result is a line of ``results/confidence/poses.jsonl``; run again to continue. Landmarks of one
result are not independent, nor are results of one picture: intervals resample results.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import chi2
from torch import Tensor

from benchmarks import cases, report
from benchmarks.single_bones import BONES
from benchmarks.verdict import parent, right, seen_mm
from benchmarks.verdict_cases import NAMES, Trial, trial
from napari_xreg.geometry import Pose
from napari_xreg.metrics import mean_target_registration_error
from napari_xreg.progress import run
from napari_xreg.registration import RefineSettings, View, landmark_uncertainty
from napari_xreg.registration.refinement.confidence import CALIBRATION, SCALE_SIGMA
from napari_xreg.session import Rendering
from napari_xreg.workflows import RefineRequest, refine

SHARES = (0.50, 0.95)
LOOKS = ("first", "second", "both")
FREEDOM = {"image": 2, "space": 3}
DRAWS = 20
"""Of the CT's scale, a result."""
Array = npt.NDArray[np.float64]
Record = dict[str, Any]


def views_of(given: Trial, look: str) -> tuple[tuple[View, ...], tuple[View, ...]]:
    """The starts of a look, and the truth."""
    part = {"first": slice(0, 1), "second": slice(1, 2), "both": slice(0, 2)}[look]
    return given.views[part], given.taken[part]


def refined(name: str, seed: int, severity: str, look: str) -> Record:
    """One result, from one start, as the program refines."""
    given = trial(name, seed, severity, "start", 2)
    views, taken = views_of(given, look)
    settings = RefineSettings(starts=1, keep_images=False, threads=1)
    rendering = Rendering(cases.volume_of(given.ct), None)
    found = run(refine(RefineRequest(rendering, views, settings, given.isocenter)))
    pose, truth = (
        p.to(dtype=torch.float64) for p in (found.world_from_camera, taken[0].world_from_camera)
    )
    at = [View(view.radiograph, each) for view, each in zip(views, found.views, strict=True)]
    return {
        "volume": name, "seed": seed, "severity": severity, "look": look,
        "views": len(views), "kind": "start",
        "mtre_mm": float(mean_target_registration_error(pose, truth, given.points)),
        "seen_mm": max(seen_mm(*pair, given.points) for pair in zip(at, taken, strict=True)),
        "trusted": bool(found), "probability": found.probability,
        "pose": pose.matrix().tolist(), "truth": truth.matrix().tolist(),
        "covariance": None if found.covariance is None else found.covariance.tolist(),
        "scale": None if found.scale is None else found.scale.tolist(),
    }  # fmt: skip


def inside(record: Record, *, scaled: bool) -> dict[str, Array]:
    """Of every share in `SHARES` how many landmarks lie within it, in the image and in space."""
    points, pivot = cases.committed_points(record["volume"])
    pose, truth = (_pose(record[name]) for name in ("pose", "truth"))
    covariance, scale = (
        torch.tensor(record[n], dtype=torch.float64) for n in ("covariance", "scale")
    )
    known = None if scaled else covariance - scale.outer(scale)
    rng = np.random.default_rng([record["seed"], NAMES.index(record["volume"])])
    arm, points, pivot = cases.carm(), points.double(), pivot.double()
    lengths: dict[str, list[float]] = {"image": [], "space": []}
    for draw in rng.standard_normal(DRAWS) if scaled else (0.0,):
        moved = pose.left_perturb(draw * scale, pivot)
        marked = pivot + (1.0 + draw * SCALE_SIGMA) * (points - pivot)
        predicted = (
            landmark_uncertainty(marked, arm, moved, covariance, pivot, scale)
            if known is None
            else landmark_uncertainty(marked, arm, moved, known, pivot)
        )
        pixels = arm.project(marked, moved) - arm.project(points, truth)
        camera = moved.inverse().apply(marked) - truth.inverse().apply(points)
        lengths["image"] += mahalanobis(pixels, predicted.pixel_covariance)
        lengths["space"] += mahalanobis(camera, predicted.camera_covariance)
    return {
        where: np.array([np.mean(np.array(found) < chi2.ppf(s, FREEDOM[where])) for s in SHARES])
        for where, found in lengths.items()
    }


def _pose(rows: list[list[float]]) -> Pose:
    return Pose.from_matrix(torch.tensor(rows, dtype=torch.float64))


def mahalanobis(errors: Tensor, covariance: Tensor) -> list[float]:
    """``e^T C^-1 e`` for every row."""
    solved = torch.linalg.solve(covariance.double(), errors.double()[..., None])[..., 0]
    lengths: list[float] = (errors.double() * solved).sum(-1).tolist()
    return lengths


def interval(shares: Sequence[float]) -> str:
    """Mean of the results' shares, with an interval from resampled results."""
    values = np.array(shares)
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(2000, len(values)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{100 * values.mean():.0f} % ({100 * low:.0f}-{100 * high:.0f})"


GROUPS: tuple[tuple[str, Callable[[Record], bool]], ...] = (
    ("all", lambda r: True),
    *((f"{n} view(s)", lambda r, n=n: r["views"] == n) for n in (1, 2)),
    *(
        (f"whole CTs, {s}, {n} view(s)", lambda r, n=n, s=s: r["volume"] not in BONES and (r["severity"], r["views"]) == (s, n))
        for s in ("typical", "hard", "real")
        for n in (1, 2)
    ),
    *((f"single bones, {n} view(s)", lambda r, n=n: r["volume"] in BONES and r["views"] == n) for n in (1, 2)),
    *((name, lambda r, name=name: parent(r["volume"]) == name) for name in (*cases.VOLUMES, cases.PHANTOM)),
)  # fmt: skip


def rows_of(records: Iterable[Record]) -> list[list[Any]]:
    """A row a group: shares at the CT's scale and with it drawn, in the image and in space."""
    found = [(r, inside(r, scaled=False), inside(r, scaled=True)) for r in records]
    rows = []
    for title, belongs in GROUPS:
        of = [each for each in found if belongs(each[0])]
        if of:
            cells = [
                interval([each[when][where][n] for each in of])
                for when in (1, 2)
                for where in FREEDOM
                for n in range(len(SHARES))
            ]
            rows.append([title, len(of), *cells])
    return rows


def run_all(options: argparse.Namespace, file: Path) -> None:
    """All missing results."""
    done = {_key(r) for r in report.records(file)}
    for seed in range(options.first_seed, options.first_seed + options.cases):
        for severity in options.severities:
            for name in options.volumes:
                if name in BONES and severity != "real":
                    continue  # a bone in the whole radiograph of its CT is another question
                for look in LOOKS:
                    if (name, seed, severity, look) not in done:
                        report.append(file, refined(name, seed, severity, look))
        print(f"seed {seed}", flush=True)


def _key(record: Record) -> tuple[Any, ...]:
    return tuple(record[name] for name in ("volume", "seed", "severity", "look"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add = parser.add_argument
    add("--volumes", nargs="+", default=list(NAMES), choices=NAMES)
    add("--severities", nargs="+", default=["typical", "hard", "real"])
    add("--first-seed", type=int, default=120)
    add("--cases", type=int, default=2, help="seeds a CT and severity")
    add("--untrusted", action="store_true", help="count right results that are not trusted too")
    add("--report-only", action="store_true", help="tables from what is there")


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Run what is missing, then write the table."""
    report.one_thread()
    file = folder / "confidence" / "poses.jsonl"
    if not options.report_only:
        run_all(options, file)
    records = list(report.records(file))
    good = [r for r in records if r["covariance"] is not None and right(r)]
    counted = [r for r in good if options.untrusted or r["trusted"]]
    rows = rows_of(counted)
    header = ["what", "results"]
    for when in ("at its scale", "1 %"):
        header += [f"{when}: {where}, {s:.0%}" for where in FREEDOM for s in SHARES]
    env = report.environment()
    markdown = f"""# Confidence: coverage of predicted landmark errors

Simulated radiographs, {len(records)} results, {len(good)} of them right, {len(counted)} counted ({"right" if options.untrusted else "right and trusted"}).
The sandwich times {CALIBRATION:g}, and the CT's scale (docs/decisions/0005). Interval: 95 %, resampling results.
{report.described(env)}

{report.table(header, rows)}
"""
    report.write(
        "confidence", markdown, {"environment": env, "header": header, "rows": rows}, folder
    )


def smoke(folder: Path) -> None:
    """One CT, one seed."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args(["--volumes", "pelvis_totalseg", "--severities", "typical"])
    options.first_seed, options.cases, options.untrusted = 1, 1, True
    main(options, folder)
