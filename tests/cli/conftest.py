"""A small CT on disk and a radiograph of it, and a way to call the command line."""

import json
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
import torch

from napari_xreg.cli import main
from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.geometry.axis_conventions import lps_from_ras
from napari_xreg.images import Radiograph, read_volume, write_dicom_radiograph, write_radiograph
from napari_xreg.rendering import render_drr
from napari_xreg.simulation import phantom

CARM = CArm(1020.0, 750.0, Detector((72, 80), (4.0, 3.75), (33.0, 41.5)))


@pytest.fixture(autouse=True)
def threads_of_the_tests(monkeypatch):
    """Not told how many, a network computes with as many as the other tests, not with every processor."""
    monkeypatch.setattr("napari_xreg.cli.finding_start.thread_count", torch.get_num_threads)


@pytest.fixture(scope="session")
def case(tmp_path_factory):
    """ct.nii.gz and labels.nii.gz (the phantom, 4 mm); x.npz and x.dcm whose header is off."""
    folder = tmp_path_factory.mktemp("cli")
    sample = phantom(spacing_mm=4.0)
    affine = lps_from_ras(sample.volume.world_from_index.double()).numpy()
    for name, values in (("ct", sample.volume.hu), ("labels", sample.labels.ids)):
        stored = np.ascontiguousarray(values.numpy().transpose(2, 1, 0)).astype(np.int16)
        image = nibabel.Nifti1Image(stored, affine)
        image.header.set_xyzt_units("mm")
        nibabel.save(image, folder / f"{name}.nii.gz")
    volume = read_volume(folder / "ct.nii.gz")
    center = tuple(volume.center.tolist())
    truth = CArmPose(14.0, -6.0, 2.0, (3.0, -4.0, 5.0), center)
    pose = CARM.pose_from(truth)
    start = CArmPose(17.0, -3.0, 0.5, (-4.0, 3.0, -6.0), center)
    image = render_drr(volume, CARM, pose)
    radiograph = Radiograph(image, CARM, nominal=start, simulated=True)
    write_radiograph(folder / "x.npz", radiograph)
    write_dicom_radiograph(folder / "x.dcm", radiograph)
    points = torch.tensor(list(sample.landmarks.values()), dtype=torch.float64)
    (folder / "truth.json").write_text(
        json.dumps(
            {
                "schema": "napari-xreg/simulated-truth",
                "version": 1,
                "world_from_camera": pose.matrix().tolist(),
                "fiducials_mm": points.tolist(),
            }
        )
    )
    return SimpleNamespace(
        folder=folder,
        ct=str(folder / "ct.nii.gz"),
        labels=str(folder / "labels.nii.gz"),
        xray=str(folder / "x.npz"),
        truth=str(folder / "truth.json"),
        volume=volume,
        pose=pose,
        start=CARM.pose_from(start),
        isocenter=[str(v) for v in center],
        carm=CARM,
    )


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Run the command line in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        said = capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err)

    return run
