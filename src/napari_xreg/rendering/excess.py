"""What exceeds an attenuation, made brighter or fainter: bone under another X-ray spectrum.

A line integral is linear in the attenuation, so the DRR of the scaled volume is that of the volume
plus `gain` times that of the excess. The CUDA kernels scale every voxel as they read it instead.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Volume
from napari_xreg.rendering.derived import derived


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


def excess_of(volume: Volume, threshold: float) -> Volume:
    """The volume ``max(v - threshold, 0)``, made once; anew after a change in place."""

    def make() -> Volume:
        above = (volume.lac.detach() - threshold).clamp_min(0.0)
        return Volume(above, volume.world_from_index)

    return derived(volume, ("excess", threshold), make)
