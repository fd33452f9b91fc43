"""What all trained networks have in common."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from napari_xreg.geometry import CArm
from napari_xreg.training.images.fixed_camera import FixedCamera
from napari_xreg.training.images.framing import Framing


class RadiographNetwork(nn.Module, ABC):
    """A network that sees radiographs, and can be built again from its file.

    Attributes
    ----------
    kind
        What files of weights call it.
    framing
        How a detector is sampled for it.
    """

    kind: ClassVar[str]
    framing: Framing | FixedCamera

    @abstractmethod
    def inputs(
        self,
        images: Float[Tensor, "b rows columns"],
        masks: Bool[Tensor, "b rows columns"],
        carm: CArm,
    ) -> Float[Tensor, "b channels rows columns"]:
        """Network input of line integrals (bone bright) on the network's pixels."""

    @abstractmethod
    def configuration(self) -> dict[str, object]:
        """Arguments that build the same network again."""

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device
