"""What would be seen: digitally reconstructed radiographs and their Jacobian in one march."""

from napari_xreg.rendering.cpu import march, march_view
from napari_xreg.rendering.prepared import Prepared, prepare

__all__ = ["Prepared", "march", "march_view", "prepare"]
