"""Run by `test_training_killed`: trains a toy, as the window or the command line would."""

# ruff: noqa: T201 - its output is what the test waits for
import sys
import time
from pathlib import Path

import torch
from torch import nn

from napari_xreg.cli import main
from napari_xreg.cli.training_methods import METHODS, Method
from napari_xreg.progress import Control
from napari_xreg.training import Checkpoint, Step, TrainSettings, Validation, write_checkpoint


class Line:
    """Learns y = 3 x0 - 2 x1; a step takes some milliseconds."""

    def __init__(self, network):
        self.network, self.batches = network, 0

    def losses(self, generator):
        time.sleep(0.002)
        self.batches += 1
        x = torch.randn(16, 2, generator=generator)
        error = (self.network(x) - x @ torch.tensor([[3.0], [-2.0]])).square().mean()
        return {"loss": error, "median_error_mm": error.detach()}

    def validate(self):
        error = float((self.network.weight - torch.tensor([[3.0, -2.0]])).abs().max())
        return {
            "score": error,
            "median_error_mm": error,
            "within_10mm_share": 0.5,
            "median_mtre_mm": error,
        }, None

    def state(self):
        return {"batches": self.batches}

    def restore(self, state):
        self.batches = state["batches"]


def save(file, network, about):
    """As the real ones do."""
    write_checkpoint(file, Checkpoint("toy", {}, network.state_dict(), about))


METHODS["rayemb"] = Method(
    lambda arguments: nn.Linear(2, 1), lambda arguments, net: (Line(net), "a line"), save, "points"
)


def window(out, *resume):
    """What the Train widget calls, without a window."""
    from napari_xreg.widgets.train.rayemb import RayEmbRecipe
    from napari_xreg.widgets.train.request import Phantoms, Resume, TrainRequest
    from napari_xreg.widgets.train.work import training

    class Recipe(RayEmbRecipe):
        def network(self, request):
            return nn.Linear(2, 1)

        def task(self, request, network):
            return Line(network)

        def settings(self, request):
            return TrainSettings(steps=10**9, by_time=120.0, learning_rate=1e-4)

        def save(self, file, network, about):
            save(file, network, about)

    again = Resume(Path(resume[0])) if resume else None
    request = TrainRequest(Phantoms(), Path(out), resume=again)
    first = True
    for event in training(Recipe(), request, Control()):
        if isinstance(event, Step) and first:
            print(f"first step {event.index}", flush=True)
            first = False
        elif isinstance(event, Validation):
            print(f"step {event.index}:", flush=True)


def command(out, *resume):
    """``napari-xreg train``."""
    given = ["train", "rayemb", "phantoms", "--out", out, "--minutes", "2"]
    given += ["--learning-rate", "0.0001"]
    sys.exit(main([*given, *(["--resume", *resume] if resume else [])]))


torch.set_num_threads(1)
{"window": window, "command": command}[sys.argv[1]](*sys.argv[2:])
