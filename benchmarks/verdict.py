"""Can a verdict be believed? Right and wrong results of several anatomies, each judged by a fit without it.

``python -m benchmarks verdict`` refines every kind of `benchmarks.verdict_cases` on six anatomies and
single bones of them, measures the evidence for each result (``results/verdict/results.jsonl``; run again to
continue, with ``--evidence-again`` where only that changed), fits the verdict on all anatomies but one and judges
that one. ``--fit`` prints the weights fitted to all, for `registration.verdict`. Right is:
mean target registration error below 2 mm. All radiographs are simulated.
"""

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize

from benchmarks import cases, report
from benchmarks.scores import area_under_roc, binned, reliability, seen_mm, share
from benchmarks.single_bones import BONES
from benchmarks.verdict_cases import KINDS, NAMES, Trial, trial
from napari_xreg.geometry import Pose
from napari_xreg.metrics import mean_target_registration_error
from napari_xreg.progress import run
from napari_xreg.registration import NearBone, RefineSettings, View, evidence_of, near_bone_view
from napari_xreg.registration.refinement.second_order.levels import COARSE_TO_FINE
from napari_xreg.registration.verdict.likelihood import TRUSTED
from napari_xreg.registration.verdict.verdict import ISOCENTER_OFF, WITHIN_MM
from napari_xreg.session import Rendering
from napari_xreg.workflows import RefineRequest, refine

Record = dict[str, Any]
FAR_MM = 10.0
SYMMETRIC = ("phantom", "skull_phantom")
"""Their left and right are alike: no picture tells whether it was mirrored."""
MEASURES = ("settled", "sharpness", "agreement", "slack", "drift")


IMPOSSIBLE = ("turned by 180 deg", "inverted", "another patient")
"""Kinds that are refused whatever the last level sees."""


def levels_of(volume: str, kind: str, *, cheap: bool) -> int:
    """How many levels are refined: where results shall be cheap, fewer of a whole CT; in miniature one,
    but for the plain start, which comes out good."""
    if cases.in_miniature() and kind != "start":
        return 1
    if not cheap or volume in BONES or kind == "start":
        return len(COARSE_TO_FINE)
    return 2 if kind in IMPOSSIBLE else 3


def refined(
    volume: str, seed: int, severity: str, kind: str, views: int = 1, *, cheap: bool = False
) -> Record:
    """One result, refined as the program does from one start."""
    given = trial(volume, seed, severity, kind, views)
    levels = COARSE_TO_FINE[: levels_of(volume, kind, cheap=cheap)]
    settings = RefineSettings(starts=1, keep_images=False, threads=1, levels=levels)
    rendering = Rendering(cases.volume_of(given.ct), None)
    began = time.process_time()
    result = run(refine(RefineRequest(rendering, given.views, settings, given.isocenter)))
    seconds = time.process_time() - began
    pose, error, seen = result.world_from_camera.to(dtype=torch.float64), None, None
    if given.truth is not None:
        error = float(mean_target_registration_error(pose, given.truth, given.points))
        seen = max(
            seen_mm(view, taken, given.points)
            for view, taken in zip(_at(given, pose), given.taken, strict=True)
        )
    return {
        "volume": volume, "seed": seed, "severity": severity, "kind": kind, "views": views,
        "ct": given.ct, "mtre_mm": error, "seen_mm": seen, "status": result.status.name,
        "loss": result.losses["loss"], "cpu_s": round(seconds, 3),
        "pose": [[round(number, 6) for number in row] for row in pose.matrix().tolist()],
    }  # fmt: skip


def _at(given: Trial, first: Pose) -> tuple[View, ...]:
    """The views with the first at a pose."""
    back = first @ given.views[0].world_from_camera.inverse()
    return tuple(
        replace(view, world_from_camera=back @ view.world_from_camera) for view in given.views
    )


def measured(record: Record) -> Record:
    """The evidence for a result."""
    given = trial(*key_of(record))
    pose = Pose.from_matrix(torch.tensor(record["pose"], dtype=torch.float64))
    rendering = Rendering(cases.volume_of(given.ct), None)
    began = time.process_time()
    views, volume = _at(given, pose), rendering.volume()
    if rendering.above_water:
        near = [
            near_bone_view(volume, view, view.world_from_camera, NearBone().reach_mm)
            for view in views
        ]
        views = tuple(a or b for a, b in zip(near, views, strict=True))
    found = evidence_of(volume, views)
    took = time.process_time() - began
    depth = float(pose.inverse().apply(given.isocenter.double()[None])[0, 2])
    return {
        **dict(zip(_KEY, key_of(record), strict=True)),
        "evidence": None if found is None else asdict(found),
        "isocenter_off": depth / given.views[0].radiograph.carm.source_to_isocenter - 1.0,
        "evidence_cpu_s": took,
    }


_KEY = ("volume", "seed", "severity", "kind", "views")


def key_of(record: Record) -> tuple[Any, ...]:
    """What a record is of."""
    return tuple(record.get(key, 1) for key in _KEY)


def collect(options: argparse.Namespace, folder: Path) -> list[Record]:
    """All results with their evidence, those that are missing made now."""
    file = folder / "results.jsonl"
    found = {key_of(record): record for record in report.records(file)}
    if options.evidence_again:
        found = {key: {**record, **measured(record)} for key, record in found.items()}
        file.write_text("".join(f"{json.dumps(record)}\n" for record in found.values()))
    for seed in range(options.first_seed, options.first_seed + options.cases):
        for severity in options.severities:
            for volume in options.volumes:
                for kind in options.kinds:
                    key = (volume, seed, severity, kind, options.views)
                    if key not in found:
                        record = refined(*key, cheap=options.cheap)
                        found[key] = {**record, **measured(record)}
                        report.append(file, found[key])
        print(f"seed {seed}", flush=True)
    return list(found.values())


def right(record: Record) -> bool:
    """Whether the pose is right: in space, from one view as seen in the radiograph."""
    error = error_mm(record)
    return error is not None and error < WITHIN_MM


def error_mm(record: Record) -> float | None:
    """What the probability is about; None where no pose is right."""
    error: float | None = record["mtre_mm" if record.get("views", 1) == 2 else "seen_mm"]
    return error


def fitted(records: Iterable[Record], penalty: float = 3e-4) -> np.ndarray:
    """Offset and weights of a logistic regression, right and wrong results counted alike.

    What is `hidden` is left out.
    """
    used = [r for r in records if r["evidence"] is not None and not hidden(r)]
    x = np.array([figures(r) for r in used])
    good = np.array([right(r) for r in used])
    middle, width = x.mean(0), x.std(0)
    z = (x - middle) / width
    share = np.where(good, 0.5 / good.sum(), 0.5 / (~good).sum())

    def loss(w: np.ndarray) -> float:
        logit = z @ w[1:] + w[0]
        wrong = np.logaddexp(0, np.where(good, -logit, logit))
        return float((share * wrong).sum() + penalty * (w[1:] ** 2).sum())

    w = minimize(loss, np.zeros(1 + len(MEASURES))).x
    return np.r_[w[0] - (w[1:] / width) @ middle, w[1:] / width]


def hidden(record: Record) -> bool:
    """Whether no picture could show what is wrong: distances (of two, a bone may lie right by chance although
    nothing fits), or the side of who is alike left and right.
    """
    return record["kind"].startswith("geometry") or (
        parent(record["volume"]) in SYMMETRIC and record["kind"] == "mirrored"
    )


def parent(name: str) -> str:
    """The CT that a bone was cut from; a CT itself. What is left out together is one anatomy."""
    return BONES[name][0] if name in BONES else name


def probability(record: Record, weights: np.ndarray) -> float:
    """Of being right; 0 where there is no evidence."""
    if record["evidence"] is None:
        return 0.0
    return float(1 / (1 + np.exp(-(weights[0] + weights[1:] @ figures(record)))))


def figures(record: Record) -> np.ndarray:
    """`MEASURES` of a result with evidence; of the slack the logarithm."""
    found = record["evidence"]
    return np.array(
        [*(found[name] for name in MEASURES[:3]), np.log(found["slack_mm"]), found["drift_mm"]]
    )


def judged(records: Sequence[Record]) -> list[Record]:
    """Every record with its probability, by a fit to the other anatomies."""
    done = []
    for name in sorted({parent(r["volume"]) for r in records}):
        others = [r for r in records if name not in (parent(r["volume"]), parent(r["ct"]))]
        weights = fitted(others)
        done += [
            {**r, "probability": probability(r, weights)}
            for r in records
            if parent(r["volume"]) == name
        ]
    return done


def trusted(record: Record) -> bool:
    """What `Verdict.trusted` says."""
    fits = record.get("views", 1) == 2 or abs(record["isocenter_off"]) <= ISOCENTER_OFF
    return record["probability"] >= TRUSTED and fits


def judgements(records: Sequence[Record]) -> tuple[list[float], list[bool]]:
    """The probability of every result, and whether it is right."""
    return [r["probability"] for r in records], [right(r) for r in records]


def groups(records: Sequence[Record]) -> dict[str, list[Record]]:
    """What the results are counted by; one result is in several."""
    whole = [r for r in records if r["volume"] not in BONES]
    found = {name: [r for r in whole if r["volume"] == name] for name in NAMES}
    found["single bones"] = [r for r in records if r["volume"] in BONES]
    for severity in ("typical", "hard", "real"):
        found[f"`{severity}`, whole CTs"] = [r for r in whole if r["severity"] == severity]
    found["saturated"] = [r for r in records if r["kind"].startswith("saturated")]
    for views, words in ((1, "one view"), (2, "two views")):
        found[words] = [r for r in records if r.get("views", 1) == views]
    found["all"] = list(records)
    return {name: of for name, of in found.items() if of}


def summary(records: list[Record]) -> str:
    """The tables."""
    seen = [r for r in records if not hidden(r)]
    accepted = [r for r in records if trusted(r)]
    rows = []
    for name, of in groups(seen).items():
        good, yes = [r for r in of if right(r)], [r for r in of if trusted(r)]
        rows.append(
            (
                name, len(of), len(good), f"{area_under_roc(*judgements(of)):.4f}", len(yes),
                sum(not right(r) for r in yes), _worst(yes),
                share(sum(not trusted(r) for r in good), len(good)),
            )
        )  # fmt: skip
    kinds = []
    for kind in KINDS:
        of = [r for r in records if r["kind"] == kind]
        if of:
            kinds.append(
                (
                    kind, len(of), sum(map(right, of)), sum(right(r) and trusted(r) for r in of),
                    sum(not right(r) and trusted(r) for r in of),
                )
            )  # fmt: skip
    took = np.median([r["evidence_cpu_s"] / r["cpu_s"] for r in records])
    return "\n\n".join(
        (
            (f"# Verdict\n\n{len(records)} results on *simulated* radiographs, up to eleven of one picture. Every anatomy (a CT "
            f"with its bones) judged by a fit to the others. Right: within {WITHIN_MM:.0f} mm, of one view as seen. Without wrong "
            f"distances and mirrored pictures of {' and '.join(SYMMETRIC)}, who are alike left and right (no picture "
            f"shows them) in the first and last table."),
            report.table(
                ("anatomy", "results", "right", "AUROC", "trusted", "of these wrong", "worst, mm", "right but refused"),
                rows,
            ),
            report.table(("kind", "results", "right", "trusted, right", "trusted, wrong"), kinds),
            reliability(*judgements(seen)),
            (f"Of all {len(accepted)} trusted results, those of the first sentence included, "
            f"{share(sum(map(right, accepted)), len(accepted))} are right. The evidence costs {100 * took:.0f} % "
            "of the CPU time of the refinement (median)."),
        )
    )  # fmt: skip


def _worst(records: Sequence[Record]) -> str:
    if any(error_mm(r) is None for r in records):
        return "no right pose"
    return f"{max(error_mm(r) or 0.0 for r in records):.1f}" if records else "–"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of ``python -m benchmarks verdict``."""
    parser.add_argument("--cases", type=int, default=20, help="seeds an anatomy and severity")
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--severities", nargs="+", default=["typical", "hard"])
    parser.add_argument("--volumes", nargs="+", default=list(NAMES), help="CTs and single bones")
    parser.add_argument("--views", type=int, choices=(1, 2), default=1)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    parser.add_argument(
        "--evidence-again", action="store_true", help="of all results that there are"
    )
    parser.add_argument("--cheap", action="store_true", help="fewer levels of whole CTs")
    parser.add_argument("--fit", action="store_true", help="print weights fitted to all anatomies")


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Collect, judge, write."""
    report.one_thread()
    records = collect(options, folder / "verdict")
    if options.fit:
        print("offset, " + ", ".join(MEASURES), fitted(records))
    records = judged(records)
    env = report.environment()
    text = summary(records) + "\n\n" + report.described(env)
    seen = [r for r in records if not hidden(r)]
    kept = {"environment": env, "reliability": binned(*judgements(seen))}
    report.write("verdict", text, kept, folder)


def smoke(folder: Path) -> None:
    """Two anatomies, one seed."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    of = ["--volumes", "hip_sts020", "knee_sts013", "phantom", "--severities", "typical"]
    main(parser.parse_args(["--cases", "1", "--cheap", *of]), folder)
