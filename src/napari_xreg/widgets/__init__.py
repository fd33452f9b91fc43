"""Qt: each widget shows a session and asks it to change. No science, no state."""

import lazy_loader

from napari_xreg.progress import no_collection

_named, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    """A name of the front; the first widget brings torch, and the window waits for it."""
    with no_collection():
        return _named(name)
