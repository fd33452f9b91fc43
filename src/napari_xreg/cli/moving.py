"""What ``--move`` asks for: one check for every command that takes it."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from napari_xreg.images import is_trial
from napari_xreg.workflows import PATIENT


def moving_bodies(arguments: Namespace, moving: Sequence[str]) -> list[str]:
    """The names of all bodies, the rest of a CT first.

    Parameters
    ----------
    arguments
        As they were typed.
    moving
        What ``--move`` names, or all bones of a trial.

    Raises
    ------
    ValueError
        If a name was given twice or cannot be a bone of this CT, or what else was given does not go with it.
    """
    twice = next((name for name in moving if moving.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"--move {twice} was given twice")
    if not is_trial(Path(arguments.ct)):
        if PATIENT in moving:
            raise ValueError(f"{PATIENT!r} is the rest of the CT: give the structure by its number")
        return [PATIENT, *moving]
    if arguments.labels is not None:
        raise ValueError("the bones of a trial have a CT each: leave --labels out")
    if len(moving) > 1 and arguments.start:
        raise ValueError(
            "--start is the pose of one bone: the bones of a trial start at their own in its folder of poses"
        )
    if any("," in name for name in moving):
        raise ValueError(
            "a comma joins structures of a label map: give each bone of a trial by itself"
        )
    return list(moving)
