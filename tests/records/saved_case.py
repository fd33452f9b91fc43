"""A registration of three iterates whose numbers are all different, and its radiograph."""

import math

import torch

from napari_xreg.geometry import CArm, CArmPose, Detector, Pose
from napari_xreg.images import Radiograph
from napari_xreg.registration import Candidate, Iterate, Registration, Status, View

CARM = CArm(1013.0, 647.0, Detector((41, 53), (0.7, 0.9), (17.5, 29.25), field_diameter=31.0))
PIVOT = torch.tensor([11.0, -23.0, 640.0], dtype=torch.float64)
# A quarter turn about x: camera y is world z, camera z is world -y.
TURN = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
POSE = Pose(TURN, torch.tensor([5.0, 70.0, -30.0], dtype=torch.float64))


def carm_pose(primary, depth):
    terms = CArmPose(primary, -7.5, 3.25, (1.5, -2.5, depth), (11.0, -23.0, 640.0))
    return CARM.pose_from(terms)


def registration(status=Status.CONVERGED, covariance=True):
    start, middle, final = carm_pose(20.0, 9.0), carm_pose(18.0, 4.0), carm_pose(17.0, -6.0)
    factor = torch.randn(6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    trajectory = (
        Iterate(0, 0, 0, start, {"loss": 0.5, "intensity": 0.4}, seconds=0.01),
        Iterate(1, 0, 0, middle, {"loss": 0.6, "intensity": 0.5}, False, 0.1, 2.5, 0.02),
        Iterate(2, 0, 1, final, {"loss": 0.25, "intensity": 0.2, "edges": 0.3}, True, 0.03, 1.5),
    )
    view = View(
        Radiograph(
            torch.rand(41, 53, generator=torch.Generator().manual_seed(1)),
            CARM,
            simulated=True,
            source="test.dcm",
            notes=("a note",),
        ),
        start,
    )
    result = Registration(
        world_from_camera=final,
        status=status,
        losses=trajectory[-1].losses,
        trajectory=trajectory,
        pivot=PIVOT,
        covariance=1e-3 * factor @ factor.T if covariance else None,
        views=(final,),
        candidates=(Candidate(0, start, final, 1, 0.25), Candidate(4, middle, start, 0, math.inf)),
        simulated=True,
        notes=("watch out",),
        probability=0.875,
        scale=torch.arange(-2.0, 4.0, dtype=torch.float64) if covariance else None,
    )
    return result, view
