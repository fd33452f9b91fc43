"""``napari-xreg train rayemb|landmarks``: weights for one patient, or for many."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_xreg.cli.console import Console
from napari_xreg.cli.refining import cancelled_by_interrupt, prepare_renderer
from napari_xreg.cli.training_methods import METHODS, pose_range
from napari_xreg.files import TRAINING, schema_head
from napari_xreg.progress import Control
from napari_xreg.progress import run as run_events
from napari_xreg.rendering import choose_device, thread_count
from napari_xreg.training import (
    Kept,
    Step,
    Trained,
    TrainingStatus,
    TrainSettings,
    Validation,
    best_scores,
    card,
    check_state,
    drawn_from,
    read_state,
    reason,
    train,
)

FAILED, INTERRUPTED = 1, 130


def run(arguments: Namespace, console: Console) -> int:
    """Train and write, at every validation and at the end.

    The exit code is 1 where the loss stopped being a number, 130 after Ctrl-C.
    """
    out = Path(arguments.out)
    if out.suffix != ".safetensors":
        raise ValueError(f"weights are written as .safetensors: got --out {out.name}")
    resumed = Path(arguments.resume) if arguments.resume else None
    resume = None if resumed is None else read_state(resumed)
    method = METHODS[arguments.method]
    poses = pose_range(arguments)
    device = choose_device(arguments.device)
    kept = Kept(out, method.save, method.finish)
    kept.check()
    prepare_renderer(console, arguments.threads)
    torch.set_num_threads(thread_count())
    with drawn_from(torch.Generator().manual_seed(arguments.seed)):
        network = method.network(arguments).to(device)
    if resumed is not None and resume is not None:
        check_state(resume, network, resumed.name)
    console.step("rendering images to validate on")
    task, what = method.task(arguments, network)
    settings = TrainSettings(
        steps=10**9, by_time=60.0 * arguments.minutes, seed=arguments.seed,
        learning_rate=arguments.learning_rate,
    )  # fmt: skip
    shown = _Shown(kept, network, settings, console, method.found)
    shown.about = {"task": arguments.method, "trained_on": what, "request": poses.described()}
    control = Control()
    console.step(
        f"training on {what}, {arguments.minutes:g} minutes; the best so far is kept in {out}"
    )
    with cancelled_by_interrupt(control):
        trained = run_events(train(task, settings, resume=resume, control=control), shown)
    interrupted = trained.status is TrainingStatus.CANCELLED
    if interrupted and trained.steps == (0 if resume is None else resume["steps"]):
        console.error("interrupted before the first step; nothing was written")
        return INTERRUPTED
    return shown.end(trained) or (INTERRUPTED if interrupted else 0)


class _Shown:
    """Writes what a training brings, and says so."""

    about: Mapping[str, Any]

    def __init__(
        self, kept: Kept, network: nn.Module, settings: TrainSettings, console: Console, found: str
    ) -> None:
        self.kept, self.network, self.settings = kept, network, settings
        self.console, self.found = console, found

    def __call__(self, event: Step | Validation) -> None:
        console = self.console
        if isinstance(event, Step):
            text = f"step {event.index}  loss {event.losses['loss']:.3f}"
            console.progress(event.seconds / self.settings.by_time, text)
            return
        scores = best_scores((event.state or {})["validations"])
        try:
            self.kept.validated(
                self.network, event, self._card(event.index, event.seconds, scores, "RUNNING")
            )
        except (OSError, ValueError) as error:
            console.step(f"not written: {reason(error)}; training goes on")
        console.step(
            f"step {event.index}: {self.found} missed by {event.scores['median_error_mm']:.1f} mm "
            f"(median), pose by {event.scores['median_mtre_mm']:.0f} mm"
        )

    def end(self, trained: Trained) -> int:
        """The exit code."""
        scores = best_scores(trained.validations)
        about = self._card(trained.steps, trained.seconds, scores, trained.status.name)
        self.kept.ended(self.network, trained, about)
        console, files = self.console, [str(self.kept.file), str(self.kept.state_file)]
        console.say(trained.status.value)
        for name, value in scores.items():
            if name != "score":
                console.say(f"{name.replace('_', ' ')}: {value:.2f}")
        console.say("measured on simulated radiographs")
        console.say(f"written: {', '.join(files)} (to go on with --resume)")
        console.answer({**schema_head(TRAINING), "files": files, **about})
        return 0 if trained else FAILED

    def _card(
        self, steps: int, seconds: float, scores: Mapping[str, float], status: str
    ) -> dict[str, Any]:
        return card(
            steps=steps, seconds=seconds, scores=scores, status=status, words="", **self.about
        )
