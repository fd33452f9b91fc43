"""Run by `test_training_killed`: trains a toy, as the window or the command line would."""

# ruff: noqa: T201 - its output is what the test waits for
import sys
import time
from pathlib import Path

import torch
from torch import nn

from napari_xreg import workflows
from napari_xreg.cli import main
from napari_xreg.rayemb import RayEmbRecipe
from napari_xreg.training import Phantoms, RadiographNetwork, Step, TrainSettings, Validation


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


class Network(nn.Linear, RadiographNetwork):
    """Two numbers."""

    kind = "toy"

    def inputs(self, images, masks, carm):
        return images[:, None]

    def configuration(self):
        return {}


class Recipe(RayEmbRecipe):
    """In place of the real one."""

    settings = TrainSettings(learning_rate=1e-4)

    def network(self, patients, start):
        return Network(2, 1, bias=False)

    def task(self, network, patients, **asked):
        return Line(network)


workflows.RECIPES = {"rayemb": Recipe}


def window(out, *resume):
    """What the Train widget calls, without a window."""
    again = workflows.Resume(Path(resume[0])) if resume else None
    request = workflows.TrainRequest(Recipe(), Phantoms(), Path(out), minutes=2.0, resume=again)
    first = True
    for event in workflows.train(request):
        if isinstance(event, Step) and first:
            print(f"first step {event.index}", flush=True)
            first = False
        elif isinstance(event, Validation):
            print(f"step {event.index}:", flush=True)


def command(out, *resume):
    """``napari-xreg train``."""
    given = ["train", "rayemb", "phantoms", "--out", out, "--minutes", "2"]
    sys.exit(main([*given, *(["--resume", *resume] if resume else [])]))


torch.set_num_threads(1)
{"window": window, "command": command}[sys.argv[1]](*sys.argv[2:])
