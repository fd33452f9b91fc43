"""Window and level of a CT: which values are black and white."""

from dataclasses import dataclass

import torch

from napari_xreg.images import Volume, lac_from_hu

_PIXELS = 300.0  # dragged this far, the window is twice as wide or the level a window higher
_NARROWEST_HU = 10.0


@dataclass(frozen=True)
class Window:
    """From black to white, Hounsfield units.

    Parameters
    ----------
    width, level
        How wide it is, and its middle.
    """

    width: float
    level: float

    def dragged(self, right: float, up: float) -> "Window":
        """After the mouse moved by so many pixels: wider to the right, brighter upwards."""
        width = max(self.width * (1.0 + right / _PIXELS), _NARROWEST_HU)
        return Window(width, self.level - up * self.width / _PIXELS)

    def limits(self, volume: Volume) -> tuple[float, float]:
        """What is black and what is white in a CT: attenuation (1/mm) where its HU are not known."""
        ends = self.level - self.width / 2, self.level + self.width / 2
        if volume.hu is not None:
            return ends
        low, high = lac_from_hu(torch.tensor(ends)).tolist()
        return low, high

    def __str__(self) -> str:
        return f"W {self.width:.0f} L {self.level:.0f} HU"


WINDOWS = {
    "Bone": Window(1400.0, 500.0),
    "Soft tissue": Window(400.0, 40.0),
    "Lung": Window(1500.0, -600.0),
    "Metal": Window(4000.0, 1500.0),
}
"""By what they show best."""
