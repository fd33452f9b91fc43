"""Files, whole or not at all: what every reader and writer of the other rooms stands on."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
