"""From a radiograph to what a network sees, and pixels from one to the other and back."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Radiograph
from napari_xreg.metrics import SMALLEST_SPREAD

Align = Literal["centers", "rayemb-v1"]

LOCAL_PIXELS = 9
"""Window of the local contrast: about 30 mm at the isocenter."""


_MOST = 4096
"""Largest side, pixels: more is a damaged file, and would fill the memory."""


@dataclass(frozen=True)
class Framing:
    """How the detector is sampled for an encoder.

    Parameters
    ----------
    shape
        Fixed rows and columns, whatever the detector's sides (the image is squashed, as the
        published RayEmb does). None: as many pixels as give `pixel_mm`.
    pixel_mm
        Size of an encoder pixel at the isocenter, mm: anatomy appears at one scale on every C-arm.
    multiple
        Sides are whole multiples of this.
    smallest, largest
        Bounds of a side, pixels.
    """

    shape: tuple[int, int] | None = None
    pixel_mm: float = 3.4
    multiple: int = 8
    smallest: int = 32
    largest: int = 320

    def __post_init__(self) -> None:
        sides = (self.multiple, self.smallest, self.largest, *(self.shape or ()))
        whole = all(isinstance(side, int) and 1 <= side <= _MOST for side in sides)
        if not whole or (self.shape is not None and len(self.shape) != 2):
            raise ValueError(
                f"sides of an image, their multiple and bounds are 1 to {_MOST} pixels: got {self!r}"
            )
        if not 0.01 <= self.pixel_mm <= 1000:
            raise ValueError(f"a pixel has a size of 0.01 to 1000 mm: got {self.pixel_mm!r}")

    def carm(self, carm: CArm) -> CArm:
        """The same C-arm with the encoder's pixels: same area, mirrored as a reader sees it."""
        detector = carm.detector if carm.detector.mirrored else carm.detector.flip_columns()
        if self.shape is not None:
            return replace(carm, detector=detector.resize(*self.shape))
        ratio = carm.source_to_isocenter / carm.source_to_detector
        rows, columns = (self._side(size * ratio) for size in detector.size_mm)
        return replace(carm, detector=detector.resize(rows, columns))

    def _side(self, at_isocenter_mm: float) -> int:
        side = round(at_isocenter_mm / self.pixel_mm / self.multiple) * self.multiple
        return min(max(side, self.smallest), self.largest)

    def resample(self, radiograph: Radiograph) -> Radiograph:
        """The radiograph on the encoder's pixels."""
        mirrored = radiograph.carm.detector.mirrored
        upright = radiograph if mirrored else radiograph.flip_columns()
        return upright.resize(*self.carm(radiograph.carm).detector.shape)

    def template_carm(self, carm: CArm, extent: float) -> CArm:
        """A C-arm whose image has the encoder's pixel size of `carm` on a larger detector.

        Templates see more of the patient than a radiograph does, at the same scale; square, the
        central ray meets the middle.

        Parameters
        ----------
        extent
            Side, over the longer side of the radiograph.
        """
        if not 0.5 <= extent <= 4.0:
            raise ValueError(f"templates are 0.5 to 4 times a radiograph: got extent={extent}")
        detector = self.carm(carm).detector
        side = round(max(detector.shape) * extent / self.multiple) * self.multiple
        return replace(carm, detector=Detector((side, side), detector.spacing))


def cells_from_pixels(
    pixels: Float[Tensor, "*n 2"],
    shape: tuple[int, int],
    cells: tuple[int, int],
    align: Align = "centers",
) -> Float[Tensor, "*n 2"]:
    """Row, column on the embedding's grid of positions on the encoder's image.

    Parameters
    ----------
    pixels
        Row, column; integer = centre of a pixel.
    shape, cells
        Rows, columns of the image and of the embedding.
    align
        ``centers``: a cell covers its share of the image, outer edges stay in place.
        ``rayemb-v1``: as the published weights were trained: pixels counted from their corner,
        clipped to ``[0, side - 1]`` and spread over the cells corner to corner.
    """
    size, grid = pixels.new_tensor(shape), pixels.new_tensor(cells)
    if align == "rayemb-v1":
        corner = torch.minimum((pixels + 0.5).clamp_min(0), size - 1)
        return corner / (size - 1) * (grid - 1)
    return (pixels + 0.5) * grid / size - 0.5


def sample_cells(
    embedding: Float[Tensor, "b d h w"], cells: Float[Tensor, "b n 2"]
) -> Float[Tensor, "b n d"]:
    """Embeddings between cells, bilinear; beyond the outermost centres the border goes on."""
    h, w = embedding.shape[-2:]
    size = cells.new_tensor([h, w])
    # grid_sample wants (x, y), -1 to 1 between outer edges.
    grid = ((2 * cells + 1) / size - 1).flip(-1).to(embedding)
    sampled = functional.grid_sample(
        embedding, grid[:, :, None], mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled[..., 0].transpose(1, 2)


def contrast_channels(
    images: Float[Tensor, "b rows columns"], masks: Bool[Tensor, "b rows columns"], carm: CArm
) -> Float[Tensor, "b 5 rows columns"]:
    """What the compact encoder sees: contrast, local contrast, mask, and where each pixel lies.

    The first two are z-scores over the usable pixels of the image and of a window, so gain, offset
    and slow shading drop out; the last two are distances from the central ray at the isocenter, in
    units of 100 mm, down and to the right.
    """
    usable = masks.to(images.dtype)
    values = torch.where(masks, images, 0.0)
    count = usable.sum((1, 2), keepdim=True).clamp_min(1)
    mean = values.sum((1, 2), keepdim=True) / count
    centered = torch.where(masks, images - mean, 0.0)
    spread = (centered.square().sum((1, 2), keepdim=True) / count).sqrt()
    # Below that the spread is rounding, and no contrast.
    least = SMALLEST_SPREAD * values.abs().amax((1, 2), keepdim=True).clamp_min(1.0)
    score = torch.where(spread > least, centered / spread, 0.0).clamp(-4, 4)
    near = _window_mean(usable).clamp_min(1e-3)
    local = torch.where(masks, score - _window_mean(score) / near, 0.0)
    variance = _window_mean(local.square()) / near
    sharp = (local / (variance.sqrt() + 0.05)).clamp(-4, 4)
    detector = carm.detector
    scale = carm.source_to_isocenter / carm.source_to_detector / 100.0
    (c_row, c_column), (s_row, s_column) = detector.center, detector.spacing
    rows, columns = images.shape[-2:]
    down = (torch.arange(rows, dtype=images.dtype, device=images.device) - c_row) * s_row * scale
    right = (
        (torch.arange(columns, dtype=images.dtype, device=images.device) - c_column)
        * s_column
        * scale
    )
    places = torch.stack([down[:, None].expand(rows, columns), right.expand(rows, columns)])
    return torch.cat(
        [torch.stack([score, sharp, usable], 1), places.expand(len(images), 2, rows, columns)], 1
    )


def _window_mean(images: Float[Tensor, "b rows columns"]) -> Float[Tensor, "b rows columns"]:
    """Mean over a square window; along one axis and then the other, or it takes 7 times as long."""
    half = LOCAL_PIXELS // 2
    down = functional.avg_pool2d(images[:, None], (LOCAL_PIXELS, 1), 1, padding=(half, 0))
    return functional.avg_pool2d(down, (1, LOCAL_PIXELS), 1, padding=(0, half))[:, 0]
