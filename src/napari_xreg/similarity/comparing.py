"""A radiograph compared with renderings of a CT by a learned similarity."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.registration import LearnedLoss, LossOfPoses, View
from napari_xreg.rendering import Prepared, at_voxel_size, march_view, prepare
from napari_xreg.similarity.network.encoder import SimilarityNetwork
from napari_xreg.similarity.pose_distance import unit_step
from napari_xreg.similarity.spaces import residual

VOXEL_MM = 4.0
"""Of the CT that is rendered, as in training."""
STEP = 0.03
"""Radians (1.7 degrees, 15 mm) to either side over which derivatives are taken."""


class Comparison:
    """What a network thinks of poses of a CT, for one radiograph.

    Parameters
    ----------
    network
        In evaluation mode, on any device.
    volume
        The CT: on the CPU, of any resolution.
    radiograph
        Of any C-arm: it is resampled to the network's camera.
    isocenter
        Pivot of twists, world mm.
    threads
        Of the renderer; None: all processors.

    Raises
    ------
    ValueError
        If the network sees nothing of the radiograph.

    Attributes
    ----------
    seen_share
        Of the network's picture that the radiograph covers.
    """

    @torch.no_grad()
    def __init__(
        self,
        network: SimilarityNetwork,
        volume: Volume | Prepared,
        radiograph: Radiograph,
        isocenter: Float[Tensor, "3"],
        threads: int | None = None,
    ) -> None:
        seen = network.framing.resample(radiograph)
        if not bool(seen.usable.any()):
            raise ValueError("the radiograph does not show what the network looks at")
        self.network, self.carm, self.threads = network, seen.carm, threads
        self.isocenter = isocenter.double().cpu()
        self._prepared = volume if isinstance(volume, Prepared) else prepared_for(volume)
        usable = seen.usable.cpu()
        self.seen_share = float(usable.double().mean())
        self.fixed = self._points(seen.line_integrals.detach().cpu().float()[None], usable[None])[0]

    @torch.no_grad()
    def distance(self, world_from_camera: Pose) -> float:
        """How far off a pose looks, radians of the pose's geodesic."""
        return float(self.residual(world_from_camera).square().sum().sqrt())

    @torch.no_grad()
    def residual(self, world_from_camera: Pose) -> Float[Tensor, "n"]:
        """A vector as long as `distance`."""
        return self._residuals(self._rendered(world_from_camera)[None])[0]

    @torch.no_grad()
    def linearised(
        self, world_from_camera: Pose
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 6"]]:
        """`residual`, and its derivative by a left twist about the isocenter in units of `unit_step`.

        By differences of renderings a `STEP` to either side: nearer by, embeddings flicker.
        """
        twists = STEP * torch.eye(6, dtype=torch.float64)
        twists = torch.cat([torch.zeros(1, 6, dtype=torch.float64), twists, -twists])
        poses = world_from_camera.left_perturb(twists * unit_step(twists), self.isocenter)
        images = torch.stack([self._rendered(poses[i]) for i in range(len(twists))])
        found = self._residuals(images)
        return found[0], (found[1:7] - found[7:]).T / (2 * STEP)

    def _residuals(self, images: Float[Tensor, "b rows columns"]) -> Float[Tensor, "b n"]:
        points = self._points(images, torch.ones_like(images, dtype=torch.bool))
        return self.network.scale.cpu() * residual(self.fixed, points, self.network.space)

    def _points(
        self, images: Float[Tensor, "b rows columns"], usable: Bool[Tensor, "b rows columns"]
    ) -> Float[Tensor, "b n"]:
        inputs = self.network.inputs(images, usable, self.carm)
        points: Tensor = self.network(inputs.to(self.network.device)).cpu()
        return points

    def _rendered(self, pose: Pose) -> Float[Tensor, "rows columns"]:
        image, _ = march_view(self._prepared, self.carm, pose, jacobian=False, threads=self.threads)
        return torch.from_numpy(image)


def prepared_for(volume: Volume) -> Prepared:
    """A CT as a `Comparison` renders it."""
    return prepare(at_voxel_size(volume, VOXEL_MM))


def learned_loss(network: SimilarityNetwork, whole: Volume | None = None) -> LearnedLoss:
    """What `registration.loss_landscape` draws of a network: `Comparison.distance`, mean over the radiographs.

    Parameters
    ----------
    whole
        The CT that it is asked about, where the landscape is of bones alone: no network learned those. None: that
        of the landscape.
    """

    def about(
        volume: Volume, views: Sequence[View], pivot: Float[Tensor, "3"], threads: int | None
    ) -> LossOfPoses:
        prepared = prepared_for(volume if whole is None else whole)
        seen = [Comparison(network, prepared, view.radiograph, pivot, threads) for view in views]

        def loss(poses: tuple[Pose, ...]) -> tuple[float, dict[str, float]]:
            found = [each.distance(pose) for each, pose in zip(seen, poses, strict=True)]
            return sum(found) / len(found), {f"distance[{i + 1}]": d for i, d in enumerate(found)}

        return loss

    return about
