"""Trainings that take seconds: a toy that renders nothing, and RayEmb with few weights."""

import time
from dataclasses import replace

import torch
from torch import nn

from napari_xreg.rayemb import (
    CompactEncoder,
    CorrespondSettings,
    RayEmbRecipe,
    RayEmbSettings,
    ViewSettings,
    patient_task,
)
from napari_xreg.training import Framing, RadiographNetwork, TrainSettings, read_checkpoint


class ToyNetwork(nn.Linear, RadiographNetwork):
    """Two numbers."""

    kind = "toy"

    def inputs(self, images, masks, carm):
        return images[:, None]

    def configuration(self):
        return {}


class ToyTask:
    """Learns a line; its validations give the scores that the recipe lists."""

    def __init__(self, recipe, network):
        self.recipe, self.network, self.batches = recipe, network, 0

    def losses(self, generator):
        if self.recipe.fail_at is not None and self.batches >= self.recipe.fail_at:
            raise RuntimeError("out of memory: 3 GB\n  at line 7")
        time.sleep(self.recipe.seconds_per_step)
        self.batches += 1
        x = torch.randn(16, 2, generator=generator)
        error = (self.network(x) - x @ torch.tensor([[3.0], [-2.0]])).square().mean()
        return {"loss": error, "median_error_mm": 10 * error.detach().sqrt()}

    def validate(self):
        error = float((self.network.weight - torch.tensor([[3.0, -2.0]])).abs().max())
        missed = 20 * error
        scores = {
            "score": missed, "median_error_mm": missed, "within_10mm_share": 0.25,
            "median_mtre_mm": 4 * missed,
        }  # fmt: skip
        return scores, None

    def state(self):
        return {"batches": self.batches}

    def restore(self, state):
        self.recipe.restored.append(state["batches"])
        self.batches = state["batches"]


class ToyRecipe(RayEmbRecipe):
    """Trains two numbers; notes what it was asked."""

    settings = TrainSettings(learning_rate=0.05, warm_up=2, validate_every=5, averaging=0.5)

    def __init__(self, kind="rayemb", title="RayEmb encoder"):
        self.kind, self.title = kind, title
        self.asked, self.restored = [], []
        self.seconds_per_step = 0.02
        self.fail_at = None
        self.inputs = 2

    def network(self, patients, start):
        self.asked.append((patients, start))
        if start not in ("scratch", "shipped"):
            assert read_checkpoint(start).kind == "toy"
        return ToyNetwork(self.inputs, 1)

    def task(self, network, patients, **asked):
        return ToyTask(self, network)

    def picture(self, detail):
        return None


class TinyRecipe(RayEmbRecipe):
    """As the real one, but small; validates every few steps, on one image."""

    settings = replace(RayEmbRecipe.settings, validate_every=4)

    def new(self):
        return CompactEncoder(8, (8, 8, 8), Framing(pixel_mm=7.0, multiple=8))

    def task(self, network, patients, *, carm, poses, seed):
        views = ViewSettings(carm=carm, poses=poses, queries=2, templates=4, first=1, kept=2)
        task = patient_task(
            network, patients, carm=carm, poses=poses,
            settings=RayEmbSettings(views, queries=2, templates=4, per_point=2, points=16),
            validation_images=1, seed=seed,
        )  # fmt: skip
        task._validate.settings = CorrespondSettings(top=60, redraws=0)
        return task
