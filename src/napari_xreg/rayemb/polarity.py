"""Is bone bright in a radiograph, as every network here expects? Asked of the CT's own renderings."""

from dataclasses import dataclass
from enum import Enum

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm
from napari_xreg.images import Radiograph, Volume
from napari_xreg.rayemb.local_contrast import (
    band_between,
    centered_in,
    mean_near,
    normalised_in,
    z_scores,
)
from napari_xreg.rayemb.templates import TemplateSettings, template_poses
from napari_xreg.rendering import at_voxel_size, render_drr
from napari_xreg.training import Framing

BEYOND_DOUBT = 3.0
"""Of `Polarity.log_odds`, either way: tuned on simulated radiographs of five CTs, see decision 6."""

ENOUGH_DRRS = 8
"""From fewer renderings no spread is known."""

_OTHER_THAN_A_DRR = 0.2
# Added to the variance of every measure between renderings: scatter, beam hardening, blades and
# instruments make a radiograph differ more from a rendering than renderings do from one another.


class Looks(Enum):
    """How a radiograph looks; the value is what to tell the user."""

    RIGHT = "Bone is bright in the radiograph, as in renderings of the CT."
    INVERTED = (
        "The radiograph looks inverted: beside renderings of the CT, bone is dark. Read it again "
        "with the other answer to whether bone is dark or bright in the file. Nothing was inverted "
        "for you."
    )
    UNCLEAR = (
        "It cannot be told from the radiograph alone whether bone is bright in it, as it must be: "
        "have a look."
    )


@dataclass(frozen=True)
class Polarity:
    """Whether bone is bright in a radiograph.

    Parameters
    ----------
    looks
        Right, inverted, or not to be told.
    log_odds
        Of right against inverted, in nats; it changes its sign with the image.
    """

    looks: Looks
    log_odds: float

    @property
    def sentence(self) -> str:
        """For the user."""
        return self.looks.value


def polarity_of(
    radiograph: Radiograph, images: Float[Tensor, "t rows columns"], carm: CArm
) -> Polarity:
    """Compare a radiograph, and its inverse, with renderings of the CT from anywhere.

    Every measure changes its sign with the image: skewness of the histogram and of the local
    contrast at three widths, correlation with the distance from the middle and with the strength
    of detail, correlation with the mean rendering, and with the most similar one against the
    least. From the renderings each has a mean and a covariance; of two classes that differ only in
    sign, the logarithm of their odds is linear (Fisher's discriminant).

    Parameters
    ----------
    radiograph
        Line integrals as they were read.
    images, carm
        Line integrals of the CT from many sides, and the C-arm of all of them: `Templates` holds
        both, or see `coarse_drrs`.

    Raises
    ------
    ValueError
        If there are fewer than `ENOUGH_DRRS`, or no pixel of the radiograph is usable.
    """
    if len(images) < ENOUGH_DRRS:
        raise ValueError(
            f"at least {ENOUGH_DRRS} renderings are needed to compare with: got {len(images)}"
        )
    upright = radiograph if radiograph.carm.detector.mirrored else radiograph.flip_columns()
    rows, columns = _shape_at(upright.carm, carm)
    small = upright.resize(rows, columns)
    rows, columns = min(rows, images.shape[1]), min(columns, images.shape[2])
    mask = _middle(small.usable, rows, columns)
    if not mask.any():
        raise ValueError("no pixel of the radiograph is usable: check its mask")
    image = _middle(small.line_integrals, rows, columns).to(images)
    references = _middle(images, rows, columns)
    usable = mask.to(images)
    seen = _measures(image[None], references, usable, itself=False)[0]
    expected = _measures(references, references, usable, itself=True)
    spread = torch.cov(expected.T) + _OTHER_THAN_A_DRR * torch.eye(len(seen)).to(seen)
    log_odds = float(2 * seen @ torch.linalg.solve(spread, expected.mean(0)))
    looks = Looks.UNCLEAR
    if abs(log_odds) > BEYOND_DOUBT:
        looks = Looks.RIGHT if log_odds > 0 else Looks.INVERTED
    return Polarity(looks, log_odds)


def coarse_drrs(
    volume: Volume, carm: CArm, isocenter: Float[Tensor, "3"], *, count: int = 24
) -> tuple[Float[Tensor, "t rows columns"], CArm]:
    """Renderings for `polarity_of`, with their C-arm, where there are no templates: under a second."""
    small = Framing().template_carm(carm, 1.0)
    poses = template_poses(small, isocenter, TemplateSettings(count=count))
    coarse = at_voxel_size(volume.to(dtype=torch.float32), 3.0)
    return render_drr(coarse, small, poses, method="joseph"), small


def _shape_at(carm: CArm, other: CArm) -> tuple[int, int]:
    """Rows and columns that give the pixels of another C-arm, at the isocenter."""

    def pixel_mm(c: CArm, axis: int) -> float:
        return c.detector.spacing[axis] * c.source_to_isocenter / c.source_to_detector

    rows, columns = (
        max(8, round(carm.detector.shape[axis] * pixel_mm(carm, axis) / pixel_mm(other, axis)))
        for axis in (0, 1)
    )
    return rows, columns


def _middle(image: Tensor, rows: int, columns: int) -> Tensor:
    top, left = (image.shape[-2] - rows) // 2, (image.shape[-1] - columns) // 2
    return image[..., top : top + rows, left : left + columns]


def _measures(
    images: Float[Tensor, "n rows columns"],
    references: Float[Tensor, "t rows columns"],
    usable: Float[Tensor, "rows columns"],
    *,
    itself: bool,
) -> Float[Tensor, "n measures"]:
    """See `polarity_of`; `itself`: images are the references, and none is compared with itself."""
    scores, others = z_scores(images, usable), z_scores(references, usable)
    measures = [_skewness(scores, usable)]
    for fine, coarse in ((1, 5), (3, 9), (5, 17)):
        measures.append(_skewness(band_between(scores, usable, fine, coarse), usable))
    rows, columns = usable.shape
    down, right = torch.linspace(-1, 1, rows)[:, None], torch.linspace(-1, 1, columns)
    outwards = (down.square() + right.square()).to(usable)[None]
    sideways = right.square().expand(rows, columns).to(usable)[None]
    detail = mean_near(band_between(scores, usable, 1, 9).square(), usable, 9).sqrt()
    for a, b in ((scores, outwards), (scores, sideways), (mean_near(scores, usable, 9), detail)):
        measures.append((normalised_in(a, usable) * normalised_in(b, usable)).sum((1, 2)))
    for width in (None, 21):
        a, b = scores, others
        if width is not None:
            a, b = (z_scores(band_between(x, usable, 5, width), usable) for x in (scores, others))
        measures.extend(_likeness(normalised_in(a, usable), normalised_in(b, usable), itself))
    return torch.stack(measures, 1)


def _likeness(
    a: Float[Tensor, "n rows columns"], b: Float[Tensor, "t rows columns"], itself: bool
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Mean correlation with the references, and the highest of them plus the lowest."""
    correlation = a.flatten(1) @ b.flatten(1).T
    if not itself:
        return correlation.mean(1), correlation.amax(1) + correlation.amin(1)
    same = torch.eye(len(a), dtype=torch.bool, device=a.device)
    others = correlation.masked_fill(same, 0.0).sum(1) / (len(a) - 1)
    highest = correlation.masked_fill(same, -1.0).amax(1)
    return others, highest + correlation.masked_fill(same, 1.0).amin(1)


def _skewness(images: Tensor, usable: Tensor) -> Float[Tensor, "n"]:
    """Third moment over the cube of the deviation, drawn into -1 to 1."""
    centered = centered_in(images, usable)
    variance = centered.square().sum((1, 2)) / usable.sum()
    third = centered.pow(3).sum((1, 2)) / usable.sum()
    return torch.tanh(third / variance.clamp_min(1e-12).pow(1.5))
