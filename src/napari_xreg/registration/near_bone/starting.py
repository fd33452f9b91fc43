"""Where a refinement near a bone begins: at what is proposed, and where the bone is found around it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.registration.near_bone.mask import box_corners
from napari_xreg.registration.near_bone.search import places_of
from napari_xreg.registration.refinement.second_order.depth import ExpectedDepth
from napari_xreg.registration.refinement.settings import RefineSettings
from napari_xreg.registration.refinement.starts import (
    Hypothesis,
    Spread,
    perturbed,
    spread_starts,
)
from napari_xreg.registration.refinement.views import View
from napari_xreg.rendering import prepare

SIGMAS, FARTHEST_MM = 2.0, 30.0
"""A bone is looked for so many standard deviations of the spread around, at most so far: within that are
its neighbours."""

PLACES = 4
"""So many of the places found are refined."""

COARSEST = 32
"""Longer side of a first level that a search stands in for, and of the first of a solver whose levels
are not known here."""


@dataclass(frozen=True, eq=False)
class Start:
    """Where a track begins.

    Parameters
    ----------
    pose
        Of the first view.
    about
        Whose pose that is, or around which it was found.
    given
        Whether it is that very one.
    searched_mm
        How far around that one the bone was found; 0: not.
    """

    pose: Pose
    about: Hypothesis
    given: bool
    searched_mm: float

    def expected(self, pivot: Float[Tensor, "3"]) -> ExpectedDepth | None:
        """How far away the patient is to whoever proposed the pose; None where nothing is said."""
        if not self.about.spread.depth_mm > 0:
            return None
        proposed = self.about.world_from_camera.to(dtype=torch.float64)
        depth_mm = float(proposed.inverse().apply(pivot[None])[0, 2])
        return ExpectedDepth(depth_mm, self.about.spread.depth_mm)


def hypotheses(views: Sequence[View], settings: RefineSettings) -> tuple[Hypothesis, ...]:
    """The given pose of the first view, and those that others propose."""
    given = views[0].world_from_camera
    first = Hypothesis(given, settings.origin, settings.starts or 1, settings.spread)
    return (first, *settings.beside)


def starts_of(volume: Volume, views: Sequence[View], settings: RefineSettings) -> list[Start]:
    """What is proposed, then the likeliest places of the bone around each."""
    given: list[Start] = []
    near: list[Start] = []
    for each in hypotheses(views, settings):
        places = _places(volume, views, each, settings)
        around_mm = searched_mm(each, settings) if places else 0.0
        given.append(Start(each.world_from_camera, each, True, around_mm))
        near += [Start(pose, each, False, around_mm) for pose in places]
    return given + near


def _places(
    volume: Volume, views: Sequence[View], about: Hypothesis, settings: RefineSettings
) -> list[Pose]:
    """Where the bone is found around a pose of the first view."""
    reach_mm = searched_mm(about, settings)
    if not reach_mm:
        return []
    middle = box_corners(prepare(volume, packed=True)).mean(0)
    given = about.world_from_camera.to(dtype=torch.float64)
    turned = [given, *_turned(about, middle, settings.seed)]
    places = places_of(volume, moved_to(views, given), turned, reach_mm, most=PLACES)
    return [place.pose for place in places]


def searched_mm(about: Hypothesis, settings: RefineSettings) -> float:
    """How far around a proposed pose; 0 where nothing is looked for."""
    return 0.0 if settings.locked else min(SIGMAS * about.spread.in_plane_mm, FARTHEST_MM)


def _turned(about: Hypothesis, middle: Float[Tensor, "3"], seed: int) -> list[Pose]:
    """Turned about the middle of the bone: once each way about each axis, or spread as starts are."""
    given, spread = about.world_from_camera, Spread(about.spread.rotation_deg, 0.0, 0.0)
    if not spread.rotation_deg:
        return []
    if about.starts > 1:
        return spread_starts(given, middle, about.starts, spread, seed)[1:]
    axes = torch.eye(6, dtype=torch.float64)[:3]
    poses = perturbed(given.to(dtype=torch.float64), middle, torch.cat([axes, -axes]), spread)
    return [poses[row] for row in range(6)]


def levels_left_out(about: Sequence[Hypothesis], settings: RefineSettings) -> int:
    """How many levels a search around every one stands in for: a coarse first one, where a thin bone is
    drawn to its neighbour.
    """
    levels = settings.levels
    few = len(levels) < 3 or levels[0].pixels > COARSEST
    return 1 if not few and all(searched_mm(each, settings) for each in about) else 0


def searched_words(starts: Sequence[Start]) -> tuple[str, ...]:
    """How far the bone was looked for, where it was."""
    around = sorted({start.searched_mm for start in starts if start.searched_mm})
    if not around:
        return ()
    of = "the start" if len(around) == 1 else "the starting poses"
    far = " and ".join(f"{mm:g}" for mm in around)
    return (f"The bone was looked for within {far} mm of {of}.",)


def moved_to(views: Sequence[View], first: Pose) -> tuple[View, ...]:
    """The rig with its first camera at a pose."""
    back = views[0].world_from_camera.inverse().to(dtype=torch.float64)
    first = first.to(dtype=torch.float64)
    return tuple(
        replace(
            view, world_from_camera=first @ (back @ view.world_from_camera.to(dtype=torch.float64))
        )
        for view in views
    )
