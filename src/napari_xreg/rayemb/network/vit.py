"""DINOv2 in plain torch, parameter for parameter, and RayEmb's linear head on it."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from napari_xreg.geometry import CArm
from napari_xreg.rayemb.network.encoder import RayEncoder, calibration_of
from napari_xreg.training import Align, CheckpointError, Framing, built

PATCH = 14
HEAD_WIDTH = 64
# DINOv2 adds this to the side of the grid before it divides: kept, or weights see other positions.
INTERPOLATE_OFFSET = 0.1


class PatchEmbed(nn.Module):
    """One vector per 14 x 14 pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH)

    def forward(self, images: Float[Tensor, "b 3 rows columns"]) -> Tensor:
        return self.proj(images).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Self-attention with a bias on queries, keys and values."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD_WIDTH
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b n width"]) -> Tensor:
        b, n, width = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.heads, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        return self.proj(mixed.transpose(1, 2).reshape(b, n, width))


class LayerScale(nn.Module):
    """A learned factor per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), 1e-5))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class MLP(nn.Module):
    """Two layers, four times as wide between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class TransformerBlock(nn.Module):
    """Attention and MLP, each normalised first, scaled, and added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLP(width)
        self.ls2 = LayerScale(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class DinoV2(nn.Module):
    """The vision transformer of Oquab et al. (2024) with patches of 14, as `x_norm_patchtokens`.

    Parameters
    ----------
    width, depth
        384, 12 for ViT-S; 768, 12 for ViT-B.
    trained_grid
        Side of the grid of the stored positions: 37 (518 pixels).
    """

    def __init__(self, width: int = 384, depth: int = 12, trained_grid: int = 37) -> None:
        super().__init__()
        self.width, self.depth, self.trained_grid = width, depth, trained_grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + trained_grid**2, width))
        # Used in DINOv2's own training only; there so that names match.
        self.mask_token = nn.Parameter(torch.zeros(1, width))
        self.patch_embed = PatchEmbed(width)
        self.blocks = nn.ModuleList(TransformerBlock(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)

    def positions(self, h: int, w: int) -> Float[Tensor, "1 n width"]:
        """Stored positions for a grid of h x w patches, bicubic, with DINOv2's offset."""
        if (h, w) == (self.trained_grid, self.trained_grid):
            return self.pos_embed
        side = self.trained_grid
        grid = self.pos_embed[:, 1:].reshape(1, side, side, self.width).permute(0, 3, 1, 2)
        scale = ((h + INTERPOLATE_OFFSET) / side, (w + INTERPOLATE_OFFSET) / side)
        resized = functional.interpolate(grid, scale_factor=scale, mode="bicubic", antialias=False)
        if tuple(resized.shape[-2:]) != (h, w):
            raise ValueError(f"positions for {h} x {w} patches came out as {resized.shape[-2:]}")
        patches = resized.permute(0, 2, 3, 1).reshape(1, h * w, self.width)
        return torch.cat([self.pos_embed[:, :1], patches], 1)

    def forward(self, images: Float[Tensor, "b 3 rows columns"]) -> Float[Tensor, "b width h w"]:
        b, _, rows, columns = images.shape
        if rows % PATCH or columns % PATCH:
            raise ValueError(f"images must be whole patches of {PATCH}: got {rows} x {columns}")
        h, w = rows // PATCH, columns // PATCH
        x = torch.cat([self.cls_token.expand(b, 1, self.width), self.patch_embed(images)], 1)
        x = x + self.positions(h, w)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 1:].transpose(1, 2).reshape(b, self.width, h, w)


class _Model(nn.Module):
    """Names as in the published file: ``model.dinov2_model...`` and ``model.linear...``."""

    def __init__(self, width: int, depth: int, trained_grid: int, dimensions: int) -> None:
        super().__init__()
        self.dinov2_model = DinoV2(width, depth, trained_grid)
        self.linear = nn.Linear(width, dimensions)


class DinoEncoder(RayEncoder):
    """RayEmb's own network: DINOv2 with a linear head, at 224 x 224 pixels.

    Images are scaled between their extremes to 8 bits and shown as three equal channels, without
    ImageNet's mean and deviation, as the published weights were trained (METHODS A2).

    Parameters
    ----------
    width, depth, trained_grid
        See `DinoV2`.
    dimensions
        Length of an embedding.
    rayemb_v1
        Pixels and cells correspond as in the released code, the temperature is the paper's, and
        whether a point is in the image is not known: for published weights. False to train anew.
    """

    kind: ClassVar[str] = "dinov2"

    def __init__(
        self,
        width: int = 384,
        depth: int = 12,
        trained_grid: int = 37,
        dimensions: int = 32,
        rayemb_v1: bool = True,
        framing: Framing | None = None,
    ) -> None:
        super().__init__()
        if width < 1 or width % HEAD_WIDTH or depth < 1 or not isinstance(rayemb_v1, bool):
            raise ValueError(
                f"a width in multiples of {HEAD_WIDTH}, a depth, and rayemb_v1 true or false are "
                f"needed: got {width!r}, {depth!r}, {rayemb_v1!r}"
            )
        self.model = _Model(width, depth, trained_grid, dimensions)
        self.dimensions = dimensions
        self.rayemb_v1 = rayemb_v1
        self.framing = framing or Framing(shape=(224, 224), multiple=PATCH)
        self.upsampling = PATCH if rayemb_v1 else 4
        if rayemb_v1:
            calibration = calibration_of(1e-4, math.nan)
            self.register_buffer("calibration", calibration, persistent=False)
        else:
            self.calibration = nn.Parameter(calibration_of(0.05, 0.7 / 0.05 + math.log(4096)))

    @property
    def align(self) -> Align:  # type: ignore[override]
        """How pixels and cells correspond."""
        return "rayemb-v1" if self.rayemb_v1 else "centers"

    def inputs(
        self,
        images: Float[Tensor, "b rows columns"],
        masks: Bool[Tensor, "b rows columns"],
        carm: CArm,
    ) -> Float[Tensor, "b channels rows columns"]:
        """Between the extremes of the usable pixels, in 256 steps; what is not usable is black."""
        low = images.masked_fill(~masks, torch.inf).amin((1, 2), keepdim=True)
        high = images.masked_fill(~masks, -torch.inf).amax((1, 2), keepdim=True)
        share = ((images - low) / (high - low).clamp_min(1e-9)).clamp(0, 1)
        steps = torch.where(masks, (share * 255).floor() / 255, 0.0)
        return steps[:, None].expand(-1, 3, -1, -1)

    def forward(self, inputs: Float[Tensor, "b channels rows columns"]) -> Tensor:
        """Embeddings at stride 14."""
        tokens = self.model.dinov2_model(inputs)
        embedded = self.model.linear(tokens.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return embedded.float()

    def configuration(self) -> dict[str, object]:
        """See `RayEncoder`."""
        return {
            "width": self.model.dinov2_model.width,
            "depth": self.model.dinov2_model.depth,
            "trained_grid": self.model.dinov2_model.trained_grid,
            "dimensions": self.dimensions,
            "rayemb_v1": self.rayemb_v1,
            "framing": asdict(self.framing),
        }


def encoder_of_published(weights: Mapping[str, Tensor]) -> DinoEncoder:
    """RayEmb's network with published weights; sizes are read from the tensors.

    Raises
    ------
    CheckpointError
        If keys are missing or unknown, or shapes do not fit together.
    """
    shapes = dict(weights)
    linear, positions = (
        shapes.get("model.linear.weight"),
        shapes.get("model.dinov2_model.pos_embed"),
    )
    if linear is None or positions is None or linear.ndim != 2 or positions.ndim != 3:
        raise CheckpointError(
            "these are no weights of RayEmb: expected model.linear.weight and "
            "model.dinov2_model.pos_embed among the tensors, got "
            f"{', '.join(sorted(shapes)[:3])} ..."
        )
    depth, side = _depth(shapes, "model.dinov2_model."), _side(positions)
    width, dimensions = positions.shape[-1], linear.shape[0]
    encoder = _built(lambda: DinoEncoder(width, depth, side, dimensions), shapes, "RayEmb")
    _load(encoder, shapes, "RayEmb")
    return encoder.eval()


def encoder_from_dinov2(weights: Mapping[str, Tensor], *, dimensions: int = 32) -> DinoEncoder:
    """A network to train, on plain DINOv2 weights (``dinov2_vits14_pretrain.pth`` and the like).

    Raises
    ------
    CheckpointError
        As `encoder_of_published`.
    """
    positions = weights.get("pos_embed")
    if positions is None or positions.ndim != 3:
        raise CheckpointError("these are no weights of DINOv2: they hold no pos_embed")
    width, depth, side = positions.shape[-1], _depth(weights, ""), _side(positions)
    # Its head is new.
    head = {**weights, "head": torch.empty(dimensions * (width + 1))}
    encoder = _built(
        lambda: DinoEncoder(width, depth, side, dimensions, rayemb_v1=False), head, "DINOv2"
    )
    _load(encoder.model.dinov2_model, weights, "DINOv2")
    return encoder


def _built(
    build: Callable[[], DinoEncoder], weights: Mapping[str, Tensor], whose: str
) -> DinoEncoder:
    try:
        return built(build, weights)
    except (ValueError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"these are not the weights of {whose}: {error}") from error


def _depth(weights: Mapping[str, Tensor], prefix: str) -> int:
    pattern = re.compile(re.escape(prefix) + r"blocks\.(\d+)\.")
    found = {int(match[1][:9]) for name in weights if (match := pattern.match(name))}
    if not found or found != set(range(len(found))):
        raise CheckpointError(f"the blocks of the transformer are not numbered 0, 1, ...: {found}")
    return len(found)


def _side(positions: Tensor) -> int:
    side = math.isqrt(max(0, positions.shape[1] - 1))
    if side == 0 or side**2 != positions.shape[1] - 1 or positions.shape[-1] % HEAD_WIDTH:
        raise CheckpointError(
            "pos_embed must be (1, 1 + side^2, width) with a width in multiples of "
            f"{HEAD_WIDTH}: got {tuple(positions.shape)}"
        )
    return side


def _load(network: nn.Module, weights: Mapping[str, Tensor], whose: str) -> None:
    own = network.state_dict()
    missing = sorted(set(own) - set(weights))
    unknown = sorted(set(weights) - set(own))
    if missing or unknown:
        parts = [
            f"{word} {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
            for word, names in (("missing:", missing), ("unknown:", unknown))
            if names
        ]
        raise CheckpointError(f"these are not the weights of {whose}: {'; '.join(parts)}")
    wrong = [n for n, value in weights.items() if value.shape != own[n].shape]
    if wrong:
        name = wrong[0]
        raise CheckpointError(
            f"{name} has the shape {tuple(weights[name].shape)}; expected {tuple(own[name].shape)}"
        )
    network.load_state_dict(dict(weights))
