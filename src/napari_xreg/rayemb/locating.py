"""From points found on a radiograph to a starting pose, and how far to trust it."""

from collections.abc import Generator
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph
from napari_xreg.progress import Control
from napari_xreg.rayemb.corresponding import CorrespondSettings, SearchRound, correspond
from napari_xreg.rayemb.depth import at_likely_depth
from napari_xreg.rayemb.found import FoundPoints
from napari_xreg.rayemb.prepared import PreparedNetwork
from napari_xreg.rayemb.trust import PoseVerdict, pose_evidence, pose_verdict
from napari_xreg.registration import PnPSettings, PnPSolution, solve_pnp


@dataclass(frozen=True, eq=False)
class Located:
    """A starting pose from correspondences; false where there is none.

    Parameters
    ----------
    prepared
        CT and radiograph, to go on with.
    found
        The correspondences.
    solution
        The pose that follows, with its covariance and its outliers.
    world_from_camera
        That pose at the depth where the CT looks most like the radiograph: where to start from.
    verdict
        Whether it is enough to go on from there, and what was measured of the solution.
    """

    prepared: PreparedNetwork
    found: FoundPoints
    solution: PnPSolution
    world_from_camera: Pose | None
    verdict: PoseVerdict

    def __bool__(self) -> bool:
        return self.world_from_camera is not None


def pose_of(
    found: FoundPoints, radiograph: Radiograph, *, settings: PnPSettings | None = None
) -> PnPSolution:
    """MAGSAC and the fit weighted by the posteriors' covariances."""
    return solve_pnp(found.correspondences(), radiograph.carm, settings=settings)


def located_by(prepared: PreparedNetwork, found: FoundPoints) -> Located:
    """The starting pose that found points give; its depth is judged by the image."""
    radiograph, volume = prepared.radiograph, prepared.volume
    solution = pose_of(found, radiograph)
    evidence = pose_evidence(found, solution, radiograph, prepared.polarity, volume)
    start = solution.world_from_camera
    if start is not None:
        start = at_likely_depth(found, radiograph, volume, start)
    return Located(prepared, found, solution, start, pose_verdict(evidence, solution))


def locate(
    prepared: PreparedNetwork,
    points: Float[Tensor, "n 3"],
    *,
    settings: CorrespondSettings | None = None,
    control: Control | None = None,
) -> Generator[SearchRound, None, Located]:
    """Find where a radiograph was taken, from no start at all: `correspond`, then `located_by`.

    Parameters
    ----------
    prepared
        See `prepare_network`.
    points
        3D points to look for, world mm: see `sample_points`.
    settings
        Of the search.
    control
        Cancel, pause. Cancelled, it solves from what was found so far.

    Yields
    ------
    SearchRound
        After each round, with the best so far.
    """
    found = yield from correspond(
        prepared.encoder, prepared.embedded, prepared.templates, points,
        settings=settings, control=control,
    )  # fmt: skip
    return located_by(prepared, found)
