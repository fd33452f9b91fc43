"""What an interrupted training on disk says about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_xreg.training import CheckpointError, Validation, read_checkpoint, read_state
from napari_xreg.workflows.training.training import Resume


@dataclass(frozen=True, eq=False)
class Interrupted:
    """An interrupted training.

    Parameters
    ----------
    name
        Of the file.
    resume
        To go on with.
    weights
        Where its weights are, or would be.
    validations
        So far.
    kind
        What was trained (`Recipe.kind`); empty where that is not known.
    settings
        What it was asked (`TrainRequest.described`); empty where that is not known.
    ct
        What it was trained on, if that was one CT.
    words
        What the user should know.
    """

    name: str
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
        about = read_checkpoint(weights).about
    except CheckpointError:
        words = f"{weights.name} is not beside it: the settings must be those it had."
        resume = Resume(file, None, steps, seconds)
        return Interrupted(file.name, resume, weights, state["validations"], "", {}, "", words)
    settings = about.get("request", {})
    return Interrupted(
        file.name,
        Resume(file, weights, steps, seconds),
        weights,
        state["validations"],
        about.get("task", ""),
        settings,
        about.get("trained_on", "") if settings.get("on") == "one CT" else "",
        "The poses are those it had." if settings else "The settings must be those it had.",
    )
