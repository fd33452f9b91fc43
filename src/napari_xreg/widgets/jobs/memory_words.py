"""A graphics card too small for the CT is said once: the CPU does the same, much slower."""

from weakref import WeakSet

from napari_xreg.images import Volume
from napari_xreg.session import Rendering
from napari_xreg.widgets.jobs.telling import show_warning

_told: "WeakSet[Volume]" = WeakSet()


def say_too_large(what: Volume | Rendering, device: object) -> None:
    """Tell the user, once a CT. In the main thread."""
    whole = what.whole if isinstance(what, Rendering) else what
    if whole not in _told:
        _told.add(whole)
        show_warning(
            f"The CT does not fit into the free memory of {device}: the CPU renders and refines "
            "instead, which is slower. Close other programs that use the card, or choose the CPU in "
            "Preferences."
        )
