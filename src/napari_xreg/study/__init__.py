"""Many cases: a manifest, runners on one machine or many, the field's tables, a page. No napari, no Qt."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
