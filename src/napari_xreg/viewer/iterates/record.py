"""What a refinement did, iterate by iterate: a table, and the path of a point over the detector."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from napari_xreg.geometry import CARM_PARAMETERS, CArm
from napari_xreg.registration import Iterate

_COUNTS = ("index", "start", "level", "accepted")
_STEPS = ("damping", "step", "seconds")


class IterateRecord:
    """One row per iterate: its number, start and level, every loss, the step, the pose.

    Parameters
    ----------
    carm, isocenter
        What C-arm terms are about.
    tracked
        Points (world, mm) whose mean is followed over the detector.
    """

    def __init__(
        self, carm: CArm, isocenter: Float[Tensor, "3"], tracked: Float[Tensor, "n 3"]
    ) -> None:
        self.carm = carm
        self._isocenter = isocenter
        self._tracked = tracked.double().mean(0, keepdim=True)
        self._iterates: list[Iterate] = []
        self._rows: list[dict[str, Any]] = []
        self._losses: list[str] = []
        self._pixels: list[Float[ndarray, "2"]] = []

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def iterates(self) -> Sequence[Iterate]:
        """In order, without their images."""
        return self._iterates

    def append(self, iterate: Iterate) -> None:
        """One more; its image is not kept."""
        self._iterates.append(replace(iterate, image=None))
        terms = self.carm.carm_pose(iterate.world_from_camera, self._isocenter)
        angles = (terms.primary_deg, terms.secondary_deg, terms.roll_deg)
        pose = dict(zip(CARM_PARAMETERS, (*angles, *terms.offset_mm), strict=True))
        row = {name: getattr(iterate, name) for name in (*_COUNTS, *_STEPS)}
        losses = {name: float(value) for name, value in iterate.losses.items()}
        self._losses.extend(name for name in losses if name not in self._losses)
        self._rows.append({**losses, **row, **pose})
        camera = iterate.world_from_camera.to(dtype=torch.float64)
        self._pixels.append(self.carm.project(self._tracked, camera)[0].detach().cpu().numpy())

    def columns(self) -> dict[str, ndarray]:
        """Name to values, in the order: numbers, losses, step, pose.

        Angles are in degrees, offsets in mm, seconds since the refinement began (see `Iterate` and
        `CArmPose`). A loss that an iterate does not have is NaN.
        """
        fixed = (*_COUNTS, *_STEPS, *CARM_PARAMETERS)
        losses = [name for name in self._losses if name not in fixed]
        names = (*_COUNTS, *losses, *_STEPS, *CARM_PARAMETERS)
        return {name: np.array([row.get(name, np.nan) for row in self._rows]) for name in names}

    def path(self) -> Float[ndarray, "n 2"]:
        """(row, column) of what is tracked; (0, 0) where it lay behind the source."""
        pixels = np.array(self._pixels, float).reshape(-1, 2)
        pixels[~np.isfinite(pixels).all(1)] = 0.0
        return pixels
