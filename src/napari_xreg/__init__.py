"""Interactive 2D/3D registration of X-ray images to CT: a napari plugin and a Python library.

What a script starts with stands here (``import napari_xreg as xreg``) and is imported when it is
asked for; the rooms offer the rest.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
