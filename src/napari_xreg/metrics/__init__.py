"""How far apart: image similarities (higher is better), pose errors (mm), success rates."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
