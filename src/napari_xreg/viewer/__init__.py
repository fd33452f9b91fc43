"""Values as napari layers. This release offers sample data; it needs no Qt and imports no napari."""

from napari_xreg.viewer.sample import phantom_layers

__all__ = ["phantom_layers"]
