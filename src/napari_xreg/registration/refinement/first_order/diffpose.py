"""First-order refinement: the Adam recipe of DiffPose, on a few patches of the image, for comparison.

Constants are those of Gopalakrishnan et al., "Intraoperative 2D/3D image registration via
differentiable X-ray rendering", CVPR 2024, and of its released code: Adam with 7.5e-3 rad and 7.5 mm,
both times 0.9 every 25 iterations, at most 500. *Sparse mNCC* (supplement C): each iteration draws the
middles of 100 patches of 13 pixels, by where the pose network looked or evenly, renders their pixels
alone, and takes the mean of the patches' NCC and of the NCC over all of these pixels. The paper ends where
20 iterations in a row bring no gain of 0.05; the released code, which compares all patches
(*multiscale NCC* here), does not end before its last iteration. Here both end by the paper's rule. Two draws do
not compare, yet the best pose is as near as the last (docs/decisions/0028-pose-by-network.md).
"""

from dataclasses import dataclass, field, replace
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.metrics import Similarity, multiscale_ncc, similarity_words
from napari_xreg.registration.refinement.attention import Attention
from napari_xreg.registration.refinement.first_order.ascent import (
    AscentSettings,
    Compared,
    ascend,
)
from napari_xreg.registration.refinement.solver import Solver, Wanted
from napari_xreg.rendering import Method, render_drr

SPARSE = "sparse mNCC"
_ALL = "multiscale NCC"
_LEAST_USABLE = 0.5  # of a patch


@dataclass(frozen=True)
class DiffPoseSettings(AscentSettings):
    """The recipe's constants; see the module's docstring.

    Parameters
    ----------
    pixels, iterations, similarity, keep_images, rotation_rate, translation_rate, method
        As of `AscentSettings`; `similarity` is compared where there are no patches.
    decay, every
        The rates are multiplied by `decay` after so many iterations.
    gain, patience
        A scale ends where so many iterations in a row bring no gain of that size.
    patches
        Drawn in each iteration; 0: the whole images are compared.
    side
        Of a patch, pixels; odd.
    attention
        How much each part of the first radiograph counts where patches are drawn. None, and of further
        radiographs: evenly.
    seed
        Of the draws.
    """

    pixels: tuple[int, ...] = (256,)
    iterations: int = 500
    similarity: Similarity = multiscale_ncc
    rotation_rate: float = 7.5e-3
    translation_rate: float = 7.5
    decay: float = 0.9
    every: int = 25
    gain: float = 0.05
    patience: int = 20
    patches: int = 100
    side: int = 13
    attention: Attention | None = field(default=None, compare=False, repr=False)
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patches < 0 or self.side < 3 or self.side % 2 == 0:
            raise ValueError(
                "patches are 0 or more, of an odd number of pixels, 3 at least: got "
                f"{self.patches} of {self.side}"
            )

    @classmethod
    def configured(cls, wanted: Wanted) -> Self:
        """`Solver.configure`."""
        plain = super().configured(replace(wanted, compare=None))
        return replace(
            plain,
            patches=0 if wanted.compare == _ALL else plain.patches,
            attention=wanted.attention,
            seed=wanted.seed,
        )

    def rule(self, scale: int) -> "_Decay":
        """Of a scale, by its number."""
        return _Decay(self)

    def compared(self, volume: Volume, target: Radiograph, view: int) -> Compared:
        """Of a radiograph at the size of a scale, by its number."""
        if not self.patches:
            return super().compared(volume, target, view)
        attention = self.attention if view == 0 else None
        draws = torch.Generator().manual_seed(self.seed + view)
        middles = _Middles(target, self.patches, self.side, attention, draws)
        return _Patches(volume, target, middles, self.method)


class _Decay:
    """When the rates fall, and when a scale has ended; see the module's docstring."""

    def __init__(self, settings: DiffPoseSettings) -> None:
        self.rates = (settings.rotation_rate, settings.translation_rate)
        self._settings = settings
        self._highest, self._waited, self._done = float("-inf"), 0, 0

    def met(self, similarity: float) -> bool:
        """After an iteration."""
        settings = self._settings
        self._done += 1
        if self._done % settings.every == 0:
            self.rates = (settings.decay * self.rates[0], settings.decay * self.rates[1])
        if similarity >= self._highest + settings.gain:
            self._highest, self._waited = similarity, 0
        else:
            self._waited += 1
        return self._waited >= settings.patience


class _Middles:
    """Draws patches: their pixels, by number along the rows."""

    def __init__(
        self,
        target: Radiograph,
        patches: int,
        side: int,
        attention: Attention | None,
        draws: torch.Generator,
    ) -> None:
        rows, columns = target.line_integrals.shape
        reach = side // 2
        usable = target.usable.cpu()
        weights = torch.ones(rows, columns)
        if attention is not None:
            weights = attention.over(target.carm)
        covered = functional.avg_pool2d(usable[None].float(), side, 1)
        inside = torch.zeros(rows, columns, dtype=torch.bool)
        inside[reach : rows - reach, reach : columns - reach] = covered[0] >= _LEAST_USABLE
        if not inside.any():
            raise ValueError(
                f"no {side} x {side} patch of the radiograph is half usable: use another mask, a finer level, "
                "or another --method"
            )
        weights = torch.where(inside, weights, 0.0)
        # Where the network looked past all that is usable, evenly.
        self._weights = (weights if bool(weights.any()) else inside.float()).flatten()
        away = torch.arange(-reach, reach + 1)
        self._around = (away[:, None] * columns + away).flatten()
        self._patches, self._draws = patches, draws

    def __call__(self) -> Int[Tensor, "patches n"]:
        middles = torch.multinomial(
            self._weights, self._patches, replacement=True, generator=self._draws
        )
        return middles[:, None] + self._around


class _Patches:
    """`Compared` of sparse mNCC."""

    def __init__(
        self, volume: Volume, target: Radiograph, middles: _Middles, method: Method
    ) -> None:
        self._volume, self._middles, self._method = volume, middles, method
        self._carm, device = target.carm, volume.lac.device
        self._fixed = target.line_integrals.flatten().to(device)
        self._usable = target.usable.flatten().to(device)

    def __call__(self, pose: Pose) -> tuple[Float[Tensor, ""], Float[Tensor, "rendered"]]:
        """Similarity, and what was rendered."""
        numbers, of = torch.unique(self._middles().to(self._fixed.device), return_inverse=True)
        columns = self._carm.detector.shape[1]
        pixels = torch.stack([numbers // columns, numbers % columns], -1).double()
        rendered = render_drr(self._volume, self._carm, pose, method=self._method, pixels=pixels)
        fixed, usable = self._fixed[numbers].to(rendered), self._usable[numbers]
        whole = _ncc(fixed, rendered, usable)
        each = _ncc(fixed[of], rendered[of], usable[of])
        return 0.5 * whole + 0.5 * each.mean(), rendered


def _ncc(
    fixed: Float[Tensor, "*batch n"],
    moving: Float[Tensor, "*batch n"],
    usable: Tensor,
    eps: float = 1e-4,
) -> Float[Tensor, "*batch"]:
    """NCC of usable pixels along the last dimension; `eps` as of mNCC."""
    weight = usable.to(moving)
    count = weight.sum(-1, keepdim=True).clamp_min(1)
    x = weight * (fixed - (weight * fixed).sum(-1, keepdim=True) / count)
    y = weight * (moving - (weight * moving).sum(-1, keepdim=True) / count)
    spread = (
        (x.square().sum(-1) / count[..., 0] + eps) * (y.square().sum(-1) / count[..., 0] + eps)
    ).sqrt()
    return (x * y).sum(-1) / count[..., 0] / spread


DIFFPOSE = Solver(
    name="diffpose",
    title="Adam on patches",
    about=(
        "First order, the recipe of DiffPose (Gopalakrishnan et al. 2024), for comparison: patches drawn where the "
        "pose network looked (command line, after --init regression), else evenly. One start, no locks, no covariance."
    ),
    settings=DiffPoseSettings,
    compares=lambda: {
        SPARSE: "NCC of 100 patches, drawn anew in each iteration.",
        _ALL: similarity_words(multiscale_ncc),
    },
    iterations=DiffPoseSettings().iterations,
    several_starts=False,
    locks=False,
    covariance=False,
    configure=DiffPoseSettings.configured,
    level_pixels=lambda settings: settings.pixels,
    most_iterates=lambda settings: len(settings.pixels) * settings.iterations,
    solve=ascend,
)
