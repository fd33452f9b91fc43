"""Where things are: poses, the C-arm, its detector, and the only place where an axis is flipped."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
