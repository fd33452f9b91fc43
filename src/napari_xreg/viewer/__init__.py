"""Values as napari layers, and back. Needs napari, not Qt."""

from napari_xreg.viewer.files.sample import phantom_layers

__all__ = ["phantom_layers"]
