"""A learned similarity, trained for the patient: where descents end, beside one start and many of the image's loss.

``python -m benchmarks similarity`` trains one network for every CT and variant, as the widget and the command do, and
descends from starts spread 1, 3 and 6 times as widely as usual, then refines from there with one start; beside
it refinements of the same starts with one start, with 16 (about as long as a descent with its refinement), with 128,
and with as many as it takes, spread as the case is. The variants are the ablation of the papers: where embeddings
lie, which distance of poses they learn, and whether the network ever saw the CT. Weights and images are kept
in the cache folder; every case is a line of ``results/similarity/<volume>.jsonl``; run again to continue. With
them ``python -m benchmarks landscapes`` has a row for what was learned. All radiographs are simulated.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import cases, report, trained
from benchmarks.refinement import source_digest
from benchmarks.starts import Record, refined, trial
from napari_xreg.metrics import error_percentiles, success_rate
from napari_xreg.progress import run
from napari_xreg.registration import RefineSettings, View
from napari_xreg.rendering import Prepared, set_thread_count
from napari_xreg.similarity import (
    Comparison,
    Metric,
    SimilarityNetwork,
    SimilarityRecipe,
    Space,
    descend,
    load_similarity,
    prepared_for,
)
from napari_xreg.training import OneCT, Patients, Phantoms, PoseRange, TrainSettings

VOLUMES = ("pelvis_totalseg", "chest_lidc")
FACTORS = (1.0, 3.0, 6.0)
STARTS = {
    "one start": 1,
    "16 starts": 16,
    "128 starts": 128,
    "as many as it takes": 0,
}


@dataclass(frozen=True)
class Variant:
    """What is trained: where embeddings lie, which distance of poses they learn, and of whom."""

    words: str
    space: Space = "sphere"
    metric: Metric = "double_quaternion"
    seen: bool = True


VARIANTS = {
    "sphere": Variant("sphere, SO(4)"),
    "se3": Variant("sphere, SE(3)", metric="se3"),
    "euclidean": Variant("plane, SO(4)", space="euclidean"),
    "hyperbolic": Variant("hyperboloid, SO(4)", space="hyperbolic"),
    "unseen": Variant("sphere, SO(4), of simulated pelves alone", seen=False),
}
"""By the names of the command line."""
POSES = PoseRange((-25.0, 25.0), (-20.0, 20.0), (-5.0, 5.0), 15.0)
"""Of the radiographs it learns: a little more than those of `cases`; renderings lie up to six spreads about them."""


def weights_file(name: str, variant: str, steps: int) -> Path:
    """Where the weights of a CT are kept; one of simulated pelves is the same for every CT."""
    of = name if VARIANTS[variant].seen else "phantoms"
    return cases.cache_folder() / f"similarity-{of}-{variant}-{steps}steps.safetensors"


def train_one(name: str, variant: str, steps: int, validation_images: int) -> None:
    """Train from scratch as the widget and the command do, and keep weights and learning curve."""
    chosen = VARIANTS[variant]
    recipe = SimilarityRecipe(chosen.space, validation_images, chosen.metric)
    patients: Patients = Phantoms()
    if chosen.seen:
        patients = OneCT(name, cases.volume_of(name), cases.labels_of(name))
    torch.manual_seed(0)
    network = recipe.network(patients, "scratch")
    task = recipe.task(network, patients, carm=cases.carm(), poses=POSES, seed=0)
    settings = TrainSettings(
        steps=steps,
        learning_rate=recipe.settings.learning_rate,
        validate_every=max(1, min(500, steps)),
    )
    trained.learn(name, task, settings, weights_file(name, variant, steps))


def descended(
    network: SimilarityNetwork, prepared: Prepared, volume: str, seed: int, factor: float
) -> dict[str, Record]:
    """Of one case: where the descent ended, and a refinement from there."""
    given = trial(volume, seed, "typical", factor, "open")
    assert given.truth is not None
    view, began = given.views[0], time.process_time()
    seen = Comparison(network, prepared, view.radiograph, given.isocenter, threads=1)
    found = run(descend(seen, view.world_from_camera))
    spent = time.process_time() - began
    case = cases.case(volume, seed, factor=factor)
    end = found.world_from_camera
    alone = {"final_mm": case.mtre(end), "cpu_s": spent, "iterations": found.iterations}
    from_there = View(view.radiograph, end)
    after = refined(
        replace(given, views=(from_there,)),
        RefineSettings(starts=1, keep_images=False, threads=1),
    )
    after["cpu_s"] += spent
    return {"descent": alone, "descent, then one start": after}


def beside(volume: str, seed: int, factor: float) -> dict[str, Record]:
    """Of one case: refinements from the start itself, and from more about it."""
    given, spread = trial(volume, seed, "typical", factor, "open"), cases.SPREAD.scaled(factor)
    return {
        words: refined(
            given, RefineSettings(starts=starts, spread=spread, keep_images=False, threads=1)
        )
        for words, starts in STARTS.items()
    }


def run_all(options: argparse.Namespace, folder: Path) -> None:
    """Train what is not trained, then all missing cases."""
    report.one_thread()
    torch.set_num_threads(options.threads)
    set_thread_count(options.threads)
    for name in options.volumes:
        for variant in options.variants:
            if not weights_file(name, variant, options.steps).is_file():
                train_one(name, variant, options.steps, options.validation_images)
        if options.train_only:
            continue
        networks = {
            variant: load_similarity(weights_file(name, variant, options.steps))[0]
            for variant in options.variants
        }
        file = folder / f"{name}.jsonl"
        done = {
            (r["seed"], r["factor"], r["steps"], tuple(r["variants"]))
            for r in report.records(file)
            if r["code"] == source_digest()
        }
        prepared = prepared_for(cases.volume_of(name))
        for seed in range(options.first_seed, options.first_seed + options.cases):
            for factor in options.factors:
                if (seed, factor, options.steps, tuple(options.variants)) in done:
                    continue
                case = cases.case(name, seed, factor=factor)
                found: dict[str, Record] = {} if options.alone else beside(name, seed, factor)
                for variant, network in networks.items():
                    for method, record in descended(network, prepared, name, seed, factor).items():
                        found[f"{variant}: {method}"] = record
                record = {
                    "volume": name, "seed": seed, "factor": factor, "steps": options.steps,
                    "variants": list(options.variants), "start_mm": case.mtre(case.start),
                    "code": source_digest(), "found": found,
                }  # fmt: skip
                report.append(file, record)
                shown = ", ".join(f"{m} {r['final_mm']:.1f}" for m, r in found.items())
                print(f"{name} {seed} x{factor:g} {record['start_mm']:.0f} mm: {shown}", flush=True)


def rows_of(records: Sequence[Record]) -> list[list[Any]]:
    """Of every spread and method a row."""
    rows = []
    for factor in sorted({r["factor"] for r in records}):
        group = [r for r in records if r["factor"] == factor]
        begun = report.median([r["start_mm"] for r in group])
        methods = dict.fromkeys(method for r in group for method in r["found"])
        for method in methods:
            found = [r["found"][method] for r in group if method in r["found"]]
            mtre = [r["final_mm"] for r in found]
            rates = [success_rate(mtre, at) for at in (1.0, 2.0, 20.0)]
            rows.append(
                [
                    f"{factor:g}", f"{begun:.0f}", method, len(found),
                    *(f"{round(r.share * len(found))}" for r in rates),
                    *(report.number(x, 1) for x in error_percentiles(mtre, (50.0, 90.0))),
                    report.number(report.median([r["cpu_s"] for r in found]), 2),
                ]
            )  # fmt: skip
    return rows


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Run what is missing, then write the tables."""
    kind = cases.seed_kind(options.first_seed, options.cases)
    if not options.report_only:
        run_all(options, folder / "similarity")
    if options.train_only:
        return
    text, data = "", {}
    for name in options.volumes:
        records = [
            r for r in report.records(folder / "similarity" / f"{name}.jsonl") if r["steps"] == options.steps
        ]  # fmt: skip
        code = records[-1]["code"] if records else ""
        rows = rows_of([r for r in records if r["code"] == code])
        header = (
            "spread", "start, mm", "method", "cases", "under 1 mm", "under 2 mm", "under 20 mm", "median, mm",
            "90 %, mm", "CPU s",
        )  # fmt: skip
        text += f"## {name}\n\n{report.table(header, rows)}\n\n"
        data[name] = rows
        for variant in options.variants:
            file = weights_file(name, variant, options.steps)
            if file.is_file():
                last = load_similarity(file)[1]["curve"][-1]
                text += f"{variant} ({VARIANTS[variant].words}): {options.steps} steps, {last['cpu_s']:.0f} CPU s of training.\n\n"
    env = report.environment()
    markdown = f"""# A learned similarity, trained for the patient

Simulated radiographs, severity `typical`, {kind}; starts spread a multiple of (3 deg; 10 mm in plane, 15 mm
depth) about the isocenter. Errors: camera-frame mTRE over 20 bone points; counts of cases under 1, 2 and 20 mm; lower medians, errors that were observed. One
thread; CPU seconds are medians, without training. Starts: spread as the case is. {report.described(env)}

{text}"""
    report.write("similarity", markdown, {"environment": env, "volumes": data}, folder)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add = parser.add_argument
    add("--volumes", nargs="+", choices=(*cases.VOLUMES, cases.PHANTOM), default=list(VOLUMES))
    add("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    add("--steps", type=int, default=1500, help="of training; 0.1 CPU seconds each")
    add("--factors", nargs="+", type=float, default=list(FACTORS), metavar="TIMES")
    add("--cases", type=int, default=10)
    add("--first-seed", type=int, default=10_480)
    add("--threads", type=int, default=1)
    add("--validation-images", type=int, default=9, help="while training")
    add("--alone", action="store_true", help="no refinements of the image's loss beside it")
    add("--train-only", action="store_true", help="no cases yet")
    add("--report-only", action="store_true", help="tables from what is there")


def smoke(folder: Path) -> None:
    """Two steps of training, one case."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    of = [
        "--volumes",
        "phantom",
        "--steps",
        "2",
        "--factors",
        "1",
        "--cases",
        "1",
        "--first-seed",
        "1",
    ]
    main(
        parser.parse_args(
            [*of, "--validation-images", "1", "--alone", "--variants", "sphere", "unseen"]
        ),
        folder,
    )
