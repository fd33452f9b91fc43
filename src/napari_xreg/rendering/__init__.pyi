from . import cuda as cuda
from .backends import choose_backend as choose_backend
from .checked import check_poses as check_poses
from .cpu.joseph import joseph as joseph
from .cpu.march import (
    Method as Method,
    march as march,
    march_view as march_view,
    march_views as march_views,
)
from .cpu.trilinear import trilinear as trilinear
from .devices import choose_device as choose_device, volume_on as volume_on
from .drr import render_drr as render_drr, render_with_jacobian as render_with_jacobian
from .excess import Excess as Excess
from .memory import OutOfMemory as OutOfMemory, out_of_memory as out_of_memory
from .prepared import Prepared as Prepared, prepare as prepare, scaled_above as scaled_above
from .pyramid import at_voxel_size as at_voxel_size
from .structures import render_structures as render_structures
from .threads import (
    set_thread_count as set_thread_count,
    side_by_side as side_by_side,
    split as split,
    thread_count as thread_count,
)
from .threads_of_blas import (
    one_blas_thread as one_blas_thread,
    with_one_blas_thread as with_one_blas_thread,
)
from .threads_of_torch import torch_threads as torch_threads
from .warmup import KernelReady as KernelReady, warm_up as warm_up
