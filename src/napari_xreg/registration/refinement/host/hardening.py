"""How much brighter bone is in a radiograph than in the DRR of its CT.

CT and C-arm see different spectra, and both are calibrated to their own water: bone against soft
tissue is brighter in one than in the other, by tens of per cent. That is no function of the DRR's
grey value, so `tone` cannot take it out, and it shifts the depth by about a millimetre. The excess
of bone over water is rendered by itself, its share is fitted, and the CT is rescaled.
"""

import functools
from collections.abc import Sequence
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume, lac_from_hu
from napari_xreg.registration.refinement.host.robust import robust_fit
from napari_xreg.registration.refinement.host.tone import tone_basis
from napari_xreg.rendering import Prepared, march_view, prepare, scaled_above

Array = npt.NDArray[np.float32]

LOWEST, HIGHEST = -0.5, 1.5  # beyond, something else is being explained
ROUNDS = 6
_brighter: "WeakValueDictionary[tuple[Prepared, float, float], Prepared]" = WeakValueDictionary()
"""As long as somebody renders them: frames of a sequence, one beside the other, share one."""
_doubled: "WeakKeyDictionary[Prepared, tuple[float, Prepared]]" = WeakKeyDictionary()


def with_bone_gain(volume: Volume, gain: float, above: float | None = None) -> Prepared:
    """The volume, ready to render, with the excess of its attenuation over water, or over `above`, times 1 + gain."""
    plain = prepare(volume, packed=True)
    if gain == 0.0:
        return plain
    above = water_lac() if above is None else above
    if (kept := _brighter.get((plain, above, gain))) is None:
        kept = _brighter[plain, above, gain] = scaled_above(plain, above, gain)
    return kept


def bone_gain(
    volumes: Sequence[tuple[Volume, float]],
    radiographs: Sequence[Radiograph],
    poses: Sequence[Sequence[Pose]],
    *,
    threads: int | None = None,
) -> float:
    """By how much the bone of a volume must be scaled up to explain the radiographs; 0 = as it is.

    Fitted robustly together with the tone at the given poses, which should be right to a few
    millimetres. The mean over the radiographs that can tell.

    Parameters
    ----------
    volumes
        What is rendered: one, or several whose line integrals add up; each with the attenuation above which
        it is bone (`water_lac` of a CT).
    poses
        For every radiograph, of every volume.
    """
    gains = []
    for radiograph, at in zip(radiographs, poses, strict=True):
        image, bone = image_and_bone(volumes, radiograph, at, threads=threads)
        gain = fit_gain(
            image,
            bone,
            radiograph.line_integrals.detach().cpu().numpy().astype(np.float32),
            np.flatnonzero(radiograph.usable.numpy().ravel()),
        )
        if gain is not None:
            gains.append(gain)
    return float(np.mean(gains)) if gains else 0.0


def image_and_bone(
    volumes: Sequence[tuple[Volume, float]],
    radiograph: Radiograph,
    poses: Sequence[Pose],
    *,
    threads: int | None = None,
) -> tuple[Array, Array]:
    """DRRs of volumes and of the excess of their attenuation over what is bone; as of `bone_gain`, of one radiograph."""
    both = [_plain_and_doubled(volume, above) for volume, above in volumes]
    image, brighter = (
        np.add.reduce(
            [
                march_view(ready[way], radiograph.carm, pose, jacobian=False, threads=threads)[0]
                for ready, pose in zip(both, poses, strict=True)
            ]
        )
        for way in (0, 1)
    )
    return image, brighter - image


def _plain_and_doubled(volume: Volume, above: float) -> tuple[Prepared, Prepared]:
    """As it is, and its bone twice as dense."""
    plain = prepare(volume, packed=True)
    if (kept := _doubled.get(plain)) is None or kept[0] != above:
        kept = _doubled[plain] = above, scaled_above(plain, above, 1.0)
    return plain, kept[1]


@functools.cache
def water_lac() -> float:
    """Attenuation of water, 1/mm: what is above it counts as bone."""
    return float(lac_from_hu(torch.zeros(1))[0])


def fit_gain(
    image: Array, bone: Array, target: Array, usable: npt.NDArray[np.intp]
) -> float | None:
    """The gain of one radiograph: ``target ~ f(image + gain bone) + g(row, column)``.

    None where bone and the rest cannot be told apart.
    """
    gain = 0.0
    for _ in range(ROUNDS):
        sample = tone_basis(image + np.float32(gain) * bone, target, usable)
        if sample is None:
            return None
        terms, values, chosen, width = sample
        extra = bone.ravel()[chosen].astype(np.float64)
        if extra.std() < 1e-3:
            return None
        beta = robust_fit(np.stack([*terms, extra]), values, rounds=3)
        # What the bone adds in target units, over the slope of f there.
        slope = beta[1] / width
        if slope <= 0:
            return None
        change = float(np.clip(beta[-1] / slope, -0.5, 0.5))
        gain = float(np.clip(gain + change, LOWEST, HIGHEST))
        if abs(change) < 0.01:
            break
    return gain
