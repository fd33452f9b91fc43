"""From many points to correspondences: heatmaps, the best ones, and again with other templates."""

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.options import Option
from napari_xreg.progress import Control
from napari_xreg.rayemb.found import FoundPoints, RankBy, found_points, rank_score
from napari_xreg.rayemb.heatmap import Posterior
from napari_xreg.rayemb.heatmaps_of_points import PER_POINT
from napari_xreg.rayemb.network.encoder import Embedded, RayEncoder
from napari_xreg.rayemb.reading import HeatmapReader, better_of
from napari_xreg.rayemb.templates import Templates


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

    per_point: Annotated[
        int,
        Option(
            "Views each", "Reference views that span a point's subspace, as in training: 4.",
            low=2, high=16,
        ),
    ] = PER_POINT  # fmt: skip
    top: Annotated[
        int,
        Option("Points kept", "Best points that go on after the first round.", low=4, high=5000),
    ] = 600
    redraws: Annotated[
        int,
        Option(
            "Resampling rounds",
            "Further rounds with other reference views; a point keeps its best.",
            low=0, high=50,
        ),
    ] = 10  # fmt: skip
    rank_by: Annotated[
        RankBy,
        Option(
            "Rank by",
            "By what points are called better. Similarity: height of the peak, as the paper does: "
            "the better poses. Certainty: probability to be in the image over the spread, for "
            "networks that learned the former.",
        ),
    ] = "similarity"
    visible: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.per_point < 1 or self.top < 1 or self.redraws < 0:
            raise ValueError(f"per_point and top are at least 1, redraws at least 0: got {self!r}")
        if self.rank_by not in ("similarity", "certainty"):
            raise ValueError(f"rank_by is similarity or certainty: got {self.rank_by!r}")


@dataclass(frozen=True, eq=False)
class SearchRound:
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
    found: FoundPoints
    seconds: float


def correspond(
    encoder: RayEncoder,
    embedded: Embedded,
    templates: Templates,
    points: Float[Tensor, "n 3"],
    *,
    settings: CorrespondSettings | None = None,
    control: Control | None = None,
) -> Generator[SearchRound, None, FoundPoints]:
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
    SearchRound
        After each round, with the best so far.

    Returns
    -------
    FoundPoints
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
    generator = torch.Generator().manual_seed(settings.seed)
    began = time.perf_counter()
    reader = HeatmapReader(
        encoder, embedded, templates, per_point=settings.per_point, visible=settings.visible
    )
    pixels, inside = templates.project(points)

    def drawn_and_read() -> Posterior:
        return reader.read_all(pixels, *reader.drawn(inside, generator))

    def best_first() -> FoundPoints:
        order = rank_score(read, settings.rank_by).argsort(descending=True)
        chosen = kept[order.cpu()]
        return found_points(
            embedded, reader.grid, points[chosen], chosen, read[order], settings.rank_by
        )

    def done(number: int) -> SearchRound:
        seconds = time.perf_counter() - began
        return SearchRound(number, settings.redraws + 1, best_first(), seconds)

    read = drawn_and_read()
    order = rank_score(read, settings.rank_by).argsort(descending=True)[: settings.top]
    read, kept = read[order], order.cpu()
    yield done(0)
    pixels, inside = pixels[:, kept], inside[:, kept]
    for number in range(1, settings.redraws + 1):
        if not control.proceed():
            break
        again = drawn_and_read()
        better = rank_score(again, settings.rank_by) > rank_score(read, settings.rank_by)
        read = better_of(read, again, better)
        yield done(number)
    return best_first()
