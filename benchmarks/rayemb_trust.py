"""Does RayEmb warn? 50 matching radiographs, 50 that it must not trust, and 10 mirrored ones.

``python -m benchmarks rayemb_trust`` locates every radiograph, keeps what was measured as a line of
``results/rayemb_trust/<label>.jsonl``, and judges it by the published weights and threshold of
`rayemb.trust`. ``--tune`` runs tuning seeds instead and prints weights fitted to them. Run again to
continue. Kinds of radiographs: see `benchmarks.rayemb_cases`.
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize

from benchmarks import cases, rayemb_cases, report
from benchmarks.rayemb_cases import BAD, MATCHING, MIRRORED
from napari_xreg.metrics import mean_target_registration_error
from napari_xreg.progress import run
from napari_xreg.rayemb import (
    PoseEvidence,
    PreparedNetwork,
    RayEncoder,
    load_encoder,
    locate,
    prepare_network,
    shipped_encoder,
)
from napari_xreg.rayemb.polarity import BEYOND_DOUBT
from napari_xreg.rayemb.trust import MEASURES, WITHIN_MM, probability_of
from napari_xreg.registration import TRUSTED
from napari_xreg.rendering import set_thread_count

TUNING_PHANTOMS = tuple(f"phantom:{5000 + i}" for i in range(5))
EVALUATION_PHANTOMS = tuple(f"phantom:{11_000 + i}" for i in range(5))


def kinds_of(index: int) -> tuple[str, ...]:
    """What is made of the index-th seed: a matching one, a bad one, sometimes a mirrored one."""
    turn = (MATCHING, BAD[index % len(BAD)])
    return (*turn, MIRRORED) if index % 5 == 0 else turn


def one(
    encoder: RayEncoder, prepared: dict[str, PreparedNetwork], name: str, kind: str, seed: int
) -> dict[str, Any]:
    """What locating one radiograph left behind."""
    who = rayemb_cases.patient(name)
    image, truth = rayemb_cases.radiograph(name, kind, seed)
    if name not in prepared:
        made = run(prepare_network(encoder, who.volume, image, center=who.isocenter))
        assert made is not None
        prepared[name] = made
    began = time.process_time()
    located = run(locate(prepared[name].on(image), who.points))
    pose = located.solution.world_from_camera
    error = None
    if pose is not None and truth is not None:
        error = float(mean_target_registration_error(pose, truth, who.fiducials))
    return {
        "patient": name, "kind": kind, "seed": seed, "pose": pose is not None,
        "status": located.solution.status.name, "mtre_mm": error,
        "cpu_s": time.process_time() - began,
        "trust": {k: v if v == v else None for k, v in asdict(located.verdict.evidence).items()},
    }  # fmt: skip


def collect(options: argparse.Namespace, file: Path) -> list[dict[str, Any]]:
    """All records, those that are missing made now."""
    encoder = (
        shipped_encoder()[0] if options.weights is None else load_encoder(Path(options.weights))[0]
    )
    patients = options.patients or (TUNING_PHANTOMS if options.tune else EVALUATION_PHANTOMS)
    prepared: dict[str, PreparedNetwork] = {}
    done = {(r["patient"], r["kind"], r["seed"]) for r in report.records(file)}
    for index in range(options.cases):
        name, seed = patients[index % len(patients)], options.first_seed + index
        for kind in kinds_of(index):
            if (name, kind, seed) not in done:
                report.append(file, one(encoder, prepared, name, kind, seed))
        print(f"{name} {seed}", flush=True)
    return list(report.records(file))


def trust_in(record: dict[str, Any]) -> PoseEvidence:
    """As it was measured."""
    return PoseEvidence(**{k: float("nan") if v is None else v for k, v in record["trust"].items()})


def probability_in(record: dict[str, Any]) -> float:
    """By the published weights."""
    return probability_of(trust_in(record)) if record["pose"] else 0.0


def fitted(records: list[dict[str, Any]], penalty: float = 0.005) -> dict[str, float]:
    """Weights of a logistic regression: starts near enough against others.

    Measures are standardised for the penalty, and no weight may point the wrong way.
    """
    used = [r for r in records if r["pose"] and r["kind"] != MIRRORED]
    x = np.array([[transform(trust_in(r)) for transform in MEASURES.values()] for r in used])
    good = np.array([r["kind"] == MATCHING and r["mtre_mm"] < WITHIN_MM for r in used])
    middle, width = x.mean(0), x.std(0)
    z = (x - middle) / width

    def loss(w: np.ndarray) -> float:
        logit = z @ w[1:] + w[0]
        return float(
            np.logaddexp(0, np.where(good, -logit, logit)).mean() + penalty * (w[1:] ** 2).sum()
        )

    bounds = [(None, None)] + [(0.0, None)] * x.shape[1]
    w = minimize(loss, np.zeros(1 + x.shape[1]), bounds=bounds).x
    weights = dict(zip(MEASURES, w[1:] / width, strict=True))
    return {"constant": float(w[0] - (w[1:] / width) @ middle), **weights}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m benchmarks rayemb_trust``."""
    parser.add_argument("--weights", metavar="FILE", help="default: those of the package")
    parser.add_argument("--patients", nargs="+", help="default: five phantoms of the population")
    parser.add_argument("--label", default="shipped", help="of weights and patients, in the table")
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--first-seed", type=int, default=None, help="10000; with --tune 0")
    parser.add_argument("--tune", action="store_true", help="tuning seeds; prints fitted weights")
    parser.add_argument("--report-only", action="store_true")


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Collect, then fit or judge."""
    if options.first_seed is None:
        options.first_seed = 0 if options.tune else 10_000
    kind = cases.seed_kind(options.first_seed, options.cases)
    torch.set_num_threads(1)
    set_thread_count(1)
    stem = f"{options.label}-tuning" if options.tune else options.label
    file = folder / "rayemb_trust" / f"{stem}.jsonl"
    records = list(report.records(file)) if options.report_only else collect(options, file)
    if options.tune:
        print(json.dumps(fitted(records), indent=1))
    table(folder, kind)


def table(folder: Path, kind: str) -> None:
    """One section for every label."""
    sections, data = [], {}
    for file in sorted((folder / "rayemb_trust").glob("*.jsonl")):
        records = list(report.records(file))
        rows = [row_of(records, kind_of) for kind_of in (MATCHING, *BAD, "bad, all", MIRRORED)]
        seeds = sorted({r["seed"] for r in records})
        errors = [
            r["mtre_mm"] for r in records if r["kind"] == MATCHING and r["mtre_mm"] is not None
        ]
        which = "tuning" if file.stem.endswith("-tuning") else "evaluation"
        head = (
            f"## {file.stem}\n\nPatients {', '.join(sorted({r['patient'] for r in records}))}; "
            f"{which} seeds {seeds[0]} to {seeds[-1]}. Matching radiographs: start off by "
            f"{report.median(errors):.0f} mm (median mTRE)."
        )
        header = ["radiographs", "number", "warned", "probability 10 / 50 / 90 %", "no pose",
                  "polarity right / unclear / inverted"]  # fmt: skip
        sections.append(f"{head}\n\n{report.table(header, rows)}")
        data[file.stem] = {"rows": rows, "seeds": seeds, "median_mtre_mm": report.median(errors)}
    env = report.environment()
    markdown = f"""# RayEmb: does it warn?

Simulated radiographs, severity `typical`, 128 x 128 pixels. Matching: the patient the network is asked about, poses over
the whole range of training. anatomy: another part of the body; inverted: the negative; intensity: detector values read as line
integrals; noise: the amplitudes of a radiograph, phases at random; far: the patient from the side, or rolled by 60 to
120 degrees. Mirrored ones are apart: of a nearly symmetric pelvis they are radiographs that match, of a patient who
does not exist. Warned: less than {TRUSTED:.0%} likely to be within {WITHIN_MM:g} mm, or no pose. The probabilities were fitted to all of these.
{report.described(env)}

""" + "\n\n".join(sections)
    report.write("rayemb_trust", markdown, {"environment": env, **data}, folder)


def row_of(records: list[dict[str, Any]], kind: str) -> list[Any]:
    """How often it warned, and what the polarity check said."""
    chosen = [r for r in records if r["kind"] == kind or (kind == "bad, all" and r["kind"] in BAD)]
    if not chosen:
        return [kind, 0, "-", "-", "-", "-"]
    scores = np.array([probability_in(r) for r in chosen])
    warned = int((scores < TRUSTED).sum())
    low, middle, high = np.quantile(scores, [0.1, 0.5, 0.9])
    polarity = np.array([r["trust"]["polarity"] for r in chosen])
    looks = [(polarity > BEYOND_DOUBT).sum(), (polarity < -BEYOND_DOUBT).sum()]
    unclear = len(chosen) - sum(looks)
    return [
        kind, len(chosen), f"{warned} ({warned / len(chosen):.0%})",
        f"{low:.2f} / {middle:.2f} / {high:.2f}", sum(not r["pose"] for r in chosen),
        f"{looks[0]} / {unclear} / {looks[1]}",
    ]  # fmt: skip


def smoke(folder: Path) -> None:
    """One matching, one bad and one mirrored radiograph of a phantom, no table kept."""
    options = argparse.Namespace(
        weights=None, patients=["phantom:5001"], label="smoke", cases=1, first_seed=None,
        tune=False, report_only=False,
    )  # fmt: skip
    main(options, folder)
