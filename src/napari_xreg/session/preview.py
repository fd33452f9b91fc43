"""A DRR at the present pose: asked for as a value, answered off the main thread."""

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import Volume
from napari_xreg.rendering import OutOfMemory, march_view, prepare, render_drr, volume_on
from napari_xreg.session.rendering import Rendering, rendered

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Preview:
    """The answer.

    Parameters
    ----------
    image
        DRR (line integrals) [rows, columns] of the requested detector.
    request
        What was asked.
    seconds
        Wall time of rendering.
    too_large
        True where the CT did not fit on the device asked for, and the CPU rendered instead.
    """

    image: npt.NDArray[np.float32]
    request: "PreviewRequest"
    seconds: float
    too_large: bool = False


@dataclass(frozen=True, eq=False)
class PreviewRequest:
    """Everything a DRR needs, captured: `answer` may run in any thread.

    Parameters
    ----------
    volume
        What is rendered (`Session.rendering`).
    carm
        With the detector at the size wanted.
    world_from_camera
        Pose.
    asked
        `time.perf_counter` when the pose was set, for measuring the age of what is drawn.
    threads
        To render with; None: `rendering.thread_count`.
    device
        Where to render; on the CPU after all if the CT does not fit there.
    """

    volume: Volume | Rendering
    carm: CArm
    world_from_camera: Pose
    asked: float = 0.0
    threads: int | None = None
    device: torch.device = CPU

    def answer(self) -> Preview:
        """Render."""
        volume = rendered(self.volume)
        began = time.perf_counter()
        if self.device.type != "cpu":
            try:
                there = volume_on(volume, self.device)
                drr = render_drr(there, self.carm, self.world_from_camera, method="joseph")
            except OutOfMemory:
                pass
            else:
                return Preview(drr.cpu().numpy(), self, time.perf_counter() - began)
        ready = prepare(volume, packed=True)
        image, _ = march_view(
            ready, self.carm, self.world_from_camera, jacobian=False, threads=self.threads
        )
        too_large = self.device.type != "cpu"
        return Preview(image, self, time.perf_counter() - began, too_large)
