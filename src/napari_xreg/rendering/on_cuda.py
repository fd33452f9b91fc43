"""The CUDA backend below `drr` and `structures`: batches of poses in as few launches as memory allows.

Imports Triton only when it renders, so that a machine without a card needs neither.
"""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import Volume
from napari_xreg.rendering.excess import Excess
from napari_xreg.rendering.memory import in_smaller_parts

if TYPE_CHECKING:
    from napari_xreg.rendering.cuda.volume import Storage


def render(
    volume: Volume,
    carm: CArm,
    poses: Pose,
    *,
    method: str,
    step_mm: float,
    pixels: Float[Tensor, "n 2"] | None,
) -> Float[Tensor, "poses n"]:
    """Line integrals of a batch [poses]; differentiable."""
    from napari_xreg.rendering.cuda.differentiable import march_poses

    def some(start: int, stop: int) -> Tensor:
        return march_poses(
            volume, carm, poses[start:stop], method=method, step_mm=step_mm, pixels=pixels
        )

    return in_smaller_parts(some, len(poses.translation), "DRRs of one launch")


def render_with_jacobian(
    volume: Volume,
    carm: CArm,
    poses: Pose,
    *,
    pivot: Float[Tensor, "3"],
    method: str,
    step_mm: float,
    pixels: Float[Tensor, "n 2"] | None = None,
    storage: "Storage" = "float32",
    excess: Excess | None = None,
) -> tuple[Float[Tensor, "poses n"], Float[Tensor, "poses 6 n"]]:
    """Images and Jacobians of a batch [poses], float32, without waiting for the device."""
    from napari_xreg.rendering.cuda import launch
    from napari_xreg.rendering.cuda.volume import on_device

    ready = on_device(volume, storage=storage)

    def some(start: int, stop: int) -> Tensor:
        seen = launch.views(
            ready.grid, carm, poses[start:stop], pivot=pivot, pixels=pixels, step_mm=step_mm,
            excess=None if excess is None else Excess(excess.threshold, excess.gains[start:stop]),
        )  # fmt: skip
        return launch.march(ready, seen, method=method, mode=launch.JACOBIAN)

    out = in_smaller_parts(some, len(poses.translation), "DRRs and Jacobians of one launch")
    return out[:, 0], out[:, 1:]


def render_channels(
    volume: Volume,
    channel_of_voxel: Tensor,
    groups: int,
    carm: CArm,
    poses: Pose,
    *,
    step_mm: float,
    pixels: Float[Tensor, "n 2"] | None,
) -> Float[Tensor, "poses groups n"]:
    """One image per channel of `channel_of_voxel` [z, y, x], for a batch [poses]."""
    from torch.nn import functional

    from napari_xreg.rendering.cuda import launch
    from napari_xreg.rendering.cuda.volume import on_device
    from napari_xreg.rendering.prepared import PAD

    ready = on_device(volume)
    inside = channel_of_voxel.to(volume.lac.device)[ready.window]
    channels = functional.pad(inside.to(torch.uint8), (PAD,) * 6)

    def some(start: int, stop: int) -> Tensor:
        seen = launch.views(ready.grid, carm, poses[start:stop], pixels=pixels, step_mm=step_mm)
        return launch.march_structures(ready, channels, groups, seen)

    return in_smaller_parts(some, len(poses.translation), "DRRs of structures of one launch")
