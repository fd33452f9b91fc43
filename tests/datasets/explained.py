"""What must hold of any case that was read: its truth explains its picture and its points."""

import torch

from napari_xreg.metrics import ncc
from napari_xreg.rendering import render_drr


def similarity(case, view):
    """NCC of the radiograph with the CT rendered at the truth, in float64."""
    volume = case.volume.to(dtype=torch.float64)
    drr = render_drr(
        volume, view.radiograph.carm, view.truths[case.target], step_mm=0.5, backend="torch"
    )
    return float(
        ncc(
            drr.reshape(view.radiograph.line_integrals.shape),
            view.radiograph.line_integrals.double(),
        )
    )


def furthest_landmark(case, view):
    """Largest distance of a projected landmark from where the view has it, pixels."""
    places = {mark.name: mark.position for mark in case.landmarks}
    points = torch.tensor([places[mark.name] for mark in view.landmarks], dtype=torch.float64)
    seen = torch.tensor([mark.pixel for mark in view.landmarks], dtype=torch.float64)
    projected = view.radiograph.carm.project(points, view.truths[case.target])
    assert len(points) == len(case.landmarks) > 0
    return float((projected - seen).norm(dim=-1).max())
