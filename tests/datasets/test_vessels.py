"""A vessel tree of a case in Ljubljana's layout is registered to its subtracted angiogram."""

import h5py
import numpy as np
import pytest
import torch
from twins import about, motion, picture, turn

from napari_xreg.geometry import Pose
from napari_xreg.progress import run
from napari_xreg.registration import SOLVERS, View, Wanted
from napari_xreg.workflows import CaseRequest, RefineRequest, open_case, refine

VOXELS, SPACING, ORIGIN = (56, 48, 52), (1.7, 2.1, 1.9), (-35.0, -62.0, -140.0)  # x, y, z; RAS mm
SHAPE, PIXEL = (88, 96), (2.3, 2.1)  # row, column, mm
K = np.array([[-1100 / PIXEL[1], 0, 51.2], [0, -1100 / PIXEL[0], 39.6], [0, 0, 1.0]])
TURN = turn(0, 84) @ turn(2, 13)
RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def tree():
    """Values [x, y, z] of a branching tree of tubes that bend in all three directions, RAS."""
    grid = np.stack(np.meshgrid(*map(np.arange, VOXELS), indexing="ij"), -1) * SPACING
    size = np.array(VOXELS) * SPACING
    found = np.zeros(VOXELS)
    rng = np.random.default_rng(4)
    ends = [(np.array([0.45, 0.5, 0.02]), np.array([0.0, 0.05, 0.3]), 4.0, 0)]
    while ends:
        start, way, radius, depth = ends.pop()
        for share in np.linspace(0, 1, 12):
            at = (start + share * way + 0.05 * np.sin(3 * share) * way[[2, 0, 1]]) * size
            near = np.linalg.norm(grid - at, axis=-1)
            found = np.maximum(found, np.clip(radius + 0.8 - near, 0, 1))
        end = start + way + 0.05 * np.sin(3) * way[[2, 0, 1]]
        if depth < 3:
            for side in (-1, 1):
                across = rng.normal(size=3) * [1, 1, 0.3]
                ends.append((end, 0.68 * way + side * 0.14 * across, 0.78 * radius, depth + 1))
    return np.where(found > 0, 1100 + 2400 * found, 0)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """The truth of its one view is what the file's matrices say."""
    values, path = tree(), tmp_path_factory.mktemp("set") / "ljubljana.h5"
    place = motion(np.diag(SPACING), ORIGIN)
    middle = (place @ [*((np.array(VOXELS) - 1) / 2), 1.0])[:3]
    extrinsic = about([middle], 800.0, TURN, towards=-1.0)
    through = picture(K @ extrinsic[:3], SHAPE, 0.05 * (values / values.max()).T, place, 1.0)
    noise = np.random.default_rng(6).normal(0, 1.5, SHAPE)
    stored = np.rint(1400 - 300 * through + np.where(through > 0, noise, 0))
    with h5py.File(path, "w") as file:
        volume = file.create_group("subject01/volume")
        volume["pixels"] = values[::-1].astype("i2")  # the file's first axis runs against x
        volume["spacing"], volume["origin"] = SPACING, ORIGIN
        for name in ("ap", "lat"):
            shot = file.create_group(f"subject01/proj-{name}")
            shot["pixels"], shot["intrinsic"], shot["extrinsic"] = stored.astype("f4"), K, extrinsic
            shot["row-spacing"], shot["col-spacing"] = PIXEL
    return open_case(CaseRequest(path, view="ap"))


def off_as_seen(case, pose):
    """Mean distance of points of the vessels in the picture, mm at the detector, from where they are."""
    lac = case.patient.volume.lac
    index = torch.nonzero(lac > 0.3 * lac.max())[::37].flip(1).double()
    matrix = case.patient.volume.world_from_index.double()
    points = index @ matrix[:3, :3].T + matrix[:3, 3]
    carm = case.view.radiograph.carm
    apart = carm.project(points, pose) - carm.project(points, case.truth)
    return float((apart * apart.new_tensor(PIXEL)).norm(dim=-1).mean())


@pytest.mark.parametrize(
    "moved", [(0.05, -0.06, 0.04, 6.0, -8.0, 15.0), (-0.09, 0.05, -0.07, -9.0, 11.0, -20.0)]
)
def test_vessels_come_home_as_seen_in_the_angiogram(case, moved):
    middle = Pose(torch.eye(3, dtype=torch.float64), case.patient.middle)
    about_middle = middle @ Pose.exp(torch.tensor(moved, dtype=torch.float64)) @ middle.inverse()
    pose = about_middle @ case.truth
    assert off_as_seen(case, pose) > 10
    rendering = case.patient.rendering
    assert not rendering.above_water  # half of the attenuation of the vessels would be gone
    request = RefineRequest(
        rendering, (View(case.view.radiograph, pose),), SOLVERS["lm"].settings_for(Wanted(threads=1)),
        case.patient.middle, whole_first=True,
    )  # fmt: skip
    found = run(refine(request))
    assert off_as_seen(case, found.world_from_camera) < 2
