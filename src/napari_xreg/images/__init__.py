"""What was acquired, in physical units: CT volumes, label maps, radiographs."""

from napari_xreg.images.errors import ReadError
from napari_xreg.images.labels import LabelMap
from napari_xreg.images.radiograph import Radiograph
from napari_xreg.images.volume import Volume

__all__ = ["LabelMap", "Radiograph", "ReadError", "Volume"]
