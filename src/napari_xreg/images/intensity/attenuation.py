"""Linear attenuation from CT numbers, in real units, and back."""

import torch
from jaxtyping import Float, Real
from torch import Tensor

from napari_xreg.images.intensity.materials import linear_attenuation
from napari_xreg.images.volume import all_finite

# About the effective energy of a 120 kV CT beam: what its HU scale means for bone.
CT_ENERGY_KEV = 70.0
_BLOCK = 2**15
"""Voxels that are converted at a time: torch wakes no other thread for so few."""


def lac_from_hu(
    hu: Real[Tensor, "*shape"], *, energy_kev: float = 70.0, ct_energy_kev: float = CT_ENERGY_KEV
) -> Float[Tensor, "*shape"]:
    r"""Linear attenuation of a CT at the energy of an X-ray, 1/mm.

    Below 0 HU a voxel is a mixture of nothing and water, above it of water and cortical bone. Where
    on the HU scale pure cortical bone lies follows from the energy of the CT,

    .. math:: h_b = 1000 \left( \mu_b(E_{CT}) / \mu_w(E_{CT}) - 1 \right)

    (1559 HU at 70 keV), so at ``energy_kev == ct_energy_kev`` the two lines are one. Nothing
    is normalised: a voxel's attenuation depends on its own HU alone, and an implant in the field
    leaves the bone as it is. Metal follows the bone line beyond bone; scanners clip it anyway.

    Parameters
    ----------
    hu
        Hounsfield units, any real type. At and below -1000 (air, padding) attenuation is 0.
    energy_kev
        Effective energy of the beam to render, 10 to 200 keV.
    ct_energy_kev
        Effective energy of the CT, keV.

    Returns
    -------
    Tensor
        Float64 if `hu` is, else float32; on its device. Differentiable where `hu` is floating.

    Raises
    ------
    ValueError
        If `hu` holds NaN or infinity, or an energy lies outside the table.

    Examples
    --------
    Air, water, a typical femur shaft:

    >>> lac_from_hu(torch.tensor([-1000, 0, 1400])).mul(1e4).round()
    tensor([  0., 193., 463.])
    """
    if hu.is_floating_point() and not all_finite(hu):
        raise ValueError(
            "Hounsfield units must be finite: replace NaN and infinity, by -1000 for air"
        )
    water, slope = _water_and_slope(energy_kev, ct_energy_kev)
    dtype = hu.dtype if hu.dtype in (torch.float32, torch.float64) else torch.float32

    def line(some: Tensor) -> Tensor:
        values = some.to(dtype)
        below = values.clamp(-1000.0, 0.0).add_(1000.0).mul_(water / 1000)
        return below.add_(values.clamp_min(0.0), alpha=slope)

    if hu.requires_grad or hu.device.type != "cpu" or not hu.is_contiguous():
        return line(hu)
    # A block at a time: temporaries as large as a CT cost more than their sums.
    lac = torch.empty(hu.shape, dtype=dtype, device=hu.device)
    for here, some in zip(lac.view(-1).split(_BLOCK), hu.view(-1).split(_BLOCK), strict=True):
        here.copy_(line(some))
    return lac


def hu_from_lac(
    lac: Float[Tensor, "*shape"], *, energy_kev: float = 70.0, ct_energy_kev: float = CT_ENERGY_KEV
) -> Float[Tensor, "*shape"]:
    """Hounsfield units that `lac_from_hu` would turn into this attenuation (1/mm).

    Zero attenuation gives -1000: what a file held below that is lost.

    Raises
    ------
    ValueError
        If attenuation is negative or not finite, or an energy lies outside the table.
    """
    if not all_finite(lac) or bool((lac < 0).any()):
        raise ValueError("attenuation must be finite and not negative to be expressed in HU")
    water, slope = _water_and_slope(energy_kev, ct_energy_kev)
    return torch.where(lac < water, lac * (1000 / water) - 1000, (lac - water) / slope)


def _water_and_slope(energy_kev: float, ct_energy_kev: float) -> tuple[float, float]:
    """Attenuation of water, 1/mm, and its growth per HU above 0, at the energy of the X-ray."""
    water, bone = (float(linear_attenuation(m, energy_kev)) for m in ("water", "bone"))
    ct_water, ct_bone = (float(linear_attenuation(m, ct_energy_kev)) for m in ("water", "bone"))
    bone_hu = 1000 * (ct_bone / ct_water - 1)
    return water, (bone - water) / bone_hu
