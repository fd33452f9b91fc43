"""A bar that has moved since the CT, by whole voxels, beside the rest of its patient; odd in every way."""

import torch

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import Radiograph, Volume, lac_from_hu
from napari_xreg.rendering import render_drr

CARM = CArm(1020.0, 740.0, Detector((96, 120), (2.4, 2.0), (41.0, 66.0)))
SIZE = (2.5, 3.0, 3.5)
"""Of a voxel, mm."""
ORIGIN = (-31.0, 12.0, 240.0)
"""Of voxel (0, 0, 0), LPS mm."""
MOVED = (2, 1, -1)
"""Voxels (x, y, z) that the bar has moved by since the CT."""


def patient(at=(0, 0, 0)):
    """HU of muscle with a spine and a bar of two legs, the bar elsewhere; and the labels."""
    hu = torch.full((40, 44, 48), -1000.0)
    hu[3:37, 4:40, 4:44] = 20.0
    hu[4:36, 26:33, 8:15] = 600.0
    hu[14:22, 24:34, 15:20] = 400.0
    ids = torch.zeros(hu.shape, dtype=torch.int16)
    ids[4:36, 26:33, 8:20] = 25
    x, y, z = at
    for box in (
        (slice(8, 30), slice(10, 15), slice(28, 33)),
        (slice(24, 30), slice(10, 18), slice(22, 33)),
    ):
        there = tuple(
            slice(s.start + by, s.stop + by) for s, by in zip(box, (z, y, x), strict=True)
        )
        hu[there], ids[there] = 900.0, 76
    return hu, ids


def world_from_index():
    """Voxel (x, y, z) to LPS mm."""
    matrix = torch.diag(torch.tensor([*SIZE, 1.0], dtype=torch.float64))
    matrix[:3, 3] = torch.tensor(ORIGIN)
    return matrix


def pose_of_a():
    """Of the first radiograph about the patient."""
    center = tuple(Volume(lac_from_hu(patient()[0]), world_from_index()).center.tolist())
    return CARM.pose_from(CArmPose(12.0, -5.0, 1.0, (2.0, -3.0, 4.0), center))


def radiographs():
    """Two with the bar moved, by name; both headers are off by the same motion of the rig, 3 mm along z."""
    now = Volume(lac_from_hu(patient(MOVED)[0]), world_from_index())
    center = tuple(now.center.tolist())
    made = {}
    for name, primary in (("a", 12.0), ("b", -68.0)):
        pose = CARM.pose_from(CArmPose(primary, -5.0, 1.0, (2.0, -3.0, 4.0), center))
        beside = (center[0], center[1], center[2] + 3.0)
        header = CArmPose(primary, -5.0, 1.0, (2.0, -3.0, 4.0), beside)
        image = render_drr(now, CARM, pose, method="trilinear")
        made[name] = Radiograph(image, CARM, nominal=header, simulated=True)
    return made
