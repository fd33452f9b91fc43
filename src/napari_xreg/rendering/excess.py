"""What exceeds an attenuation, made brighter or fainter: bone under another X-ray spectrum.

A line integral is linear in the attenuation, so the DRR of the scaled volume is that of the volume
plus `gain` times that of the excess. The CUDA kernels scale every voxel as they read it instead.
"""

import threading
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Volume


@dataclass(frozen=True, eq=False)
class Excess:
    """Voxels are ``v + gain max(v - threshold, 0)``, with a gain for every pose.

    Parameters
    ----------
    threshold
        1/mm; the attenuation of water leaves bone above it.
    gains
        One per pose of the batch; 0 leaves the volume as it is.
    """

    threshold: float
    gains: Float[Tensor, "*batch"]


_excess: "WeakKeyDictionary[Volume, dict[float, tuple[int, Volume]]]" = WeakKeyDictionary()
_lock = threading.Lock()


def excess_of(volume: Volume, threshold: float) -> Volume:
    """The volume ``max(v - threshold, 0)``, made once; anew after a change in place."""
    version = 0 if volume.lac.is_inference() else volume.lac._version
    with _lock:
        found = _excess.setdefault(volume, {}).get(threshold)
    if found is None or found[0] != version:
        above = (volume.lac.detach() - threshold).clamp_min(0.0)
        found = (version, Volume(above, volume.world_from_index))
        with _lock:
            _excess[volume][threshold] = found
    return found[1]
