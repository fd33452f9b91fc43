"""Train the compact RayEmb encoder that ships with the package, on simulated patients alone.

    python scripts/train_compact.py out.safetensors --minutes 35

Fixed seeds; how many steps fit into the time depends on the machine, and is written into the file
with the validation scores. Phantoms of seeds 0..899 are learned from (each bent), 950..952 are
validated on, and reports use seeds from 10000 on (scripts/evaluate_compact.py).
"""

import argparse
import json
import platform
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from napari_xreg.rayemb import CompactEncoder, RayEmbSettings, load_encoder, population_task
from napari_xreg.rendering import set_thread_count
from napari_xreg.training import (
    PhantomPopulation,
    Step,
    Trained,
    TrainSettings,
    Validation,
    read_state,
    save_network,
    train,
    write_state,
)


def main() -> None:
    """Train, and write the best weights after every validation that improves on them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--minutes", type=float, default=35.0)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--validate-every", type=int, default=200)
    parser.add_argument("--resume", type=Path, help="a .resume file of an earlier run")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--finetune", type=Path, help="begin with these weights")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    set_thread_count(arguments.threads)
    torch.manual_seed(20261121)
    encoder = CompactEncoder()
    if arguments.finetune:
        encoder.load_state_dict(load_encoder(arguments.finetune)[0].state_dict())
    settings = RayEmbSettings(queries=8, half_precision=True)
    task = population_task(encoder, PhantomPopulation(), settings=settings)
    schedule = TrainSettings(
        steps=arguments.steps,
        by_time=60 * arguments.minutes,
        validate_every=arguments.validate_every,
        learning_rate=arguments.learning_rate,
    )
    resume = read_state(arguments.resume) if arguments.resume else None
    log: list[dict[str, float]] = []

    def write(weights: Mapping[str, Tensor], steps: int, seconds: float, status: str) -> None:
        best = CompactEncoder()
        best.load_state_dict(dict(weights))
        about = {
            "trained_on": "bent phantoms of seeds 0..899 (napari_xreg.simulation), no real CT",
            "script": "scripts/train_compact.py",
            "steps": steps,
            "seconds": round(seconds),
            "threads": arguments.threads,
            "learning_rate": arguments.learning_rate,
            "begun_with": str(arguments.finetune.name) if arguments.finetune else "nothing",
            "machine": platform.machine(),
            "status": status,
            "pose_range": repr(settings.views.poses),
            "validation": log,
        }
        save_network(arguments.file, best, about, half=True)

    run = train(task, schedule, resume=resume)
    while True:
        try:
            event = next(run)
        except StopIteration as end:
            trained: Trained = end.value
            break
        if isinstance(event, Step) and event.index % 20 == 0:
            losses = ", ".join(f"{name} {value:.3f}" for name, value in event.losses.items())
            print(f"step {event.index}, {event.seconds:.0f} s: {losses}", flush=True)
        if isinstance(event, Validation):
            log.append({"step": event.index, "seconds": event.seconds, **event.scores})
            print(json.dumps(log[-1]), flush=True)
            if event.weights is not None:
                write(event.weights, event.index, event.seconds, "RUNNING")
    write(trained.best, trained.steps, trained.seconds, trained.status.name)
    write_state(arguments.file.with_suffix(".resume"), trained.state)
    print(f"{arguments.file}: {arguments.file.stat().st_size / 1e6:.2f} MB, {trained.status.value}")


if __name__ == "__main__":
    main()
