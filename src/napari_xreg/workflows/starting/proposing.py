"""Propose: poses that initialisers find, each refined at the coarse levels, ranked, with its picture."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Landmark, Radiograph, Volume
from napari_xreg.metrics import ncc
from napari_xreg.progress import Control
from napari_xreg.registration import Iterate, RefineSettings, Registration, View
from napari_xreg.rendering import render_drr
from napari_xreg.session import Rendering, Session, same_pose
from napari_xreg.workflows.refining import CPU, RefineRequest, refine, with_sagittal
from napari_xreg.workflows.starting.initialisers import INITIALISERS
from napari_xreg.workflows.starting.several import NothingFound, find_starts, hypothesis_of
from napari_xreg.workflows.starting.starting import InitialiseRequest, StartingPose

PICTURE_PIXELS = 128
"""Longer side of the small pictures."""

COARSE_LEVELS = 2
"""Of the refinement's: what the proposed poses are ranked by."""

TOLERANCE_MM = 0.3
"""A step shorter than this ends the ranking: a tenth of a pixel of its last level."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """A pose that an initialiser proposes, after the coarse levels.

    Parameters
    ----------
    method
        Its name in `INITIALISERS`.
    start
        As it was found.
    registration
        From there through the coarse levels, with every iteration and its picture.
    drr
        At the pose where that ended.
    ncc
        Of that and the radiograph.
    """

    method: str
    start: StartingPose
    registration: Registration = field(repr=False)
    drr: Float[Tensor, "rows columns"] = field(repr=False)
    ncc: float

    @property
    def title(self) -> str:
        """Who proposed it, for a user."""
        return INITIALISERS[self.method].title

    @property
    def world_from_camera(self) -> Pose:
        """After the coarse levels."""
        return self.registration.world_from_camera

    @property
    def loss(self) -> float:
        """At the last coarse level: comparable between proposals."""
        return self.registration.losses["loss"]

    @property
    def mirrored(self) -> bool:
        """Whether it came from the antipode of the pose that was found."""
        best = self.registration.candidates[:1]
        return any(candidate.antipode for candidate in best)

    @property
    def iterations(self) -> tuple[Iterate, ...]:
        """The way of the one that won, to be shown again."""
        best = self.registration.candidates[:1]
        winner = best[0].start if best else 0
        return tuple(
            each
            for each in self.registration.trajectory
            if each.accepted and each.start == winner and each.image is not None
        )


@dataclass(frozen=True, eq=False)
class Proposals:
    """What was proposed for a radiograph.

    Parameters
    ----------
    radiograph
        At the size of the small pictures.
    usable
        Its pixels that are compared.
    ranked
        The least loss first.
    nothing
        Of initialisers that found no pose.
    id
        Of the radiograph in a session.
    """

    radiograph: Float[Tensor, "rows columns"] = field(repr=False)
    usable: Bool[Tensor, "rows columns"] = field(repr=False)
    ranked: tuple[Proposal, ...]
    nothing: tuple[NothingFound, ...] = ()
    id: str = ""


@dataclass(frozen=True, eq=False)
class ProposeRequest:
    """Everything that is needed, captured: `propose` may run in any thread.

    Parameters
    ----------
    asked
        The initialisers, with what each may use; of one CT and one radiograph.
    rendered
        The CT, or what of it is compared.
    device
        Where the poses are refined.
    id
        Of the radiograph in a session.
    """

    asked: tuple[InitialiseRequest, ...]
    rendered: Volume | Rendering
    device: torch.device = CPU
    id: str = ""


@dataclass(frozen=True)
class Ranking:
    """A proposed pose is refined at the coarse levels.

    Parameters
    ----------
    method
        Who proposed it.
    number, of
        From 0; of all.
    """

    method: str
    number: int
    of: int


def propose(
    request: ProposeRequest, *, control: Control | None = None
) -> Generator[Any, None, Proposals | None]:
    """Ask initialisers, refine what each proposes at the coarse levels, and rank by what is left.

    Yields
    ------
    Asking, NothingFound, Ranking
        Before each step; between them what `initialise` and `refine` yield.

    Returns
    -------
    Proposals or None
        None if cancelled.

    Raises
    ------
    NoStart
        If nobody proposes anything.
    ValueError
        As `initialise` and `refine`.
    """
    control = control or Control()
    starts = yield from find_starts(request.asked, control=control)
    if starts is None:
        return None
    radiograph = request.asked[0].radiograph
    small = radiograph.resize(*radiograph.carm.at_most(PICTURE_PIXELS, least=8).detector.shape)
    found = []
    for number, (method, start) in enumerate(starts.found.items()):
        yield Ranking(method, number, len(starts.found))
        views = (
            View(radiograph, start.pose),
            *(View(r, start.pose @ at) for r, at in request.asked[0].beside if at is not None),
        )
        coarse = RefineRequest(
            request.rendered, views, coarse_settings(start, request.asked[0].landmarks),
            start.isocenter, request.device,
        )  # fmt: skip
        registration = yield from refine(coarse, control=control)
        if control.cancelled:
            return None
        drr = picture_of(request.rendered, small, registration.world_from_camera)
        seen = small.line_integrals.detach().cpu().float()
        likeness = float(ncc(seen, drr, mask=small.usable.cpu()))
        found.append(Proposal(method, start, registration, drr, likeness))
    ranked = ranked_by_loss(found)
    return Proposals(small.line_integrals, small.usable, ranked, starts.nothing, request.id)


def propose_request(
    session: Session,
    asked: Mapping[str, Path | None],
    *,
    device: torch.device = CPU,
    warp: Path | None = None,
    template: Path | None = None,
) -> ProposeRequest:
    """Capture a session as it is.

    Parameters
    ----------
    session
        Its CT, the active radiograph, those used beside it as they stand to it, landmarks and labels.
    asked
        Names in `INITIALISERS`, with the file of weights of each; None: those of the package, or none.
    device
        Where the poses are refined.
    warp, template
        As of `InitialiseRequest`.

    Raises
    ------
    ValueError
        If there is nothing to find a pose for, in words for the user.
    """
    patient, active = session.patient, session.exposures.active
    if patient.volume is None or patient.rendering is None:
        raise ValueError("there is no CT: load one first")
    if active is None:
        raise ValueError("there is no radiograph: load one first")
    if not asked:
        raise ValueError("tick at least one that is to propose a pose")
    given = StartingPose(active.world_from_camera, patient.isocenter, "the current pose")
    places = tuple(mark for mark in session.landmarks.all if mark.position is not None)
    # Only those that move together, and that somebody placed: a file without angles stands at AP.
    beside = tuple(
        (entry.masked, active.world_from_camera.inverse() @ entry.world_from_camera)
        for entry in session.exposures.all
        if session.poses.rig_locked and entry.used and entry is not active
        if entry.radiograph.nominal is not None
        or not same_pose(entry.world_from_camera, entry.start)
    )
    requests = (
        InitialiseRequest(
            method,
            patient.volume,
            active.masked,
            patient.labels,
            places,
            weights=weights,
            given=given,
            beside=beside,
            structures=patient.structures,
            warp=warp,
            template=template,
        )
        for method, weights in asked.items()
    )
    return ProposeRequest(tuple(requests), patient.rendering, device, active.id)


def coarse_settings(start: StartingPose, landmarks: Sequence[Landmark]) -> RefineSettings:
    """Of the ranking: the coarse levels, from the starts that the initialiser asks for."""
    usual, proposed = RefineSettings(), hypothesis_of(start)
    settings = replace(
        usual, levels=usual.levels[:COARSE_LEVELS], starts=proposed.starts, spread=proposed.spread,
        tolerance_mm=TOLERANCE_MM,
    )  # fmt: skip
    ranked: RefineSettings = with_sagittal(settings, landmarks)
    return ranked


def ranked_by_loss(proposals: Sequence[Proposal]) -> tuple[Proposal, ...]:
    """The best first."""
    return tuple(sorted(proposals, key=lambda each: each.loss))


def picture_of(
    rendered: Volume | Rendering, radiograph: Radiograph, pose: Pose
) -> Float[Tensor, "rows columns"]:
    """The DRR at the size of a radiograph."""
    volume = rendered if isinstance(rendered, Volume) else rendered.volume()
    return render_drr(volume, radiograph.carm, pose, method="joseph").float().cpu()
