"""One call from a CT and a radiograph to a starting pose, and how far to trust it."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import LabelMap, Radiograph, Volume
from napari_xreg.progress import Control
from napari_xreg.rayemb.corresponding import CorrespondSettings, Found, Round, correspond
from napari_xreg.rayemb.depth import at_likely_depth
from napari_xreg.rayemb.network.encoder import Embedded, RayEncoder, embed
from napari_xreg.rayemb.polarity import ENOUGH_DRRS, Polarity, coarse_drrs, polarity_of
from napari_xreg.rayemb.templates import TemplateMade, Templates, TemplateSettings, make_templates
from napari_xreg.rayemb.trust import Trust, Verdict, detector_pixel_mm, trust_of, verdict_of
from napari_xreg.registration import PnPSettings, PnPSolution, Spread, solve_pnp
from napari_xreg.training import bone_mask, points_in

THRESHOLD_MM = 12.0
"""Of MAGSAC, on the detector: an encoder with cells of 7 mm misses by about one."""

STARTS = 128
"""Of the multi-start refinement that follows."""

START_SPREAD = Spread(rotation_deg=6.0, in_plane_mm=15.0, depth_mm=30.0)
"""How far a pose from here may be off, for that refinement."""


@dataclass(frozen=True, eq=False)
class Located:
    """A starting pose from correspondences; false where there is none.

    Parameters
    ----------
    found
        The correspondences.
    solution
        The pose that follows, with its covariance and its outliers.
    world_from_camera
        That pose at the depth where the CT looks most like the radiograph: where to start from.
    trust, verdict
        What was measured of the solution, and whether it is enough to go on from there.
    polarity
        Whether the radiograph looks as if bone were bright in it, as it must be.
    templates, embedded
        To go on with: the next radiograph, a point that was clicked.
    """

    found: Found
    solution: PnPSolution
    world_from_camera: Pose | None
    trust: Trust
    verdict: Verdict
    polarity: Polarity
    templates: Templates
    embedded: Embedded

    def __bool__(self) -> bool:
        return self.world_from_camera is not None


def sample_points(
    volume: Volume,
    *,
    labels: LabelMap | None = None,
    label_ids: Iterable[int] | None = None,
    above_hu: float = 250.0,
    count: int = 3000,
    seed: int = 0,
) -> Float[Tensor, "n 3"]:
    """3D points to look for: voxel centres of labelled structures, or above a threshold.

    Parameters
    ----------
    labels, label_ids
        All labelled structures where no ids are given.
    above_hu
        Without labels.
    count
        At most.

    Raises
    ------
    ValueError
        If there is no such voxel, or the labels lie on another grid.
    """
    mask = bone_mask(volume, labels, label_ids, above_hu)
    points = points_in(volume, mask, count, torch.Generator().manual_seed(seed))
    if not len(points):
        raise ValueError(
            f"the CT holds no voxel above {above_hu} HU: choose a lower threshold, or give labels"
        )
    return points


def pose_of(
    found: Found, radiograph: Radiograph, *, settings: PnPSettings | None = None
) -> PnPSolution:
    """MAGSAC and the fit weighted by the posteriors' covariances."""
    if settings is None:
        settings = PnPSettings(threshold_px=THRESHOLD_MM / detector_pixel_mm(radiograph))
    return solve_pnp(found.correspondences(), radiograph.carm, settings=settings)


def start_of(
    found: Found, solution: PnPSolution, radiograph: Radiograph, volume: Volume
) -> Pose | None:
    """Where to start a refinement from: the solution's pose, its depth judged by the image."""
    pose = solution.world_from_camera
    if pose is None:
        return None
    return at_likely_depth(found, radiograph, volume, pose)


def locate(
    encoder: RayEncoder,
    volume: Volume,
    radiograph: Radiograph,
    points: Float[Tensor, "n 3"],
    *,
    isocenter: Float[Tensor, "3"] | None = None,
    templates: Templates | None = None,
    template_settings: TemplateSettings | None = None,
    settings: CorrespondSettings | None = None,
    control: Control | None = None,
) -> Generator[TemplateMade | Round, None, Located | None]:
    """Find where a radiograph was taken, from no start at all.

    Parameters
    ----------
    encoder
        Trained for this anatomy, in evaluation mode.
    volume
        The CT.
    radiograph
        With its geometry.
    points
        3D points to look for, world mm: see `sample_points`.
    isocenter
        Middle of the templates' poses, world mm. None: the mean of the points.
    templates
        Of an earlier call with the same CT, C-arm and encoder; None: they are made.
    template_settings, settings
        See `TemplateSettings` and `CorrespondSettings`.
    control
        Cancel, pause.

    Yields
    ------
    TemplateMade, Round
        In this order.

    Returns
    -------
    Located or None
        None if cancelled before any correspondence was found.
    """
    control = control or Control()
    center = points.double().mean(0) if isocenter is None else isocenter.double()
    if templates is None:
        templates = yield from make_templates(
            encoder, volume, radiograph.carm, center, settings=template_settings, control=control
        )
        if templates is None:
            return None
    drrs = templates.images, templates.carm
    if len(templates) < ENOUGH_DRRS:
        drrs = coarse_drrs(volume, radiograph.carm, center)
    polarity = polarity_of(radiograph, *drrs)
    embedded = embed(encoder, radiograph)
    found = yield from correspond(
        encoder, embedded, templates, points, settings=settings, control=control
    )
    solution = pose_of(found, radiograph)
    trust = trust_of(found, solution, radiograph, polarity, volume)
    verdict = verdict_of(trust, solution)
    start = start_of(found, solution, radiograph, volume)
    return Located(found, solution, start, trust, verdict, polarity, templates, embedded)
