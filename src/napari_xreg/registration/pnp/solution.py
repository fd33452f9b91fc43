"""What came of a pose from correspondences."""

from dataclasses import dataclass, field
from enum import Enum

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.registration.refinement.result import Iterate, Registration, Status


class PnPStatus(Enum):
    """How it ended; the value is what to tell the user."""

    SOLVED = "The landmarks determine the pose."
    AMBIGUOUS = (
        "Two poses explain the landmarks about equally well, as happens when they lie nearly in a "
        "plane; compare both with the radiograph, or add a landmark away from that plane."
    )
    TOO_FEW = (
        "A pose needs at least 4 landmarks in different places (3 would fit up to four different "
        "poses exactly); pick more."
    )
    COLLINEAR = (
        "All landmarks lie on one line, about which the patient could turn unseen; add one beside "
        "it."
    )
    BEHIND_SOURCE = (
        "The landmarks fit only a pose that has some of them behind the X-ray source; check the "
        "pixels and the geometry."
    )
    NO_CONSENSUS = (
        "No pose brings enough of the landmarks near their pixels to be more than chance; check the "
        "names, the pixels and the geometry."
    )
    MIRRORED = (
        "The landmarks fit the mirror image of this radiograph better than the radiograph: either "
        "its mirrored flag is wrong, or left and right are exchanged in the names."
    )
    UNDETERMINED = (
        "The landmarks leave some motion of the patient open; add landmarks away from the others."
    )
    NOT_CONVERGED = (
        "The fit did not converge within its iterations; raise them or check the pixels."
    )

    @property
    def ok(self) -> bool:
        """True where the pose may be used without a second look."""
        return self is PnPStatus.SOLVED


_OF_REGISTRATION = {
    PnPStatus.SOLVED: Status.CONVERGED,
    PnPStatus.AMBIGUOUS: Status.AMBIGUOUS,
    PnPStatus.NOT_CONVERGED: Status.ITERATION_LIMIT,
}


@dataclass(frozen=True, eq=False)
class PnPSolution:
    """A pose from correspondences; false where it should not be used, and `reason` says why.

    Parameters
    ----------
    status
        How it ended.
    pivot
        Point about which the twist of `covariance` rotates, world mm.
    names
        Of the correspondences.
    used
        True for the points the pose was fitted to: kept, of some weight, and no outlier.
    considered
        True for the points that were kept and have some weight: ``considered & ~used`` are outliers.
    world_from_camera
        The pose, float64; None where there is none. It carries the gradient with respect to points,
        pixels, covariances and weights where one of these asks for it.
    covariance
        6 x 6, of the left twist (omega, v) about `pivot` in world axes, rad and mm.
    residuals
        Projection minus pixel, (row, column), pixels, of all points; NaN where there is no pose or
        a point is behind the source.
    alternatives
        Other poses that explain the points about equally well, best first.
    variance
        By which the covariance was scaled; 1 where it was not.
    cost
        Half the sum of losses over the points used: the minimised value.
    iterations
        Of the Levenberg-Marquardt fit that won.
    notes
        Details, in sentences.
    """

    status: PnPStatus
    pivot: Float[Tensor, "3"]
    names: tuple[str, ...]
    used: Bool[Tensor, "n"]
    considered: Bool[Tensor, "n"]
    world_from_camera: Pose | None = None
    covariance: Float[Tensor, "6 6"] | None = None
    residuals: Float[Tensor, "n 2"] | None = None
    alternatives: tuple[Pose, ...] = field(default=())
    variance: float = 1.0
    cost: float = float("nan")
    iterations: int = 0
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.status.ok

    @property
    def reason(self) -> str:
        """Status and notes, as sentences."""
        return " ".join([self.status.value, *(_sentence(note) for note in self.notes)])

    @property
    def outliers(self) -> tuple[str, ...]:
        """Names of the points that were kept but do not agree with the others."""
        flags = (self.considered & ~self.used).tolist()
        return tuple(name for name, out in zip(self.names, flags, strict=True) if out)

    @property
    def rms_px(self) -> float:
        """Root mean square distance of projection and pixel over the points used, pixels."""
        if self.residuals is None or not bool(self.used.any()):
            return float("nan")
        return float((self.residuals[self.used] ** 2).sum(-1).mean().sqrt())

    def registration(self, *, simulated: bool = False) -> Registration:
        """The same as a `Registration`, to keep in a session, in a file, or to refine from.

        Raises
        ------
        ValueError
            If there is no pose; the message is `reason`.
        """
        if self.world_from_camera is None:
            raise ValueError(self.reason)
        pose = Pose(
            self.world_from_camera.rotation.detach(), self.world_from_camera.translation.detach()
        )
        losses = {
            "loss": self.cost,
            "reprojection_rms_px": self.rms_px,
            "landmarks": float(self.used.sum()),
        }
        return Registration(
            pose,
            _OF_REGISTRATION[self.status],
            losses,
            (Iterate(0, 0, 0, pose, losses),),
            self.pivot,
            self.covariance,
            (pose,),
            simulated=simulated,
            notes=tuple(_sentence(note) for note in self.notes),
        )


def failed(
    status: PnPStatus,
    pivot: Float[Tensor, "3"],
    names: tuple[str, ...],
    considered: Bool[Tensor, "n"],
    *notes: str,
) -> PnPSolution:
    """A false value without a pose."""
    nothing = torch.zeros_like(considered)
    empty = torch.full((len(names), 2), float("nan"), dtype=torch.float64)
    return PnPSolution(status, pivot, names, nothing, considered, residuals=empty, notes=notes)


def _sentence(note: str) -> str:
    return note if note.endswith((".", "?", "!")) else note + "."
