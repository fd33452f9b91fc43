"""What a learned similarity learns: distances of poses from images, and which way they grow."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import LENGTH_MM, Pose, motion_about
from napari_xreg.similarity.network.encoder import SimilarityNetwork
from napari_xreg.similarity.pose_distance import Metric, pair_distances, unit_step
from napari_xreg.similarity.spaces import squared_distance
from napari_xreg.similarity.view_pool import PairPool, Pairs, PairSettings
from napari_xreg.training import Appearance, PoolTask, Population

NEAR = 0.05
"""Radians added to a distance before errors are divided by it: nearer ones are not told apart."""
MOST = 25.0
"""No pair counts more in a loss."""
STEP = 0.01
"""Radians to either side over which the network's derivative is taken."""


@dataclass(frozen=True)
class SimilaritySettings:
    """A batch and its loss.

    Parameters
    ----------
    pairs
        See `PairSettings`.
    batch
        Images of either kind; every one is compared with every other.
    slopes
        Weight of the derivatives beside the distances themselves.
    anchor
        Weight of a linear reading of the pose itself from an embedding, square radians: without it the
        first minutes bring next to nothing.
    metric
        Of poses.
    appearance
        Of the images that are to look acquired.
    seed
        Of the patients.
    """

    pairs: PairSettings = field(default_factory=PairSettings)
    batch: int = 16
    slopes: float = 0.0
    anchor: float = 4.0
    metric: Metric = "double_quaternion"
    appearance: Appearance = field(default_factory=Appearance)
    seed: int = 0

    def __post_init__(self) -> None:
        weights = (self.slopes, self.anchor)
        if self.batch < 2 or not all(0 <= weight < torch.inf for weight in weights):
            raise ValueError(
                "a batch holds at least two images and no weight is negative: got "
                f"batch={self.batch}, slopes={self.slopes}, anchor={self.anchor}"
            )


class SimilarityTask(PoolTask[SimilarityNetwork, PairPool, SimilaritySettings]):
    """A `training.Task`.

    A radiograph made to look acquired is compared with every rendering of the batch, and with the other
    radiographs. Published trainings match the six derivatives of one pair at a time, which takes a
    derivative of a derivative through network and renderer. Where `SimilaritySettings.slopes` count, the
    renderer gives an image and its six derivatives in one march, and the network sees every rendering a
    little before and a little behind along one random direction of them (`around`): its derivative for
    all pairs. What came of that: decision 40.
    """

    usual = SimilaritySettings

    def pool_of(self, population: Population) -> PairPool:
        """See `PoolTask`."""
        return PairPool(population, self.network.framing, self.settings.pairs, self.settings.seed)

    def losses(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        """``loss``, its parts, and the median error of the distances, mm at `geometry.LENGTH_MM` a radian."""
        s, network = self.settings, self.network
        pairs = self.pool.draw(s.batch, generator)
        images, masks = s.appearance.draw(pairs.kinds.to(network.device), generator)
        fixed = network(network.inputs(images, masks, self.pool.carm))
        directions = torch.randn(s.batch, 6, generator=generator)
        directions = directions / directions.square().sum(1, keepdim=True).sqrt()
        if s.slopes > 0:
            behind, before = self._around(pairs, directions)
        else:
            behind = before = network.of_rendering(pairs.images.to(network.device), self.pool.carm)
        isocenter = pairs.patient.isocenter.double()
        true, slope = pair_distances(pairs.fixed, pairs.moving, isocenter, s.metric)
        among, _ = pair_distances(pairs.fixed, pairs.fixed, isocenter, s.metric)
        true, among = true.to(fixed), among.to(fixed)
        ends = [self._squared(fixed[:, None], points[None]) for points in (behind, before)]
        said = self._length((ends[0] + ends[1]) / 2)
        other = ~torch.eye(s.batch, dtype=torch.bool, device=fixed.device)
        beside = relative_error(self._length(self._squared(fixed[:, None], fixed[None])), among)
        parts = {"distances": relative_error(said, true).mean() + 0.5 * beside[other].mean()}
        if s.slopes > 0:
            wanted = (slope.to(fixed) * directions.to(fixed)).sum(-1)
            growth = (ends[0] - ends[1]) / (2 * STEP)
            parts["slopes"] = s.slopes * slope_error(growth, wanted, true).mean()
        if s.anchor > 0:
            wrong = [
                self.network.readout(points) - self._twist(poses, isocenter).to(fixed)
                for points, poses in ((fixed, pairs.fixed), (behind, pairs.moving))
            ]
            parts["anchor"] = s.anchor * torch.cat(wrong).square().sum(1).mean()
        error = LENGTH_MM * (said.detach() - true).abs().median()
        return {"loss": sum(parts.values(), fixed.new_zeros(())), **parts, "median_error_mm": error}

    def _around(
        self, pairs: Pairs, directions: Float[Tensor, "b 6"]
    ) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n"]]:
        """Where renderings lie a `STEP` behind and before along a direction of `unit_step`."""
        along = torch.einsum("bk,bkrc->brc", directions * unit_step(directions), pairs.slopes)
        images = around(pairs.images, along[:, None]).transpose(0, 1).flatten(0, 1)
        points = self.network.of_rendering(images.to(self.network.device), self.pool.carm)
        behind, before = points.chunk(2)
        return behind, before

    def _twist(self, poses: Pose, isocenter: Float[Tensor, "3"]) -> Float[Tensor, "b 6"]:
        """From the middle of the range to a pose, about the isocenter, in units of `unit_step`."""
        middle = self.settings.pairs.poses.middle(self.settings.pairs.carm, isocenter)
        return motion_about(poses, middle[None], isocenter).log() / unit_step(isocenter)

    def _squared(self, a: Tensor, b: Tensor) -> Tensor:
        """Squared distances, radians of pose."""
        return self.network.scale**2 * squared_distance(a, b, self.network.space)

    @staticmethod
    def _length(squared: Tensor) -> Tensor:
        """The root, with a slope at 0."""
        return (squared + 1e-8).sqrt()


def around(
    image: Float[Tensor, "*b rows columns"], slopes: Float[Tensor, "*b k rows columns"]
) -> Float[Tensor, "*b two_k rows columns"]:
    """A rendering a `STEP` behind along each slope, then a `STEP` before: how a network is differentiated.

    Forward derivatives would take torch's compiler along, and twice as long.
    """
    steps = STEP * slopes
    return torch.cat([image[..., None, :, :] + steps, image[..., None, :, :] - steps], -3)


def slope_error(
    growth: Float[Tensor, "*b"], wanted: Float[Tensor, "*b"], true: Float[Tensor, "*b"]
) -> Float[Tensor, "*b"]:
    """How wrongly squared distances grow along a random direction: 1, in the mean, where they do not grow.

    Parameters
    ----------
    growth
        Of the squared distance that is said, by a step of length 1.
    wanted
        Of the true distance itself: at most 1.
    true
        The distance.
    """
    # A random direction has a sixth of a vector's squared length.
    wrong = (growth - 2 * true * wanted) / (2 * true + NEAR / 2)
    return 6 * wrong.square().clamp(max=MOST)


def relative_error(said: Float[Tensor, "*b"], true: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """Squared error over the distance; at most `MOST`."""
    return ((said - true) / (true + NEAR)).square().clamp(max=MOST)
