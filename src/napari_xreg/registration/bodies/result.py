"""What a refinement of several bodies found: each of them, and how they lie to each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.registration.refinement.confidence import relative_covariance
from napari_xreg.registration.refinement.result import Iterate, Registration


@dataclass(frozen=True, eq=False)
class BodyIterate:
    """One step of one body, as it is looked for by itself.

    Parameters
    ----------
    name
        Of the body.
    iterate
        The step.
    """

    name: str
    iterate: Iterate


@dataclass(frozen=True, eq=False)
class BodiesIterate:
    """One step of all bodies, kept or taken back.

    Parameters
    ----------
    index
        Running number over the whole refinement.
    level
        Of the settings, 0 = coarsest.
    world_from_camera
        Of every body, of the first radiograph, as tried.
    losses
        ``"loss"`` is what was minimised, beside the terms; lower is better.
    accepted
        False for a step that was taken back.
    damping, step
        Of Levenberg-Marquardt; mm, of the body that went farthest.
    seconds
        Since the refinement began.
    image
        The DRR of all bodies in the first radiograph, [rows, columns] of the level; None where none was asked for.
    """

    index: int
    level: int
    world_from_camera: tuple[Pose, ...]
    losses: Mapping[str, float]
    accepted: bool
    damping: float
    step: float
    seconds: float
    image: Float[Tensor, "rows columns"] | None = field(default=None, repr=False)

    def of(self, body: int) -> Iterate:
        """What it was for one of the bodies."""
        return Iterate(
            self.index, 0, self.level, self.world_from_camera[body], self.losses, self.accepted,
            self.damping, self.step, self.seconds, self.image,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class BodiesRegistration:
    """Where several bodies are; false where one of them should not be used.

    Parameters
    ----------
    names
        Of the bodies.
    bodies
        What was found of each, with its own verdict and its own part of the covariance.
    covariance
        Of the left twists (omega, v) of all bodies, one after the other, each about its own pivot in its own
        world axes, rad and mm, [6 bodies, 6 bodies]; NaN for a body that hardly shows, None where nothing could be
        estimated. What is not known of the CT's scale is in it.
    scale
        The part of the covariance that the CT's scale has, as of `Registration`; [6 bodies].
    trajectory
        Every iterate.
    """

    names: tuple[str, ...]
    bodies: tuple[Registration, ...]
    covariance: Float[Tensor, "n n"] | None = None
    scale: Float[Tensor, "n"] | None = None
    trajectory: tuple[BodiesIterate, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return all(self.bodies)

    def __getitem__(self, name: str) -> Registration:
        """Of a body, by its name."""
        return self.bodies[self.names.index(name)]

    def between(self, one: str, other: str) -> tuple[Pose, Float[Tensor, "6 6"] | None]:
        """``one_from_other`` of two bodies, and the covariance of its left twist about the pivot of `one`.

        Seen in the same pictures, two bodies err alike in depth: how they lie to each other is surer than
        where each of them is. The scale is that of one patient: by it both are off alike, too.

        Returns
        -------
        Pose, Tensor
            Rad and mm, in the world axes of `one`; None where there is no covariance.
        """
        first, second = (self.names.index(name) for name in (one, other))
        poses = [
            self.bodies[number].world_from_camera.to(dtype=torch.float64)
            for number in (first, second)
        ]
        between = poses[0] @ poses[1].inverse()
        if self.covariance is None:
            return between, None
        both = torch.cat([torch.arange(6) + 6 * number for number in (first, second)])
        covariance = self.covariance.double()[both[:, None], both]
        if bool(covariance.isnan().any()):
            return between, None
        here, there = (self.bodies[number].pivot.double() for number in (first, second))
        return between, relative_covariance(between, (here, there), covariance)
