"""What benchmarks of networks trained for the patient do alike: training, and cases that are kept."""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.refinement import newest_code, source_digest, stamp
from napari_xreg.progress import run
from napari_xreg.training import (
    PoolTask,
    RadiographNetwork,
    Step,
    TrainSettings,
    Validation,
    save_network,
    train,
)

Records = list[dict[str, Any]]


def learn(
    name: str,
    task: PoolTask[Any, Any, Any],
    settings: TrainSettings,
    file: Path,
    *,
    finish: Callable[[RadiographNetwork, Any], None] = lambda network, detail: None,
    **about: Any,
) -> None:
    """Train, and keep weights and learning curve.

    Parameters
    ----------
    name
        Of the CT.
    finish
        As of `training.Recipe`, after the best validation.
    about
        What else the file says.
    """
    curve: list[dict[str, float]] = []
    best: list[Any] = [None]
    began = time.process_time()

    def seen(event: Step | Validation) -> None:
        if isinstance(event, Validation):
            spent = {"seconds": event.seconds, "cpu_s": time.process_time() - began}
            curve.append({"step": event.index, **spent, **event.scores})
            print(name, json.dumps(curve[-1]), flush=True)
            if event.best:
                best[0] = event.detail

    trained = run(train(task, settings), seen)
    task.network.load_state_dict(dict(trained.best))
    finish(task.network, best[0])
    about |= {
        "trained_on": name, "steps": trained.steps, "seconds": trained.seconds,
        "cpu_seconds": time.process_time() - began, "curve": curve, "code": source_digest(),
        "environment": report.environment(),
    }  # fmt: skip
    save_network(file, task.network, about, half=True)


def for_minutes(minutes: float) -> TrainSettings:
    """Until so much wall time is over."""
    return TrainSettings(steps=10**9, by_time=60 * minutes, validate_every=400, learning_rate=2e-3)


def missing(options: argparse.Namespace, file: Path, **key: Any) -> list[int]:
    """Seeds that this code has not done with what the key says."""
    done = {
        r["seed"]
        for r in report.records(file)
        if r["code"] == source_digest() and all(r[k] == v for k, v in key.items())
    }
    seeds = range(options.first_seed, options.first_seed + options.cases)
    return [seed for seed in seeds if seed not in done]


def keep(file: Path, seed: int, found: dict[str, dict[str, Any]], **key: Any) -> None:
    """A case, what every method found in it."""
    name = file.stem
    common = {"volume": name, "seed": seed, "code": source_digest(), **key}
    report.append(file, {**common, **found, **stamp()})
    print(name, seed, *(f"{m} {r['mtre_mm']:.1f}" for m, r in found.items()), flush=True)


def kept(file: Path, **key: Any) -> Records:
    """The cases of the newest code with what the key says, one for each seed."""
    records = list(report.records(file))
    code = newest_code(records) if records else ""
    same = [r for r in records if r["code"] == code and all(r[k] == v for k, v in key.items())]
    return list({r["seed"]: r for r in same}.values())


def by_method(records: Records, methods: Iterable[str]) -> Iterator[tuple[str, Records]]:
    """What was found by every method that found something."""
    for method in methods:
        found = [r[method] for r in records if method in r]
        if found:
            yield method, found


def add_shared_arguments(
    parser: argparse.ArgumentParser, *, volumes: Sequence[str], starts: int, images: int
) -> None:
    """Options of the command; its own say how long is trained."""
    add = parser.add_argument
    add("--volumes", nargs="+", default=list(volumes), choices=volumes)
    add("--threads", type=int, default=2)
    add("--cases", type=int, default=50)
    add("--first-seed", type=int, default=30_000, help="0..189: tuning; from 10000: evaluation")
    add("--multi-start", type=int, default=starts, help="starts of a refinement")
    add("--validation-images", type=int, default=images, help="while training")
    add("--train-only", action="store_true", help="no cases yet")
    add("--report-only", action="store_true", help="tables from what is there")
