"""Everything written under the names row and column, against texts and numbers worked out by hand.

Writers and readers each alone: two that exchange both would understand each other. Source 1000 mm
from pixels of 0.9 x 1.3 mm; a camera at the origin of the world sees (39, -18, 500) mm at
(78, -36) mm on the detector, which is mirrored: row 140 - 36 / 0.9 = 100, column 110 - 78 / 1.3 = 50.
"""

import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest
import torch

from napari_xreg.cli.arguments.parser import build_parser
from napari_xreg.cli.commands import detect as detect_command, heatmap as heatmap_command
from napari_xreg.cli.inputs import given_carm
from napari_xreg.geometry import CArm, CArmPose, Detector, Pose, covariance_between
from napari_xreg.images import (
    Landmark,
    Radiograph,
    read_landmarks,
    read_radiograph,
    write_dicom_radiograph,
    write_landmarks,
    write_radiograph,
)
from napari_xreg.images.operations import Crop, Resize, operation_from_json, operation_to_json
from napari_xreg.landmarks import Detections, DetectionTrust
from napari_xreg.records.entries import CArmEntry, carm_of, carm_to_json
from napari_xreg.records.report import _landmark_table
from napari_xreg.records.trajectory_file import read_trajectory, write_trajectory
from napari_xreg.registration import (
    Iterate,
    Registration,
    Status,
)
from napari_xreg.session.files.session_json import (
    MaskEntry,
    landmark_from_json,
    landmark_to_json,
    mask_of,
    mask_to_json,
)
from napari_xreg.workflows import Detected, WeightsRead, predicted_landmarks

CARM = CArm(1000.0, 700.0, Detector((300, 200), (0.9, 1.3), (140.0, 110.0)))
ORIGIN = Pose(torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
POINT = (39.0, -18.0, 500.0)
MARK = Landmark("ASIS-l", (10.5, -20.25, 30.0), (7.25, 41.5), True, (4.0, -0.5, 9.0))
TABLE = """\
# napari-xreg landmarks 2; x, y, z: LPS, mm; row, column: pixels; last line: # end
name,x,y,z,row,column,row_variance,row_column_covariance,column_variance
ASIS-l,10.5,-20.25,30.0,7.25,41.5,4.0,-0.5,9.0
# end
"""
SIDEWAYS = """\
name,column_variance,column,row,row_column_covariance,row_variance
ASIS-l,9,41.5,7.25,-0.5,4
"""
GEOMETRY = {
    "schema": "napari-xreg/xray-geometry",
    "version": 1,
    "source_to_detector_mm": 1000.0,
    "source_to_isocenter_mm": 700.0,
    "pixel_spacing_mm": [0.9, 1.3],
    "principal_point_px": [140.0, 110.0],
    "mirrored": True,
    "primary_deg": 30.0,
    "secondary_deg": -12.0,
    "roll_deg": 2.5,
    "offset_mm": [1.0, -2.0, 3.0],
    "isocenter_mm": [11.0, -23.0, 640.0],
}
IN_RESULTS = {
    "source_to_detector_mm": 1000.0,
    "source_to_isocenter_mm": 700.0,
    "rows": 300,
    "columns": 200,
    "pixel_spacing_mm": [0.9, 1.3],
    "principal_point_px": [140.0, 110.0],
    "mirrored": True,
    "field_diameter_mm": None,
}


def image():
    """Its only bright pixel is at row 100, column 50."""
    values = torch.zeros(300, 200)
    values[100, 50] = 3.0
    nominal = CArmPose(30.0, -12.0, 2.5, (1.0, -2.0, 3.0), (11.0, -23.0, 640.0))
    return Radiograph(values, CARM, nominal=nominal, simulated=True)


def test_projection_itself():
    point = torch.tensor(POINT, dtype=torch.float64)
    assert CARM.project(point, ORIGIN).tolist() == pytest.approx([100.0, 50.0])


class TestLandmarks:
    def test_the_table_that_is_written(self, tmp_path):
        write_landmarks(tmp_path / "a.csv", [MARK])
        assert (tmp_path / "a.csv").read_bytes() == TABLE.encode()

    @pytest.mark.parametrize(
        ("text", "position"), [(TABLE, MARK.position), (SIDEWAYS, None)], ids=["ours", "sideways"]
    )
    def test_tables_that_are_read(self, tmp_path, text, position):
        (tmp_path / "a.csv").write_text(text)
        (read,) = read_landmarks(tmp_path / "a.csv")
        assert read == replace(MARK, position=position)

    def test_in_a_session(self):
        data = {
            "name": "ASIS-l",
            "position_mm": [10.5, -20.25, 30.0],
            "pixel_row_column": [7.25, 41.5],
            "covariance_px2": [4.0, -0.5, 9.0],
        }
        assert json.loads(json.dumps(landmark_to_json(MARK))) == data
        assert landmark_from_json(data) == MARK

    def test_predicted_by_a_result(self):
        """4 mm2 along camera x are 4 (1000 / 500 / 1.3)^2 squared columns, 1 mm2 along y rows."""
        covariance = torch.diag(torch.tensor([0, 0, 0, 4.0, 1.0, 0], dtype=torch.float64))
        pivot = torch.tensor([1.0, 2.0, 700.0], dtype=torch.float64)
        found = Registration(ORIGIN, Status.CONVERGED, {}, (), pivot, covariance, (ORIGIN,))
        (entry,) = predicted_landmarks([Landmark("a", POINT)], CARM, found)
        assert entry["pixel_row_column"] == pytest.approx([100.0, 50.0])
        assert np.array(entry["pixel_covariance"]) == pytest.approx(
            np.array([[4.938272, 0.0], [0.0, 9.467456]]), abs=1e-6
        )
        assert entry["expected_error_mm"] == pytest.approx(5**0.5)
        # A CT 1 % larger, pose and landmark: the point 1 % farther from the source, along its ray.
        scale = torch.cat([torch.zeros(3), -0.01 * pivot]).double()
        larger = replace(found, covariance=covariance + scale.outer(scale), scale=scale)
        (with_scale,) = predicted_landmarks([Landmark("a", POINT)], CARM, larger)
        assert with_scale["pixel_covariance"] == pytest.approx(np.array(entry["pixel_covariance"]))
        along = 1e-4 * sum(each**2 for each in POINT)
        assert with_scale["expected_error_mm"] == pytest.approx((5 + along) ** 0.5)
        table = _landmark_table([entry])
        assert "row, column" in table
        assert "100.00, 50.00" in table

    def test_detected(self, tmp_path):
        """samples (5, 41.5 -+ 1) and (9.5, ...): their spread is along rows."""
        samples = torch.tensor([[[5.0, 42.5]], [[9.5, 40.5]]], dtype=torch.float64)
        total = torch.tensor([[[8.0, -1.5], [-1.5, 3.0]]], dtype=torch.float64)
        found = Detections(
            ("ASIS-l",), samples.mean(0), total, torch.tensor([0.75]).double(), samples
        )
        trust = DetectionTrust(2.0, None, 1, "words")
        detected = Detected(found, trust, WeightsRead("w.safetensors", {}))
        (entry,) = detect_command._answer(detected, image())["landmarks"]
        assert entry == {
            "name": "ASIS-l",
            "pixel_row_column": [7.25, 41.5],
            "covariance_px2": [
                pytest.approx([8.0, -1.5], abs=1e-3),
                pytest.approx([-1.5, 3.0], abs=1e-3),
            ],
            # Away from the mean by (-+ 2.25, +- 1).
            "covariance_of_passes_px2": [[5.0625, -2.25], [-2.25, 1.0]],
            "spread_px": pytest.approx(11**0.5, abs=1e-3),
            "visible": 0.75,
        }
        write_landmarks(tmp_path / "a.csv", found.landmarks())
        _, head, row, _ = (tmp_path / "a.csv").read_text().splitlines()
        assert head == "name,x,y,z,row,column,row_variance,row_column_covariance,column_variance"
        assert row.startswith("ASIS-l,,,,7.25,41.5,")
        assert [float(v) for v in row.split(",")[-3:]] == pytest.approx([8.0, -1.5, 3.0], abs=1e-3)


class TestRadiographs:
    def test_what_a_file_of_ours_holds(self, tmp_path):
        write_radiograph(tmp_path / "x.npz", image())
        held = np.load(tmp_path / "x.npz")
        said = json.loads(str(held["geometry"]))
        assert said.pop("image")["simulated"] is True
        assert said == GEOMETRY
        assert np.argwhere(held["line_integrals"] == 3.0).tolist() == [[100, 50]]

    def test_a_file_made_by_hand(self, tmp_path):
        values = np.zeros((300, 200), np.float32)
        values[100, 50] = 3.0
        about = GEOMETRY | {"image": {"read_as": "line_integral"}}
        np.savez(tmp_path / "x.npz", line_integrals=values, geometry=json.dumps(about))
        read = read_radiograph(tmp_path / "x.npz")
        assert read.carm == CARM
        assert read.nominal == image().nominal
        assert read.line_integrals[100, 50] == 3.0

    def test_dicom(self, tmp_path):
        """PS3.3: pixel spacings and the isocenter's projection are row first."""
        write_dicom_radiograph(tmp_path / "x.dcm", image())
        dataset = pydicom.dcmread(tmp_path / "x.dcm")
        assert [float(v) for v in dataset.ImagerPixelSpacing] == [0.9, 1.3]
        assert [float(v) for v in dataset.PositionOfIsocenterProjection] == [140.0, 110.0]
        assert (dataset.Rows, dataset.Columns) == (300, 200)

    def test_in_results_and_sessions(self):
        said = carm_to_json(CARM)
        assert np.array(said["K"]) == pytest.approx(
            np.array([[-769.230769, 0, 110], [0, 1111.111111, 140], [0, 0, 1]])
        )
        assert said["K_opencv"][0][0] == pytest.approx(769.230769)
        assert {name: said[name] for name in IN_RESULTS} == IN_RESULTS
        assert carm_of(CArmEntry.of(IN_RESULTS, "the geometry")) == CARM

    def test_operations(self):
        crop = {"kind": "crop", "row": 7, "column": 11, "rows": 30, "columns": 20, "of": [300, 200]}
        assert operation_to_json(Crop(7, 11, 30, 20, (300, 200))) == crop
        assert operation_from_json(crop) == Crop(7, 11, 30, 20, (300, 200))
        resize = {"kind": "resize", "rows": 30, "columns": 20, "of": [300, 200]}
        assert operation_to_json(Resize(30, 20, (300, 200))) == resize
        assert operation_from_json(resize) == Resize(30, 20, (300, 200))
        # Files of version 0.x.
        words = "crop rows 7+30, columns 11+20 of 300x200"
        assert operation_from_json(words) == Crop(7, 11, 30, 20, (300, 200))

    def test_painted_masks(self):
        """Row by row: T T F / F T T is two, two, two."""
        mask = torch.tensor([[True, True, False], [False, True, True]])
        assert mask_to_json(mask) == {"rows": 2, "columns": 3, "runs": [2, 2, 2]}
        assert torch.equal(mask_of(MaskEntry(rows=2, columns=3, runs=[2, 2, 2])), mask)

    def test_options_of_the_command_line(self):
        words = (
            "render phantom --out x.npy --pixels 300 200 --pixel-spacing 0.9 1.3 "
            "--principal-point 140 110 --sdd 1000 --source-to-isocenter 700"
        )
        assert given_carm(build_parser().parse_args(words.split())) == CARM


class TestHeatmaps:
    GRID = replace(CARM, detector=CARM.detector.resize(3, 4))  # 100 rows and 50 columns a cell

    def test_where_its_cells_lie(self):
        pixels = heatmap_command._pixel_centres(self.GRID, CARM)
        assert pixels.shape == (3, 4, 2)
        assert pixels[1, 2] == pytest.approx([149.5, 124.5])
        assert pixels[2, 0] == pytest.approx([249.5, 24.5])

    def test_covariances_of_peaks(self):
        spread = torch.tensor([[1.0, 0.2], [0.2, 2.0]], dtype=torch.float64)
        carried = covariance_between(spread, self.GRID, CARM)
        assert carried.flatten().tolist() == pytest.approx([10_000.0, 1000.0, 1000.0, 5000.0])
        entry = {"peak_row_column": [100.0, 50.0], "similarity": 0.5, "in_image": None}
        words = heatmap_command._words(entry, carried, CARM.detector.spacing)
        # 10000 x 0.9^2 = 8100 and 5000 x 1.3^2 = 8450 mm2: the root of their mean is 91 mm.
        assert words.startswith("row 100.0, column 50.0, ± 91 mm on the detector")


class TestTrajectory:
    """Turned by 0.01 rad about the pivot's z, then moved by (3, -4, 5) mm in the world."""

    PIVOT = torch.tensor([11.0, -23.0, 640.0], dtype=torch.float64)
    HEAD = (
        "iteration,start,level,accepted,seconds,step_mm,damping,loss,loss_edges,omega_x_rad,"
        "omega_y_rad,omega_z_rad,v_x_mm,v_y_mm,v_z_mm,primary_deg,secondary_deg,roll_deg,x_mm,y_mm,"
        "depth_mm"
    )
    FIRST = (
        "# napari-xreg/trajectory version 1; world LPS mm; twist from the start about (11 -23 640); "
        "simulated yes; 2 rows"
    )

    def test_what_is_written(self, tmp_path):
        c, s = np.cos(0.01), np.sin(0.01)
        turn = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=torch.float64)
        terms = CArmPose(20.0, -7.5, 3.25, (1.5, -2.5, 9.0), tuple(self.PIVOT.tolist()))
        start = CARM.pose_from(terms)
        turned = Pose(turn, self.PIVOT - turn @ self.PIVOT) @ start
        moved = Pose(start.rotation, start.translation + torch.tensor([3.0, -4.0, 5.0]).double())
        iterates = (
            Iterate(0, 2, 1, turned, {"loss": 0.5, "edges": 0.25}, False, 0.125, 2.5, 0.75),
            Iterate(1, 2, 1, moved, {"loss": 0.375}),
        )
        found = Registration(
            moved, Status.CONVERGED, {}, iterates, self.PIVOT, views=(moved,), simulated=True
        )
        write_trajectory(tmp_path / "t.csv", found, CARM, start)
        first, head, one, two = (tmp_path / "t.csv").read_text().splitlines()
        assert (first, head) == (self.FIRST, self.HEAD)
        cells = dict(zip(self.HEAD.split(","), one.split(","), strict=True))
        assert one.startswith("0,2,1,0,0.75,2.5,0.125,0.5,0.25,")
        named = [float(cells[f"omega_{a}_rad"]) for a in "xyz"]
        assert named == pytest.approx([0, 0, 0.01], abs=1e-9)
        assert [float(cells[f"v_{a}_mm"]) for a in "xyz"] == pytest.approx([0, 0, 0], abs=1e-6)
        cells = dict(zip(self.HEAD.split(","), two.split(","), strict=True))
        assert two.startswith("1,2,1,1,")
        assert cells["loss_edges"] == "nan"
        assert [float(cells[f"v_{a}_mm"]) for a in "xyz"] == pytest.approx([3, -4, 5], abs=1e-6)

    def test_c_arm_terms_stand_below_their_names(self, tmp_path):
        terms = CArmPose(20.0, -7.5, 3.25, (1.5, -2.5, 9.0), tuple(self.PIVOT.tolist()))
        pose = CARM.pose_from(terms)
        found = Registration(
            pose, Status.CONVERGED, {}, (Iterate(0, 0, 0, pose, {"loss": 0.5}),), self.PIVOT,
            views=(pose,),
        )  # fmt: skip
        write_trajectory(tmp_path / "t.csv", found, CARM, pose)
        last = (tmp_path / "t.csv").read_text().splitlines()[-1].split(",")[-6:]
        assert [float(cell) for cell in last] == pytest.approx([20, -7.5, 3.25, 1.5, -2.5, 9.0])

    def test_what_is_read(self, tmp_path):
        rows = [[i, 2, 1, 1, *(100 * i + k for k in range(17))] for i in range(2)]
        lines = [",".join(map(str, row)) for row in rows]
        (tmp_path / "t.csv").write_text("\n".join([self.FIRST, self.HEAD, *lines, ""]))
        read = read_trajectory(tmp_path / "t.csv")
        assert read["seconds"].tolist() == [0, 100]
        assert read["loss_edges"].tolist() == [4, 104]
        assert read["omega_x_rad"].tolist() == [5, 105]
        assert read["v_z_mm"].tolist() == [10, 110]
        assert read["primary_deg"].tolist() == [11, 111]
        assert read["depth_mm"].tolist() == [16, 116]
