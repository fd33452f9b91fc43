"""Judge: a registration with the verdict of its radiographs."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from napari_xreg.images import Volume
from napari_xreg.registration.refinement.result import Registration, Status
from napari_xreg.registration.refinement.views import View
from napari_xreg.registration.verdict.evidence import evidence_of
from napari_xreg.registration.verdict.likelihood import Likelihood
from napari_xreg.registration.verdict.verdict import SEEN, WITHIN_MM, Verdict, verdict_on

_NOT_JUDGED = (Status.CANCELLED, Status.NO_OVERLAP)


def judged(registration: Registration, volume: Volume, views: Sequence[View]) -> Registration:
    """The registration with its probability and what it rests on; NOT_TRUSTED where that is low.

    Parameters
    ----------
    registration
        As an optimiser left it.
    volume
        The CT as it was registered.
    views
        What was registered; their starting poses do not count.
    """
    if registration.status in _NOT_JUDGED:
        return registration
    verdict = verdict_of(registration, volume, views)
    status, said = registration.status, registration.notes
    if not verdict.trusted:
        if status is not Status.CONVERGED:
            said = (*said, status.value)  # why the optimiser stopped is worth knowing too
        status = Status.NOT_TRUSTED
    return replace(
        registration,
        status=status,
        probability=verdict.probability,
        notes=(*said, verdict.words),
    )


def verdict_of(registration: Registration, volume: Volume, views: Sequence[View]) -> Verdict:
    """What the radiographs say of the poses found."""
    found = [
        View(view.radiograph, pose) for view, pose in zip(views, registration.views, strict=True)
    ]
    off = depth = None
    if len(found) == 1:
        pose = registration.world_from_camera.to(dtype=torch.float64)
        depth = float(pose.inverse().apply(registration.pivot.double()[None])[0, 2])
        off = depth / found[0].radiograph.carm.source_to_isocenter - 1.0
    return verdict_on(evidence_of(volume, found), off, depth)


def likelihood_of(registration: Registration) -> Likelihood:
    """What was judged of a registration, on the scale of all poses."""
    measured = SEEN if len(registration.views) == 1 else ""
    doubted = not registration and registration.status is not Status.CANCELLED
    return Likelihood(registration.probability, WITHIN_MM, measured, doubted=doubted)
