"""Views and points for tests of PnP: nothing centred, nothing square, no two numbers alike."""

import math

import numpy as np
import torch

from napari_xreg.geometry import CArm, Detector, Pose

PIVOT = torch.tensor([25.0, -105.0, 630.0], dtype=torch.float64)


def carm(mirrored: bool = True) -> CArm:
    detector = Detector((700, 640), (0.41, 0.53), (371.3, 290.6), mirrored=mirrored)
    return CArm(1021.0, 655.0, detector)


def points(seed: int, n: int, *, planar: bool = False) -> torch.Tensor:
    random = np.random.default_rng(seed)
    found = random.uniform(-90, 90, (n, 3)) + [20, -110, 640]
    if planar:
        found[:, 1] = -110 + 0.2 * (found[:, 0] - 20) - 0.1 * (found[:, 2] - 640)
    return torch.from_numpy(found)


def pose(seed: int, view: CArm) -> Pose:
    random = np.random.default_rng([seed, 1])
    primary, secondary, roll = random.uniform([-50, -30, -90], [50, 30, 90])
    x, y, z = random.uniform(-15, 15, 3)
    return view.world_from_camera(
        float(primary), float(secondary), float(roll), isocenter=PIVOT, offset_mm=(x, y, z)
    )


def errors(found: Pose, true: Pose, at: torch.Tensor) -> tuple[float, float]:
    """Angle (degrees) and the largest displacement of points as seen by the camera (mm)."""
    turn = found.rotation @ true.rotation.mT
    skew = turn - turn.mT
    sine = 0.5 * math.hypot(float(skew[2, 1]), float(skew[0, 2]), float(skew[1, 0]))
    angle = math.degrees(math.atan2(sine, float((turn.trace() - 1) / 2)))
    moved = found.inverse().apply(at) - true.inverse().apply(at)
    return angle, float(moved.norm(dim=-1).max())


def twist_between(found: Pose, true: Pose, pivot: torch.Tensor) -> torch.Tensor:
    """The left twist about the pivot, world axes, that takes the true pose to the found one."""
    there = Pose(torch.eye(3, dtype=torch.float64), pivot)
    return (there.inverse() @ found @ true.inverse() @ there).log()
