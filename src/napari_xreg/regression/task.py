"""What a pose network learns: the pose of a rendering that was made to look acquired."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.metrics import double_geodesic, multiscale_ncc
from napari_xreg.regression.frame import Place
from napari_xreg.regression.network.pose_network import PoseNetwork
from napari_xreg.regression.view_pool import PoseViewPool, PoseViews, PoseViewSettings
from napari_xreg.training import Appearance, PoolTask, Population

GEODESIC_WEIGHT = 1e-2
"""Of a millimetre beside a similarity between 0 and 1 (xvr, DiffPose)."""

_ORIGIN = Place(torch.zeros(3, dtype=torch.float64))


@dataclass(frozen=True)
class PoseSettings:
    """A batch and its loss.

    Parameters
    ----------
    views
        See `PoseViewSettings`.
    batch
        Images.
    similarity
        Weight of ``1 - mNCC`` between the rendering at the predicted pose and the one it was to
        find. 0: the geodesic alone, and one rendering a step.
    appearance
        Of the images.
    seed
        Of the patients.
    """

    views: PoseViewSettings = field(default_factory=PoseViewSettings)
    batch: int = 16
    similarity: float = 0.0
    appearance: Appearance = field(default_factory=Appearance)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch < 1 or not 0 <= self.similarity < torch.inf:
            raise ValueError(
                "a batch holds at least one image and the similarity's weight is not negative: got "
                f"batch={self.batch}, similarity={self.similarity}"
            )


class PoseTask(PoolTask[PoseNetwork, PoseViewPool, PoseSettings]):
    """A `training.Task`."""

    usual = PoseSettings

    def pool_of(self, population: Population) -> PoseViewPool:
        """See `PoolTask`; a network that speaks as DiffPose does is refused: such a one is used as it is."""
        s, network = self.settings, self.network
        if network.frame.meant != "xvr":
            raise ValueError(
                "a network of DiffPose is used as it is: finetune one of xvr, or train from scratch"
            )
        return PoseViewPool(population, network.framing, network.frame.center, s.views, s.seed)

    def losses(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        """``loss``, its parts, and the median double geodesic of the batch, mm."""
        s, device = self.settings, self.network.device
        chosen = self.pool.draw(s.batch, generator, one_patient=s.similarity > 0)
        kinds = torch.stack([views.kinds[at] for views, at in chosen])
        images, masks = s.appearance.draw(kinds.to(device), generator)
        said = self.network(self.network.inputs(images, masks, self.pool.carm))
        # The network speaks about a centre; both poses are compared about the isocenter.
        about_center = self.network.poses(said, _ORIGIN)
        aside = torch.stack([v.center - v.patient.isocenter.double() for v, _ in chosen])
        predicted = Pose(about_center.rotation, about_center.translation + aside.to(device))
        away = double_geodesic(
            predicted,
            _about_isocenters(chosen).to(device=device),
            self.network.framing.source_to_detector,
            origin=_ORIGIN.center.to(device),
        )
        parts = {"geodesic": GEODESIC_WEIGHT * away.mean()}
        if s.similarity > 0:
            parts["similarity"] = s.similarity * self._unlike(chosen[0][0], predicted, kinds)
        return {"loss": sum_of(parts), **parts, "median_error_mm": away.detach().median()}

    def _unlike(self, views: PoseViews, predicted: Pose, kinds: Tensor) -> Tensor:
        """1 - mNCC of what is seen from the predicted poses."""
        placed = Pose(
            predicted.rotation.cpu(), predicted.translation.cpu() + views.patient.isocenter.double()
        )
        seen = views.patient.render(self.pool.carm, placed).sum(1)
        likeness = multiscale_ncc(kinds.sum(1).to(seen), seen)
        return 1 - likeness.mean().to(self.network.device)


def sum_of(parts: Mapping[str, Tensor]) -> Tensor:
    """Of all parts of a loss."""
    return torch.stack([value.float() for value in parts.values()]).sum()


def _about_isocenters(chosen: list[tuple[PoseViews, int]]) -> Pose:
    rotation = torch.stack([views.poses.rotation[at] for views, at in chosen])
    translation = torch.stack([v.poses.translation[at] - v.patient.isocenter for v, at in chosen])
    return Pose(rotation.double(), translation.double())
