"""What the user is doing: a session, its history, its file. No napari, no Qt."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
