"""The paper's detector: a U-Net on a ResNet-101, with the names that published weights use.

Layer for layer what ``segmentation_models_pytorch.Unet("resnet101")`` builds (version 0.5; encoder as
in torchvision), in plain torch: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016;
Ronneberger et al., "U-Net", MICCAI 2015.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import ClassVar, Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from napari_xreg.geometry import CArm
from napari_xreg.landmarks.detector import (
    DEEPFLUORO_NAMES,
    Heatmaps,
    LandmarkDetector,
    checked_names,
    checked_trust,
)
from napari_xreg.training import CheckpointError, Framing, built, fill

Inputs = Literal["drr", "fluoroscopy"]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, on which the encoder was trained."""


class ResNetUNet(LandmarkDetector):
    """ResNet encoder, five steps up with skips, a heatmap per landmark on all image pixels.

    Dropout of whole maps follows every step up; it has no weights, so it can be put into published
    networks, which is what the authors do to test them.

    Parameters
    ----------
    names
        Of the landmarks, in the order of the output's maps.
    blocks
        Bottlenecks of the encoder's four stages; those of ResNet-101.
    width
        Channels of the first convolution.
    decoder
        Channels of the steps up.
    dropout
        Chance of a map to be dropped.
    inputs
        What the weights were trained on. ``"drr"``: renderings, stretched between their extremes;
        one minus the normalised value, as in the released training code. ``"fluoroscopy"``:
        intensities between their 1st and 99th percentile, inverted and then normalised.
    flipped
        The network wants its images not as a reader sees them but with left and right exchanged.
        What published weights want is not known here: compare left and right of the first result.
    framing
        None: 512 x 512, whatever the detector's sides.
    trusted_mm
        See `LandmarkDetector`.
    """

    kind: ClassVar[str] = "resnet-unet"

    def __init__(
        self,
        names: Sequence[str] = DEEPFLUORO_NAMES,
        blocks: Sequence[int] = (3, 4, 23, 3),
        width: int = 64,
        decoder: Sequence[int] = (256, 128, 64, 32, 16),
        dropout: float = 0.1,
        inputs: Inputs = "drr",
        flipped: bool = False,
        framing: Framing | None = None,
        trusted_mm: float | None = None,
    ) -> None:
        super().__init__()
        if inputs not in get_args(Inputs) or not isinstance(flipped, bool):
            raise ValueError(
                f"inputs are one of {', '.join(get_args(Inputs))} and flipped is true or false: got "
                f"{inputs!r}, {flipped!r}"
            )
        self.names = checked_names(names)
        self.blocks, self.width, self.widths = tuple(blocks), width, tuple(decoder)
        self.dropout, self.appearance, self.flipped = dropout, inputs, flipped
        self.framing = framing or Framing(shape=(512, 512))
        self.stride = 1
        self.trusted_mm = checked_trust(trusted_mm)
        self.encoder = ResNet(blocks, width)
        self.decoder = Decoder(self.encoder.channels, decoder, dropout)
        self.segmentation_head = nn.Sequential(
            nn.Conv2d(decoder[-1], len(self.names), 3, padding=1)
        )

    def inputs(
        self,
        images: Float[Tensor, "b rows columns"],
        masks: Bool[Tensor, "b rows columns"],
        carm: CArm,
    ) -> Float[Tensor, "b 3 rows columns"]:
        """Grey values, three times."""
        mean = images.new_tensor(_MEAN)[:, None, None]
        std = images.new_tensor(_STD)[:, None, None]
        if self.appearance == "drr":
            grey = _stretched(images, masks, (0.0, 1.0))
            return 1 - (grey[:, None] - mean) / std
        grey = 1 - _stretched(torch.exp(-images), masks, (0.01, 0.99))
        return (grey[:, None] - mean) / std

    def encode(self, inputs: Float[Tensor, "b channels rows columns"]) -> tuple[Tensor, ...]:
        """Features at strides 2, 4, 8, 16 and 32."""
        sides = inputs.shape[-2:]
        if any(side % 32 for side in sides):
            raise ValueError(f"the sides of an image must be multiples of 32: got {tuple(sides)}")
        features: tuple[Tensor, ...] = self.encoder(inputs.flip(-1) if self.flipped else inputs)
        return features

    def decode(self, features: tuple[Tensor, ...]) -> Heatmaps:
        """Heatmaps on the image's pixels; a landmark is as visible as its largest pixel says."""
        logits = self.segmentation_head(self.decoder(features)).float()
        if self.flipped:
            logits = logits.flip(-1)
        return Heatmaps(logits, logits.amax((2, 3)))

    def spread_logits(
        self, logits: Float[Tensor, "*b rows columns"]
    ) -> Float[Tensor, "*b rows columns"]:
        """The logits themselves: each is trained as the log odds of one pixel."""
        return logits

    def configuration(self) -> dict[str, object]:
        """See `LandmarkDetector`."""
        return {
            "names": list(self.names),
            "blocks": list(self.blocks),
            "width": self.width,
            "decoder": list(self.widths),
            "dropout": self.dropout,
            "inputs": self.appearance,
            "flipped": self.flipped,
            "framing": asdict(self.framing),
            "trusted_mm": self.trusted_mm,
        }


class ResNet(nn.Module):
    """Features at strides 2 to 32."""

    def __init__(self, blocks: Sequence[int], width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(width, width, blocks[0], 1)
        self.layer2 = _stage(4 * width, 2 * width, blocks[1], 2)
        self.layer3 = _stage(8 * width, 4 * width, blocks[2], 2)
        self.layer4 = _stage(16 * width, 8 * width, blocks[3], 2)
        self.channels = (width, 4 * width, 8 * width, 16 * width, 32 * width)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """From fine to coarse."""
        at2 = functional.relu(self.bn1(self.conv1(x)))
        at4 = self.layer1(functional.max_pool2d(at2, 3, 2, 1))
        at8 = self.layer2(at4)
        at16 = self.layer3(at8)
        return at2, at4, at8, at16, self.layer4(at16)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 (which strides), 1 x 1, beside a shortcut."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """At stride 1 or 2."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class Decoder(nn.Module):
    """Five steps up."""

    def __init__(self, channels: Sequence[int], widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        skips = (*reversed(channels[:-1]), 0)
        below = (channels[-1], *widths[:-1])
        self.blocks = nn.ModuleList(
            Step(b + s, w, dropout) for b, s, w in zip(below, skips, widths, strict=True)
        )

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """At the image's own pixels."""
        *skips, x = features
        for block, skip in zip(self.blocks, (*reversed(skips), None), strict=True):
            x = block(x, skip)
        return x


class Step(nn.Module):
    """Doubled, joined with the skip, two convolutions, whole maps dropped."""

    def __init__(self, channels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = _conv(channels, width)
        self.conv2 = _conv(width, width)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """At twice the size."""
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        x = x if skip is None else torch.cat([x, skip], 1)
        dropped: Tensor = self.dropout(self.conv2(self.conv1(x)))
        return dropped


def resnet_unet_of_published(
    weights: Mapping[str, Tensor], names: Sequence[str] | None = None, *, inputs: Inputs = "drr"
) -> ResNetUNet:
    """The network of a published state dict, in evaluation mode.

    Parameters
    ----------
    weights
        By name, as ``torch.save(model.state_dict())`` wrote them; a ``module.`` of parallel training
        in front of every name is dropped.
    names
        Of the landmarks. None: the 14 of DeepFluoro in the order of the authors.
    inputs
        See `ResNetUNet`.

    Raises
    ------
    CheckpointError
        If it is another network, or the count of names is not that of its maps.
    """
    bare = {name.removeprefix("module."): value for name, value in weights.items()}
    head = bare.get("segmentation_head.0.weight")
    first = bare.get("encoder.conv1.weight")
    if head is None or first is None:
        raise CheckpointError(
            "these are not the weights of a U-Net of segmentation_models_pytorch: expected "
            f"encoder.conv1.weight and segmentation_head.0.weight among {len(bare)} names"
        )
    chosen = tuple(names or DEEPFLUORO_NAMES)
    if head.ndim != 4 or first.ndim != 4 or len(chosen) != len(head):
        raise CheckpointError(
            f"the network has {len(head) if head.ndim else 0} heatmaps: got {len(chosen)} names of "
            "landmarks"
        )
    blocks = [_count(bare, f"encoder.layer{stage}.") for stage in (1, 2, 3, 4)]
    steps = range(_count(bare, "decoder.blocks."))
    try:
        widths = [len(bare[f"decoder.blocks.{i}.conv2.0.weight"]) for i in steps]
        network = built(lambda: ResNetUNet(chosen, blocks, len(first), widths, inputs=inputs), bare)
        fill(network, bare)
    except (RuntimeError, KeyError, ValueError, TypeError, IndexError) as error:
        words = " ".join(str(error).split())[:300]
        raise CheckpointError(f"the weights do not fit a U-Net on a ResNet: {words}") from error
    return network.eval()


def _count(weights: Mapping[str, Tensor], start: str) -> int:
    numbers = {name[len(start) :].split(".")[0] for name in weights if name.startswith(start)}
    return len(numbers)


def _stage(channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(channels, width, stride)
    return nn.Sequential(first, *(Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)))


def _conv(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
    )


def _stretched(
    images: Float[Tensor, "b rows columns"],
    masks: Bool[Tensor, "b rows columns"],
    quantiles: tuple[float, float],
) -> Float[Tensor, "b rows columns"]:
    """0 to 1 between two quantiles of the usable pixels, cut there; masked pixels are 0."""
    out = []
    for image, mask in zip(images, masks, strict=True):
        low, high = torch.quantile(image[mask], image.new_tensor(quantiles))
        out.append(torch.where(mask, (image - low) / (high - low).clamp_min(1e-6), 0.0))
    return torch.stack(out).clamp(0, 1)
