"""The heatmap of a point: where on a radiograph it may be, and which templates say so."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from napari_xreg.geometry import CArm
from napari_xreg.rayemb.found import FoundPoints, found_points
from napari_xreg.rayemb.heatmap import probabilities
from napari_xreg.rayemb.network.encoder import Embedded, RayEncoder
from napari_xreg.rayemb.reading import HeatmapReader
from napari_xreg.rayemb.templates import Templates

PER_POINT = 4
"""Reference views that span a point's subspace: as many as in training."""


@dataclass(frozen=True, eq=False)
class PointHeatmaps:
    """Where points may be on a radiograph; row by row as they were asked for.

    Parameters
    ----------
    similarity, probability
        Of every pixel of the heatmap, which covers the radiograph edge to edge. Probabilities of
        pixels that may be an answer sum to 1.
    grid
        C-arm of the heatmap's pixels.
    found
        Peaks in the radiograph's pixels.
    templates
        Numbers of those that span each subspace.
    seen
        Whether the point lies in the image of each of them.
    template_pixels
        Where it lies there, row and column.
    """

    similarity: Float[Tensor, "n rows columns"]
    probability: Float[Tensor, "n rows columns"]
    grid: CArm
    found: FoundPoints
    templates: Int[Tensor, "n k"]
    seen: Bool[Tensor, "n k"]
    template_pixels: Float[Tensor, "n k 2"]


def point_heatmaps(
    encoder: RayEncoder,
    embedded: Embedded,
    templates: Templates,
    points: Float[Tensor, "n 3"],
    *,
    seed: int = 0,
    per_point: int = PER_POINT,
    visible: bool = True,
) -> PointHeatmaps:
    """Similarity of every heatmap pixel to a few points, and what follows from it.

    A point's heatmap does not depend on the other points: each begins the same draw of templates.

    Parameters
    ----------
    seed
        Of that draw.
    per_point
        Templates for each, or all of them where there are fewer.
    visible
        See `HeatmapReader`.
    """
    reader, pixels, choice, seen = _drawn(
        encoder, embedded, templates, points, seed, per_point, visible
    )
    maps = torch.cat(list(reader.heatmaps(pixels, choice, seen)))
    everyone = torch.arange(len(points))
    return PointHeatmaps(
        maps,
        probabilities(maps, encoder.temperature.detach(), usable=reader.usable),
        reader.grid,
        found_points(
            embedded, reader.grid, points, everyone, reader.read(maps), rank_by="similarity"
        ),
        choice,
        seen,
        pixels[choice, everyone[:, None]],
    )


def find_each(
    encoder: RayEncoder,
    embedded: Embedded,
    templates: Templates,
    points: Float[Tensor, "n 3"],
    *,
    seed: int = 0,
    per_point: int = PER_POINT,
) -> FoundPoints:
    """`PointHeatmaps.found` of any number of points, whose heatmaps are not kept."""
    reader, pixels, choice, seen = _drawn(
        encoder, embedded, templates, points, seed, per_point, True
    )
    read = reader.read_all(pixels, choice, seen)
    everyone = torch.arange(len(points))
    return found_points(embedded, reader.grid, points, everyone, read, rank_by="similarity")


def _drawn(
    encoder: RayEncoder,
    embedded: Embedded,
    templates: Templates,
    points: Float[Tensor, "n 3"],
    seed: int,
    per_point: int,
    visible: bool,
) -> tuple[HeatmapReader, Tensor, Tensor, Tensor]:
    count = min(per_point, len(templates))
    reader = HeatmapReader(encoder, embedded, templates, per_point=count, visible=visible)
    pixels, inside = templates.project(points)
    choice, seen = reader.drawn(inside, torch.Generator().manual_seed(seed), alike=True)
    return reader, pixels, choice, seen
