"""Hypotheses: the poses that a start stands for, all of which a refinement compares.

A start is never single. A patient is nearly alike left and right, and an X-ray does not tell front
from back: mirrored through the sagittal plane of the patient and through a plane across the line of
sight, the C-arm sees nearly the same. Whoever proposes a start (a network, landmarks, a hand) may
have proposed that one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose

ONE_IN = 4
"""Starts of a spread that have an antipode among the hypotheses: a quarter more work at the coarsest
level, which is less likely to be what is needed."""


@dataclass(frozen=True, eq=False)
class SagittalPlane:
    """Between left and right of a patient.

    Parameters
    ----------
    point
        Of the plane, world, mm.
    normal
        Towards the left, of any length.
    """

    point: Float[Tensor, "3"]
    normal: Float[Tensor, "3"]

    def mirror(self) -> tuple[Float[Tensor, "3 3"], Float[Tensor, "3"]]:
        """``S(p) = M p + t``, float64."""
        normal = self.normal.double() / self.normal.double().norm()
        matrix = torch.eye(3, dtype=torch.float64) - 2 * torch.outer(normal, normal)
        return matrix, 2 * normal * (normal @ self.point.double())


_SIDE = re.compile(r"(?<![^\W_])(left|right|l|r)(?![^\W_])", re.IGNORECASE)


def sagittal_plane(positions: Mapping[str, Sequence[float]]) -> SagittalPlane | None:
    """Halfway between landmarks that lie on both sides; None where no two do.

    Parameters
    ----------
    positions
        Of landmarks, world, mm, by name. "ASIS left" and "ASIS right", "l_femur" and "r_femur" are pairs:
        names that differ in one word, left and right or l and r.
    """
    sides: dict[str, dict[str, Float[Tensor, "3"]]] = {}
    for name, position in positions.items():
        found = _SIDE.search(name)
        if found is not None:
            both = f"{name[: found.start()]}|{name[found.end() :]}".lower()
            place = torch.tensor(position, dtype=torch.float64)
            sides.setdefault(both, {})[found[0][0].lower()] = place
    pairs = [(pair["l"], pair["r"]) for pair in sides.values() if len(pair) == 2]
    across = [left - right for left, right in pairs if (left - right).norm() > 1e-6]
    normal = sum(across, torch.zeros(3, dtype=torch.float64))
    if not normal.norm() > 1e-6:
        return None
    middle = torch.stack([(left + right) / 2 for left, right in pairs]).mean(0)
    return SagittalPlane(middle, normal)


def antipode(
    world_from_camera: Pose, isocenter: Float[Tensor, "3"], plane: SagittalPlane | None = None
) -> Pose:
    """Where the C-arm would see nearly the same of a patient who is alike left and right.

    ``T' = S T Z(d)``: S mirrors the world through the sagittal plane, Z mirrors the camera's depth
    about that of the isocenter, d. Two mirrors make a rigid motion.

    Parameters
    ----------
    world_from_camera
        One pose, T.
    isocenter
        World, mm.
    plane
        None: through the isocenter, across the patient's left-right axis (world x, LPS).
    """
    pose = world_from_camera.to(dtype=torch.float64)
    center = isocenter.detach().cpu().double()
    if plane is None:
        plane = SagittalPlane(center, center.new_tensor([1.0, 0.0, 0.0]))
    matrix, shift = plane.mirror()
    depth = pose.inverse().apply(center)[2]
    flipped = torch.diag(center.new_tensor([1.0, 1.0, -1.0]))
    source = pose.apply(torch.stack([0 * depth, 0 * depth, 2 * depth]))
    return Pose(matrix @ pose.rotation @ flipped, matrix @ source + shift)


def antipodes(
    starts: Sequence[Pose], isocenter: Float[Tensor, "3"], plane: SagittalPlane | None = None
) -> list[Pose]:
    """Of the first start and of one in `ONE_IN` of those that follow."""
    chosen = [start for number, start in enumerate(starts) if number % ONE_IN == 0]
    return [antipode(start, isocenter, plane) for start in chosen]
