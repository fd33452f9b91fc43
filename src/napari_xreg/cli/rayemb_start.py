"""``--init rayemb``: a start from correspondences of 3D points, and what both commands with a network
share."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.cli.console import Console
from napari_xreg.cli.initialisers import NoStart
from napari_xreg.cli.inputs import Patient, Start, given_isocenter, read_patient_labels
from napari_xreg.cli.refining import cancelled_by_interrupt, prepare_renderer
from napari_xreg.files import plain
from napari_xreg.images import Radiograph
from napari_xreg.progress import Control, run as run_events
from napari_xreg.rayemb import (
    START_SPREAD,
    STARTS,
    CorrespondSettings,
    Located,
    Looks,
    RayEncoder,
    TemplateMade,
    load_encoder,
    locate,
    sample_points,
    shipped_encoder,
    templates_for,
)
from napari_xreg.rendering import thread_count

POINTS = 3000


def find_start(
    arguments: Namespace, patient: Patient, radiograph: Radiograph, console: Console
) -> Start:
    """See `initialisers`."""
    encoder, about = chosen_encoder(arguments, console)
    points = points_of(arguments, patient)
    isocenter = given_isocenter(arguments, points.double().mean(0))
    prepare_renderer(console, arguments.threads)
    located = _located(arguments, patient, radiograph, encoder, about, points, isocenter, console)
    pose = located.world_from_camera
    notes = []
    if located.polarity.looks is not Looks.RIGHT:
        notes.append(located.polarity.sentence)
    if pose is None:
        raise NoStart(" ".join(["RayEmb found no start.", located.solution.reason, *notes]))
    verdict = located.verdict
    if verdict.trusted:
        console.say(f"RayEmb: {verdict.sentence}")
    else:
        notes.insert(0, f"the start of RayEmb: {verdict.sentence}")
    extra = {
        "init": {
            "method": "rayemb",
            "weights": dict(about),
            "points_used": int(located.solution.used.sum()),
            "points": len(located.found),
            "trusted": verdict.trusted,
            "score": verdict.score,
            "sentence": verdict.sentence,
            "evidence": plain(located.trust),
            "polarity": located.polarity.looks.name.lower(),
        }
    }
    return Start(pose, isocenter, "RayEmb", tuple(notes), extra, STARTS, START_SPREAD)


def chosen_encoder(arguments: Namespace, console: Console) -> tuple[RayEncoder, Mapping[str, Any]]:
    """The encoder of --weights, or the one that comes with the package."""
    torch.set_num_threads(arguments.threads or thread_count())
    if arguments.weights is not None:
        encoder, about = load_encoder(Path(arguments.weights))
        console.say(f"weights: {Path(arguments.weights).name}, {_trained_on(about)}")
    else:
        encoder, about = shipped_encoder()
        console.say(
            f"weights: those of the package, {_trained_on(about)}; for a patient train your own "
            "(napari-xreg train rayemb) and give them as --weights"
        )
    return encoder, about


def points_of(arguments: Namespace, patient: Patient) -> Float[Tensor, "n 3"]:
    """3D points in the labelled structures, or in bone."""
    labels = read_patient_labels(arguments, patient)
    return sample_points(patient.volume, labels=labels, count=POINTS)


def template_shown(console: Console, event: TemplateMade) -> None:
    """Progress of the templates."""
    done = event.index + 1
    console.progress(done / event.count, f"template {done}/{event.count}", last=done == event.count)


def _located(
    arguments: Namespace,
    patient: Patient,
    radiograph: Radiograph,
    encoder: RayEncoder,
    about: Mapping[str, Any],
    points: Float[Tensor, "n 3"],
    isocenter: Float[Tensor, "3"],
    console: Console,
) -> Located:
    control = Control()
    console.step(f"looking for {len(points)} points of the CT with RayEmb")
    settings = CorrespondSettings(seed=arguments.seed)

    def show(event: object) -> None:
        if isinstance(event, TemplateMade):
            template_shown(console, event)
        else:
            round_index, rounds = event.index, event.count  # type: ignore[attr-defined]
            console.progress((round_index + 1) / rounds, f"round {round_index + 1}/{rounds}")

    with cancelled_by_interrupt(control):
        located = run_events(
            locate(
                encoder, patient.volume, radiograph, points, isocenter=isocenter,
                template_settings=templates_for(encoder, about),
                settings=settings, control=control,
            ),
            show,
        )  # fmt: skip
    if located is None:
        raise KeyboardInterrupt
    return located


def _trained_on(about: Mapping[str, Any]) -> str:
    trained = about.get("trained_on", about.get("trained_by"))
    return "which do not say what they learned from" if trained is None else f"trained on {trained}"
