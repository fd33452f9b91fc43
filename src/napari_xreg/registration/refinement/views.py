"""Radiographs of one patient, each with its C-arm pose, moved together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.registration.refinement.levels import Level
from napari_xreg.registration.refinement.problem import (
    Linearisation,
    Nuisance,
    Observation,
    ViewProblem,
)
from napari_xreg.rendering import Prepared, check_poses


@dataclass(frozen=True, eq=False)
class View:
    """A radiograph and where its C-arm is thought to stand.

    Parameters
    ----------
    radiograph
        With its geometry.
    world_from_camera
        Starting pose. With several views their relative poses are taken as known (a calibrated
        rig, or encoders): registration moves them together.
    """

    radiograph: Radiograph
    world_from_camera: Pose

    def __post_init__(self) -> None:
        if self.world_from_camera.batch_shape != ():
            raise ValueError(
                "a view has one pose: got a batch of shape "
                f"{self.world_from_camera.batch_shape}; use multi-start for several starts"
            )
        check_poses(self.world_from_camera, "the starting pose of a view")


class JointProblem:
    """The sum of `ViewProblem` over all views, for one twist that moves them together."""

    def __init__(
        self,
        prepared: Prepared | None,
        views: Sequence[View],
        level: Level,
        pivot: Float[Tensor, "3"],
        *,
        threads: int | None = None,
    ) -> None:
        self.parts = [
            ViewProblem(
                prepared,
                at_pixels(view.radiograph, level.pixels),
                level.channels,
                method=level.method,
                threads=threads,
            )
            for view in views
        ]
        self.pivot = pivot
        self._pivot: npt.NDArray[np.float64] = pivot.detach().cpu().numpy().astype(np.float64)

    @property
    def pixel_at_pivot_mm(self) -> float:
        """Of the first view."""
        return self.parts[0].pixel_at_pivot_mm

    def observe(self, poses: Sequence[Pose]) -> tuple[Observation, ...]:
        """Render every view."""
        return tuple(
            part.observe(pose, self._pivot) for part, pose in zip(self.parts, poses, strict=True)
        )

    def nuisances(self, observations: Sequence[Observation]) -> tuple[Nuisance, ...]:
        """Tone and robust weights of every view at these observations."""
        return tuple(
            part.nuisance(seen) for part, seen in zip(self.parts, observations, strict=True)
        )

    def linearise(
        self, observations: Sequence[Observation], nuisances: Sequence[Nuisance]
    ) -> Linearisation:
        """Mean over the views; terms of further views are numbered."""
        parts = [
            part.linearise(seen, nuisance)
            for part, seen, nuisance in zip(self.parts, observations, nuisances, strict=True)
        ]
        terms: dict[str, float] = {}
        for number, part in enumerate(parts):
            suffix = f"[{number + 1}]" if len(parts) > 1 else ""
            terms |= {name + suffix: value for name, value in part.terms.items()}
        n = len(parts)
        return Linearisation(
            sum(part.loss for part in parts) / n,
            terms,
            np.sum([part.hessian for part in parts], axis=0) / n,
            np.sum([part.gradient for part in parts], axis=0) / n,
        )


def pivot_of(volume: Volume, isocenter: Float[Tensor, "3"] | None) -> Float[Tensor, "3"]:
    """The point that rotations are taken about: the isocenter, else the middle of the volume.

    Raises
    ------
    ValueError
        If it is not finite.
    """
    pivot = (volume.center if isocenter is None else isocenter).detach().cpu().double()
    if not bool(pivot.isfinite().all()):
        raise ValueError(f"the isocenter must be finite, in mm: got {pivot.tolist()}")
    return pivot


def at_pixels(radiograph: Radiograph, pixels: int) -> Radiograph:
    """The radiograph with its longer side at most this many pixels, square pixels' ratio kept."""
    rows, columns = radiograph.carm.detector.shape
    longest = max(rows, columns)
    if longest <= pixels:
        return radiograph
    scale = pixels / longest
    return radiograph.resize(max(8, round(rows * scale)), max(8, round(columns * scale)))
