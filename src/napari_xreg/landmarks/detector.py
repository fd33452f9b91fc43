"""The one interface of all landmark detectors: an image in, a heatmap for each landmark out."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from napari_xreg.files import is_number
from napari_xreg.training import Framing, RadiographNetwork

DEEPFLUORO_NAMES = tuple(
    f"{name}-{side}" for name in ("ASIS", "FH", "GSN", "IOF", "IPS", "MOF", "SPS") for side in "lr"
)
"""The 14 landmarks of the pelvis in the order of the published networks."""


@dataclass(frozen=True, eq=False)
class Heatmaps:
    """What a detector says of a batch of images.

    Parameters
    ----------
    logits
        One map per landmark: the larger, the likelier that the landmark is there.
    visible
        Logit of the landmark being in the image at all.
    """

    logits: Float[Tensor, "b n rows columns"]
    visible: Float[Tensor, "b n"]


class LandmarkDetector(RadiographNetwork):
    """A network that knows some named landmarks.

    Attributes
    ----------
    names
        Of the landmarks, in the order of its maps.
    stride
        Image pixels per heatmap pixel, each way; outer edges are in place.
    trusted_mm
        Image-level uncertainty up to which its result is trusted, mm at the isocenter (see
        `landmarks.trust`); None where that was never measured.
    """

    framing: Framing
    names: tuple[str, ...]
    stride: int
    trusted_mm: float | None

    @abstractmethod
    def encode(self, inputs: Float[Tensor, "b channels rows columns"]) -> tuple[Tensor, ...]:
        """Features, batch first: the part without dropout, which all passes over an image share."""

    @abstractmethod
    def decode(self, features: tuple[Tensor, ...]) -> Heatmaps:
        """Heatmaps of features; random while a dropout layer is active (see `training.drawn_from`)."""

    def forward(self, inputs: Float[Tensor, "b channels rows columns"]) -> Heatmaps:
        """Heatmaps of a batch of images."""
        return self.decode(self.encode(inputs))

    @abstractmethod
    def spread_logits(
        self, logits: Float[Tensor, "*b rows columns"]
    ) -> Float[Tensor, "*b rows columns"]:
        """Logits whose softmax over the map is where the landmark is thought to be."""


def checked_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of landmarks, at least one, each once; ValueError if they are none."""
    chosen = tuple(names)
    texts = not isinstance(names, str) and all(isinstance(n, str) and n for n in chosen)
    if not chosen or not texts or len(set(chosen)) < len(chosen):
        raise ValueError(f"a detector needs names of landmarks, each once: got {chosen[:5]!r}")
    return chosen


def checked_trust(trusted_mm: float | None) -> float | None:
    """`LandmarkDetector.trusted_mm`; ValueError if it is no length."""
    if trusted_mm is not None and not (is_number(trusted_mm) and 0 <= trusted_mm < math.inf):
        raise ValueError(f"trusted_mm is a length in mm, or None: got {trusted_mm!r}")
    return trusted_mm


@contextmanager
def dropout_active(detector: nn.Module, active: bool = True) -> Iterator[None]:
    """Evaluation mode with dropout on (or off): normalisation layers keep their statistics.

    The mode of every layer is put back afterwards.
    """
    before = {module: module.training for module in detector.modules()}
    detector.eval()
    try:
        for module in detector.modules():
            if isinstance(module, _DropoutNd):
                module.train(active)
        yield
    finally:
        for module, mode in before.items():
            module.training = mode
