"""The device of the preferences, or the CPU and a word why."""

import torch

from napari_xreg.rendering import choose_device
from napari_xreg.viewer import preferences
from napari_xreg.widgets.jobs.telling import report

_refused: set[str] = set()


def preferred_device() -> torch.device:
    """What renders and refines; a device that cannot be used is said once, and the CPU goes on."""
    name = preferences().device
    try:
        return choose_device(name)
    except ValueError as error:
        if name not in _refused:
            _refused.add(name)
            report("The device in the preferences", error)
        return torch.device("cpu")
