"""From detector readings to line integrals: ``-log(I / I0)``, with I0 known or estimated."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

# A quantile this high is reached only in direct exposure where there is some; where there is none
# it is the thinnest part of the patient. It is not the maximum, which is a noisy pixel.
I0_QUANTILE = 0.995


@dataclass(frozen=True, eq=False)
class LineIntegrals:
    """Line integrals and how they were obtained.

    Parameters
    ----------
    values
        ``-log(I / I0)``, dimensionless; 0 where `mask` is False.
    mask
        True where the reading was positive, finite and not saturated.
    i0
        Unattenuated intensity used, in the units of the readings.
    estimated
        True where `i0` was estimated from the image.
    notes
        What was estimated or masked, in words with counts.
    """

    values: Float[Tensor, "rows columns"]
    mask: Bool[Tensor, "rows columns"]
    i0: float
    estimated: bool
    notes: tuple[str, ...]


def line_integrals_from_intensity(
    intensity: Float[Tensor, "rows columns"],
    *,
    i0: float | None = None,
    mask: Bool[Tensor, "rows columns"] | None = None,
    saturation: float | None = None,
) -> LineIntegrals:
    r"""Line integrals of attenuation from X-ray intensity (Beer and Lambert).

    .. math:: p = -\log(I / I_0)

    Natural logarithm. Readings that carry no measurement (zero, negative, not finite, at or above
    `saturation`) are masked and counted. An offset of `i0` by a factor k shifts every line
    integral by log k and changes nothing else.

    Parameters
    ----------
    intensity
        Proportional to the X-ray energy that reached the pixel (bone dark), any unit.
    i0
        Intensity without any object, same unit. None: estimated by `estimate_i0`.
    mask
        True where a pixel may be used, for example inside the collimator.
    saturation
        Reading at which the detector or its file format clips. None: it does not.

    Raises
    ------
    ValueError
        If `i0` is not positive, or no pixel can be used.
    """
    if i0 is not None and not 0 < i0 < float("inf"):
        raise ValueError(f"i0, the unattenuated intensity, must be positive: got {i0}")
    allowed = torch.ones_like(intensity, dtype=torch.bool) if mask is None else mask
    finite = torch.isfinite(intensity)
    positive = finite & (intensity > 0)
    clipped = (
        torch.zeros_like(allowed) if saturation is None else finite & (intensity >= saturation)
    )
    notes = []
    for bad, why in (
        (~finite, "not finite"),
        (finite & ~positive, "zero or negative, so without a logarithm"),
        (clipped, f"saturated at {saturation:g}" if saturation is not None else ""),
    ):
        count = int((bad & allowed).sum())
        if count:
            notes.append(f"{count} of {intensity.numel()} pixels masked: {why}")
    usable = allowed & positive & ~clipped
    if not usable.any():
        raise ValueError(
            "no pixel can be used: all are masked, zero, negative, saturated or not finite"
        )
    estimated = i0 is None
    if i0 is None:
        # Clipped direct exposure lies at or above the clip, so the estimate may not miss it.
        i0 = estimate_i0(intensity, mask=allowed & positive)
        notes.append(
            f"i0 was not known: estimated as {i0:.6g}, the {100 * I0_QUANTILE:g}th percentile of "
            "the usable pixels; line integrals are right up to one common offset"
            + (", and i0 is at least this, because pixels are saturated" if clipped.any() else "")
        )
    safe = torch.where(usable, intensity, torch.full_like(intensity, i0))
    return LineIntegrals(-(safe / i0).log(), usable, float(i0), estimated, tuple(notes))


def estimate_i0(
    intensity: Float[Tensor, "rows columns"], *, mask: Bool[Tensor, "rows columns"] | None = None
) -> float:
    """An estimate of the unattenuated intensity: a high quantile of the 3 x 3 mean.

    The 99.5th percentile within the mask, after averaging each pixel with its neighbours in the
    mask so that noise does not lift it. It is I0 where at least half a percent of the image sees
    the source directly; otherwise it is too low by the attenuation of the thinnest part.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    weight = (torch.ones_like(intensity) if mask is None else mask.to(intensity.dtype))[None, None]
    if not weight.any():
        raise ValueError("i0 cannot be estimated: no pixel is usable")
    image = torch.where(weight > 0, intensity[None, None], 0.0)
    total = functional.avg_pool2d(image, 3, stride=1, padding=1)
    mean = total / functional.avg_pool2d(weight, 3, stride=1, padding=1).clamp_min(1e-6)
    values = mean[weight > 0].double().sort().values
    return float(values[min(round(I0_QUANTILE * (len(values) - 1)), len(values) - 1)])
