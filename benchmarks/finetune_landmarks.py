"""Go on with a landmark detector, through the pose or not.

    python -m benchmarks.finetune_landmarks --start landmarks.safetensors --gradient full --out full.safetensors

`--gradient full`: the loss of the pose reaches the network through pixels and weights; `pixels`:
through pixels alone (the paper's NG variant); `none`: the same steps on the heatmap loss, which is
what the other two must be compared with.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from benchmarks.pose_loss import PoseFinetuneTask, PoseLossSettings
from napari_xreg.landmarks import (
    LandmarkSettings,
    LandmarkTask,
    LandmarkValidator,
    load_detector,
    validation_phantoms,
)
from napari_xreg.progress import run
from napari_xreg.training import PhantomPopulation, TrainSettings, Validation, save_network, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--gradient", choices=("full", "pixels", "none"), default="full")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--pose-weight", type=float, default=0.5)
    parser.add_argument("--passes", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    detector = load_detector(arguments.start)[0]
    validator = LandmarkValidator(validation_phantoms())
    # Other patients than those of the training before, the same for all variants.
    labels = LandmarkSettings(seed=1)
    if arguments.gradient == "none":
        task: LandmarkTask | PoseFinetuneTask = LandmarkTask(
            detector, PhantomPopulation(), validator, labels
        )
    else:
        settings = PoseLossSettings(
            labels, gradient=arguments.gradient, pose_weight=arguments.pose_weight,
            passes=arguments.passes,
        )  # fmt: skip
        task = PoseFinetuneTask(detector, PhantomPopulation(), validator, settings)
    began = time.process_time()
    before = {name: round(value, 3) for name, value in validator(detector)[0].items()}
    print(json.dumps({"before": before, "cpu_s": round(time.process_time() - began)}), flush=True)
    log = []

    def seen(event: object) -> None:
        if isinstance(event, Validation):
            line = {"step": event.index, "cpu_s": round(time.process_time() - began)}
            line |= {name: round(value, 3) for name, value in event.scores.items()}
            log.append(line)
            print(json.dumps(line), flush=True)

    trained = run(
        train(
            task,
            TrainSettings(
                steps=arguments.steps, learning_rate=arguments.learning_rate, warm_up=10,
                averaging=0.95, validate_every=arguments.steps,
            ),
        ),
        seen,
    )  # fmt: skip
    detector.load_state_dict(dict(trained.best))
    about = {
        "trained_on": "simulated pelves",
        "started_from": arguments.start.name,
        "gradient": arguments.gradient,
        "steps": trained.steps,
        "before": before,
        "after": log,
    }
    save_network(arguments.out, detector, about, half=True)


if __name__ == "__main__":
    main()
