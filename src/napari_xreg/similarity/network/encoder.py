"""An encoder of radiographs whose embeddings are as far apart as the poses they were taken from."""

from dataclasses import asdict
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from napari_xreg.geometry import CArm
from napari_xreg.similarity.spaces import SPACES, Space, placed
from napari_xreg.training import Block, FixedCamera, RadiographNetwork, contrast_channels

CAMERA = FixedCamera(1020.0, 32, 300 / 32)
"""What a new network sees: 300 mm, the field of a mobile C-arm."""

STRIDE = 8


class SimilarityNetwork(RadiographNetwork):
    """Convolutions to stride 8, attention between the places there, then a layer that sees them all.

    Written so that derivatives of derivatives exist: smooth activations, attention in plain products.

    Parameters
    ----------
    space
        Where embeddings lie.
    numbers
        Of an embedding.
    framing
        The camera through which it sees; a multiple of 8 pixels.
    widths
        Channels at strides 2, 4 and 8.
    layers, heads
        Of attention.
    """

    kind: ClassVar[str] = "similarity"
    framing: FixedCamera

    def __init__(
        self,
        space: Space = "sphere",
        numbers: int = 64,
        framing: FixedCamera | None = None,
        widths: tuple[int, int, int] = (24, 48, 96),
        layers: int = 1,
        heads: int = 4,
    ) -> None:
        super().__init__()
        self.space: Space = space
        self.numbers, self.widths, self.layers, self.heads = numbers, widths, layers, heads
        self.framing = framing or CAMERA
        if self.framing.pixels % STRIDE:
            raise ValueError(f"it sees a multiple of {STRIDE} pixels: got {self.framing.pixels}")
        a, b, c = widths
        cells = (self.framing.pixels // STRIDE) ** 2
        self.body = nn.Sequential(
            nn.Conv2d(5, a, 4, 2, 1), Block(a),
            nn.Conv2d(a, b, 4, 2, 1), Block(b),
            nn.Conv2d(b, c, 4, 2, 1), Block(c), Block(c),
        )  # fmt: skip
        self.places = nn.Parameter(0.02 * torch.randn(cells, c))
        self.attention = nn.Sequential(*(_Attention(c, heads) for _ in range(layers)))
        self.narrow = nn.Sequential(nn.LayerNorm(c), nn.SiLU(), nn.Linear(c, c // 3))
        self.whole = nn.Sequential(
            nn.SiLU(), nn.Linear(c // 3 * cells, 256), nn.SiLU(), nn.Linear(256, 256), nn.SiLU(),
            nn.Linear(256, numbers),
        )  # fmt: skip
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.readout = nn.Linear(numbers + (space == "hyperbolic"), 6)

    @property
    def scale(self) -> Tensor:
        """Radians of pose to a unit of the space."""
        return self.log_scale.exp()

    def inputs(
        self,
        images: Float[Tensor, "b rows columns"],
        masks: Bool[Tensor, "b rows columns"],
        carm: CArm,
    ) -> Float[Tensor, "b 5 rows columns"]:
        """See `training.contrast_channels`."""
        return contrast_channels(images, masks, carm)

    def forward(self, inputs: Float[Tensor, "b 5 rows columns"]) -> Float[Tensor, "b n"]:
        """Points of the space."""
        tokens = self.body(inputs).flatten(2).transpose(1, 2) + self.places
        said = self.whole(self.narrow(self.attention(tokens)).flatten(1))
        return placed(said, self.space)

    def of_rendering(
        self, images: Float[Tensor, "b rows columns"], carm: CArm
    ) -> Float[Tensor, "b n"]:
        """Points of the space for line integrals on the network's pixels, all of them usable."""
        return self(self.inputs(images, torch.ones_like(images, dtype=torch.bool), carm))

    def configuration(self) -> dict[str, object]:
        """Arguments that build it again."""
        return {
            "space": self.space, "numbers": self.numbers, "framing": asdict(self.framing),
            "widths": list(self.widths), "layers": self.layers, "heads": self.heads,
        }  # fmt: skip


class _Attention(nn.Module):
    """Attention and a layer of two, each beside a shortcut, normalised first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        last = nn.Linear(2 * width, width)
        self.inner = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(), last
        )
        for layer in (self.out, last):  # it begins as if it were not there
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        """The same size."""
        b, t, c = x.shape
        qkv = self.qkv(self.before(x)).reshape(b, t, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        weights = (q @ k.mT * (c // self.heads) ** -0.5).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(b, t, c))
        return x + self.inner(x)


def network_of_configuration(**stored: Any) -> SimilarityNetwork:
    """The inverse of `SimilarityNetwork.configuration`, for `training.read_network`."""
    if stored["space"] not in SPACES:
        raise ValueError(f"a space is {', '.join(SPACES)}: got {stored['space']!r}")
    a, b, c = stored["widths"]
    return SimilarityNetwork(
        stored["space"], stored["numbers"], stored["framing"], (a, b, c),
        stored["layers"], stored["heads"],
    )  # fmt: skip
