"""What RayEmb learns: points of a patient, found on one view with the help of others."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.rayemb.contrast import info_nce, usable_cells
from napari_xreg.rayemb.network.encoder import RayEncoder
from napari_xreg.rayemb.subspace import subspace_basis
from napari_xreg.rayemb.view_pool import ViewPool, Views, ViewSettings, projected
from napari_xreg.training import (
    CLEAN,
    Appearance,
    PoolTask,
    Population,
    cells_from_pixels,
    sample_cells,
    usable_at,
)


@dataclass(frozen=True)
class RayEmbSettings:
    """A batch, and what its images look like.

    Parameters
    ----------
    views
        See `ViewSettings`.
    queries, templates
        Of one patient in a batch; every template serves all queries.
    per_point
        Templates that span a point's subspace.
    points
        Per query.
    appearance, template_appearance
        Of the queries and of the templates.
    upsampling
        Pixels per cell, each way, that the loss is taken over. None: as in heatmaps. One is four
        times cheaper, and the true position is shared by bilinear weights either way.
    half_precision
        Convolutions in bfloat16 where that is faster; everything after them stays float32.
    seed
        Of the patients.
    """

    views: ViewSettings = field(default_factory=ViewSettings)
    queries: int = 6
    templates: int = 6
    per_point: int = 4
    points: int = 64
    appearance: Appearance = field(default_factory=Appearance)
    template_appearance: Appearance = CLEAN
    upsampling: int | None = 1
    half_precision: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.per_point <= self.templates <= self.views.templates:
            raise ValueError(
                "a batch needs at least per_point templates, and no more than are rendered: got "
                f"per_point={self.per_point}, templates={self.templates}, "
                f"views.templates={self.views.templates}"
            )
        if not 1 <= self.queries <= self.views.queries:
            raise ValueError(
                f"queries must lie between 1 and those rendered: got {self.queries} of "
                f"{self.views.queries}"
            )


class RayEmbTask(PoolTask[RayEncoder, ViewPool, RayEmbSettings]):
    """A `training.Task`."""

    usual = RayEmbSettings

    def pool_of(self, population: Population) -> ViewPool:
        """See `PoolTask`."""
        s = self.settings
        return ViewPool(population, self.network.framing, s.views, s.seed)

    def losses(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        """InfoNCE of a batch of one patient."""
        views = self.pool.draw(generator)
        return self.losses_of(views, generator)

    def losses_of(self, views: Views, generator: torch.Generator) -> Mapping[str, Tensor]:
        """InfoNCE of a batch drawn from rendered views, and the median error, mm at the isocenter."""
        s, encoder, device = self.settings, self.network, self.network.device
        at_query = torch.randperm(len(views.queries), generator=generator)[: s.queries]
        at_template = torch.randperm(len(views.templates), generator=generator)[: s.templates]
        images, masks = s.appearance.draw(views.queries[at_query].to(device), generator)
        template_images, template_masks = s.template_appearance.draw(
            views.templates[at_template].to(device), generator
        )
        pixels, seen, template_pixels, template_seen = self._points(
            views, views.query_poses[at_query], views.template_poses[at_template], generator
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=s.half_precision):
            query = encoder(encoder.inputs(images, masks, self.pool.carm))
            template = encoder(
                encoder.inputs(template_images, template_masks, self.pool.template_carm)
            )
        query, template = query.float(), template.float()
        h, w = template.shape[-2:]
        cells = cells_from_pixels(
            template_pixels, self.pool.template_carm.detector.shape, (h, w), encoder.align
        )
        features = sample_cells(template, cells.float().to(device))
        basis, counted = self._subspaces(features, template_seen, len(query), generator)
        upsampling = s.upsampling or encoder.upsampling
        rows, columns = (side * upsampling for side in query.shape[-2:])
        usable = usable_cells(masks, rows, columns)
        shape = self.pool.carm.detector.shape
        positions = cells_from_pixels(pixels, shape, (rows, columns)).float().to(device)
        inside = seen.to(device) & usable_at(usable, positions)
        learned = not bool(torch.isnan(encoder.outside_logit).any())
        loss, similarities = info_nce(
            query, basis, positions, inside, counted.to(device), usable,
            upsampling=upsampling, temperature=encoder.temperature,
            outside_logit=encoder.outside_logit if learned else None,
        )  # fmt: skip
        error = _median_error(similarities, positions, inside, usable)
        cell_mm = encoder.framing.pixel_mm * shape[0] / rows
        return {"loss": loss, "median_error_mm": error * cell_mm}

    def _points(
        self, views: Views, query_poses: Pose, template_poses: Pose, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Where queries and templates see some points, of those that enough templates see."""
        count = self.settings.points
        drawn = views.points[torch.randperm(len(views.points), generator=generator)[: 6 * count]]
        _, seen = projected(self.pool.template_carm, template_poses, drawn)
        enough = (seen.sum(0) >= self.settings.per_point).float()
        drawn = drawn[enough.argsort(descending=True, stable=True)[:count]]
        template_pixels, template_seen = projected(self.pool.template_carm, template_poses, drawn)
        pixels, inside = projected(self.pool.carm, query_poses, drawn)
        return pixels, inside, template_pixels, template_seen

    def _subspaces(
        self,
        features: Float[Tensor, "t n d"],
        seen: Bool[Tensor, "t n"],
        queries: int,
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "q n d k"], Bool[Tensor, "q n"]]:
        """For each query another draw of templates."""
        t, n, _ = features.shape
        k = self.settings.per_point
        keys = torch.rand(queries, n, t, generator=generator) + seen.T.float()
        choice = keys.topk(k, dim=2).indices
        counted = seen.T.expand(queries, n, t).gather(2, choice).all(2)
        point = torch.arange(n)[None, :, None]
        chosen = features[choice.to(features.device), point.to(features.device)]
        # A point that is not counted must not meet the slow path of a deficient rank.
        return subspace_basis(chosen.transpose(2, 3)), counted


def _median_error(
    similarities: Float[Tensor, "b n rows columns"],
    positions: Float[Tensor, "b n 2"],
    inside: Bool[Tensor, "b n"],
    usable: Bool[Tensor, "b rows columns"],
) -> Float[Tensor, ""]:
    columns = similarities.shape[-1]
    at = similarities.masked_fill(~usable[:, None], -1).flatten(2).argmax(2)
    peaks = torch.stack([at // columns, at % columns], -1).to(positions)
    errors = (peaks - positions).square().sum(-1).sqrt()[inside]
    return errors.median() if len(errors) else positions.new_tensor(float("nan"))
