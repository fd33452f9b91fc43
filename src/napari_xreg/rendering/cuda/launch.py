"""Launching the Triton kernels: which of them, over which pixels, in how many programs."""

import contextlib
import functools
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.rendering.cuda import rays
from napari_xreg.rendering.cuda.adjoint import spread
from napari_xreg.rendering.cuda.frame import frame
from napari_xreg.rendering.cuda.joseph import joseph
from napari_xreg.rendering.cuda.structures import structures
from napari_xreg.rendering.cuda.trilinear import trilinear
from napari_xreg.rendering.cuda.volume import CELL, DeviceVolume
from napari_xreg.rendering.excess import Excess
from napari_xreg.rendering.prepared import PAD

IMAGE, JACOBIAN, GRADIENTS = rays.IMAGE.value, rays.JACOBIAN.value, rays.GRADIENTS.value
_STORE = {
    "float32": rays.FLOAT32.value,
    "uint16": rays.UINT16.value,
    "float16": rays.FLOAT16.value,
}


@dataclass(frozen=True)
class Shape:
    """How rays are dealt to programs; numbers of the card, not of the result.

    Parameters
    ----------
    block
        Rays a program.
    wide
        Columns of its tile of pixels; `block` is a multiple.
    warps
        Warps a program.
    unroll
        Samples of one turn of the loop.
    fill
        Below this many programs the sample range is split as well.
    parts
        Into at most this many.
    skip_from
        Share of empty cells from which empty space is looked for; above 1: never.
    """

    block: int = 128
    wide: int = 16
    warps: int = 4
    unroll: int = 1
    fill: int = 528
    parts: int = 8
    skip_from: float = 0.5


DEFAULT = Shape()


@dataclass(frozen=True, eq=False)
class Views:
    """Poses, pixels and step, as the kernels read them.

    Attributes
    ----------
    frames
        One row a pose, see `frame`.
    pixels
        [n, 2] float32, or None for the whole detector.
    scaled
        Whether what exceeds an attenuation is scaled.
    """

    frames: Tensor
    pixels: Tensor | None
    rows: int
    columns: int
    step_mm: float
    scaled: bool = False

    @property
    def poses(self) -> int:
        """How many."""
        return self.frames.shape[0]

    @property
    def count(self) -> int:
        """Pixels of a pose."""
        return self.rows * self.columns if self.pixels is None else self.pixels.shape[0]


@functools.lru_cache(maxsize=256)
def _view_numbers(
    device: torch.device,
    distance: float,
    spacing: tuple[float, float],
    center: tuple[float, float],
    mirrored: bool,
    step_mm: float,
) -> Tensor:
    numbers = [
        distance, spacing[0], -spacing[1] if mirrored else spacing[1], center[0], center[1], step_mm,
    ]  # fmt: skip
    return torch.tensor(numbers, dtype=torch.float64, device=device)


def views(
    grid: Float[Tensor, "15"],
    carm: CArm,
    world_from_camera: Pose,
    *,
    pivot: Float[Tensor, "3"] | None = None,
    pixels: Float[Tensor, "n 2"] | None = None,
    step_mm: float,
    excess: Excess | None = None,
) -> Views:
    """What is the same for every ray of a pose, for a batch [n] of poses; nothing waits for it."""
    device = grid.device
    rotation = world_from_camera.rotation.detach().to(device, torch.float64).contiguous()
    translation = world_from_camera.translation.detach().to(device, torch.float64).contiguous()
    detector = carm.detector
    numbers = _view_numbers(
        device,
        float(carm.source_to_detector),
        detector.spacing,
        detector.center,
        detector.mirrored,
        step_mm,
    )
    center = translation if pivot is None else pivot.detach().to(device, torch.float64).contiguous()
    # Zeros: a march reads gain and threshold whether or not they were asked for.
    frames = torch.zeros((len(rotation), rays.FRAME.value), dtype=torch.float32, device=device)
    if len(rotation):
        with _on(device):
            frame[(len(rotation),)](
                rotation, translation, center, grid, numbers, frames, num_warps=1
            )
    if excess is not None:
        frames[:, rays.GAIN.value] = excess.gains.to(frames)
        frames[:, rays.ABOVE.value].fill_(excess.threshold)
    listed = None if pixels is None else pixels.detach().to(device, torch.float32).contiguous()
    rows, columns = detector.shape
    return Views(frames, listed, rows, columns, step_mm, excess is not None)


def march(
    ready: DeviceVolume,
    seen: Views,
    *,
    method: str,
    mode: int,
    shape: Shape = DEFAULT,
) -> Float[Tensor, "poses channels n"]:
    """Images alone (1 channel), with their Jacobian (7), or with G0 and G1 (7). Float32.

    Channels: line integral; then omega x, y, z per rad and v x, y, z per mm of a left twist about
    the pivot of `views`, world axes; or dI/d(source) and dI/dr.
    """
    channels = 1 if mode == IMAGE else 7
    device = ready.values.device
    if seen.poses == 0 or seen.count == 0:
        return torch.zeros((seen.poses, channels, seen.count), device=device)
    blocks = _blocks(seen, shape)
    longest = _most_samples(ready, seen.step_mm, method)
    split = _split(seen.poses * blocks, longest, shape)
    nz, ny, nx = ready.shape
    _, cells_y, cells_x = ready.cells.shape
    out = torch.empty((split, seen.poses, channels, seen.count), dtype=torch.float32, device=device)
    kernel: Any = trilinear if method == "trilinear" else joseph
    with _on(device):
        kernel[(seen.poses * blocks * split,)](
            ready.values, ready.cells, seen.frames,
            seen.frames if seen.pixels is None else seen.pixels, out,
            ready.scale, seen.poses, seen.count, seen.rows, seen.columns, nx, ny, nz, cells_x, cells_y,
            MODE=mode, STORE=_STORE[ready.storage], TURNED=ready.turned,
            LISTED=seen.pixels is not None, SKIP=_skip(ready, seen.step_mm, method, shape),
            SPLIT=split, WIDE=shape.wide, BLOCK=shape.block, UNROLL=shape.unroll,
            SCALED=seen.scaled, num_warps=shape.warps,
        )  # fmt: skip
    # Parts are added in a fixed order: the same numbers on every run.
    return out[0] if split == 1 else out.sum(0)


def march_structures(
    ready: DeviceVolume, channels: Tensor, groups: int, seen: Views, *, shape: Shape = DEFAULT
) -> Float[Tensor, "poses groups n"]:
    """One image per channel; `channels` [z, y, x] uint8 on the padded grid."""
    device = ready.values.device
    blocks = _blocks(seen, shape)
    longest = _most_samples(ready, seen.step_mm, "trilinear")
    split = _split(seen.poses * blocks, longest, shape)
    out = torch.zeros((split, seen.poses, groups, seen.count), dtype=torch.float32, device=device)
    if out.numel() == 0:
        return out[0]
    nz, ny, nx = ready.shape
    kernel: Any = structures
    with _on(device):
        kernel[(seen.poses * blocks * split,)](
            ready.values, channels.contiguous(), seen.frames,
            seen.frames if seen.pixels is None else seen.pixels, out,
            ready.scale, seen.poses, seen.count, seen.rows, seen.columns, nx, ny, nz, groups,
            STORE=_STORE[ready.storage], LISTED=seen.pixels is not None, SPLIT=split, WIDE=shape.wide,
            BLOCK=shape.block, num_warps=shape.warps,
        )  # fmt: skip
    return out[0] if split == 1 else out.sum(0)


def backproject(
    lac: Float[Tensor, "z y x"],
    seen: Views,
    worth: Float[Tensor, "poses n"],
    *,
    method: str,
    shape: Shape = DEFAULT,
) -> Float[Tensor, "z y x"]:
    """Gradient of ``worth . integrals`` by the attenuation, as `lac`.

    `seen` belongs to the whole grid (`whole_grid`): zero voxels have a gradient too.
    """
    nz, ny, nx = (n + 2 * PAD for n in lac.shape)
    grid = torch.zeros(nz * ny * nx, dtype=torch.float32, device=lac.device)
    if worth.numel():
        kernel: Any = spread
        with _on(lac.device):
            kernel[(seen.poses * _blocks(seen, shape),)](
                grid, worth.to(torch.float32).contiguous(), seen.frames,
                seen.frames if seen.pixels is None else seen.pixels, seen.count, seen.rows,
                seen.columns, nx, ny, nz, PLANES=method == "joseph", LISTED=seen.pixels is not None,
                WIDE=shape.wide, BLOCK=shape.block, num_warps=shape.warps,
            )  # fmt: skip
    inner = grid.reshape(nz, ny, nx)[PAD:-PAD, PAD:-PAD, PAD:-PAD]
    return inner.to(lac.dtype).contiguous()


def _on(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Triton launches on the current device, which need not be that of the tensors."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


def _blocks(seen: Views, shape: Shape) -> int:
    if seen.pixels is not None:
        return -(-seen.count // shape.block)
    tall = shape.block // shape.wide
    return -(-seen.columns // shape.wide) * -(-seen.rows // tall)


def _most_samples(ready: DeviceVolume, step_mm: float, method: str) -> int:
    """Of a ray through the volume, roughly: what can be split."""
    if method == "joseph":
        return max(ready.shape)
    diagonal = sum(n * n for n in ready.shape) ** 0.5
    return int(diagonal / (ready.voxels_per_mm * step_mm)) + 1


def _split(programs: int, samples: int, shape: Shape) -> int:
    """Parts of the sample range, a power of two: small launches leave most of a card idle."""
    parts = 1
    while parts < shape.parts and programs * parts < shape.fill and samples // (2 * parts) >= 16:
        parts *= 2
    return parts


def _skip(ready: DeviceVolume, step_mm: float, method: str, shape: Shape) -> int:
    """Samples looked up at once where there is empty space; 0: march through everything."""
    if ready.empty < shape.skip_from:
        return 0
    way = 1.0 if method == "joseph" else step_mm * ready.voxels_per_mm
    # Half a run and the reach of the interpolant stay within the ring of neighbouring cells.
    for size in (32, 16, 8, 4):
        if (size - 1) / 2 * way + 1.0 <= CELL - 1:
            return size
    return 0
