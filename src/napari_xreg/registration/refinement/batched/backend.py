"""The sums of a refinement on the device of its volume."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.registration.refinement.batched.graph import Capture, RecordedStep
from napari_xreg.registration.refinement.batched.hardening import bone_gains, images_and_bone
from napari_xreg.registration.refinement.batched.problem import DeviceProblem
from napari_xreg.registration.refinement.host.scatter import beams_of
from napari_xreg.registration.refinement.problem import Beams, Whole
from napari_xreg.registration.refinement.second_order.look import Look


class Batched:
    """A `Backend`: torch and the card's renderer, all poses at once.

    Parameters
    ----------
    device
        Of the volume.
    capture
        Records iterations (`graph.cuda_graph`); None: operation by operation.
    """

    recorder: Callable[[Any, Any], Callable[[], Any]] | None

    def __init__(self, device: torch.device, capture: Capture | None = None) -> None:
        self.device = device
        self.recorder = None if capture is None else partial(RecordedStep, capture=capture)

    def bone_gains(self, look: Look, poses: Sequence[Pose]) -> Float[Tensor, "cases"]:
        """See `Backend`."""
        each = DeviceProblem(look, torch.arange(len(look.cases)))
        return bone_gains(each, poses)

    def beams(self, look: Look, poses: Sequence[Pose], whole: Whole) -> Beams:
        """See `Backend`. Rendered on the device, fitted on the processor, once a case."""
        each = DeviceProblem(look, torch.arange(len(look.cases)))
        views = [
            (image.cpu().numpy(), bone.cpu().numpy())
            for image, bone in images_and_bone(each, poses)
        ]
        return beams_of(
            look, whole, lambda case, view: (views[view][0][case], views[view][1][case])
        )

    def problem(
        self, look: Look, of: Int[Tensor, "s"], gains: Float[Tensor, "cases"] | None
    ) -> DeviceProblem:
        """See `Backend`."""
        return DeviceProblem(look, of, gains)
