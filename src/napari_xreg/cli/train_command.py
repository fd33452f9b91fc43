"""``napari-xreg train rayemb|landmarks``: weights for one patient, or for many."""

from argparse import Namespace
from pathlib import Path

import torch

from napari_xreg.cli.console import Console
from napari_xreg.cli.refining import cancelled_by_interrupt, prepare_renderer
from napari_xreg.cli.training_methods import METHODS, pose_range
from napari_xreg.registration import Control
from napari_xreg.registration import run as run_events
from napari_xreg.rendering import thread_count
from napari_xreg.training import Step, TrainSettings, Validation, read_state, train, write_state


def run(arguments: Namespace, console: Console) -> int:
    """Train and write; the exit code is 1 where the loss stopped being a number."""
    out = Path(arguments.out)
    if out.suffix != ".safetensors":
        raise ValueError(f"weights are written as .safetensors: got --out {out.name}")
    resume = read_state(Path(arguments.resume)) if arguments.resume else None
    prepare_renderer(console, arguments.threads)
    torch.set_num_threads(thread_count())
    torch.manual_seed(arguments.seed)
    method = METHODS[arguments.method]
    poses = pose_range(arguments)
    network = method.network(arguments).to(arguments.device)
    console.step("rendering images to validate on")
    task, what = method.task(arguments, network)
    settings = TrainSettings(
        steps=10**9, by_time=60.0 * arguments.minutes, seed=arguments.seed,
        learning_rate=arguments.learning_rate, validate_every=400,
    )  # fmt: skip
    control = Control()
    console.step(f"training on {what}, {arguments.minutes:g} minutes; Ctrl-C keeps the best so far")
    with cancelled_by_interrupt(control):
        trained = run_events(
            train(task, settings, resume=resume, control=control),
            lambda event: _show(event, settings, console, method.found),
        )
    network.load_state_dict(dict(trained.best))
    scores = min((v.scores for v in trained.validations), key=lambda s: s["score"], default={})
    about = {
        "trained_on": what,
        "steps": trained.steps,
        "seconds": round(trained.seconds),
        "status": trained.status.name,
        "scores": dict(scores),
        "request": poses.described(),
    }
    method.finish(network, trained)
    method.save(out, network, about)
    state = out.with_suffix(".resume")
    write_state(state, trained.state)
    console.say(trained.status.value)
    for name, value in scores.items():
        if name != "score":
            console.say(f"{name.replace('_', ' ')}: {value:.2f}")
    console.say("measured on simulated radiographs")
    console.say(f"written: {out}, {state} (to go on with --resume)")
    console.answer(
        {"schema": "napari-xreg/training", "version": 1, "files": [str(out), str(state)], **about}
    )
    return 0 if trained else 1


def _show(event: Step | Validation, settings: TrainSettings, console: Console, found: str) -> None:
    if isinstance(event, Step):
        text = f"step {event.index}  loss {event.losses['loss']:.3f}"
        console.progress(event.seconds / settings.by_time, text)
    else:
        scores = event.scores
        console.step(
            f"step {event.index}: {found} missed by {scores['median_error_mm']:.1f} mm "
            f"(median), pose by {scores['median_mtre_mm']:.0f} mm"
        )
