"""How what runs on the CPU is compiled: one decorator for renderer and simulator."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
