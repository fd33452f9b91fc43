"""What the small convolutional networks are made of."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Two convolutions beside a shortcut, normalised first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The same size."""
        return x + self.inner(x)


def doubled(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c two_h two_w"]:
    """Twice the size, outer edges in place."""
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
