"""Long work: cancelled, paused and stepped from another thread, and run to its end."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
