"""What a detector found on one radiograph: named pixels, each with its uncertainty."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm
from napari_xreg.images import Landmark, Volume
from napari_xreg.registration import Correspondences, Weighting, pair_landmarks, weighted

SpreadOf = Literal["total", "passes"]

_FLOOR_PX2 = 1e-4
"""Keeps a covariance positive where all passes agree exactly."""


@dataclass(frozen=True, eq=False)
class Detections:
    """Named pixels of one radiograph and how far each is to be trusted; false where none is visible.

    Parameters
    ----------
    names
        Of the landmarks the detector knows, in its order.
    pixels
        (row, column) of the radiograph as stored, integer = centre: the mean over the passes.
    covariances
        Of each pixel, pixels squared, order (row, column): the total, which is that between the
        passes (divided by their number, as in the paper's equation 5) plus the mean over the passes
        of that within a heatmap about its peak.
    visible
        Probability that the landmark is in the image: the mean over the passes.
    samples
        The pixels of every pass, not rounded.
    heatmaps
        Mean over the passes of each landmark's heatmap, 0 to 1; None where they were not kept.
    heatmap_carm
        Pixel grid of the heatmaps.
    """

    names: tuple[str, ...]
    pixels: Float[Tensor, "n 2"]
    covariances: Float[Tensor, "n 2 2"]
    visible: Float[Tensor, "n"]
    samples: Float[Tensor, "s n 2"]
    heatmaps: Float[Tensor, "n rows columns"] | None = None
    heatmap_carm: CArm | None = None

    def __post_init__(self) -> None:
        n = len(self.names)
        shapes = (self.pixels.shape, self.covariances.shape, self.visible.shape)
        if shapes != ((n, 2), (n, 2, 2), (n,)) or self.samples.shape[1:] != (n, 2):
            raise ValueError(
                f"{n} names need {n} pixels, covariances, probabilities and samples: got shapes "
                f"{[tuple(s) for s in (*shapes, self.samples.shape)]}"
            )

    def __len__(self) -> int:
        return len(self.names)

    def __bool__(self) -> bool:
        return bool((self.visible >= 0.5).any())

    @property
    def passes(self) -> int:
        """Stochastic passes that were made."""
        return len(self.samples)

    @property
    def between(self) -> Float[Tensor, "n 2 2"]:
        """Covariance of the passes alone, pixels squared (divided by their number)."""
        away = self.samples - self.samples.mean(0)
        return (away[..., :, None] * away[..., None, :]).mean(0)

    @property
    def uncertainty(self) -> Float[Tensor, "n"]:
        """The paper's u: root mean square distance of the passes from their mean, pixels (eq. 5)."""
        return torch.diagonal(self.between, dim1=-2, dim2=-1).sum(-1).clamp_min(0).sqrt()

    def spread(self, of: SpreadOf = "total") -> Float[Tensor, "n 2 2"]:
        """A positive covariance of each pixel: the total, or that between the passes."""
        covariance = self.covariances if of == "total" else self.between
        return covariance + _FLOOR_PX2 * torch.eye(2, dtype=covariance.dtype)

    def landmarks(self, *, visible_above: float = 0.5) -> tuple[Landmark, ...]:
        """As picked landmarks with their covariance; those less likely in the image are invisible.

        Parameters
        ----------
        visible_above
            Probability. 0 takes them all, which is what the paper's released code does.
        """
        rows = zip(
            self.names, self.pixels.tolist(), self.visible.tolist(), self.spread().tolist(),
            strict=True,
        )  # fmt: skip
        return tuple(
            Landmark(
                name, None, (row, column), chance >= visible_above, (c[0][0], c[0][1], c[1][1])
            )
            for name, (row, column), chance, c in rows
        )

    def correspondences(
        self,
        landmarks: Iterable[Landmark],
        *,
        weighting: Weighting | None = None,
        spread: SpreadOf = "total",
        visible_above: float = 0.5,
        volume: Volume | None = None,
    ) -> Correspondences:
        """Paired by name with landmarks of the patient, weighed, for `solve_pnp`.

        Parameters
        ----------
        landmarks
            Of the patient, with positions. What does not pair is in `Correspondences.notes`.
        weighting
            None: by covariance.
        spread
            Which covariance counts as the uncertainty.
        visible_above
            Probability below which a landmark is left out.
        volume
            See `pair_landmarks`.
        """
        covariances = dict(zip(self.names, self.spread(spread), strict=True))
        picked = self.landmarks(visible_above=visible_above)
        pairs = pair_landmarks(landmarks, picked, covariances=covariances, volume=volume)
        return weighted(pairs, weighting or Weighting("covariance"))

    def of(self, names: Sequence[str]) -> "Detections":
        """Some of them, in the given order.

        Raises
        ------
        ValueError
            If a name is not among them.
        """
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise ValueError(
                f"the detector does not know {', '.join(unknown)}: it knows {', '.join(self.names)}"
            )
        at = [self.names.index(name) for name in names]
        return Detections(
            tuple(names), self.pixels[at], self.covariances[at], self.visible[at],
            self.samples[:, at], None if self.heatmaps is None else self.heatmaps[at],
            self.heatmap_carm,
        )  # fmt: skip
