"""Interactive 2D/3D registration of X-ray images to CT: a napari plugin and a Python library."""

__version__ = "0.1.0"
