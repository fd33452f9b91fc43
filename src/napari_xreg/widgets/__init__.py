"""Qt: each widget shows a session and asks it to change. No science, no state."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
