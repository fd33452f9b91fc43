"""Coarser copies of a volume for coarse stages, each made once."""

from napari_xreg.images import Volume
from napari_xreg.rendering.derived import derived


def at_voxel_size(volume: Volume, voxel_mm: float) -> Volume:
    """The volume averaged to voxels of about `voxel_mm` along every axis.

    Whole blocks of voxels are averaged (`Volume.downsample`), so an axis ends at the nearest whole
    multiple of its spacing and one already that coarse is left alone: 0.98 x 0.98 x 3.27 mm asked
    for 3 mm becomes 2.93 x 2.93 x 3.27 mm. The same call returns the same object as long as the
    volume lives and is not changed (`derived`), so what was prepared for rendering it is kept too. A level of 3 mm instead of
    1.5 mm leaves a bias of about 0.6 mm in a registered pose: finish on the volume itself.

    Raises
    ------
    ValueError
        If `voxel_mm` is not positive.
    """
    if not 0 < voxel_mm < float("inf"):
        raise ValueError(f"the voxel size must be positive, in mm: got {voxel_mm}")
    x, y, z = (
        min(max(1, round(voxel_mm / spacing)), n)
        for spacing, n in zip(volume.spacing, reversed(volume.shape), strict=True)
    )
    if (x, y, z) == (1, 1, 1):
        return volume
    return derived(volume, ("level", x, y, z), lambda: volume.downsample((x, y, z)))
