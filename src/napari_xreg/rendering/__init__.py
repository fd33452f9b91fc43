"""What would be seen: digitally reconstructed radiographs and their Jacobian in one march."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
