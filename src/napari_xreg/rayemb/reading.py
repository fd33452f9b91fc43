"""Heatmaps of many points on one radiograph, and what is read off them."""

from collections.abc import Iterator
from dataclasses import fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from napari_xreg.rayemb.contrast import usable_cells
from napari_xreg.rayemb.found import heatmap_grid
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

Heatmaps = Float[Tensor, "n rows columns"]


class HeatmapReader:
    """Makes heatmaps of points on one radiograph, few at a time, and reads them.

    Parameters
    ----------
    encoder
        That embedded both the radiograph and the templates.
    per_point
        Templates that span a point's subspace.
    visible
        Draw for each point among the templates that see it; else one draw for all, as RayEmb.
    """

    def __init__(
        self,
        encoder: RayEncoder,
        embedded: Embedded,
        templates: Templates,
        *,
        per_point: int,
        visible: bool = True,
    ) -> None:
        self.encoder, self.embedded, self.templates = encoder, embedded, templates
        self.per_point, self.visible = per_point, visible
        h, w = embedded.embedding.shape[-2:]
        up = encoder.upsampling
        self.shape = (h * up, w * up)
        self.usable = usable_cells(embedded.usable[None], *self.shape)[0]
        self.grid = heatmap_grid(embedded, self.shape)
        self._norm = embedding_norm(embedded.embedding, up)

    def drawn(
        self, inside: Bool[Tensor, "t n"], generator: torch.Generator, *, alike: bool = False
    ) -> tuple[Int[Tensor, "n k"], Bool[Tensor, "n k"]]:
        """See `choose_templates`."""
        return choose_templates(
            inside, self.per_point, generator, visible=self.visible, alike=alike
        )

    def heatmaps(
        self, pixels: Float[Tensor, "t n 2"], choice: Int[Tensor, "n k"], seen: Bool[Tensor, "n k"]
    ) -> Iterator[Heatmaps]:
        """Similarity of every pixel to every point, as many points at once as memory allows.

        Parameters
        ----------
        pixels
            `Templates.project` of the points.
        choice, seen
            Templates of each, see `drawn`.
        """
        with torch.no_grad():
            features = self.templates.features(pixels, choice, seen if self.visible else None)
            basis = subspace_basis(features)
            h, w = self.embedded.embedding.shape[-2:]
            up = self.encoder.upsampling
            for few in basis.split(similarity_chunk(h * w, self.per_point, up)):
                yield similarity(self.embedded.embedding, few, upsampling=up, norm=self._norm)

    def read(self, heatmaps: Heatmaps) -> Posterior:
        """Peak, spread and the rest."""
        return posterior(
            heatmaps, self.encoder.temperature.detach(), usable=self.usable,
            outside_logit=self.encoder.outside_logit.detach(),
        )  # fmt: skip

    def read_all(
        self, pixels: Float[Tensor, "t n 2"], choice: Int[Tensor, "n k"], seen: Bool[Tensor, "n k"]
    ) -> Posterior:
        """Of all points, without keeping their heatmaps."""
        return joined([self.read(maps) for maps in self.heatmaps(pixels, choice, seen)])


def joined(parts: list[Posterior]) -> Posterior:
    """The rows of all."""
    return Posterior(
        **{f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Posterior)}
    )


def better_of(old: Posterior, new: Posterior, better: Bool[Tensor, "n"]) -> Posterior:
    """Row by row the new one where it is better."""

    def pick(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(better.reshape(-1, *[1] * (a.ndim - 1)), b, a)

    return Posterior(
        **{f.name: pick(getattr(old, f.name), getattr(new, f.name)) for f in fields(Posterior)}
    )
