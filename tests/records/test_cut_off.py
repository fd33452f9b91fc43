"""A text file that was cut off anywhere is refused, or says what the whole one says."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from saved_case import CARM, POSE, carm_pose, registration

from napari_xreg.files import TRUTH
from napari_xreg.geometry import CArmPose
from napari_xreg.images import ReadError, read_geometry, write_geometry
from napari_xreg.images.known_geometry.sidecar import geometry_of
from napari_xreg.records import read_pose, read_result, write_pose, write_result
from napari_xreg.records.result_files import result_to_json
from napari_xreg.records.trajectory_file import read_trajectory, write_trajectory
from napari_xreg.records.truth_file import read_truth
from napari_xreg.registration import RefineSettings


def write_foreign(path, transform):
    transform.SetCenter((10.5, 20.25, 30.75))
    transform.SetTranslation((1.5, -2.25, 4.125))
    sitk.WriteTransform(transform, str(path))


def write_whole_result(path):
    result, view = registration()
    data = result_to_json(result, [view], settings=RefineSettings())
    # What is said of a result beside it would only be more of the same to cut.
    write_result(
        path, {k: v for k, v in data.items() if k not in ("settings", "versions", "views")}
    )


def write_truth(path):
    data = {
        "schema": TRUTH,
        "version": 1,
        "world_from_camera": POSE.matrix().tolist(),
        "fiducials_mm": [[1.5, -2.5, 640.25], [0.9, 1.3, 650.75]],
    }
    path.write_text(json.dumps(data) + "\n")


def write_iterates(path):
    result, view = registration()
    write_trajectory(path, result, CARM, view.world_from_camera)


def written_geometry(path):
    write_geometry(path, geometry_of(CARM, CArmPose(20.5, -7.5, 3.25, (1.5, -2.5, 9.0)), "test"))


def foreign_pose(path):
    return read_pose(path, frame="ras_from_camera").matrix()


def read_own_pose(path):
    return read_pose(path).matrix()


FILES = {
    "pose.json": (lambda path: write_pose(path, POSE), read_own_pose),
    "pose.tfm": (lambda path: write_pose(path, carm_pose(33.0, 12.0)), read_own_pose),
    "pose.txt": (lambda path: write_pose(path, carm_pose(33.0, 12.0)), read_own_pose),
    "slicer.tfm": (
        lambda path: write_pose(path, carm_pose(33.0, 12.0), frame="slicer"),
        read_own_pose,
    ),
    "euler.tfm": (lambda path: write_foreign(path, sitk.Euler3DTransform()), foreign_pose),
    "versor.tfm": (lambda path: write_foreign(path, sitk.VersorRigid3DTransform()), foreign_pose),
    "affine.tfm": (lambda path: write_foreign(path, sitk.AffineTransform(3)), foreign_pose),
    "result.json": (write_whole_result, lambda path: read_result(path).world_from_camera.matrix()),
    "truth.json": (write_truth, lambda path: read_truth(path).fiducials_mm),
    "geometry.json": (written_geometry, read_geometry),
    "trajectory.csv": (write_iterates, lambda path: read_trajectory(path)),
}


def same(value, other):
    if isinstance(value, torch.Tensor):
        return value.shape == other.shape and torch.equal(value, other)
    if isinstance(value, dict):
        return list(value) == list(other) and all(
            np.array_equal(column, other[name], equal_nan=True) for name, column in value.items()
        )
    return value == other


@pytest.mark.parametrize("name", FILES)
def test_every_cut_is_refused_or_changes_nothing(tmp_path, name):
    write, read = FILES[name]
    path = tmp_path / name
    write(path)
    whole, bytes_ = read(path), path.read_bytes()
    accepted, said = [], []
    # Of a long file of one kind, JSON, not every length: it has thousands.
    step = 1 if len(bytes_) < 1500 else 23
    for length in {*range(0, len(bytes_), step), *range(len(bytes_) - 30, len(bytes_))}:
        path.write_bytes(bytes_[:length])
        try:
            found = read(path)
        except ReadError as refused:
            said.append(str(refused))
        else:
            assert same(found, whole), f"cut after {length} of {len(bytes_)} bytes"
            accepted.append(length)
    assert {text[: len(name) + 2] for text in said} == {f"{name}: "}
    # Only what ends the last line, or stands behind the last number of a matrix, may be missing.
    assert len(accepted) <= 3, accepted
