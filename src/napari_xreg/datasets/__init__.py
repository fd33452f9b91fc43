"""The field's data sets as cases: CT, radiographs with their geometry, truth, landmarks, terms of use."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
