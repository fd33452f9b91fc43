"""What is rendered: the CT restricted to some structures, and a DRR of it, asked for as values.

Both are known at once and computed where they are used, off the main thread.
"""

import threading
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import LabelMap, Volume, above_water, rendered_above_water
from napari_xreg.rendering import OutOfMemory, march_view, prepare, render_drr, volume_on

CPU = torch.device("cpu")


class Rendering:
    """What of a CT is rendered and registered.

    Restricting a large CT takes seconds: whoever has captured this calls `volume` where the work is
    done, and it is computed once. Its identity tells whether it is still the session's.

    Parameters
    ----------
    whole
        The CT.
    labels, structures
        The label map and the ids of it that are kept; no ids: the whole CT.
    attenuation
        Of `images.ATTENUATIONS`: bones alone are rendered above water unless it says otherwise.
    """

    def __init__(
        self,
        whole: Volume,
        labels: LabelMap | None,
        structures: tuple[int, ...] = (),
        attenuation: str = "auto",
    ) -> None:
        self.whole, self.structures, self.attenuation = whole, structures, attenuation
        self.labels = labels if structures else None
        self._lock = threading.Lock()
        self._restricted: Volume | None = whole if self.labels is None else None
        self._made: Volume | None = None

    def is_of(self, whole: Volume, labels: LabelMap | None, structures: tuple[int, ...]) -> bool:
        """Whether these are what it was made of."""
        same = self.whole is whole and self.structures == structures
        return same and (not structures or self.labels is labels)

    def volume(self) -> Volume:
        """What is rendered: `restricted`, above water where that is bones alone.

        Raises
        ------
        ValueError
            If none of the structures occurs.
        """
        restricted = self.restricted()
        with self._lock:
            if self._made is None:
                above = rendered_above_water(restricted, self.attenuation)
                self._made = above_water(restricted) if above else restricted
            return self._made

    def restricted(self) -> Volume:
        """The CT without attenuation outside the structures; the same one each time.

        Raises
        ------
        ValueError
            If none of the structures occurs.
        """
        with self._lock:
            if self._restricted is None:
                assert self.labels is not None
                self._restricted = self.whole.restrict(self.labels.mask(self.structures))
            return self._restricted

    @property
    def above_water(self) -> bool:
        """Whether `volume` is the attenuation above water."""
        return self.volume() is not self.restricted()


def rendered(what: Volume | Rendering) -> Volume:
    """The volume itself."""
    return what.volume() if isinstance(what, Rendering) else what


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
        What is rendered (`Patient.rendering`).
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
