"""Where points were found on a radiograph: pixels, how far they may be off, and in which order."""

from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose, covariance_between, pixels_between
from napari_xreg.rayemb.heatmap import Posterior
from napari_xreg.rayemb.network.encoder import Embedded
from napari_xreg.registration import Correspondences

RankBy = Literal["similarity", "certainty"]

PIXEL_VARIANCE = 0.25
"""Of a peak, pixels of the heatmap squared, rows and columns alike: none is known more finely than
to half a pixel, however narrow its posterior."""


@dataclass(frozen=True, eq=False)
class FoundPoints:
    """Where points were found on a radiograph.

    Parameters
    ----------
    points
        World (LPS), mm.
    index
        Of each among the points that were asked for.
    pixels
        Row, column on the radiograph as stored: the refined peaks.
    covariances
        Expected squared deviation from the peak, pixels squared (row, column).
    posterior
        In pixels of the heatmap.
    score
        By which they are ranked, see `rank_score`.
    """

    points: Float[Tensor, "n 3"]
    index: Tensor
    pixels: Float[Tensor, "n 2"]
    covariances: Float[Tensor, "n 2 2"]
    posterior: Posterior
    score: Float[Tensor, "n"]

    def __len__(self) -> int:
        return len(self.points)

    @property
    def similarity(self) -> Float[Tensor, "n"]:
        """Height of each peak, 0 to 1."""
        return self.posterior.similarity

    @property
    def in_image(self) -> Float[Tensor, "n"]:
        """Probability that the point is in the image; NaN where that was never learned."""
        return self.posterior.in_image

    def best(self, count: int) -> "FoundPoints":
        """The first `count`; `index` still says which they were."""
        keep = torch.arange(min(count, len(self)))
        return replace(self.rows(keep), index=self.index[keep])

    def rows(self, index: Tensor) -> "FoundPoints":
        """Some of them in this order, numbered anew."""
        return FoundPoints(
            self.points[index], torch.arange(len(index)), self.pixels[index],
            self.covariances[index], self.posterior[index.to(self.posterior.peak.device)],
            self.score[index.to(self.score.device)],
        )  # fmt: skip

    def joined(self, other: "FoundPoints") -> "FoundPoints":
        """These, then the others, numbered anew."""
        pairs = {
            part.name: (getattr(self.posterior, part.name), getattr(other.posterior, part.name))
            for part in fields(Posterior)
        }
        return FoundPoints(
            torch.cat([self.points, other.points]),
            torch.arange(len(self) + len(other)),
            torch.cat([self.pixels, other.pixels]),
            torch.cat([self.covariances, other.covariances]),
            Posterior(**{name: torch.cat(pair) for name, pair in pairs.items()}),
            torch.cat([self.score, other.score]),
        )

    def spread_mm(self, carm: CArm) -> Float[Tensor, "n"]:
        """Standard deviation of each, the mean of both directions, mm at the isocenter."""
        variances = self.covariances.diagonal(dim1=1, dim2=2)
        return (variances * self._mm(carm) ** 2).mean(1).sqrt()

    def distances_mm(self, carm: CArm, world_from_camera: Pose) -> Float[Tensor, "n"]:
        """From each peak to the point's projection at a pose, mm at the isocenter."""
        projected = carm.project(self.points, world_from_camera.to(dtype=torch.float64))
        return ((self.pixels - projected) * self._mm(carm)).square().sum(-1).sqrt()

    def _mm(self, carm: CArm) -> Float[Tensor, "2"]:
        """Size of a pixel at the isocenter: row, column."""
        ratio = carm.source_to_isocenter / carm.source_to_detector
        return self.pixels.new_tensor(carm.detector.spacing) * ratio

    def correspondences(self) -> Correspondences:
        """For `registration.solve_pnp`, weighted by their covariances."""
        return Correspondences(self.points, self.pixels, covariances=self.covariances)


def heatmap_grid(embedded: Embedded, shape: tuple[int, int]) -> CArm:
    """The C-arm of a heatmap's pixels: the encoder's image, edge to edge."""
    return replace(embedded.carm, detector=embedded.carm.detector.resize(*shape))


def found_points(
    embedded: Embedded,
    grid: CArm,
    points: Float[Tensor, "n 3"],
    index: Tensor,
    read: Posterior,
    rank_by: RankBy,
) -> FoundPoints:
    """What was read off heatmaps, in pixels of the radiograph.

    Parameters
    ----------
    grid
        C-arm of the heatmaps' pixels.
    points, index, read
        Row by row, in any order; it is kept.
    """
    target = embedded.radiograph_carm
    spread = read.covariance_about_peak.double().cpu()
    spread = spread + PIXEL_VARIANCE * torch.eye(2, dtype=torch.float64)
    return FoundPoints(
        points.double(),
        index,
        pixels_between(read.peak.double().cpu(), grid, target),
        covariance_between(spread, grid, target),
        read,
        rank_score(read, rank_by),
    )


def rank_score(read: Posterior, rank_by: RankBy) -> Float[Tensor, "n"]:
    """By which points are called better: the larger, the better.

    Parameters
    ----------
    rank_by
        ``similarity``: height of the peak, as RayEmb. ``certainty``: probability that the point is
        in the image, over the spread of its posterior; the similarity where the former was never
        learned.
    """
    if rank_by == "similarity" or bool(torch.isnan(read.in_image).any()):
        return read.similarity
    spread = read.covariance_about_peak.diagonal(dim1=1, dim2=2).sum(1) + 4 * PIXEL_VARIANCE
    return read.in_image.clamp_min(1e-12).log() - 0.5 * spread.log()
