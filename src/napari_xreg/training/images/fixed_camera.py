"""One camera through which a network sees every radiograph, whatever C-arm made it."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Other, Radiograph

_MOST = 4096


@dataclass(frozen=True)
class FixedCamera:
    """A square detector, its middle on the central ray.

    The source and the camera's axes stay where they are, so that the pose of what the network sees
    is the pose of the radiograph, and the change of pixels is one homography:
    ``(u_m - c_m) d_m / f_m = (u - c) d / f`` along either axis, c being the principal points.

    Parameters
    ----------
    source_to_detector
        f_m, mm.
    pixels
        Along a side.
    pixel_mm
        d_m, mm.
    mirrored
        As of `Detector`.

    Raises
    ------
    ValueError
        If a size is not positive and finite, or the image is larger than 4096 pixels.
    """

    source_to_detector: float = 1020.0
    pixels: int = 96
    pixel_mm: float = 3.125
    mirrored: bool = True

    def __post_init__(self) -> None:
        sizes = (self.source_to_detector, self.pixel_mm)
        if not all(isinstance(size, float | int) and 0 < size < math.inf for size in sizes):
            raise ValueError(f"distance and pixel of a camera are positive, mm: got {self!r}")
        if not isinstance(self.pixels, int) or not 1 <= self.pixels <= _MOST:
            raise ValueError(f"a camera has 1 to {_MOST} pixels a side: got {self.pixels!r}")

    def carm(self, carm: CArm) -> CArm:
        """This camera on the arm of another: it turns about the same point."""
        shape, spacing = (self.pixels, self.pixels), (self.pixel_mm, self.pixel_mm)
        detector = Detector(shape, spacing, mirrored=self.mirrored)
        isocenter = min(carm.source_to_isocenter, self.source_to_detector)
        return CArm(self.source_to_detector, isocenter, detector)

    def resample(self, radiograph: Radiograph) -> Radiograph:
        """What this camera would have seen; pixels of which less than half was seen are masked.

        Shrinking averages over the area of each new pixel, enlarging is linear; beyond the
        radiograph everything is 0.
        """
        carm = self.carm(radiograph.carm)
        old, new = (c.camera_matrix() for c in (radiograph.carm, carm))
        rows, columns = radiograph.carm.detector.shape
        image, usable = radiograph.line_integrals, radiograph.usable
        down = _weights(new[1, 1], new[1, 2], old[1, 1], old[1, 2], self.pixels, rows).to(image)
        across = _weights(new[0, 0], new[0, 2], old[0, 0], old[0, 2], self.pixels, columns)
        across = across.to(image)
        weight = usable.to(image.dtype)
        total = down @ torch.where(usable, image, 0.0) @ across.mT
        covered = down @ weight @ across.mT
        mask = covered > 0.5
        return replace(
            radiograph,
            line_integrals=torch.where(mask, total / covered.clamp_min(1e-6), 0.0),
            mask=None if bool(mask.all()) else mask,
            carm=carm,
            operations=(*radiograph.operations, Other(f"resampled to {self}")),
        )

    def __str__(self) -> str:
        return (
            f"{self.pixels} x {self.pixels} pixels of {self.pixel_mm:g} mm, "
            f"{self.source_to_detector:g} mm from the source"
        )


def _weights(
    f_new: Tensor, c_new: Tensor, f_old: Tensor, c_old: Tensor, new: int, old: int
) -> Float[Tensor, "new old"]:
    """How much of each old pixel lies in each new one, along an axis; f and c in pixels, signed."""
    scale = float(f_old / f_new)
    at = (torch.arange(new, dtype=torch.float64) - c_new) * scale + c_old
    cells = torch.arange(old, dtype=torch.float64)
    wide = abs(scale)
    if wide >= 1:
        first, last = at[:, None] - wide / 2, at[:, None] + wide / 2
        overlap = torch.minimum(last, cells + 0.5) - torch.maximum(first, cells - 0.5)
        return overlap.clamp_min(0) / wide
    return (1 - (at[:, None] - cells).abs()).clamp_min(0)
