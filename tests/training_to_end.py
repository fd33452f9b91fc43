"""Run by `test_training_killed`: trains a toy, as the window or the command line would."""

# ruff: noqa: T201 - its output is what the test waits for
import sys
from pathlib import Path

import torch
from trainings import ToyRecipe

from napari_xreg import workflows
from napari_xreg.cli import main
from napari_xreg.training import Phantoms, Step, TrainSettings, Validation


class Recipe(ToyRecipe):
    """In place of the real one; a step takes some milliseconds."""

    settings = TrainSettings(learning_rate=1e-4)

    def __init__(self):
        super().__init__()
        self.seconds_per_step = 0.002


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
