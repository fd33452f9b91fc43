"""Everything a registration leaves on disk is read back, and says which way it maps."""

import dataclasses
import hashlib
import importlib.metadata
import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import torch
from saved_case import CARM, PIVOT, POSE, TURN, carm_pose, registration

from napari_xreg.cli.arguments.options import FRAMES
from napari_xreg.files import POSE as POSE_SCHEMA, RESULT, TRUTH, VERSIONS
from napari_xreg.geometry import CArmPose, Detector
from napari_xreg.images import ReadError
from napari_xreg.records.entries import CArmEntry, carm_of, carm_to_json
from napari_xreg.records.pose_files import read_pose, write_pose
from napari_xreg.records.pose_frames import POSE_FRAMES
from napari_xreg.records.report import write_report
from napari_xreg.records.result_files import (
    describe_input,
    read_result,
    result_to_json,
    write_result,
)
from napari_xreg.records.trajectory_file import read_trajectory, write_trajectory
from napari_xreg.registration import (
    CAUTION,
    COLORS,
    RefineSettings,
    Spread,
    Status,
)
from napari_xreg.registration.refinement.first_order.adam import AdamSettings


def written(tmp_path, **changes):
    result, view = registration()
    data = result_to_json(result, [view], settings=RefineSettings()) | changes
    write_result(tmp_path / "r.json", data)
    return tmp_path / "r.json"


class TestPoseFiles:
    @pytest.mark.parametrize("ending", ["json", "tfm", "txt"])
    def test_what_is_written_is_read_without_being_told_the_frame(self, tmp_path, ending):
        path = tmp_path / f"pose.{ending}"
        pose = carm_pose(33.0, 12.0)
        write_pose(path, pose)
        assert torch.allclose(read_pose(path).matrix(), pose.matrix(), rtol=0, atol=1e-12)
        assert "version" in path.read_text()

    def test_itk_applies_the_transform_to_camera_coordinates(self, tmp_path):
        # World of camera (1, 2, 3): x 1 + 5, y -3 + 70, z 2 - 30.
        write_pose(tmp_path / "p.tfm", POSE)
        transform = sitk.ReadTransform(str(tmp_path / "p.tfm"))
        assert transform.TransformPoint((1.0, 2.0, 3.0)) == pytest.approx((6.0, 67.0, -28.0))

    @pytest.mark.parametrize(
        ("frame", "rows"),
        [
            # World of camera (x, y, z) is (x + 5, 70 - z, y - 30).
            ("world_from_camera", "1 0 0 5\n0 0 -1 70\n0 1 0 -30\n0 0 0 1"),
            # Camera of world (x, y, z) is (x - 5, z + 30, 70 - y).
            ("camera_from_world", "1 0 0 -5\n0 0 1 30\n0 -1 0 70\n0 0 0 1"),
            ("opencv", "1, 0, 0, -5\n0, 0, 1, 30\n0, -1, 0, 70\n0, 0, 0, 1"),
            # RAS is (-x, -y, z): of camera (x, y, z) it is (-x - 5, z - 70, y - 30).
            ("ras_from_camera", "-1 0 0 -5\n0 0 1 -70\n0 1 0 -30\n0 0 0 1"),
            # Camera of RAS (x, y, z), which is LPS (-x, -y, z): (-x - 5, z + 30, y + 70).
            ("camera_from_ras", "-1 0 0 -5\n0 0 1 30\n0 1 0 70\n0 0 0 1"),
        ],
    )
    def test_text_in_every_frame(self, tmp_path, frame, rows):
        (tmp_path / "m.txt").write_text(f"# from somewhere\n{rows}\n")
        found = read_pose(tmp_path / "m.txt", frame=frame)
        assert torch.allclose(found.matrix(), POSE.matrix(), atol=1e-12)

    @pytest.mark.parametrize("kind", [sitk.Euler3DTransform, sitk.VersorRigid3DTransform])
    def test_rigid_itk_transforms_with_a_centre(self, tmp_path, kind):
        transform = kind()
        transform.SetCenter((10.0, 20.0, 30.0))
        transform.SetMatrix(TURN.flatten().tolist())
        transform.SetTranslation((1.0, 2.0, 4.0))
        sitk.WriteTransform(transform, str(tmp_path / "e.tfm"))
        # R (p - c) + c + t at p = 0: (-10 + 11, 30 + 22, -20 + 34).
        found = read_pose(tmp_path / "e.tfm", frame="world_from_camera")
        assert found.translation.tolist() == pytest.approx([1.0, 52.0, 14.0])
        assert torch.allclose(found.rotation, TURN, atol=1e-9)
        inverse = read_pose(tmp_path / "e.tfm", frame="camera_from_world")
        assert torch.allclose((inverse @ found).matrix(), torch.eye(4).double(), atol=1e-9)

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            (
                "m.txt",
                "1 0 0 5\n0 1 0 70\n0 0 1 -30\n0 0 0 1",
                "say which frame it is: world_from_camera,",
            ),
            ("m.txt", "# frame x\n1 0 0\n0 1 0\n0 0 1", "should be four rows of four numbers"),
            ("m.txt", "a b c d\n" * 4, "should be four rows of four numbers"),
            ("m.json", "{", "not valid JSON"),
            ("m.json", "[1]", "no JSON object but a list"),
            ("m.json", '{"schema": "napari-xreg/pose", "version": 2}', "update napari-xreg"),
            (
                "m.json",
                '{"schema": "napari-xreg/pose", "version": 1}',
                "the entry 'world_from_camera' is missing",
            ),
            ("m.tfm", "#Insight Transform File V1.0\nTransform: Nonsense\n", "cut off"),
        ],
    )
    def test_what_is_not_a_pose_is_refused(self, tmp_path, name, text, message):
        (tmp_path / name).write_text(text)
        with pytest.raises(ReadError, match=message):
            read_pose(tmp_path / name)

    def test_matrices_that_are_no_motion_are_refused(self, tmp_path):
        (tmp_path / "m.txt").write_text("2 0 0 5\n0 2 0 70\n0 0 2 -30\n0 0 0 1")
        with pytest.raises(ReadError, match=r"m\.txt.*must be a rotation"):
            read_pose(tmp_path / "m.txt", frame="opencv")
        (tmp_path / "m.txt").write_text("-1 0 0 5\n0 1 0 70\n0 0 1 -30\n0 0 0 1")
        with pytest.raises(ReadError, match="mirrored"):
            read_pose(tmp_path / "m.txt", frame="opencv")

    def test_a_frame_that_contradicts_the_file_is_refused(self, tmp_path):
        write_pose(tmp_path / "p.tfm", POSE)
        with pytest.raises(ReadError, match="not camera_from_world"):
            read_pose(tmp_path / "p.tfm", frame="camera_from_world")

    def test_unknown_endings_and_absent_files_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match=r"\.json, \.tfm or \.txt"):
            write_pose(tmp_path / "p.doc", POSE)
        with pytest.raises(ReadError, match="cannot be opened"):
            read_pose(tmp_path / "absent.json")


class TestResult:
    def test_everything_comes_back(self, tmp_path):
        result, view = registration()
        write_result(tmp_path / "r.json", result_to_json(result, [view], settings=RefineSettings()))
        saved = read_result(tmp_path / "r.json")
        assert torch.equal(saved.world_from_camera.matrix(), result.world_from_camera.matrix())
        assert torch.equal(saved.start.matrix(), view.world_from_camera.matrix())
        assert torch.equal(saved.covariance, result.covariance)
        assert torch.equal(saved.scale, result.scale)
        assert saved.pivot.tolist() == pytest.approx(PIVOT.tolist())
        assert saved.carm == CARM
        assert saved.status is Status.CONVERGED
        assert dict(saved.losses) == {"loss": 0.25, "intensity": 0.2, "edges": 0.3}
        assert saved.simulated
        assert saved.data["status"]["probability"] == 0.875

    def test_an_older_file_says_nothing_of_the_scale(self, tmp_path):
        result, view = registration()
        data = result_to_json(result, [view], settings=RefineSettings())
        del data["covariance"]["scale"]
        write_result(tmp_path / "r.json", data)
        saved = read_result(tmp_path / "r.json")
        assert saved.scale is None
        assert torch.equal(saved.covariance, result.covariance)

    @pytest.mark.parametrize("probability", [1.5, -0.1, "high"])
    def test_a_probability_lies_between_0_and_1(self, tmp_path, probability):
        data = json.loads(written(tmp_path).read_text())
        data["status"]["probability"] = probability
        (tmp_path / "r.json").write_text(json.dumps(data))
        with pytest.raises(ReadError, match=r"status\.probability"):
            read_result(tmp_path / "r.json")

    def test_a_result_is_a_start_for_the_next(self, tmp_path):
        path = written(tmp_path)
        assert torch.equal(read_pose(path).matrix(), carm_pose(17.0, -6.0).matrix())

    def test_carm_terms_and_inverse_stand_beside_the_matrix(self, tmp_path):
        data = json.loads(written(tmp_path).read_text())
        carm = data["pose"]["carm"]
        assert carm["primary_deg"] == pytest.approx(17.0)
        assert carm["secondary_deg"] == pytest.approx(-7.5)
        assert carm["offset_mm"] == pytest.approx([1.5, -2.5, -6.0])
        product = np.array(data["pose"]["world_from_camera"]) @ data["pose"]["camera_from_world"]
        assert product == pytest.approx(np.eye(4), abs=1e-9)

    def test_k_projects_as_the_carm_does(self, tmp_path):
        data = json.loads(written(tmp_path).read_text())
        k, camera = np.array(data["geometry"]["K"]), np.array([30.0, -12.0, 700.0])
        column, row, depth = k @ camera
        # Mirrored: 29.25 - 1013 * 30 / (700 * 0.9), 17.5 - 1013 * 12 / (700 * 0.7).
        assert (row / depth, column / depth) == pytest.approx((-7.30816, -18.98810), abs=1e-4)
        assert data["geometry"]["K_opencv"][0][0] == -k[0, 0] > 0

    @pytest.mark.parametrize(
        "settings", [RefineSettings(spread=Spread(1.0, 2.0, 4.0)), AdamSettings()]
    )
    def test_every_setting_is_written(self, tmp_path, settings):
        result, view = registration()
        data = result_to_json(result, [view], settings=settings)
        write_result(tmp_path / "r.json", data)
        kept = json.loads((tmp_path / "r.json").read_text())["settings"]
        assert set(kept) == {"kind"} | {f.name for f in dataclasses.fields(settings)}
        assert kept["kind"] == type(settings).__name__
        if isinstance(settings, RefineSettings):
            assert kept["spread"] == {"rotation_deg": 1.0, "in_plane_mm": 2.0, "depth_mm": 4.0}
            assert kept["levels"][-1]["voxel_mm"] == settings.levels[-1].voxel_mm
        else:
            assert kept["similarity"] == "xvr_similarity"

    def test_standard_deviations_are_in_carm_terms(self):
        # A covariance of 4 mm^2 along world x only is 2 mm across the frontal view.
        result, view = registration()
        frontal = CARM.pose_from(CArmPose(isocenter=(11.0, -23.0, 640.0)))
        covariance = torch.zeros(6, 6, dtype=torch.float64)
        covariance[3, 3] = 4.0
        result = dataclasses.replace(result, world_from_camera=frontal, covariance=covariance)
        entry = result_to_json(result, [view], settings=RefineSettings())["covariance"]
        spread = entry["standard_deviation"]
        assert spread["x_mm"] == pytest.approx(2.0)
        assert spread["depth_mm"] == pytest.approx(0.0, abs=1e-9)

    def test_infinite_losses_become_null(self, tmp_path):
        data = json.loads(written(tmp_path).read_text())
        assert data["candidates"][1]["loss"] is None
        assert "Infinity" not in (tmp_path / "r.json").read_text()

    def test_versions_and_notes(self, tmp_path):
        data = json.loads(written(tmp_path).read_text())
        assert data["versions"]["torch"] == importlib.metadata.version("torch")
        assert data["notes"] == ["watch out"]
        assert data["views"][0]["notes"] == ["a note"]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"version": 2}, "update napari-xreg"),
            (
                {"schema": "napari-xreg/other"},
                "whose .schema. is napari-xreg/registration: got .napari-xreg/other",
            ),
            ({"schema": "napari-xreg/pose"}, "is napari-xreg/registration: got .napari-xreg/pose"),
            ({"pose": {}}, "'pose.world_from_camera' is missing"),
            (
                {"pose": {"world_from_camera": [[1.0]], "carm": {}}},
                "should be four rows of four numbers",
            ),
            (
                {"status": {"name": "WONDERFUL"}},
                "status.name should be one of CONVERGED, .*'WONDERFUL'",
            ),
            ({"losses": 3}, "losses should be an object: got 3"),
        ],
    )
    def test_damaged_results_are_refused(self, tmp_path, changes, message):
        with pytest.raises(ReadError, match=message):
            read_result(written(tmp_path, **changes))

    def test_carm_round_trip_without_a_round_field(self):
        plain = dataclasses.replace(CARM, detector=Detector((8, 9), (1.5, 2.5), mirrored=False))
        again = carm_of(CArmEntry.of(json.loads(json.dumps(carm_to_json(plain))), "the geometry"))
        assert again.detector.center == plain.detector.center
        assert (again.detector.mirrored, again.detector.field_diameter) == (False, None)


class TestInputs:
    def test_a_file_is_known_by_its_hash(self, tmp_path):
        (tmp_path / "ct.nii").write_bytes(b"0123456789")
        entry = describe_input(tmp_path / "ct.nii", "ct")
        assert entry["sha256"] == hashlib.sha256(b"0123456789").hexdigest()
        assert (entry["role"], entry["bytes"]) == ("ct", 10)

    @pytest.mark.parametrize(
        ("named", "text", "data"),
        [
            ("ct.nhdr", b"NRRD0005\nencoding: raw\ndata file: ct.raw\n", "ct.raw"),
            ("ct.mhd", (b"DimSize = 1 1 1\nElementSpacing = 1 1 1\nOffset = 0 0 0\n"
             b"TransformMatrix = 1 0 0 0 1 0 0 0 1\nElementDataFile = ct.raw\n"), "ct.raw"),
            ("ct.hdr", b"header", "ct.img"),
            ("ct.img", b"voxels", "ct.hdr"),
        ],
    )  # fmt: skip
    def test_a_header_is_known_by_the_voxels_beside_it_too(self, tmp_path, named, text, data):
        (tmp_path / named).write_bytes(text)
        (tmp_path / data).write_bytes(b"12345")
        first = describe_input(tmp_path / named, "ct")
        assert first["bytes"] == len(text) + 5
        (tmp_path / data).write_bytes(b"12346")
        assert describe_input(tmp_path / named, "ct")["sha256"] != first["sha256"]

    def test_a_slice_is_known_by_its_series(self, tmp_path):
        """The twenty bytes of another slice are part of what is read."""
        for number, uid in enumerate(("1.2.3", "1.2.3", "1.2.9")):
            meta = pydicom.dataset.FileMetaDataset()
            meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
            meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
            meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
            image = pydicom.dataset.FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
            image.SOPClassUID, image.SeriesInstanceUID = meta.MediaStorageSOPClassUID, uid
            pydicom.dcmwrite(tmp_path / f"{number}.dcm", image, enforce_file_format=True)
        first = describe_input(tmp_path / "0.dcm", "ct")
        assert first["bytes"] == sum((tmp_path / f"{n}.dcm").stat().st_size for n in (0, 1))
        with (tmp_path / "1.dcm").open("ab") as file:
            file.write(b"changed")
        assert describe_input(tmp_path / "0.dcm", "ct")["sha256"] != first["sha256"]

    def test_what_has_no_end_is_not_read(self, tmp_path):
        with pytest.raises(ReadError, match="a device or a pipe"):
            describe_input("/dev/zero", "ct")
        text = b"NRRD0005\nencoding: raw\ndata file: /dev/zero\n"
        (tmp_path / "ct.nhdr").write_bytes(text)
        assert describe_input(tmp_path / "ct.nhdr", "ct")["bytes"] == len(text)

    def test_a_folder_is_known_by_names_and_contents(self, tmp_path):
        (tmp_path / "a").write_bytes(b"1")
        (tmp_path / "b").write_bytes(b"22")
        first = describe_input(tmp_path, "ct")
        (tmp_path / "b").rename(tmp_path / "c")
        assert first["bytes"] == 3
        assert describe_input(tmp_path, "ct")["sha256"] != first["sha256"]


class TestTrajectory:
    def test_poses_come_back_from_twists_and_from_carm_terms(self, tmp_path):
        result, view = registration()
        start = view.world_from_camera
        write_trajectory(tmp_path / "t.csv", result, CARM, start)
        table = read_trajectory(tmp_path / "t.csv")
        twists = [table[f"omega_{a}_rad"] for a in "xyz"] + [table[f"v_{a}_mm"] for a in "xyz"]
        for i, iterate in enumerate(result.trajectory):
            twist = torch.tensor([column[i] for column in twists])
            moved = start.left_perturb(twist, PIVOT).matrix()
            assert torch.allclose(moved, iterate.world_from_camera.matrix(), atol=1e-5)
            terms = CArmPose(
                table["primary_deg"][i],
                table["secondary_deg"][i],
                table["roll_deg"][i],
                tuple(table[name][i] for name in ("x_mm", "y_mm", "depth_mm")),
                (11.0, -23.0, 640.0),
            )
            rebuilt = CARM.pose_from(terms).matrix()
            assert torch.allclose(rebuilt, iterate.world_from_camera.matrix(), atol=1e-5)

    def test_columns(self, tmp_path):
        result, view = registration()
        write_trajectory(tmp_path / "t.csv", result, CARM, view.world_from_camera)
        table = read_trajectory(tmp_path / "t.csv")
        assert table["iteration"].tolist() == [0, 1, 2]
        assert table["level"].tolist() == [0, 0, 1]
        assert table["accepted"].tolist() == [1, 0, 1]
        assert table["loss"].tolist() == [0.5, 0.6, 0.25]
        assert table["loss_intensity"].tolist() == [0.4, 0.5, 0.2]
        assert np.isnan(table["loss_edges"][:2]).all()
        assert table["damping"].tolist() == [0.0, 0.1, 0.03]
        assert table["step_mm"].tolist() == [0.0, 2.5, 1.5]
        head = (tmp_path / "t.csv").read_text().splitlines()[0]
        assert "version 1" in head
        assert "simulated yes" in head

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("iteration\n1\n", "first line"),
            ("# napari-xreg/trajectory version 9; x\niteration\n1\n", "version 9"),
            ("# napari-xreg/trajectory version 1; x\na,b\n1\n", "damaged"),
            ("", "first line"),
        ],
    )
    def test_damaged_tables_are_refused(self, tmp_path, text, message):
        (tmp_path / "t.csv").write_text(text)
        with pytest.raises(ReadError, match=message):
            read_trajectory(tmp_path / "t.csv")


# As 3D Slicer writes a linear transform: the inverse of what its node shows, LPS on both sides.
# The node shows RAS of camera: (x, y, z) goes to (-x - 5, z - 70, y - 30); its inverse takes RAS
# (X, Y, Z) to (-X - 5, Z + 30, Y + 70). With both signs of the first two axes turned on both sides
# LPS (X, Y, Z) goes to (-X + 5, -Z - 30, -Y + 70).
SLICER_TFM = """#Insight Transform File V1.0
#Transform 0
Transform: AffineTransform_double_3_3
Parameters: -1 0 0 0 0 -1 0 -1 0 5 -30 70
FixedParameters: 0 0 0
"""


class TestSlicer:
    def test_a_camera_saved_by_slicer_is_read(self, tmp_path):
        (tmp_path / "camera.tfm").write_text(SLICER_TFM)
        found = read_pose(tmp_path / "camera.tfm", frame="slicer")
        assert torch.allclose(found.matrix(), POSE.matrix(), rtol=0, atol=1e-12)
        # No other frame makes the same of it.
        others = [frame for frame in POSE_FRAMES if frame != "slicer"]
        assert len(others) == 5
        for frame in others:
            other = read_pose(tmp_path / "camera.tfm", frame=frame)
            assert not torch.allclose(other.matrix(), POSE.matrix(), rtol=0, atol=1.0)

    def test_what_is_written_for_slicer_maps_as_itk_documents(self, tmp_path):
        # The camera's (1, 2, 3) lies at LPS (1 + 5, 70 - 3, 2 - 30). An ITK transform takes a point
        # of the space that is seen (the patient) to the space that moves (the camera); there the
        # first two axes are turned, because Slicer turns them back on reading.
        write_pose(tmp_path / "camera.tfm", POSE, frame="slicer")
        transform = sitk.ReadTransform(str(tmp_path / "camera.tfm"))
        assert transform.TransformPoint((6.0, 67.0, -28.0)) == pytest.approx((-1.0, -2.0, 3.0))
        by_hand = sitk.ReadTransform(str(_written(tmp_path / "hand.tfm", SLICER_TFM)))
        assert transform.GetParameters() == by_hand.GetParameters()
        assert torch.allclose(read_pose(tmp_path / "camera.tfm").matrix(), POSE.matrix())

    @pytest.mark.parametrize(
        ("frame", "first", "last"),
        [
            ("world_from_camera", "1.0 0.0 0.0 5.0", "0.0 1.0 0.0 -30.0"),
            ("opencv", "1.0 0.0 0.0 -5.0", "0.0 -1.0 0.0 70.0"),
            ("ras_from_camera", "-1.0 0.0 0.0 -5.0", "0.0 1.0 0.0 -30.0"),
            ("camera_from_ras", "-1.0 0.0 0.0 -5.0", "0.0 1.0 0.0 70.0"),
        ],
    )
    def test_every_frame_is_written_as_it_is_read(self, tmp_path, frame, first, last):
        write_pose(tmp_path / "p.txt", POSE, frame=frame)
        rows = (tmp_path / "p.txt").read_text().replace("-0.0", "0.0").splitlines()
        assert (rows[1], rows[3]) == (first, last)
        assert torch.allclose(read_pose(tmp_path / "p.txt").matrix(), POSE.matrix(), atol=1e-12)

    def test_the_command_line_knows_every_frame(self):
        assert FRAMES == POSE_FRAMES

    def test_json_holds_one_frame_only(self, tmp_path):
        with pytest.raises(ValueError, match=r"write \.tfm or \.txt"):
            write_pose(tmp_path / "p.json", POSE, frame="slicer")
        assert not (tmp_path / "p.json").exists()


def _written(path, text):
    path.write_text(text)
    return path


AFFINE = "Transform: AffineTransform_double_3_3\n"
NUMBERS = "Parameters: 1 0 0 0 1 0 0 0 1 5 70 -30\n"
FIXED = "FixedParameters: 0 0 0\n"


class TestDamage:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (AFFINE, "damaged or cut off"),
            (AFFINE + NUMBERS, "damaged or cut off"),
            (AFFINE + NUMBERS + FIXED.rstrip(), "ends with a line break"),
            (AFFINE + NUMBERS.replace(" -30", "") + FIXED, "12 parameters: got 11"),
            (AFFINE + NUMBERS.replace(" 70", " 70 71") + FIXED, "12 parameters: got 13"),
            (AFFINE + NUMBERS + FIXED.replace(" 0\n", "\n"), "3 fixed parameters: got 2"),
            (AFFINE + NUMBERS.replace("70", "nan") + FIXED, "expected a number: got 'nan'"),
            (AFFINE + NUMBERS.replace("70", "7_0") + FIXED, "expected a number"),
            (AFFINE + NUMBERS.replace("70", "1e999") + FIXED, "expected a number"),
            (AFFINE + NUMBERS.replace("70", "7,5") + FIXED, "expected a number"),
            (AFFINE + NUMBERS + NUMBERS + FIXED, "damaged or cut off"),
            (2 * (AFFINE + NUMBERS + FIXED), "several transforms"),
            (AFFINE.replace("3_3", "2_2") + NUMBERS + FIXED, "expected a rigid 3D transform"),
            (
                AFFINE.replace("Affine", "BSpline") + NUMBERS + FIXED,
                "expected a rigid 3D transform",
            ),
            (AFFINE + NUMBERS.replace("1 0 0 0 1", "2 0 0 0 2") + FIXED, "must be a rotation"),
            (AFFINE + NUMBERS.replace(": 1", ": -1") + FIXED, "mirrored"),
        ],
    )
    def test_a_transform_is_whole_or_refused(self, tmp_path, text, message):
        path = _written(tmp_path / "p.tfm", "#Insight Transform File V1.0\n" + text)
        with pytest.raises(ReadError, match=rf"^p\.tfm: .*{message}"):
            read_pose(path, frame="world_from_camera")

    @pytest.mark.parametrize("kind", ["\t\n", "#Insight Transform File V1.0\n"])
    def test_nothing_is_not_the_identity(self, tmp_path, kind):
        for name in ("p.tfm", "p.txt"):
            with pytest.raises(ReadError, match=rf"^{name}: "):
                read_pose(_written(tmp_path / name, kind), frame="world_from_camera")

    @pytest.mark.parametrize(
        "rows",
        [
            "1 0 0 nan\n0 1 0 0\n0 0 1 0\n0 0 0 1\n",
            "1 0 0 5\n0 1 0 0\n0 0 1 0\n",
            "1 0 0 5\n0 1 0 0\n0 0 1 0\n0 0 0 1\n0 0 0 1\n",
            "1 0 0 5 7\n0 1 0 0\n0 0 1 0\n0 0 0 1\n",
            "1 0 0 1_0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n",
            "1 0 0 5\n0 1 0 0\n0 0 1 0\n5 0 0 1\n",
            "1 0 0.1 5\n0 1 0 0\n0 0 1 0\n0 0 0 1\n",
            "1 0 0 5\n0 1 0 0\n0 0 -1 0\n0 0 0 1\n",
        ],
    )
    def test_a_matrix_is_a_rigid_motion_or_refused(self, tmp_path, rows):
        with pytest.raises(ReadError, match=r"^p\.txt: "):
            read_pose(_written(tmp_path / "p.txt", rows), frame="world_from_camera")

    @pytest.mark.parametrize(
        "row", [["1", 0, 0, 5], [True, 0, 0, 5], [None, 0, 0, 5], [1, 0, 0], 7, {"a": 1}]
    )
    def test_entries_of_another_kind_are_no_numbers(self, tmp_path, row):
        rows = [row, [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
        data = {"schema": POSE_SCHEMA, "version": 1, "world_from_camera": rows}
        with pytest.raises(ReadError, match="should be four rows of four numbers"):
            read_pose(_written(tmp_path / "p.json", json.dumps(data)))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"simulated": "no"}, "true or false"),
            ({"simulated": None}, "true or false"),
            ({"losses": {"loss": "0.5"}}, "a number"),
            ({"covariance": {"twist": [[1.0] * 6] * 5}}, "6 x 6 numbers"),
            ({"status": []}, r"status should be an object: got \[\]"),
            ({"geometry": {}}, "'geometry.source_to_detector_mm' is missing"),
        ],
    )
    def test_a_result_invents_nothing(self, tmp_path, changes, message):
        with pytest.raises(ReadError, match=rf"^r\.json: .*{message}"):
            read_result(written(tmp_path, **changes))

    @pytest.mark.parametrize(
        "changes",
        [
            {"rows": 41.7},
            {"rows": True},
            {"pixel_spacing_mm": [0.7]},
            {"pixel_spacing_mm": [0.7, 0.9, 1.1]},
            {"pixel_spacing_mm": "79"},
            {"mirrored": 1},
            {"source_to_detector_mm": "1013"},
        ],
    )
    def test_a_carm_invents_nothing(self, changes):
        with pytest.raises(ValueError, match="should be"):
            carm_of(CArmEntry.of(carm_to_json(CARM) | changes, "the geometry"))


class TestVersions:
    def test_each_schema_has_a_version_of_its_own(self, tmp_path, monkeypatch):
        # The next version of results reads version 1 and 2 of them, and still version 1 of poses.
        monkeypatch.setitem(VERSIONS, RESULT, 2)
        path = written(tmp_path)
        assert json.loads(path.read_text())["version"] == 2
        assert torch.equal(read_pose(path).matrix(), carm_pose(17.0, -6.0).matrix())
        assert read_result(path).status is Status.CONVERGED
        write_pose(tmp_path / "p.json", POSE)
        assert json.loads((tmp_path / "p.json").read_text())["version"] == 1
        for schema in (POSE_SCHEMA, TRUTH):
            data = {"schema": schema, "version": 2, "world_from_camera": POSE.matrix().tolist()}
            with pytest.raises(
                ReadError, match=f"version 2 of {schema}, this program reads version 1:"
            ):
                read_pose(_written(tmp_path / "later.json", json.dumps(data)))

    @pytest.mark.parametrize("name", ["p.tfm", "p.txt"])
    def test_a_comment_of_a_later_version_is_not_guessed_at(self, tmp_path, name):
        write_pose(tmp_path / name, POSE)
        text = (tmp_path / name).read_text()
        for old, new, message in (
            ("version 1:", "version 2:", "has version 2 of napari-xreg/pose"),
            ("world_from_camera", "body_from_camera", "a frame that is unknown: body_from_camera"),
        ):
            with pytest.raises(ReadError, match=message):
                read_pose(_written(tmp_path / name, text.replace(old, new)), frame="opencv")


def test_standard_deviations_of_what_is_not_trusted_come_with_a_caution(tmp_path):
    for status, said in ((Status.NOT_TRUSTED, CAUTION), (Status.CONVERGED, None)):
        result, view = registration(status)
        data = result_to_json(result, [view], settings=RefineSettings())
        assert data["covariance"]["caution"] == said
        write_report(tmp_path / "report.html", data, title="t", film=None)
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert (CAUTION in page) == (said is not None)
        assert f"<p class='{'ok' if said is None else 'warn'}'>{status.value}" in page
        assert COLORS[True] in page


@pytest.mark.parametrize(("views", "seen_by", "told"), [(1, None, 1), (2, None, None), (2, 1, 2)])
def test_as_seen_in_which_radiograph_a_pose_was_judged(tmp_path, views, seen_by, told):
    result, view = registration()
    shown = (0.125, 0.75)[:views] if views > 1 else ()
    result = dataclasses.replace(result, views=result.views * views, shown=shown, seen_by=seen_by)
    data = result_to_json(result, [view] * views, settings=RefineSettings())
    assert data["status"]["as_seen_in"] == told
    assert [each["shown"] for each in data["views"]] == ([0.125, 0.75] if views > 1 else [None])
    write_result(tmp_path / "r.json", data)
    assert read_result(tmp_path / "r.json").data["status"]["as_seen_in"] == told
