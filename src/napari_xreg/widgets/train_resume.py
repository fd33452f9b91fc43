"""What an interrupted training on disk says about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_xreg.training import CheckpointError, Validation, read_checkpoint, read_state
from napari_xreg.widgets.train_request import Resume


@dataclass(frozen=True, eq=False)
class Interrupted:
    """An interrupted training.

    Parameters
    ----------
    resume
        To go on with.
    weights
        Where its weights are, or would be.
    validations
        So far.
    kind
        Of network, as checkpoints call it; empty where there are no weights beside it.
    settings
        What it was asked (`TrainRequest.described`); empty where that is not known.
    ct
        What it was trained on, if that was one CT.
    words
        What the user should know.
    """

    resume: Resume
    weights: Path
    validations: tuple[Validation, ...] = field(repr=False)
    kind: str
    settings: Mapping[str, Any]
    ct: str
    words: str


def interrupted(file: Path) -> Interrupted:
    """Read a ``.resume`` file and the weights beside it.

    Raises
    ------
    CheckpointError
        If it is missing, damaged or something else.
    """
    state = read_state(file)
    weights = file.with_suffix(".safetensors")
    steps, seconds = int(state["steps"]), float(state["seconds"])
    try:
        checkpoint = read_checkpoint(weights)
    except CheckpointError:
        words = f"{weights.name} is not beside it: the settings must be those it had."
        resume = Resume(file, None, steps, seconds)
        return Interrupted(resume, weights, state["validations"], "", {}, "", words)
    about = checkpoint.about
    settings = about.get("request", {})
    return Interrupted(
        Resume(file, weights, steps, seconds),
        weights,
        state["validations"],
        checkpoint.kind,
        settings,
        about.get("trained_on", "") if settings.get("on") == "one CT" else "",
        "The poses are those it had." if settings else "The settings must be those it had.",
    )
