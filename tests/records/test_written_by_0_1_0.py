"""Every kind of file that version 0.1.0 wrote is read, with the numbers that its README put in."""

import shutil
from pathlib import Path

import pytest
import torch

from napari_xreg.images import Landmark, read_geometry, read_landmarks, read_radiograph
from napari_xreg.records.pose_files import read_pose
from napari_xreg.records.result_files import read_result
from napari_xreg.records.trajectory_file import read_trajectory
from napari_xreg.records.truth_file import read_truth
from napari_xreg.registration import Status
from napari_xreg.session import read_session
from napari_xreg.training import read_checkpoint, read_state

HERE = Path(__file__).with_name("written_by_0_1_0")
# A quarter turn about x: camera y is world z, camera z is world -y; the source at (5, 70, -30).
POSE = [[1.0, 0, 0, 5], [0, 0, -1, 70], [0, 1, 0, -30], [0, 0, 0, 1]]
START = [[1.0, 0, 0, 5.5], [0, 0, -1, 72], [0, 1, 0, -31.25], [0, 0, 0, 1]]
ASIS = Landmark("asis", (1.5, 2.5, 3.5))
HIDDEN = Landmark("#2, left", (-4.0, 5.0, 6.0), visible=False)
PIXELS = torch.arange(42.0).reshape(6, 7) / 8


def is_carm(carm):
    """The distances, and the pixel grid."""
    assert (carm.source_to_detector, carm.source_to_isocenter) == (1013.0, 647.0)
    detector = carm.detector
    assert (detector.shape, detector.spacing, detector.center) == ((6, 7), (2.5, 1.5), (1.75, 4.25))
    assert (detector.mirrored, detector.field_diameter) == (True, 31.0)


@pytest.mark.parametrize("name", ["pose.json", "pose.tfm", "pose.txt", "result.json", "truth.json"])
def test_poses(name):
    assert read_pose(HERE / name).matrix().tolist() == POSE


def test_a_result():
    saved = read_result(HERE / "result.json")
    assert saved.world_from_camera.matrix().tolist() == POSE
    assert saved.start.matrix().tolist() == START
    is_carm(saved.carm)
    assert saved.status is Status.NOT_TRUSTED
    assert saved.pivot.tolist() == [11.0, -23.0, 640.0]
    assert torch.diagonal(saved.covariance).tolist() == [1e-6, 4e-6, 9e-6, 0.25, 1.0, 2.25]
    assert saved.losses == {"loss": 0.25, "edges": 0.125}
    assert saved.simulated
    assert saved.data["truth"] == {"fiducials": 2}
    assert saved.data["candidates"][1]["loss"] is None  # it was infinite
    assert saved.data["versions"]["napari-xreg"] == "0.1.0"


def test_a_trajectory():
    columns = read_trajectory(HERE / "trajectory.csv")
    assert columns["loss"].tolist() == [0.5, 0.75, 0.25]
    assert str(columns["loss_edges"].tolist()) == "[nan, 0.375, 0.125]"
    assert columns["accepted"].tolist() == [1, 0, 1]
    # From the start (5.5, 72, -31.25) to (5, 70, -30).
    assert [columns[f"v_{axis}_mm"][2] for axis in "xyz"] == [-0.5, -2.0, 1.25]


def test_a_truth():
    truth = read_truth(HERE / "truth.json")
    assert truth.world_from_camera.matrix().tolist() == POSE
    assert truth.fiducials_mm.tolist() == [[1.0, 2.0, 3.0], [-4.0, 5.5, 6.0]]


def test_a_geometry():
    record = read_geometry(HERE / "geometry.json")
    assert record.known() == {
        "source_to_detector": 1013.0, "source_to_isocenter": 647.0, "pixel_spacing": (2.5, 1.5),
        "principal_point": (1.75, 4.25), "mirrored": False, "primary_deg": 30.0,
        "secondary_deg": 20.0, "offset_mm": (1.5, -2.5, 9.0),
    }  # fmt: skip


@pytest.mark.parametrize("ending", ["npz", "png", "tif", "dcm"])
def test_a_radiograph(ending):
    read = read_radiograph(HERE / f"radiograph.{ending}")
    # Pictures hold 65,535 steps of the range; the DICOM file intensities, of which exp(-5.1) leaves 400.
    tolerance = {"npz": 0.0, "dcm": 1.3e-3}.get(ending, 4e-5)
    assert torch.allclose(read.line_integrals, PIXELS, rtol=0, atol=tolerance)
    is_carm(read.carm)
    assert read.simulated
    nominal = read.nominal
    assert (nominal.primary_deg, nominal.secondary_deg, nominal.roll_deg) == (30.0, 20.0, -3.5)
    assert nominal.offset_mm == (1.5, -2.5, 9.0)
    assert nominal.isocenter == (11.0, -23.0, 640.0)


def test_landmarks():
    for name in ("landmarks.fcsv", "landmarks.mrk.json"):
        assert read_landmarks(HERE / name) == [ASIS, HIDDEN]
    seen = Landmark("seen", pixel=(3.25, 4.75), covariance=(1.5, -0.25, 0.75))
    assert read_landmarks(HERE / "landmarks.csv") == [ASIS, HIDDEN, seen]


def test_a_session_with_the_pixels_beside_it(tmp_path):
    for file in HERE.glob("case.*"):
        shutil.copy(file, tmp_path)
    session = read_session(tmp_path / "case.xreg.json")
    assert session.problems == ()
    volume = session.patient.volume
    assert torch.equal(volume.lac, torch.arange(24.0).reshape(2, 3, 4) / 1024)
    assert torch.equal(volume.hu.flatten().int(), torch.arange(-1000, -976, dtype=torch.int32))
    assert volume.world_from_index.tolist() == [
        [2, 0, 0, 11],
        [0, 3, 0, -23],
        [0, 0, 5, 64],
        [0, 0, 0, 1],
    ]
    assert session.patient.labels.names == {77: "hip_left", 25: "sacrum"}
    assert session.patient.labels.ids.nonzero().tolist() == [[0, 0, 0], [1, 2, 1], [1, 2, 2]]
    state = session.state
    assert state.structures == (25,)
    assert state.isocenter.tolist() == [1.25, -2.5, 70.0]
    assert state.landmarks == (ASIS, Landmark("#2", (4.0, 5.0, 6.0)))
    frontal, lateral = state.exposures
    assert (frontal.name, lateral.name) == ("frontal", "lateral/1")
    assert (state.active, state.rig_locked) == (frontal.id, False)
    assert frontal.world_from_camera.matrix().tolist() == START
    assert frontal.truth.matrix().tolist() == POSE
    is_carm(frontal.radiograph.carm)
    assert torch.equal(frontal.radiograph.line_integrals, PIXELS)
    assert (~frontal.painted).nonzero().tolist() == [[2, 3], [2, 4]]
    assert frontal.left_out == ("#2",)
    assert frontal.landmarks == (
        Landmark("asis", pixel=(3.25, 4.75), visible=False, covariance=(1.5, -0.25, 0.75)),
        Landmark("#2", pixel=(2.5, 2.25)),
    )
    assert (frontal.radiograph.source, frontal.radiograph.notes) == ("test.dcm", ("a note",))
    # Rows 1 to 4, columns 2 to 5, turned: the first pixel was (4, 5), and (1.75, 4.25) is at 3 - 0.75, 3 - 2.25.
    assert lateral.radiograph.line_integrals[0, 0] == PIXELS[4, 5] + 0.5
    assert lateral.radiograph.carm.detector.center == (2.25, 0.75)
    assert not lateral.used
    assert state.named[0].poses[frontal.id].matrix().tolist() == START
    assert session.redo() == "again"
    assert session.poses.current.matrix().tolist() == POSE
    (result,) = state.results
    assert result.radiographs == (frontal.id, lateral.id)
    assert result.settings == {"method": "lm", "levels": [4, 1]}
    found = result.registration
    assert [pose.matrix().tolist() for pose in found.views] == [POSE, START]
    assert [iterate.accepted for iterate in found.trajectory] == [True, False, True]
    assert found.trajectory[1].losses == {"loss": 0.75, "edges": 0.375}
    assert found.trajectory[2].step == 1.5
    assert [candidate.start for candidate in found.candidates] == [0, 4]
    assert torch.diagonal(found.covariance).tolist() == [1e-6, 4e-6, 9e-6, 0.25, 1.0, 2.25]


def test_weights():
    read = read_checkpoint(HERE / "weights.safetensors")
    assert (read.kind, read.configuration) == ("compact", {"widths": [3, 4]})
    assert read.about == {"steps": 12, "scores": [1.5, None], "text": "µ"}
    assert read.weights["a.weight"].tolist() == [[1.5, -2.25], [0.125, 7.0]]
    assert read.weights["n"].tolist() == [3, 5]


def test_a_training_that_was_cut_short():
    state = read_state(HERE / "training.pt")
    assert (state["steps"], state["best_score"], state["task"]) == (4, 1.5, {"batches": 4})
    assert [(v.index, dict(v.scores)) for v in state["validations"]] == [
        (2, {"score": 1.5}), (4, {"score": 1.5}),
    ]  # fmt: skip
    assert state["network"]["weight"].shape == (1, 2)
