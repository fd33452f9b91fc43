"""Bones without their soft tissue: how such a CT is told, and its attenuation above water.

In a radiograph soft tissue, which attenuates like water, surrounds a bone and fills the room that
the bone does not: water inside the bone makes no contrast. A CT from which everything but bones
was cut away has air there instead, and rendered as it is shows a contrast that no radiograph has.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.images.intensity.attenuation import lac_from_hu
from napari_xreg.images.volume import Volume

# Of what is there, in whole CTs (six, and the phantom) at most 12 % is denser, and in all but the
# phantom 30 % or more is lighter; of a hundred bones cut from them, and three cut elsewhere, 50 % or
# more is denser and at most 4 % lighter.
DENSER, LIGHTER = 1.1, 0.75
"""Attenuation over that of water: 100 and -250 HU."""

LEAST_DENSE, MOST_LIGHT = 0.35, 0.15
LEAST_EMPTY = 0.1
"""Share of the grid; less is a CT that lies wholly within a dense body."""

ABOVE_WATER = "bone-only CT: rendered above water"
"""What a user reads."""

ATTENUATIONS = ("auto", "above water", "as read")
"""What of a CT's attenuation is rendered: above water where the CT is bone-only, always, or never."""

_SAMPLE = 500_000
"""Voxels; of the shares asked for a tenth of them would do."""


def is_bone_only(volume: Volume) -> bool:
    """Whether a CT holds bones (or contrast agent, or metal) and next to nothing of what is around.

    Told by what there is beside air and exact water, the two values that a background is given:
    mostly denser than soft tissue, hardly anything lighter.

    Parameters
    ----------
    volume
        As read, or restricted to structures (`Volume.restrict`).
    """
    lac, _ = _sampled(volume)
    relative = lac / np.float32(water_attenuation(volume))
    body = relative[(relative > 1e-3) & (np.abs(relative - 1.0) > 1e-4)]
    return bool(
        body.size > 0
        and body.size <= (1.0 - LEAST_EMPTY) * relative.size
        and np.mean(body > DENSER) >= LEAST_DENSE
        and np.mean(body < LIGHTER) <= MOST_LIGHT
    )


def rendered_above_water(volume: Volume, attenuation: str = "auto") -> bool:
    """Whether a volume is rendered as `above_water` of it.

    Raises
    ------
    ValueError
        If `attenuation` is not one of `ATTENUATIONS`.
    """
    if attenuation not in ATTENUATIONS:
        raise ValueError(f"attenuation is {', '.join(ATTENUATIONS)}: got {attenuation!r}")
    return attenuation == "above water" or (attenuation == "auto" and is_bone_only(volume))


def attenuation_seen(subtracted: Sequence[bool]) -> str:
    """Of `ATTENUATIONS`: "as read" where every radiograph is subtracted, so that no water hides the vessels.

    Parameters
    ----------
    subtracted
        `Radiograph.subtracted` of each; none: "auto".
    """
    return "as read" if subtracted and all(subtracted) else "auto"


def above_water(volume: Volume) -> Volume:
    """The volume with the attenuation of water taken off, none below zero: how bone stands out.

    Renders what a bone adds to a line integral through the soft tissue around it. HU stay.
    """
    water = water_attenuation(volume)
    return replace(volume, lac=(volume.lac - water).clamp_min_(0.0))


def water_attenuation(volume: Volume) -> float:
    """Attenuation of water in a volume, 1/mm: at the energy that it was read for.

    Attenuation is linear in HU on either side of water, so one voxel below water, or two above,
    tell it. Without HU, or where they tell nothing, that at 70 keV.
    """
    usual = float(lac_from_hu(torch.zeros(1))[0])
    lac, hu = _sampled(volume)
    if hu is None or not (lac > 0).any():
        return usual
    hu, lac = hu[lac > 0].astype(np.float64), lac[lac > 0].astype(np.float64)
    near, far = int(np.abs(hu).argmin()), int(hu.argmax())
    if hu[near] <= 0:
        return float(lac[near] / (1.0 + hu[near] / 1000.0))
    rise = hu[far] - hu[near]
    return usual if rise < 1.0 else float(lac[near] - hu[near] * (lac[far] - lac[near]) / rise)


def _sampled(volume: Volume) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """Attenuation and HU at every so many voxels; within what is filled, if that is a small part."""
    lac = volume.lac.detach()
    hu = None if volume.hu is None else volume.hu.detach()
    box: tuple[slice, ...] = (slice(None),) * 3
    for _ in range(2):
        part = lac[box]
        every = max(1, round((part.numel() / _SAMPLE) ** (1 / 3)))
        chosen = tuple(slice(s.start, s.stop, every) for s in box)
        values = lac[chosen].cpu().numpy()
        if every == 1 or np.count_nonzero(values) > 0.02 * values.size:
            break
        box = _filled_box(part.cpu().numpy())
    return values.ravel(), None if hu is None else hu[chosen].cpu().numpy().ravel()


def _filled_box(lac: npt.NDArray[Any]) -> tuple[slice, ...]:
    """The box about what is not zero, with a voxel around it; all of it where everything is."""
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        filled = np.flatnonzero((lac != 0).any(axis=others))
        if not filled.size:
            return (slice(None),) * 3
        box.append(slice(max(int(filled[0]) - 1, 0), int(filled[-1]) + 2))
    return tuple(box)
