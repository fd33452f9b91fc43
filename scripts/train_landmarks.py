"""Train the compact landmark detector on the phantom's population.

    python scripts/train_landmarks.py --steps 2000 --out landmarks.safetensors

Phantoms of `simulation.TUNING_SEEDS` only, each bent; validated on four phantoms that are not among
those trained on. One processor; the log says how long rendering and learning took.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from napari_xreg.landmarks import CompactDetector, LandmarkSettings, population_landmark_task
from napari_xreg.progress import run
from napari_xreg.training import PhantomPopulation, TrainSettings, Validation, save_network, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=600.0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--labels", choices=("point", "dilation"), default="point")
    parser.add_argument("--steps", type=int, default=10**9)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--validate-every", type=int, default=500)
    parser.add_argument("--mirror", type=float, default=0.0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    detector = CompactDetector()
    settings = LandmarkSettings(
        batch=arguments.batch, labels=arguments.labels, mirror=arguments.mirror,
        steps=min(arguments.steps, 4000),
    )  # fmt: skip
    task = population_landmark_task(detector, PhantomPopulation(), settings=settings)
    began = time.process_time()
    log = []

    def seen(event: object) -> None:
        if isinstance(event, Validation):
            line = {"step": event.index, "cpu_s": round(time.process_time() - began)}
            line |= {name: round(value, 3) for name, value in event.scores.items()}
            log.append(line)
            print(json.dumps(line), flush=True)
            if event.weights is not None:
                best = CompactDetector()
                best.load_state_dict(dict(event.weights))
                save_network(arguments.out, best, {"trained_on": "simulated pelves", "log": log})

    trained = run(
        train(
            task,
            TrainSettings(
                steps=arguments.steps, by_time=60 * arguments.minutes,
                learning_rate=arguments.learning_rate, validate_every=arguments.validate_every,
            ),
        ),
        seen,
    )  # fmt: skip
    detector.load_state_dict(dict(trained.best))
    about = {
        "trained_on": "simulated pelves",
        "steps": trained.steps,
        "cpu_seconds": round(time.process_time() - began),
        "labels": arguments.labels,
        "validations": log,
    }
    save_network(arguments.out, detector, about, half=True)


if __name__ == "__main__":
    main()
