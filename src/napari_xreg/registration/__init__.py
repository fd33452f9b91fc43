"""Which pose explains a radiograph: refinement, its trajectory and its confidence."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
