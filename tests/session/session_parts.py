"""Parts of a small session; nothing is centred and no two numbers are alike."""

import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import LabelMap, Radiograph, Volume
from napari_xreg.registration import Candidate, Iterate, Registration, Status

ORIGIN = (11.0, -23.0, 64.0)


def make_volume():
    """5 x 6 x 7 voxels of 2 x 3 x 5 mm."""
    matrix = torch.diag(torch.tensor([2.0, 3.0, 5.0, 1.0], dtype=torch.float64))
    matrix[:3, 3] = torch.tensor(ORIGIN)
    generator = torch.Generator().manual_seed(7)
    hu = torch.randint(-1000, 1500, (5, 6, 7), generator=generator).to(torch.int16)
    return Volume(torch.rand(5, 6, 7, generator=generator) * 0.04, matrix, hu)


def make_labels(volume):
    ids = torch.zeros(volume.shape, dtype=torch.int16)
    ids[1:3, 2:4, 1:5], ids[3:, 4:, 2:6] = 77, 25
    return LabelMap(ids, volume.world_from_index, {77: "hip_left", 25: "sacrum"})


def make_radiograph(nominal=None, rows=12, columns=17, seed=3):
    detector = Detector((rows, columns), (2.7, 1.9), (5.25, 9.5))
    carm = CArm(1010.0, 620.0, detector)
    generator = torch.Generator().manual_seed(seed)
    return Radiograph(torch.rand(rows, columns, generator=generator), carm, nominal=nominal)


def make_registration(poses, pivot=(1.5, -2.5, 3.5)):
    """Two iterates, a covariance, a candidate; the term `edge` was not a number once."""
    iterates = (
        Iterate(0, 0, 0, poses[0], {"loss": 0.75, "edge": float("nan")}, True, 0.125, 0.0, 0.25),
        Iterate(1, 0, 1, poses[0], {"loss": 0.5, "edge": 0.375}, False, 0.5, 3.25, 1.75),
    )
    return Registration(
        poses[0],
        Status.NOT_TRUSTED,
        {"loss": 0.5, "edge": 0.375},
        iterates,
        torch.tensor(pivot, dtype=torch.float64),
        torch.diag(torch.arange(1.0, 7.0, dtype=torch.float64)),
        tuple(poses),
        (Candidate(0, poses[0], poses[0], 1, 0.5),),
        simulated=True,
        notes=("a note",),
        probability=0.375,
        scale=torch.tensor([0.25, -0.5, 0.125, 1.5, -7.5, 2.5], dtype=torch.float64),
    )


def twist(*numbers):
    return Pose.exp(torch.tensor(numbers, dtype=torch.float64))


def close(a, b, tolerance=1e-9):
    return torch.allclose(a.matrix(), b.matrix(), atol=tolerance, rtol=0)


def signals_of(session):
    """All that a session says, by what it is about."""
    return {
        "volume": session.patient.changed,
        "radiographs": session.exposures.changed,
        "active": session.exposures.active_changed,
        "pose": session.poses.changed,
        "history": session.history_changed,
        "landmarks": session.landmarks.changed,
        "mask": session.exposures.mask_changed,
        "results": session.results.changed,
    }
