"""From many points to correspondences: heatmaps, the best ones, and again with other templates."""

import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import CArm
from napari_xreg.progress import Control
from napari_xreg.rayemb.contrast import usable_cells
from napari_xreg.rayemb.heatmap import (
    Posterior,
    embedding_norm,
    posterior,
    similarity,
    similarity_chunk,
)
from napari_xreg.rayemb.network.encoder import Embedded, RayEncoder
from napari_xreg.rayemb.subspace import subspace_basis
from napari_xreg.rayemb.templates import Templates, choose_templates
from napari_xreg.registration import Correspondences
from napari_xreg.training import covariance_between, pixels_between


@dataclass(frozen=True)
class CorrespondSettings:
    """How to find correspondences.

    Parameters
    ----------
    per_point
        Templates that span a point's subspace: as many as in training.
    top
        Points that go on after the first round.
    redraws
        Further rounds, each with templates drawn anew; a point keeps its best draw.
    rank_by
        ``similarity``: height of the peak, as RayEmb. ``certainty``: probability that the point is
        in the image, over the spread of its posterior; for encoders that learned the former. It
        favours points near the border, whose posterior is cut there: of 12 simulated radiographs
        each (tuning seeds) the poses of a chest and of a phantom were off by 23 and 18 mm by
        similarity, by 31 and 35 mm by certainty (medians).
    visible
        Draw for each point among the templates that see it; else one draw for all, as RayEmb.
    seed
        Of the draws.
    """

    per_point: int = 4
    top: int = 600
    redraws: int = 10
    rank_by: Literal["similarity", "certainty"] = "similarity"
    visible: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.per_point < 1 or self.top < 1 or self.redraws < 0:
            raise ValueError(f"per_point and top are at least 1, redraws at least 0: got {self!r}")
        if self.rank_by not in ("similarity", "certainty"):
            raise ValueError(f"rank_by is similarity or certainty: got {self.rank_by!r}")


@dataclass(frozen=True, eq=False)
class Found:
    """Where points were found on a radiograph, best first.

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
        By which they are ranked.
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

    def best(self, count: int) -> "Found":
        """The first `count`."""
        keep = slice(None, count)
        return Found(
            self.points[keep], self.index[keep], self.pixels[keep], self.covariances[keep],
            self.posterior[torch.arange(min(count, len(self)))], self.score[keep],
        )  # fmt: skip

    def correspondences(self) -> Correspondences:
        """For `registration.solve_pnp`, weighted by their covariances."""
        return Correspondences(self.points, self.pixels, covariances=self.covariances)


@dataclass(frozen=True, eq=False)
class Round:
    """One round of drawing templates is done.

    Parameters
    ----------
    index, count
        Which one, of how many; the first looks at all points.
    found
        The best so far.
    seconds
        Since the beginning.
    """

    index: int
    count: int
    found: Found
    seconds: float


def heatmap_basis(
    templates: Templates,
    points: Float[Tensor, "n 3"],
    generator: torch.Generator,
    *,
    per_point: int = 4,
    visible: bool = True,
) -> Float[Tensor, "n d t"]:
    """The subspaces of points, with templates drawn by the generator."""
    pixels, inside = templates.project(points)
    return _basis(templates, pixels, inside, generator, per_point, visible)


def point_heatmaps(
    encoder: RayEncoder,
    embedded: Embedded,
    templates: Templates,
    points: Float[Tensor, "n 3"],
    *,
    seed: int = 0,
    per_point: int = 4,
    visible: bool = True,
) -> tuple[Float[Tensor, "n rows columns"], Posterior]:
    """Similarity of every heatmap pixel to a few points, and what follows from it.

    The heatmap covers the radiograph edge to edge; its positions are in its own pixels.
    """
    generator = torch.Generator().manual_seed(seed)
    basis = heatmap_basis(templates, points, generator, per_point=per_point, visible=visible)
    maps = similarity(embedded.embedding, basis, upsampling=encoder.upsampling)
    usable = usable_cells(embedded.usable[None], *maps.shape[1:])[0]
    return maps, posterior(
        maps, encoder.temperature.detach(), usable=usable,
        outside_logit=encoder.outside_logit.detach(),
    )  # fmt: skip


def correspond(
    encoder: RayEncoder,
    embedded: Embedded,
    templates: Templates,
    points: Float[Tensor, "n 3"],
    *,
    settings: CorrespondSettings | None = None,
    control: Control | None = None,
) -> Generator[Round, None, Found]:
    """Find 3D points on a radiograph.

    Parameters
    ----------
    encoder
        That embedded both the radiograph and the templates.
    points
        World (LPS), mm: `training.points_in` samples them in a mask.
    settings
        See `CorrespondSettings`.
    control
        Cancel: returns what was found so far.

    Yields
    ------
    Round
        After each round, with the best so far.

    Returns
    -------
    Found
        At most ``settings.top`` points, best first.

    Raises
    ------
    ValueError
        If there are no points, or fewer templates than `per_point`.
    """
    settings = settings or CorrespondSettings()
    control = control or Control()
    if not len(points):
        raise ValueError("no 3D points were given: sample some in a mask or above a threshold")
    if settings.rank_by == "certainty" and bool(torch.isnan(encoder.outside_logit).any()):
        settings = replace(settings, rank_by="similarity")
    generator = torch.Generator().manual_seed(settings.seed)
    began = time.perf_counter()
    reader = _Reader(encoder, embedded, templates, settings)
    pixels, inside = templates.project(points)
    read = reader.read(pixels, inside, generator)
    score = reader.score(read)
    order = score.argsort(descending=True)[: settings.top]
    read, score = read[order], score[order]
    kept = order.cpu()
    yield Round(0, settings.redraws + 1, reader.found(points, kept, read, score), _since(began))
    pixels, inside = pixels[:, kept], inside[:, kept]
    for number in range(1, settings.redraws + 1):
        if not control.proceed():
            break
        again = reader.read(pixels, inside, generator)
        new = reader.score(again)
        better = new > score
        read, score = _merged(read, again, better), torch.where(better, new, score)
        yield Round(
            number, settings.redraws + 1, reader.found(points, kept, read, score), _since(began)
        )
    return reader.found(points, kept, read, score)


def _since(began: float) -> float:
    return time.perf_counter() - began


class _Reader:
    """Reads posteriors of one radiograph."""

    def __init__(
        self,
        encoder: RayEncoder,
        embedded: Embedded,
        templates: Templates,
        settings: CorrespondSettings,
    ) -> None:
        self.encoder, self.embedded = encoder, embedded
        self.templates, self.settings = templates, settings
        h, w = embedded.embedding.shape[-2:]
        up = encoder.upsampling
        self.shape = (h * up, w * up)
        self.norm = embedding_norm(embedded.embedding, up)
        self.usable = usable_cells(embedded.usable[None], *self.shape)[0]
        self.carm = heatmap_carm(embedded, self.shape)

    def read(
        self,
        pixels: Float[Tensor, "t n 2"],
        inside: Bool[Tensor, "t n"],
        generator: torch.Generator,
    ) -> Posterior:
        settings, encoder = self.settings, self.encoder
        basis = _basis(
            self.templates, pixels, inside, generator, settings.per_point, settings.visible
        )
        cells = self.embedded.embedding.shape[-2] * self.embedded.embedding.shape[-1]
        chunk = similarity_chunk(cells, settings.per_point, encoder.upsampling)
        parts = []
        with torch.no_grad():
            for start in range(0, len(basis), chunk):
                maps = similarity(
                    self.embedded.embedding, basis[start : start + chunk],
                    upsampling=encoder.upsampling, norm=self.norm,
                )  # fmt: skip
                parts.append(
                    posterior(
                        maps, encoder.temperature.detach(), usable=self.usable,
                        outside_logit=encoder.outside_logit.detach(),
                    )
                )  # fmt: skip
        return _joined(parts)

    def score(self, read: Posterior) -> Float[Tensor, "n"]:
        if self.settings.rank_by == "similarity":
            return read.similarity
        spread = read.covariance_about_peak.diagonal(dim1=1, dim2=2).sum(1) + 1.0
        return read.in_image.clamp_min(1e-12).log() - 0.5 * spread.log()

    def found(
        self,
        points: Float[Tensor, "n 3"],
        kept: Tensor,
        read: Posterior,
        score: Float[Tensor, "k"],
    ) -> Found:
        order = score.argsort(descending=True)
        chosen, read, score = kept[order.cpu()], read[order], score[order]
        target = self.embedded.radiograph_carm
        covariance = read.covariance_about_peak.double().cpu()
        # Not finer than a pixel of the heatmap can tell.
        covariance = covariance + torch.eye(2, dtype=torch.float64) / 4
        return Found(
            points[chosen].double(),
            chosen,
            pixels_between(read.peak.double().cpu(), self.carm, target),
            covariance_between(covariance, self.carm, target),
            read,
            score,
        )


def heatmap_carm(embedded: Embedded, shape: tuple[int, int]) -> CArm:
    """The C-arm of a heatmap's pixels: the encoder's image, edge to edge."""
    return replace(embedded.carm, detector=embedded.carm.detector.resize(*shape))


def _basis(
    templates: Templates,
    pixels: Float[Tensor, "t n 2"],
    inside: Bool[Tensor, "t n"],
    generator: torch.Generator,
    per_point: int,
    visible: bool,
) -> Float[Tensor, "n d k"]:
    choice, seen = choose_templates(inside, per_point, generator, visible=visible)
    return subspace_basis(templates.features(pixels, choice, seen if visible else None))


def _merged(old: Posterior, new: Posterior, better: Bool[Tensor, "n"]) -> Posterior:
    def pick(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(better.reshape(-1, *[1] * (a.ndim - 1)), b, a)

    return Posterior(
        pick(old.peak, new.peak), pick(old.similarity, new.similarity), pick(old.mean, new.mean),
        pick(old.covariance, new.covariance), pick(old.entropy, new.entropy),
        pick(old.in_image, new.in_image),
    )  # fmt: skip


def _joined(parts: list[Posterior]) -> Posterior:
    return Posterior(
        torch.cat([p.peak for p in parts]), torch.cat([p.similarity for p in parts]),
        torch.cat([p.mean for p in parts]), torch.cat([p.covariance for p in parts]),
        torch.cat([p.entropy for p in parts]), torch.cat([p.in_image for p in parts]),
    )  # fmt: skip
