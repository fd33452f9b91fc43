"""The share of every structure in a radiograph: bones apart from each other and from soft tissue."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import LabelMap, Volume
from napari_xreg.rendering import on_cuda
from napari_xreg.rendering.backends import Backend, choose_backend
from napari_xreg.rendering.checked import check_frame, check_pixels, check_poses
from napari_xreg.rendering.cpu.march import view_frame
from napari_xreg.rendering.prepared import PAD, prepare
from napari_xreg.rendering.threads import split, thread_count

Array = npt.NDArray[Any]


def render_structures(
    volume: Volume,
    labels: LabelMap,
    groups: Sequence[Iterable[int]],
    carm: CArm,
    world_from_camera: Pose,
    *,
    step_mm: float | None = None,
    pixels: Float[Tensor, "n 2"] | None = None,
    threads: int | None = None,
    backend: Backend = "auto",
) -> Float[Tensor, "*batch_channels_and_pixels"]:
    """One DRR per group of structures, and one of everything else, from a single march.

    Every sample of the trilinear sum goes to the channel of its nearest voxel, so the channels add
    up to `render_drr` with ``method="trilinear"``. (A DRR of ``volume.restrict(mask)`` differs at
    the surfaces, where it interpolates towards zero.) On the CPU, not differentiable.

    Parameters
    ----------
    labels
        On the grid of the volume.
    groups
        Label ids of each channel, for example ``[{77, 78}, {25}]``.
    volume, carm, world_from_camera, step_mm, pixels
        As for `render_drr`.
    threads
        None: as set by `set_thread_count`.
    backend
        As for `render_drr`.

    Returns
    -------
    Tensor
        ``*batch 1+groups rows columns`` (or ``*batch 1+groups n``), float as ``volume.lac``.
        Channel 0 is what belongs to no group, channel i is ``groups[i - 1]``.

    Raises
    ------
    ValueError
        If the grids differ, an id is in two groups or none of a group's ids occurs, or there are
        more than 255 groups.
    """
    labels.check_grid(volume)
    step = 0.5 * min(volume.spacing) if step_mm is None else float(step_mm)
    if not 0 < step <= carm.source_to_detector:
        raise ValueError(f"step_mm must be positive and not longer than a ray: got {step} mm")
    check_poses(world_from_camera)
    check_pixels(carm, pixels)
    if choose_backend(volume, "trilinear", backend) == "triton":
        poses = Pose(
            world_from_camera.rotation.reshape(-1, 3, 3),
            world_from_camera.translation.reshape(-1, 3),
        )
        found = on_cuda.render_channels(
            volume, torch.from_numpy(_channel_of_voxel(labels, groups)), len(groups) + 1, carm,
            poses, step_mm=step, pixels=pixels,
        )  # fmt: skip
        size = carm.detector.shape if pixels is None else (len(pixels),)
        return found.to(volume.lac).reshape(*world_from_camera.batch_shape, len(groups) + 1, *size)
    from napari_xreg.rendering.cpu.structures import structures

    ready = prepare(volume)
    channels = np.zeros(ready.values.shape, np.uint8)
    channels[PAD:-PAD, PAD:-PAD, PAD:-PAD] = _channel_of_voxel(labels, groups)[ready.window]
    listed = np.zeros((0, 2)) if pixels is None else pixels.detach().cpu().double().numpy()
    rows, columns = carm.detector.shape
    shape = (rows, columns) if pixels is None else (len(listed),)
    count = int(np.prod(shape))
    nz, ny, nx = ready.values.shape
    ends = [[0, 0], [rows - 1, columns - 1]]
    if pixels is not None and count:
        ends = [listed.min(0), listed.max(0)]
    rotations = world_from_camera.rotation.reshape(-1, 3, 3)
    translations = world_from_camera.translation.reshape(-1, 3)
    images = np.zeros((len(rotations), len(groups) + 1, count), np.float32)
    for image, rotation, translation in zip(images, rotations, translations, strict=True):
        frame = np.zeros((5, 3))
        frame[:4] = view_frame(carm, Pose(rotation, translation))
        if count:
            grid = ready.linear, ready.offset, ready.values.shape
            check_frame(*grid, step, frame, np.array(ends, np.float64))

        def work(start: int, stop: int, frame: Array = frame, out: Array = image) -> None:
            structures(
                ready.values.reshape(-1), channels.reshape(-1), nz, ny, nx, ready.linear,
                ready.offset, frame, columns, listed, step, start, stop, out,
            )  # fmt: skip

        if count:
            split(work, count, threads=threads or thread_count(), smallest=512)
    result = torch.from_numpy(images).to(volume.lac)
    return result.reshape(*world_from_camera.batch_shape, len(groups) + 1, *shape)


def _channel_of_voxel(labels: LabelMap, groups: Sequence[Iterable[int]]) -> npt.NDArray[np.uint8]:
    if len(groups) > 255:
        raise ValueError(f"at most 255 groups of structures can be rendered: got {len(groups)}")
    taken: dict[int, int] = {}
    channels = torch.zeros(labels.ids.shape, dtype=torch.uint8)
    for number, group in enumerate(groups, 1):
        ids = set(group)
        for label in ids:
            if label in taken:
                raise ValueError(
                    f"label {label} is in groups {taken[label]} and {number - 1} (counted from 0): "
                    "a voxel belongs to one channel"
                )
            taken[label] = number - 1
        channels[labels.mask(ids).cpu()] = number
    return channels.numpy()
