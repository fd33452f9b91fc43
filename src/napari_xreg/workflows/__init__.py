"""Everything a button or a command does: a request, events, an answer. No napari, no Qt.

A request is a frozen value that has captured its inputs; the workflow of its name takes it and a
`Control`, yields events and returns the answer, in any thread::

    answer = run(refine(RefineRequest(ct, views, settings, isocenter)))

The command line, the window and scripts call the same ones. Names are imported when they are asked
for: a command that reads no CT does not wait for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_xreg.workflows.refining import OnCpuInstead as OnCpuInstead
    from napari_xreg.workflows.refining import RefineRequest as RefineRequest
    from napari_xreg.workflows.refining import expected_iterations as expected_iterations
    from napari_xreg.workflows.refining import level_count as level_count
    from napari_xreg.workflows.refining import refine as refine
    from napari_xreg.workflows.refining import refine_request as refine_request
    from napari_xreg.workflows.refining import rig_poses as rig_poses

# Module: its public names. A test compares this with the imports above.
_NAMES = {
    "refining": (
        "OnCpuInstead", "RefineRequest", "expected_iterations", "level_count", "refine",
        "refine_request", "rig_poses",
    ),
}  # fmt: skip
_HOME = {name: module for module, names in _NAMES.items() for name in names}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
