"""Whether and where places lie on an image that a network sees."""

from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import CArm


def inside_image(pixels: Float[Tensor, "*n 2"], shape: tuple[int, int]) -> Bool[Tensor, "*n"]:
    """Whether a position lies between the outer edges of an image; False for NaN."""
    limit = pixels.new_tensor(shape) - 0.5
    return ((pixels >= -0.5) & (pixels <= limit)).all(-1)


def usable_at(
    masks: Bool[Tensor, "b rows columns"], pixels: Float[Tensor, "b n 2"]
) -> Bool[Tensor, "b n"]:
    """Whether places lie in the image, to its outer edges, on a pixel that may be used."""
    rows, columns = masks.shape[-2:]
    at = pixels.nan_to_num(0.0).round().long()
    row, column = at[..., 0].clamp(0, rows - 1), at[..., 1].clamp(0, columns - 1)
    usable = masks.flatten(1).gather(1, row * columns + column)
    return inside_image(pixels, (rows, columns)) & usable


def isocenter_pixel_mm(carm: CArm) -> float:
    """Size of a pixel at the isocenter, mm: geometric mean of its sides."""
    s_row, s_column = carm.detector.spacing
    ratio = carm.source_to_isocenter / carm.source_to_detector
    return float((s_row * s_column) ** 0.5 * ratio)


def isocenter_mm(
    pixels: Float[Tensor, "*n 2"], others: Float[Tensor, "*n 2"], carm: CArm
) -> Float[Tensor, "*n"]:
    """Distance between places on the image, mm at the isocenter."""
    ratio = carm.source_to_isocenter / carm.source_to_detector
    spacing = pixels.new_tensor(carm.detector.spacing) * ratio
    distance: Float[Tensor, "*n"] = ((pixels - others) * spacing).square().sum(-1).sqrt()
    return distance
