"""Match: one figure for a pose that was found, the same whatever found it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from napari_xreg.images import Volume
from napari_xreg.metrics import ncc
from napari_xreg.registration import View
from napari_xreg.rendering import render_drr
from napari_xreg.session import Rendering, Result, Session, rendered


@dataclass(frozen=True, eq=False)
class MatchRequest:
    """Everything the figure needs, captured.

    Parameters
    ----------
    volume
        What is rendered.
    views
        The radiographs with their masks, each with the pose found.
    """

    volume: Volume | Rendering
    views: tuple[View, ...]

    def answer(self) -> float | None:
        """The figure: `match`."""
        return match(self.volume, self.views)


def match(volume: Volume | Rendering, views: Sequence[View]) -> float | None:
    """Normalised cross-correlation of radiograph and DRR, over every usable pixel the detector has.

    What an optimiser minimises depends on its metric and its level; this does not, so it compares.

    Parameters
    ----------
    volume
        The CT, as it is registered.
    views
        Radiographs at the poses to judge.

    Returns
    -------
    float or None
        In [-1, 1], 1 is best; the mean over the radiographs. None where one of them has too few
        usable pixels to say.
    """
    figures = []
    there = rendered(volume)
    for view in views:
        fixed = view.radiograph.line_integrals.detach().to(there.lac.device, torch.float32)
        usable = view.radiograph.usable.to(there.lac.device)
        pose = view.world_from_camera.to(device=there.lac.device, dtype=torch.float32)
        with torch.no_grad():
            drr = render_drr(there, view.radiograph.carm, pose, method="joseph")
        try:
            figures.append(float(ncc(torch.where(usable, fixed, 0.0), drr, mask=usable)))
        except ValueError:  # the mask leaves too little
            return None
    return sum(figures) / len(figures) if figures else None


def match_request(session: Session, result: Result) -> MatchRequest | None:
    """What to ask for a result of a session; None where its CT or a radiograph is gone, or of one bone.

    The whole CT where a bone was found says nothing about the bone.
    """
    volume = None if result.bone is not None else session.patient.rendering
    exposures = [session.exposures.find(id) for id in result.radiographs]
    if volume is None or None in exposures:
        return None
    views = tuple(
        View(exposure.masked, result.poses[exposure.id]) for exposure in exposures if exposure
    )
    return MatchRequest(volume, views)
