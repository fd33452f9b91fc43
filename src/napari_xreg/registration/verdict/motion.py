"""The common motion of all patches: where they would take the picture, and how far it could slide.

Pieces of a shaft fit where the pose puts them and a centimetre further along it as well: that every
piece fits is no evidence there. How sharply a patch is located follows from how its own correlation
falls off and from how much of it the radiograph shows; all patches together locate a motion of the
picture (shift, turn, scale), and what they leave of the shift is the slack. The motion itself is the
drift: at a right pose the pieces fit best about their places, this way and that; at a wrong one near
by many of them agree on another.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_xreg.registration.verdict.patches import INDEPENDENT, REACH, Patches

Matrix = npt.NDArray[np.float64]

OUTLYING = 3.0
"""Standard deviations from the common motion, of both directions, at which a patch loses its say."""
ROUNDS = 8
LARGEST = 0.98
"""A correlation counts as no more: what a DRR shows is never all there is."""


@dataclass(frozen=True)
class CommonMotion:
    """Of all patches of a radiograph together, pixels.

    Parameters
    ----------
    slack
        Standard deviation of the shift along the direction that is located worst. At most `REACH`,
        where nothing is located: no patch is looked for farther away.
    drift
        How far the motion takes the patches from where the pose puts them, root of the mean square.
    """

    slack: float
    drift: float


def common_motion(patches: Patches, convincing: npt.NDArray[np.bool_]) -> CommonMotion:
    """The shift, turn and scale of the picture that fit best to where patches fit best.

    Contradicting patches lose their say.

    Parameters
    ----------
    patches
        Of one radiograph.
    convincing
        Which of them have a say, [n].
    """
    seen = np.clip(patches.best[convincing], 0.0, LARGEST)
    known = INDEPENDENT * patches.share[convincing] * seen**2 / (1.0 - seen**2)
    located = patches.bend[convincing] * known[:, None, None]
    moved, along = patches.moved[convincing], _motions(patches.middle[convincing])
    agrees = np.ones(len(moved))
    total, motion = np.eye(4) / REACH**2, np.zeros(4)
    for _ in range(ROUNDS):
        weighed = np.einsum("nki,nkl->nil", along, located * agrees[:, None, None])
        total = np.eye(4) / REACH**2 + np.einsum("nil,nlj->ij", weighed, along)
        motion = np.linalg.solve(total, np.einsum("nil,nl->i", weighed, moved))
        off = moved - along @ motion
        far = np.einsum("nk,nkl,nl->n", off, located, off)
        agrees = 1.0 / (1.0 + far / (2.0 * OUTLYING**2)) ** 2
    drifts = ((along @ motion) ** 2).sum(1)
    return CommonMotion(
        slack=float(np.sqrt(np.linalg.eigvalsh(np.linalg.inv(total)[:2, :2])[-1])),
        drift=float(np.sqrt(drifts.mean())) if len(drifts) else 0.0,
    )


def _motions(middle: Matrix) -> Matrix:
    """How a shift along rows and columns, a turn and a scale move the patches, [n, 2, 4]."""
    beside = middle - (middle.mean(0) if len(middle) else 0.0)
    size = np.sqrt((beside**2).sum(1).mean()) if len(middle) else 1.0
    row, column = (beside / max(float(size), 1.0)).T
    one, none = np.ones_like(row), np.zeros_like(row)
    return np.stack(
        [np.stack([one, none, -column, row], -1), np.stack([none, one, row, column], -1)], -2
    )
