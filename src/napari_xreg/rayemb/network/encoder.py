"""The one interface of all encoders: images in, one embedding per cell out."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import CArm
from napari_xreg.images import Radiograph
from napari_xreg.training import Align, Framing, RadiographNetwork


class RayEncoder(RadiographNetwork):
    """A network whose feature at a pixel stands for the ray through it.

    Attributes
    ----------
    dimensions
        Length of an embedding.
    align
        How pixels and cells correspond when templates are sampled.
    upsampling
        Heatmap pixels per cell, each way.
    calibration
        Two numbers that are learned with the network, scaled so that one learning rate suits all:
        a tenth of the logarithm of the softmax temperature, and a hundredth of `outside_logit`.
    """

    framing: Framing
    align: ClassVar[Align] = "centers"
    dimensions: int
    upsampling: int
    calibration: Tensor

    @abstractmethod
    def forward(self, inputs: Float[Tensor, "b channels rows columns"]) -> Tensor:
        """Embeddings ``b dimensions h w``, float32."""

    @property
    def temperature(self) -> Tensor:
        """Of the softmax over similarities."""
        return (10 * self.calibration[0]).exp()

    @property
    def outside_logit(self) -> Tensor:
        """Score of "the point is not in this image", comparable to similarity over temperature.

        NaN where it was never learned.
        """
        return 100 * self.calibration[1]


def calibration_of(temperature: float, outside_logit: float) -> Tensor:
    """`RayEncoder.calibration` of a temperature and a score."""
    return torch.tensor([math.log(temperature) / 10, outside_logit / 100])


@dataclass(frozen=True, eq=False)
class Embedded:
    """A radiograph as an encoder sees it.

    Parameters
    ----------
    embedding
        One vector per cell.
    carm
        The encoder's pixel grid; the pose is that of the radiograph.
    usable
        Encoder pixels that may be an answer.
    radiograph_carm
        The grid answers are given on.
    """

    embedding: Float[Tensor, "d h w"]
    carm: CArm
    usable: Bool[Tensor, "rows columns"]
    radiograph_carm: CArm


def embed(encoder: RayEncoder, radiograph: Radiograph) -> Embedded:
    """Embed a radiograph: once, then every heatmap is a small product.

    Raises
    ------
    ValueError
        If no pixel is usable.
    """
    framed = encoder.framing.resample(radiograph)
    usable = framed.usable
    if not usable.any():
        raise ValueError("no pixel of the radiograph is usable: check its mask")
    images = torch.where(usable, framed.line_integrals, 0.0)[None].float().to(encoder.device)
    with torch.no_grad():
        inputs = encoder.inputs(images, usable[None].to(encoder.device), framed.carm)
        embedding = encoder(inputs)[0].float()
    return Embedded(embedding, framed.carm, usable.to(encoder.device), radiograph.carm)
