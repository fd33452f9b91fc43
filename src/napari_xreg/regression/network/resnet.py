"""Residual networks of 18 and 34 layers for one channel, with timm's names of parameters.

He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

Norm = Literal["group", "batch"]

BLOCKS: Mapping[str, tuple[int, int, int, int]] = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
}
WIDTHS = (64, 128, 256, 512)
_NORMS: Mapping[Norm, Callable[[int], nn.Module]] = {
    "group": lambda width: nn.GroupNorm(32, width),
    "batch": nn.BatchNorm2d,
}


class ResNet(nn.Module):
    """A trunk: from an image to 512 maps at a 32nd of its size, and to their means.

    Parameters
    ----------
    blocks
        Of two convolutions each, at strides 4, 8, 16 and 32; see `BLOCKS`.
    norm
        ``group``: of 32 groups, alike in training and in use. ``batch``: with running statistics.
    """

    features = WIDTHS[-1]

    def __init__(self, blocks: tuple[int, ...] = BLOCKS["resnet18"], norm: Norm = "group") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, WIDTHS[0], 7, 2, 3, bias=False)
        self.bn1 = _NORMS[norm](WIDTHS[0])  # timm's name, whatever the norm
        self.act1 = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before = WIDTHS[0]
        for stage, (count, width) in enumerate(zip(blocks, WIDTHS, strict=True)):
            stride = 1 if stage == 0 else 2
            first = Block(before, width, stride, norm)
            rest = [Block(width, width, 1, norm) for _ in range(count - 1)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(first, *rest))
            before = width

    def maps(self, x: Float[Tensor, "b 1 rows columns"]) -> Float[Tensor, "b 512 h w"]:
        """What is seen where."""
        x = self.maxpool(self.act1(self.bn1(self.conv1(x))))
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return x

    def pooled(self, maps: Float[Tensor, "b 512 h w"]) -> Float[Tensor, "b 512"]:
        """The mean of each map."""
        return maps.mean((2, 3))


class Block(nn.Module):
    """Two convolutions of 3 x 3 beside a shortcut."""

    def __init__(self, before: int, width: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = _NORMS[norm](width)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = _NORMS[norm](width)
        self.act2 = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or before != width:
            across = nn.Conv2d(before, width, 1, stride, bias=False)
            self.downsample = nn.Sequential(across, _NORMS[norm](width))

    def forward(self, x: Tensor) -> Tensor:
        """The same size, or half of it."""
        y = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.act2(y + shortcut)
