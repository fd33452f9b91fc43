"""A session with one radiograph whose numbers are all different, and previews made by hand."""

import numpy as np
import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Landmark, Radiograph, Volume
from napari_xreg.registration import Iterate
from napari_xreg.session import Preview, PreviewRequest, Session

ROWS, COLUMNS = 50, 80
SPACING = (4.2, 3.1)
CARM = CArm(1000.0, 700.0, Detector((ROWS, COLUMNS), SPACING, principal_point=(21.0, 33.0)))
OTHER_CARM = CArm(900.0, 500.0, Detector((36, 24), (2.6, 5.3)))

# Camera axes are the world's; the source is at the origin, so a point is its own camera vector.
POSE = Pose(torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))


def volume():
    lac = torch.zeros(3, 4, 5)
    lac[1, 2, 3] = 0.02
    return Volume(lac, torch.eye(4, dtype=torch.float64))


def picture(rows=ROWS, columns=COLUMNS):
    """A ramp, so that no two pixels are alike and a transpose shows."""
    return torch.arange(rows * columns, dtype=torch.float32).reshape(rows, columns) / 1000


def radiograph(carm=CARM, **more):
    return Radiograph(picture(*carm.detector.shape), carm, **more)


def session(*, with_volume=True, **more):
    made = Session()
    if with_volume:
        made.patient.set_volume(volume())
    made.exposures.add(radiograph(**more), name="first", start=POSE)
    return made


def preview(image, carm=CARM, pose=POSE):
    """As `PreviewRequest.answer` would give it."""
    return Preview(np.asarray(image, np.float32), PreviewRequest(volume(), carm, pose), 0.0)


def point_at(row, column, depth=800.0, carm=CARM):
    """The world point that is projected to a pixel at `POSE`, worked out by similar triangles."""
    detector = carm.detector
    y = (row - detector.center[0]) * detector.spacing[0] * depth / carm.source_to_detector
    x = (column - detector.center[1]) * detector.spacing[1] * depth / carm.source_to_detector
    return (-x if detector.mirrored else x), y, depth


def landmarks(*places):
    """Of the patient, named a, b, c ..., to be projected to these (row, column)."""
    return [
        Landmark(name, position=point_at(*place))
        for name, place in zip("abcdefgh", places, strict=False)
    ]


def iterate(index, **more):
    """Its camera moved down by `index` mm; its losses are functions of the index."""
    pose = Pose(torch.eye(3, dtype=torch.float64), torch.tensor([0.0, 1.0 * index, 0.0]).double())
    values = {
        "world_from_camera": pose,
        "start": index % 2,
        "level": index // 10,
        "losses": {"loss": 2.0 - 0.01 * index, "ncc": 1.0 / (1 + index)},
        "accepted": index % 3 != 1,
        "damping": 0.5 * index,
        "step": 0.25 * index,
        "seconds": 0.125 * index,
        "image": torch.full((25, 40), float(index)),
    }
    return Iterate(index=index, **(values | more))
