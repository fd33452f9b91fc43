"""A world with a known answer: a phantom, a projector of its own, and what an acquisition adds."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
