"""RayEmb's folders: a twin of images and templates is explained by what is read of it."""

import json

import imageio.v3 as imageio
import nibabel
import numpy as np
import pytest
import torch
from explained import similarity
from twins import POINTS, SPACING, VOXELS, affine, attenuation, hounsfield, motion, picture, turn

from napari_xreg.datasets import open_data_set
from napari_xreg.files import ReadError

SHAPE, PIXEL, DISTANCE = (46, 57), 5.7, 1180.0  # one side even, the other odd
NAMES = ("0000", "0003")
# Turned about all axes; from the middle of the CT to which the authors turn the patient.
TURNS = (turn(2, 80) @ turn(1, 14) @ turn(0, -90), turn(2, 115) @ turn(1, -31) @ turn(0, -84))
OFFSETS = (np.array([3.0, -14.0, 9.0]), np.array([-8.0, 6.0, -5.0]))


def placed(oblique):
    """(x, y, z) of a voxel to LPS mm, and to their mm: the first axis backwards, from the corner of the CT."""
    place = motion(turn(2, 21) @ turn(0, -8) if oblique else np.eye(3), (0.0, 0, 0)) @ affine()
    counts = np.array(VOXELS[::-1])
    theirs = np.diag([-SPACING[0], SPACING[1], SPACING[2], 1.0])
    theirs[:3, 3] = np.array(SPACING) / 2
    theirs[0, 3] = SPACING[0] * (counts[0] - 0.5)
    return place, theirs


def poses():
    """Theirs from camera, as the renderer takes them."""
    middle = np.array(VOXELS[::-1]) * SPACING / 2
    return [motion(r, middle + r @ o) for r, o in zip(TURNS, OFFSETS, strict=True)]


def camera_of(pose, place, theirs):
    """(column, row, 1) ~ M (x, y, z, 1), LPS: through source and detector pixels as that code lays them out."""
    half = DISTANCE / 2
    rows, columns = SHAPE
    # Pixel (r, c) lies at (-half, (r - middle) p, -(c - middle) p) of the camera.
    corner = np.array([-half, -(rows - 1) / 2 * PIXEL, (columns - 1) / 2 * PIXEL])
    source = np.array([half, 0.0, 0.0])
    ways = np.stack([[0, 0, -PIXEL], [0, PIXEL, 0], corner - source], axis=1)
    to_camera = np.linalg.inv(pose) @ theirs @ np.linalg.inv(place)
    inverse = np.linalg.inv(ways)
    return inverse @ np.column_stack([to_camera[:3, :3], to_camera[:3, 3] - source])


def write(folder, kind, *, oblique=True):
    """A folder of ``images`` or ``templates`` of one CT, which lies where the command was run."""
    place, theirs = placed(oblique)
    hu = hounsfield()
    image = nibabel.Nifti1Image(hu.transpose(2, 1, 0), np.diag([-1.0, -1, 1, 1]) @ place)
    image.header.set_xyzt_units("mm")
    (folder / "data" / "volumes").mkdir(parents=True, exist_ok=True)
    nibabel.save(image, folder / "data" / "volumes" / "patient_7.nii.gz")
    made = folder / "data" / kind / "patient_7"
    (made / "images").mkdir(parents=True)
    params = {
        "vol_path": "data/volumes/patient_7.nii.gz",
        "sensor_width": SHAPE[1], "sensor_height": SHAPE[0],
        "pixel_size": PIXEL, "source_to_detector_distance": DISTANCE,
    }  # fmt: skip
    info = {"params": {"num_alpha": 1, "num_beta": 2, **params}}
    for name, pose in zip(NAMES, poses(), strict=True):
        through = picture(camera_of(pose, place, theirs), SHAPE, attenuation(hu), place)
        stretched = 255 * (through - through.min()) / (through.max() - through.min())
        imageio.imwrite(made / "images" / f"{name}.png", stretched.round().astype(np.uint8))
        info[name] = {"proj": np.zeros((3, 4)).tolist(), "pose": pose[None].tolist()}
        if kind == "images":
            (made / "cameras").mkdir(exist_ok=True)
            said = {
                "params": params,
                "proj": [np.zeros((3, 4)).tolist()],
                "pose": pose[None].tolist(),
            }
            (made / "cameras" / f"{name}.json").write_text(json.dumps(said))
    imageio.imwrite(made / "images" / "0009.png", np.zeros(SHAPE, np.uint8))
    if kind == "templates":
        (made / "info.json").write_text(json.dumps(info))
    else:
        points = np.column_stack([list(POINTS.values()), np.ones(len(POINTS))])
        np.save(made / "vol_landmarks.npy", (points @ (theirs @ np.linalg.inv(place)).T)[:, :3])
    return made


@pytest.mark.parametrize("kind", ["images", "templates"])
@pytest.mark.parametrize("oblique", [False, True])
def test_the_truth_explains_every_picture(tmp_path, kind, oblique):
    made = write(tmp_path, kind, oblique=oblique)
    found = open_data_set(made.parent)
    assert [(e.name, e.views) for e in found.entries] == [("patient_7", NAMES)]
    assert found.notes == ("patient_7: no pose is known of 0009: left out",)
    case = open_data_set(made).case()
    for name in NAMES:
        view = case.view(name)
        assert view.radiograph.simulated
        assert similarity(case, view) > 0.99


def test_points_fall_where_the_renderer_sees_them(tmp_path):
    case = open_data_set(write(tmp_path, "images")).case()
    points = torch.tensor([mark.position for mark in case.landmarks], dtype=torch.float64)
    np.testing.assert_allclose(points, list(POINTS.values()), atol=1e-3)
    for name, pose in zip(NAMES, poses(), strict=True):
        view = case.view(name)
        matrix = camera_of(pose, *placed(True))
        seen = np.column_stack([points, np.ones(len(points))]) @ matrix.T
        projected = view.radiograph.carm.project(points, view.truths[case.target])
        np.testing.assert_allclose(projected, (seen[:, :2] / seen[:, 2:])[:, ::-1], atol=0.01)


def test_what_is_missing_is_said(tmp_path):
    made = write(tmp_path, "images")
    ct = tmp_path / "data" / "volumes" / "patient_7.nii.gz"
    ct.rename(made / ct.name)  # beside the images does too
    assert open_data_set(made).case().files == (made / ct.name,)
    (made / ct.name).unlink()
    with pytest.raises(ReadError, match=r"put patient_7.nii.gz beside the images folder"):
        open_data_set(made).case()
    camera = made / "cameras" / "0000.json"
    said = json.loads(camera.read_text())
    camera.write_text(
        json.dumps(
            {**said, "params": {**said["params"], "vol_path": "data/ipcai_2020_full_res_data.h5"}}
        )
    )
    with pytest.raises(ReadError, match=r"open ipcai_2020_full_res_data\.h5 itself"):
        open_data_set(made).case()
    camera.write_text(json.dumps({**said, "pose": [1.0, 2.0]}))
    with pytest.raises(ReadError, match="expected a pose of 4 x 4 numbers"):
        open_data_set(made).case()
