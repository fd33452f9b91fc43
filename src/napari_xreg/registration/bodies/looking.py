"""What is looked at, at one level, where several bodies are: near their shadows, or the whole picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph
from napari_xreg.registration.bodies.body import Body
from napari_xreg.registration.near_bone.view import near_bones_view
from napari_xreg.registration.refinement.host.hardening import bone_gain, with_bone_gain
from napari_xreg.registration.refinement.host.problem import HostProblem, JointProblem
from napari_xreg.registration.refinement.second_order.levels import Level, volume_at
from napari_xreg.registration.refinement.views import View, at_pixels
from napari_xreg.rendering import Prepared


@dataclass(frozen=True, eq=False)
class BodiesLook:
    """One level of the pyramid.

    Parameters
    ----------
    level
        How it is compared; its voxels suit its pixels.
    bodies
        What moves.
    radiographs
        Masked and cropped to what is looked at, in full.
    threads
        Of the renderer.
    """

    level: Level
    bodies: tuple[Body, ...]
    radiographs: tuple[Radiograph, ...]
    threads: int | None

    @property
    def pivots(self) -> Float[Tensor, "bodies 3"]:
        """Of the bodies, world mm."""
        return torch.stack([body.pivot.double() for body in self.bodies])

    @property
    def pixel_at_pivot_mm(self) -> float:
        """Size of a pixel of the first radiograph, demagnified to the isocenter."""
        carm = at_pixels(self.radiographs[0], self.level.pixels).carm
        return max(carm.detector.spacing) * carm.source_to_isocenter / carm.source_to_detector

    def brighter(self, poses: Sequence[Pose], pixels: int | None = None) -> float:
        """How much brighter bone is than in the CT (`hardening`), at poses of every body and view.

        Parameters
        ----------
        pixels
            Of the longer side of what is looked at; None: those of the level.
        """
        pixels = self.level.pixels if pixels is None else min(pixels, self.level.pixels)
        views = len(self.radiographs)
        return bone_gain(
            [(volume_at(body.volume, self.level), body.dense_above) for body in self.bodies],
            [at_pixels(each, pixels) for each in self.radiographs],
            [poses[number::views] for number in range(views)],
            threads=self.threads,
        )

    def ready(self, gain: float) -> list[Prepared]:
        """The bodies as they are rendered, bone brighter by a gain."""
        return [
            with_bone_gain(volume_at(body.volume, self.level), gain, body.dense_above)
            for body in self.bodies
        ]

    def problem(self, gain: float) -> HostProblem:
        """What is compared, of one start."""
        small = [at_pixels(each, self.level.pixels) for each in self.radiographs]
        case = JointProblem(self.ready(gain), small, self.level, self.pivots, threads=self.threads)
        return HostProblem([case], [0], self.pivots)


def near_bodies(
    bodies: Sequence[Body],
    radiographs: Sequence[Radiograph],
    poses: Sequence[Pose],
    reach_mm: float,
    pixels: int,
) -> tuple[Radiograph, ...]:
    """The radiographs near the shadows of all bodies; as they are where one has too little there.

    Parameters
    ----------
    poses
        Of the views of the first body, then of the next.
    pixels
        Of the level: slivers of a mask vanish.
    """
    views, seen = len(radiographs), []
    for number, radiograph in enumerate(radiographs):
        at = [pose.to(dtype=torch.float64) for pose in poses[number::views]]
        view = near_bones_view(
            [body.volume for body in bodies], View(radiograph, at[0]), at, reach_mm, pixels
        )
        if view is None:
            return tuple(radiographs)
        seen.append(view.radiograph)
    return tuple(seen)
