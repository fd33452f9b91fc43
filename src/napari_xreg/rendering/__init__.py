"""What would be seen: digitally reconstructed radiographs and their Jacobian in one march."""

from napari_xreg.rendering.checked import check_poses
from napari_xreg.rendering.cpu.march import march, march_view
from napari_xreg.rendering.devices import choose_device, volume_on
from napari_xreg.rendering.drr import render_drr, render_with_jacobian
from napari_xreg.rendering.excess import Excess
from napari_xreg.rendering.memory import OutOfMemory
from napari_xreg.rendering.prepared import Prepared, prepare, scaled_above
from napari_xreg.rendering.pyramid import at_voxel_size
from napari_xreg.rendering.structures import render_structures
from napari_xreg.rendering.threads import set_thread_count, thread_count
from napari_xreg.rendering.torch_threads import torch_threads
from napari_xreg.rendering.warmup import KernelReady, warm_up

__all__ = [
    "Excess",
    "KernelReady",
    "OutOfMemory",
    "Prepared",
    "at_voxel_size",
    "check_poses",
    "choose_device",
    "march",
    "march_view",
    "prepare",
    "render_drr",
    "render_structures",
    "render_with_jacobian",
    "scaled_above",
    "set_thread_count",
    "thread_count",
    "torch_threads",
    "volume_on",
    "warm_up",
]
