"""From how far a descent leads home: the loss of the refinement beside the similarities of the field.

``python -m benchmarks landscapes`` samples every loss about the true poses of seeded cases (CTs whose
radiographs come from the simulator's own integrator): along each C-arm parameter how far off the basin
of the truth reaches (its capture range; the nearer side counts), and over two parameters how many minima
there are and from which share of the map the way down leads nearer to the truth. Every case and loss
is a line of ``results/landscapes/results.jsonl``; run again to continue. All radiographs are simulated.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import cases, report
from benchmarks.refinement import source_digest, stamp
from benchmarks.similarity import weights_file
from napari_xreg.geometry import CARM_PARAMETERS
from napari_xreg.metrics import SIMILARITIES
from napari_xreg.progress import run
from napari_xreg.registration import (
    COARSE_TO_FINE,
    LEARNED,
    Landscape,
    LandscapeSettings,
    Profile,
    View,
    loss_landscape,
)
from napari_xreg.similarity import learned_loss, load_similarity

MEASURES = ("refinement", *SIMILARITIES, LEARNED)
VOLUMES = ("pelvis_totalseg", "chest_lidc", "hip_sts020", "knee_sts013", cases.PHANTOM)
LEVELS = {level.pixels: level for level in COARSE_TO_FINE}
PAIRS = (("primary", "x"), ("secondary", "y"))
REACH = LandscapeSettings(range_deg=40.0, range_mm=80.0, range_depth_mm=240.0, threads=1)
HOME_STEPS = 1.0
"""A minimum at most so many samples from the truth is the truth's."""

Record = dict[str, Any]


def capture(profile: Profile) -> float:
    """How far off a descent along a section may start, degrees or mm, on its worse side; 0: nowhere.

    As far as the section goes where no other minimum draws.
    """
    step = profile.offsets[1] - profile.offsets[0]
    home = [m for m in profile.minima if abs(m.offset) <= HOME_STEPS * step and not m.at_edge]
    return min(-home[0].basin[0], home[0].basin[1]) if home else 0.0


def sampled(case: cases.Case, settings: LandscapeSettings, steps: int = 0) -> Landscape:
    """About the true pose; of a similarity that was learned in so many steps (``benchmarks similarity``)."""
    view = View(case.radiograph, case.truth)
    volume = cases.volume_of(case.volume)
    learned = None
    if settings.learned:
        learned = learned_loss(load_similarity(weights_file(case.volume, "sphere", steps))[0])
    return run(
        loss_landscape(volume, view, settings=settings, isocenter=case.isocenter, learned=learned)
    )


def measured(case: cases.Case, measure: str, pixels: int, samples: int, steps: int) -> Record:
    """Of one case and loss."""
    began = time.process_time()
    asked = replace(
        REACH, measure=measure, level=LEVELS[pixels], samples=samples, pair_samples=samples
    )
    found = sampled(case, replace(asked, pair=PAIRS[0]), steps)
    others = (sampled(case, replace(asked, parameters=(), pair=pair), steps) for pair in PAIRS[1:])
    maps = [found.pair, *(other.pair for other in others)]
    known = [pair for pair in maps if pair is not None]
    return {
        "capture": {name: capture(found.profiles[name]) for name in CARM_PARAMETERS},
        "minima": [len(pair.minima) for pair in known],
        "leads_home": [pair.leads_home for pair in known],
        "cpu_s": time.process_time() - began,
    }


def _key(record: Record) -> tuple[Any, ...]:
    return tuple(record[k] for k in ("volume", "seed", "severity", "pixels", "measure", "samples"))


def run_all(options: argparse.Namespace, folder: Path) -> list[Record]:
    """All missing cases, seed by seed, so that a run that ends early has of each."""
    file = folder / "results.jsonl"
    done = {_key(r) for r in report.records(file) if r["code"] == source_digest()}
    for seed in range(options.first_seed, options.first_seed + options.cases):
        for volume in options.volumes:
            for measure in options.measures:
                common = {
                    "volume": volume, "seed": seed, "severity": options.severity,
                    "pixels": options.pixels, "measure": measure, "samples": options.samples,
                }  # fmt: skip
                if _key(common) in done:
                    continue
                case = cases.case(volume, seed, severity=options.severity)
                record = {
                    **common,
                    **measured(case, measure, options.pixels, options.samples, options.steps),
                }
                report.append(file, {**record, "code": source_digest(), **stamp()})
                print(f"{volume} seed {seed}, {measure}: {record['cpu_s']:.1f} CPU s", flush=True)
    return [r for r in report.records(file) if r["code"] == source_digest()]


HEADER = (
    "loss", "cases", *(f"{name}, {'°' if i < 3 else 'mm'}" for i, name in enumerate(CARM_PARAMETERS)),
    "other minima, " + " x ".join(PAIRS[0]), "leads nearer", "other minima, " + " x ".join(PAIRS[1]),
    "leads nearer",
)  # fmt: skip


def rows_of(records: Sequence[Record]) -> list[list[Any]]:
    """Of every loss a row: medians, the worst case in brackets."""
    rows = []
    for measure in MEASURES:
        group = [r for r in records if r["measure"] == measure]
        if not group:
            continue
        row: list[Any] = [measure, len(group)]
        for name in CARM_PARAMETERS:
            reach = [r["capture"][name] for r in group]
            row.append(f"{np.median(reach):.0f} ({min(reach):.0f})")
        for i in range(len(PAIRS)):
            others = [r["minima"][i] - 1 for r in group]
            home = [100 * r["leads_home"][i] for r in group]
            row += [
                f"{np.median(others):.0f} ({max(others)})",
                f"{np.median(home):.0f} % ({min(home):.0f})",
            ]
        rows.append(row)
    return rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m benchmarks landscapes``."""
    add = parser.add_argument
    add("--volumes", nargs="+", choices=(*cases.VOLUMES, cases.PHANTOM), default=list(VOLUMES))
    add("--severity", default="typical")
    add("--measures", nargs="+", choices=MEASURES, default=list(MEASURES[:-1]))
    add(
        "--steps", type=int, default=1500, help="of the learned similarity, trained by `similarity`"
    )
    add("--pixels", type=int, choices=tuple(LEVELS), default=64)
    add("--samples", type=int, default=21, help="along sections and sides of the maps")
    add("--cases", type=int, default=3)
    add("--first-seed", type=int, default=10_460)


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Sample what is missing, then write the table."""
    report.one_thread()
    seeds = cases.seed_kind(options.first_seed, options.cases)
    records = run_all(options, folder / "landscapes")
    text = (
        f"# Landscapes: from how far a descent leads home\n\n*Simulated* radiographs, severity "
        f"`{options.severity}`, {seeds}, {', '.join(options.volumes)}; one view, {options.pixels} pixels, "
        f"{options.samples} samples a section. Columns of parameters: how far off a descent along that parameter "
        f"alone may start on its worse side, median and in brackets the worst case (0: the truth is no minimum); "
        f"sections reach ± {REACH.range_deg:g}°, ± {REACH.range_mm:g} mm and ± {REACH.range_depth_mm:g} mm in depth. "
        "Maps: further minima (median, most), and from which share of the map the way down leads nearer to the "
        "truth (median, least).\n\n"
    )
    env = report.environment()
    shown = [r for r in records if r["pixels"] == options.pixels]
    shown = [r for r in shown if r["severity"] == options.severity]
    text += report.table(HEADER, rows_of(shown)) + "\n\n" + report.described(env)
    report.write("landscapes", text, {"environment": env, "seeds": seeds}, folder)


def smoke(folder: Path) -> None:
    """One case, two losses, few samples."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    of = ["--volumes", "phantom", "--measures", "refinement", "NCC", "--samples", "5"]
    main(parser.parse_args(["--cases", "1", *of]), folder)
