"""Look for points of the CT on a radiograph: a heatmap, a list of points, many that give a pose."""

from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import LabelMap
from napari_xreg.progress import Control
from napari_xreg.rayemb import (
    BONE_HU,
    PER_POINT,
    POINTS,
    CorrespondSettings,
    FoundPoints,
    Located,
    PointHeatmaps,
    PreparedNetwork,
    SearchRound,
    correspond,
    find_each,
    located_by,
    point_heatmaps,
    sample_points,
)

Position = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class HeatmapRequest:
    """Points whose heatmaps are wanted.

    Parameters
    ----------
    prepared
        CT and radiograph.
    points
        World (LPS), mm.
    per_point
        Templates that span a point's subspace.
    seed
        Of the draw of templates: the same wherever a point is dragged.
    """

    prepared: PreparedNetwork
    points: tuple[Position, ...]
    per_point: int = PER_POINT
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Heatmaps:
    """Where points may be on the radiograph, row by row as they were asked for."""

    request: HeatmapRequest
    maps: PointHeatmaps

    def similarity(self, row: int = 0) -> npt.NDArray[np.float32]:
        """Of every pixel of a heatmap, rows and columns as of the radiograph."""
        return self._as_stored(self.maps.similarity[row])

    def probability(self, row: int = 0) -> npt.NDArray[np.float32]:
        """The same; pixels that may be an answer sum to 1."""
        return self._as_stored(self.maps.probability[row])

    def _as_stored(self, picture: Float[Tensor, "rows columns"]) -> npt.NDArray[np.float32]:
        # Encoders see every radiograph as a reader who faces the patient does.
        plain = picture.detach().cpu().float().numpy()
        if self.maps.grid.detector.mirrored != self.request.prepared.carm.detector.mirrored:
            plain = plain[:, ::-1]
        return np.ascontiguousarray(plain)


def heatmaps(request: HeatmapRequest) -> Heatmaps:
    """Milliseconds each; a point's heatmap does not depend on the others."""
    ready, points = request.prepared, torch.tensor(request.points, dtype=torch.float64)
    maps = point_heatmaps(
        ready.encoder, ready.embedded, ready.templates, points,
        seed=request.seed, per_point=request.per_point,
    )  # fmt: skip
    return Heatmaps(request, maps)


@dataclass(frozen=True, eq=False)
class ScorePointsRequest:
    """Points of a list, which are looked for as `heatmaps` does; the heatmaps are not kept."""

    prepared: PreparedNetwork
    points: Float[Tensor, "n 3"]
    per_point: int = PER_POINT
    seed: int = 0


@dataclass(frozen=True, eq=False)
class ScoredPoints:
    """Where they were found, row by row."""

    request: ScorePointsRequest
    found: FoundPoints


def score_points(request: ScorePointsRequest) -> ScoredPoints:
    """The numbers of each point's heatmap."""
    ready = request.prepared
    found = find_each(
        ready.encoder, ready.embedded, ready.templates, request.points,
        seed=request.seed, per_point=request.per_point,
    )  # fmt: skip
    return ScoredPoints(request, found)


@dataclass(frozen=True, eq=False)
class FindPointsRequest:
    """Correspondences for a pose.

    Parameters
    ----------
    prepared
        CT and radiograph.
    labels, structures
        Where to sample points: these structures; no ids: all of them.
    above_hu
        Without labels: in what is denser than this.
    count
        How many to sample.
    settings
        Of the search; its seed is that of the sample, too.
    """

    prepared: PreparedNetwork
    labels: LabelMap | None = None
    structures: tuple[int, ...] = ()
    above_hu: float = BONE_HU
    count: int = POINTS
    settings: CorrespondSettings = field(default_factory=CorrespondSettings)

    def sampled(self) -> Float[Tensor, "n 3"]:
        """See `rayemb.sample_points`."""
        return sample_points(
            self.prepared.volume, labels=self.labels, label_ids=self.structures or None,
            above_hu=self.above_hu, count=self.count, seed=self.settings.seed,
        )  # fmt: skip


def find_points(
    request: FindPointsRequest, *, control: Control | None = None
) -> Generator[SearchRound, None, FoundPoints]:
    """Look for many points, best first.

    Yields
    ------
    SearchRound
        The best so far, after each round of drawing templates.

    Returns
    -------
    FoundPoints
        Those found so far, if cancelled.

    Raises
    ------
    ValueError
        If there is nothing to sample points in.
    """
    ready = request.prepared
    return (
        yield from correspond(
            ready.encoder, ready.embedded, ready.templates, request.sampled(),
            settings=request.settings, control=control,
        )
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class LocateRequest:
    """The pose that found points give."""

    prepared: PreparedNetwork
    found: FoundPoints


def locate(request: LocateRequest) -> Located:
    """The pose at the depth where the CT looks most like the radiograph, and how far to trust it."""
    return located_by(request.prepared, request.found)
