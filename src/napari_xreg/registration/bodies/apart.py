"""The radiographs as if one of several bodies were alone in them: what the others show is taken off."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph
from napari_xreg.registration.bodies.looking import BodiesLook
from napari_xreg.registration.refinement.host.problem import SeenOnce
from napari_xreg.registration.refinement.views import at_pixels
from napari_xreg.rendering import march_view


class Apart:
    """What every body shows, rendered once and anew where one has moved.

    Parameters
    ----------
    look, gain
        Where a level ended, and its gain of the bone.
    seen
        There: its tones are kept wherever bodies move.
    poses
        Of the views of the first body, then of the next.
    pixels
        Longer side of what is returned, at most.
    """

    def __init__(
        self, look: BodiesLook, gain: float, seen: SeenOnce, poses: Sequence[Pose], pixels: int
    ) -> None:
        self._small = [at_pixels(each, pixels) for each in look.radiographs]
        self._tones = [nuisance.tone for nuisance in seen.nuisances]
        self._ready, self._threads = look.ready(gain), look.threads
        views = len(self._small)
        self._shown = [
            self._shown_at(body, poses[body * views : (body + 1) * views])
            for body in range(len(look.bodies))
        ]

    def moved(self, body: int, poses: Sequence[Pose]) -> None:
        """A body stands elsewhere; `poses` of its views."""
        self._shown[body] = self._shown_at(body, poses)

    def alone(self, body: int) -> tuple[Radiograph, ...]:
        """The radiographs without what the other bodies show."""
        found = []
        for view, (small, tone) in enumerate(zip(self._small, self._tones, strict=True)):
            images = np.stack([shown[view] for shown in self._shown])
            together, own = images.sum(0, dtype=np.float32), images[body]
            if tone is not None:
                together, own = tone.apply(together)[0], tone.apply(own)[0]
            others = torch.from_numpy(together - own).to(small.line_integrals)
            found.append(replace(small, line_integrals=small.line_integrals - others))
        return tuple(found)

    def _shown_at(self, body: int, poses: Sequence[Pose]) -> list[npt.NDArray[np.float32]]:
        return [
            march_view(self._ready[body], small.carm, pose, jacobian=False, threads=self._threads)[
                0
            ]
            for small, pose in zip(self._small, poses, strict=True)
        ]
