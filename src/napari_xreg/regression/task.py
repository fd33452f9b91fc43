"""What a pose network learns: the pose of a rendering that was made to look acquired."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.metrics import double_geodesic, multiscale_ncc, soft_dice
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
    overlap
        Weight of ``1 -`` the soft Dice overlap of the bone in those two renderings (`metrics.soft_dice`).
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
    overlap: float = 0.0
    appearance: Appearance = field(default_factory=Appearance)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch < 1 or not all(0 <= w < torch.inf for w in (self.similarity, self.overlap)):
            raise ValueError(
                "a batch holds at least one image and no weight is negative: got "
                f"batch={self.batch}, similarity={self.similarity}, overlap={self.overlap}"
            )

    @property
    def renders(self) -> bool:
        """Whether what is seen from the predicted poses counts."""
        return self.similarity > 0 or self.overlap > 0


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
        chosen = self.pool.draw(s.batch, generator, one_patient=s.renders)
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
        if s.renders:
            seen = self._seen(chosen[0][0], predicted)
            meant = kinds.to(seen)
            if s.similarity > 0:
                likeness = multiscale_ncc(meant.sum(1), seen.sum(1)).mean()
                parts["similarity"] = s.similarity * (1 - likeness.to(device))
            if s.overlap > 0:
                bone = soft_dice(meant[:, 0], seen[:, 0]).mean()
                parts["overlap"] = s.overlap * (1 - bone.to(device))
        return {"loss": sum_of(parts), **parts, "median_error_mm": away.detach().median()}

    def _seen(self, views: PoseViews, predicted: Pose) -> Tensor:
        """Bone and soft tissue from the predicted poses."""
        placed = Pose(
            predicted.rotation.cpu(), predicted.translation.cpu() + views.patient.isocenter.double()
        )
        return views.patient.render(self.pool.carm, placed)


def sum_of(parts: Mapping[str, Tensor]) -> Tensor:
    """Of all parts of a loss."""
    return torch.stack([value.float() for value in parts.values()]).sum()


def _about_isocenters(chosen: list[tuple[PoseViews, int]]) -> Pose:
    rotation = torch.stack([views.poses.rotation[at] for views, at in chosen])
    translation = torch.stack([v.poses.translation[at] - v.patient.isocenter for v, at in chosen])
    return Pose(rotation.double(), translation.double())
