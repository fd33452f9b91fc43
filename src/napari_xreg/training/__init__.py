"""CT to synthetic radiographs to weights: poses, patients, appearance, the loop, checkpoints."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
