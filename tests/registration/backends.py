"""Both ways of making the sums of a refinement; the batched one is plain torch where no card is."""

import torch

from napari_xreg.progress import run
from napari_xreg.registration.refinement.batched.backend import Batched
from napari_xreg.registration.refinement.host.problem import Host
from napari_xreg.registration.refinement.second_order.lm_solver import refine_second_order

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
BACKENDS = {"host": Host(1), "batched": Batched(DEVICE)}


def refined(name, volume, views, settings, pivot, **kwargs):
    """By a backend of that name, or by one that is given."""
    backend = BACKENDS[name] if isinstance(name, str) else name
    there = volume.to(device=backend.device)
    events = refine_second_order(
        there, views, settings=settings, pivot=pivot, backend=backend, **kwargs
    )
    return run(events)
