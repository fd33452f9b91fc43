"""Make a rendering look acquired: what lies between a patient and a file, drawn at random.

The ideas are those of `napari_xreg.simulation` (beam hardening, scatter, noise, heel, collimator,
metal, response), written for batches of small images on any device. The simulator itself is kept
apart: it makes the images that a network is judged on.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

Range = tuple[float, float]


@dataclass(frozen=True)
class Appearance:
    """Ranges of everything that differs between a DRR and a radiograph; drawn evenly per image.

    Parameters
    ----------
    bone, soft
        Factors on the line integrals of bone and of soft tissue: calibration, tube voltage, tone.
    hardening
        b in ``p - b p^2``: the beam hardens on its way.
    scatter
        Scatter over the mean primary, spread over about a quarter of the image.
    noise
        Relative quantum noise of a pixel of the median signal.
    blur_pixels
        Standard deviation of the detector's point spread.
    heel
        Fall of ln(intensity) from edge to edge (in a random direction).
    gamma
        Exponent of a response that is not linear.
    offset
        Error of ln(I0): the user's estimate of the open beam is off.
    collimated
        Chance of collimator blades; they leave `opening` of the width and of the height open.
    opening
        See `collimated`.
    masked
        Chance that the blades are masked, given that there are any; else they stay in the image.
    rod
        Chance of each of two metal rods.
    """

    bone: Range = (0.85, 1.7)
    soft: Range = (0.85, 1.1)
    hardening: Range = (0.0, 0.025)
    scatter: Range = (0.0, 1.0)
    noise: Range = (0.005, 0.07)
    blur_pixels: Range = (0.0, 0.8)
    heel: Range = (0.0, 0.5)
    gamma: Range = (0.8, 1.1)
    offset: Range = (-0.3, 0.3)
    collimated: float = 0.7
    opening: Range = (0.7, 1.0)
    masked: float = 0.75
    rod: float = 0.4

    def draw(
        self, kinds: Float[Tensor, "b 2 rows columns"], generator: torch.Generator
    ) -> tuple[Float[Tensor, "b rows columns"], Bool[Tensor, "b rows columns"]]:
        """Images and the masks of their usable pixels.

        Parameters
        ----------
        kinds
            Line integrals of bone and of soft tissue, as `Patient.render` makes them.
        generator
            On the CPU: the same draws on every device.
        """
        b, _, rows, columns = kinds.shape
        draw = _Draws(b, generator, kinds)
        p = kinds[:, 0] * draw.even(self.bone) + kinds[:, 1] * draw.even(self.soft)
        p = p + self._rods(draw, rows, columns)
        p = p.clamp(max=15.0)
        p = p - draw.even(self.hardening) * p**2
        v, u = _positions(rows, columns, kinds)
        angle = draw.even((0.0, 2 * torch.pi))
        p = p + draw.even(self.heel) * (angle.cos() * u + angle.sin() * v)
        field = self._field(draw, u, v)
        primary = torch.exp(-p)
        level = draw.even(self.scatter)
        intensity = torch.where(field, primary, 1e-3) + level * _scatter(primary, p, field)
        median = intensity.flatten(1).median(1).values[:, None, None].clamp_min(1e-6)
        noise = draw.even(self.noise)
        # One standard deviation of n quanta is the root of n; `noise` holds at the median.
        intensity = intensity + noise * (intensity * median).sqrt() * draw.normal(rows, columns)
        intensity = _blur(intensity, draw.even(self.blur_pixels))
        p = draw.even(self.offset) - torch.log(intensity.clamp_min(1e-5))
        gamma = draw.even(self.gamma)
        p = 5.0 * p.sign() * (p.abs() / 5.0) ** gamma
        shown = draw.chance(self.masked)
        return p, field | ~shown

    def _field(self, draw: "_Draws", u: Tensor, v: Tensor) -> Tensor:
        """Between the blades of a slightly turned and shifted rectangle."""
        turn = draw.even((-0.12, 0.12))
        across, along = turn.cos() * u + turn.sin() * v, turn.cos() * v - turn.sin() * u
        width, height = draw.even(self.opening), draw.even(self.opening)
        u0 = draw.even((-0.5, 0.5)) * (1 - width) / 2
        v0 = draw.even((-0.5, 0.5)) * (1 - height) / 2
        inside = ((across - u0).abs() <= width / 2) & ((along - v0).abs() <= height / 2)
        return inside | ~draw.chance(self.collimated)

    def _rods(self, draw: "_Draws", rows: int, columns: int) -> Tensor:
        """Line integrals of cylinders of metal, each across a part of the image."""
        v, u = _positions(rows, columns, draw.like)
        total = torch.zeros((), dtype=u.dtype, device=u.device)
        for _ in range(2):
            angle = draw.even((0.0, torch.pi))
            u0, v0 = draw.even((-0.4, 0.4)), draw.even((-0.4, 0.4))
            radius = draw.even((0.006, 0.022))
            length = draw.even((0.1, 0.6))
            away = angle.cos() * (u - u0) + angle.sin() * (v - v0)
            along = angle.cos() * (v - v0) - angle.sin() * (u - u0)
            chord = (1 - (away / radius) ** 2).clamp_min(0).sqrt() * (along.abs() < length)
            total = total + draw.chance(self.rod) * draw.even((1.0, 5.0)) * chord
        return total


CLEAN = Appearance(
    bone=(0.95, 1.1), soft=(0.98, 1.02), hardening=(0.0, 0.0), scatter=(0.0, 0.0),
    noise=(0.0, 0.01), blur_pixels=(0.0, 0.3), heel=(0.0, 0.0), gamma=(0.97, 1.03),
    offset=(0.0, 0.0), collimated=0.0, rod=0.0,
)  # fmt: skip
"""What templates look like: nearly a DRR."""


class _Draws:
    """Random numbers per image, shaped to multiply images, on their device."""

    def __init__(self, count: int, generator: torch.Generator, like: Tensor) -> None:
        self.count, self.generator, self.like = count, generator, like

    def even(self, ends: Range) -> Tensor:
        value = torch.rand(self.count, 1, 1, generator=self.generator)
        return (ends[0] + (ends[1] - ends[0]) * value).to(self.like)

    def chance(self, probability: float) -> Tensor:
        value = torch.rand(self.count, 1, 1, generator=self.generator) < probability
        return value.to(self.like.device)

    def normal(self, rows: int, columns: int) -> Tensor:
        return torch.randn(self.count, rows, columns, generator=self.generator).to(self.like)


def _positions(rows: int, columns: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Down and across, -1/2 to 1/2 between the outer edges."""
    v = (torch.arange(rows, dtype=like.dtype, device=like.device) + 0.5) / rows - 0.5
    u = (torch.arange(columns, dtype=like.dtype, device=like.device) + 0.5) / columns - 0.5
    return v[:, None].expand(rows, columns), u.expand(rows, columns)


def _scatter(primary: Tensor, p: Tensor, field: Tensor) -> Tensor:
    """A broad blur of what was taken out of the beam, of the mean of the primary in the patient."""
    removed = torch.where(field, primary * p.clamp_min(0).sqrt(), 0.0)[:, None]
    rows, columns = primary.shape[-2:]
    small = functional.adaptive_avg_pool2d(removed, (8, 8))
    smooth = functional.avg_pool2d(functional.pad(small, (1, 1, 1, 1), mode="reflect"), 3, 1)
    wide = functional.interpolate(
        smooth, (rows, columns), mode="bilinear", align_corners=False
    )[:, 0]  # fmt: skip
    behind = (p > 1.0) & field
    count = behind.sum((1, 2), keepdim=True).clamp_min(1)
    mean = torch.where(behind, primary, 0.0).sum((1, 2), keepdim=True) / count
    return wide * mean / wide.mean((1, 2), keepdim=True).clamp_min(1e-9)


def _blur(image: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian of up to about one pixel, another one per image: three taps each way."""
    weight = torch.exp(-0.5 / sigma.clamp_min(0.05) ** 2)
    side, middle = weight / (1 + 2 * weight), 1 / (1 + 2 * weight)
    padded = functional.pad(image[:, None], (0, 0, 1, 1), mode="replicate")[:, 0]
    image = middle * image + side * (padded[:, :-2] + padded[:, 2:])
    padded = functional.pad(image[:, None], (1, 1, 0, 0), mode="replicate")[:, 0]
    return middle * image + side * (padded[:, :, :-2] + padded[:, :, 2:])
