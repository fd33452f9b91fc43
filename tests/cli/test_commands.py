"""The commands as a user calls them: what they write, say and return."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

import napari_xreg
from napari_xreg.cli.commands import demo as demo_command, register as register_command
from napari_xreg.files import EachFile
from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import ReadError, read_labels, read_radiograph
from napari_xreg.records.pose_files import read_pose, write_pose
from napari_xreg.records.result_files import read_result
from napari_xreg.records.trajectory_file import read_trajectory
from napari_xreg.registration import SOLVERS, AdamSettings, Status
from napari_xreg.rendering import render_drr, render_structures
from napari_xreg.session import read_session, sample_case
from napari_xreg.simulation import phantom

GEOMETRY = (
    "--pixels",
    40,
    48,
    "--pixel-spacing",
    6,
    5.5,
    "--sdd",
    1010,
    "--source-to-isocenter",
    690,
)


def test_help_and_version(call):
    assert call("--version").out == f"napari-xreg {napari_xreg.__version__}\n"
    shown = call("--help")
    assert shown.code == 0
    for command in ("demo", "render", "simulate", "register", "inspect"):
        assert command in shown.out
        assert call(command, "--help").code == 0


def test_help_does_not_load_torch():
    code = (
        "import sys; from napari_xreg.cli import main; main(['--help']); "
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr


class TestRegister:
    @pytest.mark.slow
    def test_a_header_start_is_refined_and_everything_is_written(self, call, case, tmp_path):
        done = call(
            "register", case.ct, case.xray, "--truth", case.truth, "--film", "gif", "--out", "r"
        )
        assert done.code == 0, done.err
        saved = read_result(tmp_path / "r" / "result.json")
        errors = saved.data["truth"]
        assert errors["start"]["mean_target_registration_error_mm"] > 10
        assert errors["final"]["mean_target_registration_error_mm"] < 0.5
        assert saved.data["start_origin"] == "header of the radiograph"
        assert torch.allclose(saved.start.matrix(), case.start.matrix(), atol=1e-6)
        assert (saved.carm.detector, saved.simulated) == (case.carm.detector, True)
        names = {p.name for p in (tmp_path / "r").iterdir()}
        assert names == {
            "result.json", "result.tfm", "result-slicer.tfm", "trajectory.csv", "overlay.png", "refinement.gif", "report.html",
            ".napari-xreg.json",
        }  # fmt: skip
        for entry in saved.data["inputs"]:
            assert len(entry["sha256"]) == 64
        assert {entry["role"] for entry in saved.data["inputs"]} == {"ct", "radiograph", "truth"}
        assert "mTRE over 14 points" in done.out
        # Transform and trajectory say the same as the result.
        transform = sitk.ReadTransform(str(tmp_path / "r" / "result.tfm"))
        source = saved.world_from_camera.translation.tolist()
        assert transform.TransformPoint((0.0, 0.0, 0.0)) == pytest.approx(source, abs=1e-6)
        table = read_trajectory(tmp_path / "r" / "trajectory.csv")
        # Where the last accepted step of the last level led: tone and weights are fitted anew after it,
        # so that the losses of a picture without noise may end in another order.
        at_last = (table["level"] == table["level"].max()) & (table["accepted"] == 1)
        best = np.flatnonzero(at_last)[-1]
        carm = saved.data["pose"]["carm"]
        assert table["primary_deg"][best] == pytest.approx(carm["primary_deg"], abs=1e-5)

    @pytest.mark.slow
    def test_json_is_all_that_stdout_holds(self, call, case):
        done = call("register", case.ct, case.xray, "--film", "none", "--json", "--quiet")
        data = json.loads(done.out)
        assert data["status"]["name"] == "CONVERGED"
        assert done.err == ""
        assert [f for f in data["files"] if f.endswith("result.json")]

    @pytest.mark.slow
    def test_every_kind_of_start_is_the_same_pose(self, call, case, tmp_path):
        for ending in ("json", "tfm"):
            write_pose(tmp_path / f"p.{ending}", case.start)
        rows = case.start.inverse().matrix().tolist()
        (tmp_path / "cv.txt").write_text("\n".join(" ".join(map(str, row)) for row in rows))
        angles = ("--primary", 17, "--secondary", -3, "--roll", 0.5, "--offset", -4, 3, -6)
        for start in (
            (*angles, "--isocenter", *case.isocenter),
            ("--start", "p.json"),
            ("--start", "p.tfm"),
            ("--start", "cv.txt", "--pose-frame", "opencv"),
        ):
            settings = ("--film", "none", "--quiet", "--json", "--lock", "primary", "roll")
            done = call("register", case.ct, case.xray, *start, *settings)
            data = json.loads(done.out)
            found = torch.tensor(data["start"]["world_from_camera"], dtype=torch.float64)
            assert torch.allclose(found, case.start.matrix(), atol=1e-4), start
            assert data["pose"]["carm"]["primary_deg"] == pytest.approx(17.0, abs=1e-4)
            assert data["pose"]["carm"]["roll_deg"] == pytest.approx(0.5, abs=1e-4)

    @pytest.mark.slow
    def test_structures_multi_start_and_landmarks(self, call, case, tmp_path):
        marks = tmp_path / "marks.csv"
        from napari_xreg.images import Landmark, write_landmarks

        names = list(phantom(spacing_mm=8.0).landmarks.items())[:3]
        write_landmarks(marks, [Landmark(name, point) for name, point in names])
        done = call(
            "register", case.ct, str(case.folder / "x.dcm"), "--labels", case.labels,
            "--structures", "sacrum", "77,78", "--multi-start", 4, "--spread", 2, 5, 9,
            "--landmarks", marks, "--film", "none", "--quiet", "--json",
        )  # fmt: skip
        data = json.loads(done.out)
        assert set(data["structures"]) == {"25", "77", "78"}
        # The starts are the whole CT's, which is registered first (docs/decisions/0030): its notes tell of them,
        # and the structures, which move from its end alone, have no candidates.
        assert data["settings"]["starts"] == 4
        assert any(note.startswith("Of the whole CT: ") for note in data["notes"])
        assert data["candidates"] == []
        assert data["settings"]["spread"] == {"rotation_deg": 2, "in_plane_mm": 5, "depth_mm": 9}
        assert [mark["name"] for mark in data["landmarks"]] == [name for name, _ in names]
        pose = torch.tensor(data["pose"]["world_from_camera"], dtype=torch.float64)
        from napari_xreg.geometry import Pose

        expected = case.carm.project(
            torch.tensor([point for _, point in names], dtype=torch.float64), Pose.from_matrix(pose)
        )
        found = [mark["pixel_row_column"] for mark in data["landmarks"]]
        assert torch.allclose(torch.tensor(found, dtype=torch.float64), expected, atol=0.05)

    @pytest.mark.slow
    def test_a_start_that_misses_the_patient_is_a_failure(self, call, case):
        done = call(
            "register", case.ct, case.xray, "--primary", 0, "--offset", 900, 0, 0, "--film", "none"
        )
        assert done.code == 1
        assert Status.NO_OVERLAP.value in done.out

    @pytest.mark.slow
    def test_interrupted_it_keeps_the_best_so_far(self, call, case, monkeypatch, tmp_path):
        from napari_xreg.cli.console import Console

        seen = []

        def interrupt(self, share, text, *, last=False):
            seen.append(text)
            if len(seen) == 4:
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(Console, "progress", interrupt)
        monkeypatch.setattr("napari_xreg.cli.refining.warm_up", list)
        before = signal.getsignal(signal.SIGINT)
        done = call("register", case.ct, case.xray, "--truth", case.truth, "--film", "none")
        assert done.code == 130
        assert signal.getsignal(signal.SIGINT) is before
        saved = read_result(tmp_path / "xreg-result" / "result.json")
        assert saved.status is Status.CANCELLED
        errors = saved.data["truth"]
        name = "mean_target_registration_error_mm"
        assert errors["final"][name] < errors["start"][name]

    @pytest.mark.slow
    def test_adam_is_there_for_comparison(self, call, case, monkeypatch):
        quick = AdamSettings(pixels=(40,), iterations=3, keep_images=False)
        adam = replace(SOLVERS["adam"], configure=lambda wanted: quick)
        monkeypatch.setitem(SOLVERS, "adam", adam)
        done = call(
            "register",
            case.ct,
            case.xray,
            "--method",
            "adam",
            "--film",
            "none",
            "--json",
            "--quiet",
        )
        data = json.loads(done.out)
        assert data["settings"]["kind"] == "AdamSettings"
        # Its picture says no; why it stopped is told too.
        assert (done.code, data["status"]["name"]) == (1, "NOT_TRUSTED")
        assert Status.ITERATION_LIMIT.value in data["notes"]


class TestSimulate:
    @pytest.mark.parametrize("name", ["s.npz", "s.png", "s.dcm"])
    def test_image_header_and_truth(self, call, case, tmp_path, name):
        done = call(
            "simulate",
            case.ct,
            "--out",
            name,
            "--primary",
            20,
            "--secondary",
            5,
            *GEOMETRY,
            "--json",
        )
        assert done.code == 0, done.err
        truth = json.loads(done.out)
        assert truth["severity"]["name"] == "typical"
        assert len(truth["fiducials_mm"]) == 50
        assert truth["carm"]["primary_deg"] == pytest.approx(20)
        image = read_radiograph(tmp_path / name)
        assert image.simulated
        assert image.carm.detector.spacing == pytest.approx((6, 5.5))
        assert (image.carm.source_to_detector, image.carm.source_to_isocenter) == (1010, 690)
        # A header is off by about one spread, not by nothing and not by ten.
        off = abs(image.nominal.primary_deg - 20) + abs(image.nominal.offset_mm[2])
        assert 0.1 < off < 60
        same = read_pose(tmp_path / f"{name}.truth.json")
        expected = image.carm.world_from_camera(20.0, 5.0, isocenter=case.volume.center.double())
        assert torch.allclose(same.matrix(), expected.matrix(), atol=1e-6)

    @pytest.mark.slow
    def test_the_seed_decides_and_no_error_means_the_truth(self, call, case, tmp_path):
        common = ("simulate", case.ct, *GEOMETRY, "--severity", "clean", "--start-error", 0)
        for name, seed in (("a.npz", 5), ("b.npz", 5), ("c.npz", 6)):
            assert call(*common, "--primary", 11, "--seed", seed, "--out", name).code == 0
        a, b, c = (read_radiograph(tmp_path / n) for n in ("a.npz", "b.npz", "c.npz"))
        assert torch.equal(a.line_integrals, b.line_integrals)
        assert not torch.equal(a.line_integrals, c.line_integrals)
        assert a.nominal.primary_deg == pytest.approx(11, abs=1e-6)
        assert a.nominal.offset_mm == pytest.approx((0, 0, 0), abs=1e-6)

    def test_fiducials_lie_in_bone_and_in_the_image(self, call, case):
        done = call(
            "simulate", case.ct, "--out", "s.npz", *GEOMETRY, "--json", "--severity", "clean"
        )
        truth = json.loads(done.out)
        points = torch.tensor(truth["fiducials_mm"], dtype=torch.float64)
        index = points @ case.volume.index_from_world[:3, :3].T.double()
        index = (index + case.volume.index_from_world[:3, 3].double()).round().long()
        assert (case.volume.hu[index[:, 2], index[:, 1], index[:, 0]] > 250).all()
        carm = CArm(1010.0, 690.0, Detector((40, 48), (6.0, 5.5)))
        pose = carm.world_from_camera(0.0, 0.0, isocenter=case.volume.center.double())
        pixels = carm.project(points, pose)
        assert ((pixels >= 0) & (pixels <= torch.tensor([39.0, 47.0]).double())).all()


class TestRender:
    def test_values_are_those_of_the_library(self, call, case, tmp_path):
        done = call("render", case.ct, "--out", "d.npy", "--primary", 33, "--roll", 4, *GEOMETRY)
        assert done.code == 0, done.err
        carm = CArm(1010.0, 690.0, Detector((40, 48), (6.0, 5.5)))
        pose = carm.world_from_camera(33.0, 0.0, 4.0, isocenter=case.volume.center.double())
        expected = render_drr(case.volume, carm, pose)
        assert np.load(tmp_path / "d.npy") == pytest.approx(expected.numpy(), abs=1e-5)
        again = read_radiograph(tmp_path / "d.npy", read_as="line_integral")
        assert again.nominal.primary_deg == pytest.approx(33)
        assert again.carm.detector.spacing == (6.0, 5.5)

    def test_structures_alone_and_other_formats(self, call, case, tmp_path):
        for name in ("d.png", "d.npz"):
            done = call(
                "render", case.ct, "--out", name, "--labels", case.labels, "--structures", 25,
                "--start", case.truth, *GEOMETRY, "--integrator", "joseph", "--json",
            )  # fmt: skip
            data = json.loads(done.out)
            assert data["structures"] == {"25": "sacrum"}
            image = read_radiograph(tmp_path / name).line_integrals
            assert 0.05 < float((image > 0.01).float().mean()) < 0.6

    def test_each_structure_in_an_image_of_its_own(self, call, case, tmp_path):
        done = call(
            "render", case.ct, "--out", "d.npy", "--labels", case.labels, "--structures", 25, 77,
            "--separate", "--primary", 33, *GEOMETRY, "--json",
        )  # fmt: skip
        names = ["d.npy", "d.25_sacrum.npy", "d.77_hip_left.npy"]
        listed = [name for name in json.loads(done.out)["files"] if name.endswith(".npy")]
        assert listed == names
        shares = [np.load(tmp_path / name) for name in names[1:]]
        carm = CArm(1010.0, 690.0, Detector((40, 48), (6.0, 5.5)))
        pose = carm.world_from_camera(33.0, 0.0, isocenter=case.volume.center.double())
        labels = read_labels(case.labels)
        expected = render_structures(case.volume, labels, [{25}, {77}], carm, pose)[1:]
        assert np.stack(shares) == pytest.approx(expected.numpy(), abs=1e-5)
        assert [int((s > 0.05).sum()) > 20 for s in shares] == [True, True]
        assert read_radiograph(
            tmp_path / names[2], read_as="line_integral"
        ).nominal.primary_deg == (pytest.approx(33))
        refused = call("render", case.ct, "--out", "e.npy", "--separate", *GEOMETRY)
        assert refused.code == 2
        assert "--labels" in refused.err

    def test_an_empty_view_says_so(self, call, case):
        done = call("render", case.ct, "--out", "d.npy", "--offset", 3000, 0, 0, *GEOMETRY)
        assert done.code == 0
        assert "does not appear in this view" in done.out


class TestMiddle:
    def test_one_bone_is_put_where_the_c_arm_looks(self, call, case):
        said = [case.ct, case.xray, "--labels", case.labels, "--out", "o", "--json", "--quiet"]
        angles = ["--primary", 17, "--secondary", -3, "--multi-start", 1, "--method", "adam"]
        one = json.loads(call("register", *said, *angles, "--structures", "femur left").out)
        middle = read_labels(case.labels).middle([75]).tolist()
        assert one["start"]["carm"]["isocenter_mm"] == pytest.approx(middle)
        assert one["start"]["carm"]["offset_mm"] == pytest.approx([0, 0, 0], abs=1e-6)
        assert np.linalg.norm(np.subtract(middle, case.volume.center.tolist())) > 60


class TestInspect:
    def test_ct(self, call, case):
        data = json.loads(call("inspect", case.ct, "--json").out)
        assert data["kind"] == "CT"
        assert data["spacing_mm"] == pytest.approx([4, 4, 4])
        assert data["axes"] == "x to the left, y to the back, z to the head"
        assert data["center_lps_mm"] == pytest.approx(case.volume.center.tolist())
        assert "kind:" in call("inspect", case.ct).out

    def test_labels(self, call, case):
        data = json.loads(call("inspect", case.labels, "--as", "labels", "--json").out)
        assert "25 sacrum" in data["structures_voxels"]
        # The same without being told; names as --move and --structures take them.
        done = call("inspect", case.labels)
        assert "  76 femur_right:" in done.out
        assert "; --as ct reads it as a CT" in done.out

    def test_radiograph_with_the_origin_of_every_value(self, call, case):
        data = json.loads(call("inspect", case.folder / "x.dcm", "--json").out)
        assert data["kind"] == "simulated radiograph"
        sdd = data["geometry"]["source_to_detector"]
        assert sdd["value"] == 1020
        assert "(0018,1110)" in sdd["from"]
        assert data["missing"] == []

    def test_what_is_missing_is_named_with_its_unit(self, call, tmp_path):
        np.save(tmp_path / "x.npy", np.random.default_rng(0).random((12, 13)))
        done = call("inspect", "x.npy")
        assert done.code == 0
        assert "pixel_spacing (mm at the detector: row, column)" in done.out

    @pytest.mark.slow
    def test_result(self, call, case):
        call("register", case.ct, case.xray, "--film", "none", "--out", "r")
        assert "registration result" in call("inspect", "r/result.json").out


def small_case(**options):
    """The demo's patient, coarse: the full demo takes half a minute."""
    return sample_case(**options | {"spacing_mm": 4.0, "pixels": 96})


@pytest.mark.slow
def test_demo_makes_pictures_a_report_and_a_session(call, monkeypatch, tmp_path):
    monkeypatch.setattr(demo_command, "sample_case", small_case)
    done = call("demo", "--headless", "--film", "none", "--json")
    data = json.loads(done.out)
    assert data["truth"]["start"]["mean_target_registration_error_mm"] > 5
    assert data["truth"]["final"]["mean_target_registration_error_mm"] < 3
    assert data["simulated"]
    assert (tmp_path / "xreg-demo" / "overlay.png").stat().st_size > 10_000
    assert "SIMULATED" in (tmp_path / "xreg-demo" / "report.html").read_text()
    assert done.code == (0 if data["status"]["trusted"] else 1)
    session = read_session(tmp_path / "xreg-demo" / "demo.xreg.json")
    assert session.problems == ()
    assert session.exposures.active.source.path == str(tmp_path / "xreg-demo" / "radiograph.npz")
    found = torch.tensor(data["pose"]["world_from_camera"], dtype=torch.float64)
    assert torch.allclose(session.poses.current.matrix(), found, atol=1e-9)
    assert [r.radiographs for r in session.results.all] == [(session.exposures.active.id,)]
    assert len(session.results.all[0].registration.trajectory) == data["iterations"]
    assert session.undo() == "result 1 accepted"
    assert torch.equal(session.poses.current.matrix(), session.exposures.active.start.matrix())


class TestDemoWindow:
    @pytest.fixture
    def opened(self, monkeypatch):
        """What would have been opened."""
        asked = []
        monkeypatch.setattr(demo_command, "windowed", lambda _: asked.append("window") or 0)
        monkeypatch.setattr(demo_command, "headless", lambda *_: asked.append("terminal") or 0)
        monkeypatch.setenv("DISPLAY", ":7")
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
        return asked

    def test_a_display_gets_a_window(self, call, opened):
        assert call("demo").code == 0
        assert opened == ["window"]

    def test_headless_and_json_stay_in_the_terminal(self, call, opened):
        call("demo", "--headless")
        call("demo", "--json")
        assert opened == ["terminal"] * 2

    @pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="always has a display")
    def test_without_a_display(self, call, opened, monkeypatch):
        monkeypatch.delenv("DISPLAY")
        assert "There is no display: the demo runs in the terminal." in call("demo").out
        assert opened == ["terminal"]

    def test_where_no_window_can_be_seen(self, call, opened, monkeypatch):
        monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
        assert "QT_QPA_PLATFORM is offscreen" in call("demo").out
        assert opened == ["terminal"]

    def test_without_qt(self, call, opened, monkeypatch):
        monkeypatch.setattr(demo_command.importlib.util, "find_spec", lambda name: None)
        assert "pip install 'napari[all]'" in call("demo").out
        assert opened == ["terminal"]


class TestWhatGoesWrong:
    def test_interrupted_while_reading(self, call, case, monkeypatch):
        def interrupt(arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr(register_command, "read_patient", interrupt)
        done = call("register", case.ct, case.xray, "--quiet")
        assert done.code == 130
        assert done.err == "napari-xreg: error: interrupted; files already written stay\n"

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (RuntimeError("the kernel\nburst"), 1),
            (ReadError("x.dcm: bad"), 2),
            (MemoryError(), 2),
            (PermissionError(13, "Permission denied", "ct.nii"), 2),
        ],
    )
    def test_no_traceback_but_with_debug(self, call, case, monkeypatch, error, code):
        def fail(arguments):
            raise error

        monkeypatch.setattr(register_command, "read_patient", fail)
        done = call("register", case.ct, case.xray, "--quiet")
        assert done.code == code
        assert done.err.count("\n") == 1
        assert "Traceback" not in done.err
        with pytest.raises(type(error)):
            call("register", case.ct, case.xray, "--quiet", "--debug")

    def test_a_defect_in_one_file_has_its_traceback_with_debug(
        self, call, case, monkeypatch, tmp_path, capsys
    ):
        def fail(arguments):
            with EachFile(tmp_path).file("result.csv"):
                raise TypeError("a defect")
            raise ReadError("the end")

        monkeypatch.setattr(register_command, "read_patient", fail)
        assert "Traceback" not in call("register", case.ct, case.xray, "--quiet").err
        with pytest.raises(ReadError, match="the end"):
            call("register", case.ct, case.xray, "--quiet", "--debug")
        said = capsys.readouterr().err
        assert "result.csv could not be written\nTraceback" in said
        assert "TypeError: a defect" in said
        assert "Traceback" not in call("register", case.ct, case.xray, "--quiet").err


@pytest.mark.slow
def test_a_result_of_xvr_is_gone_on_from_and_written(call, case, tmp_path):
    quick = ("--method", "adam", "--film", "none", "--xvr", "--json", "--quiet")
    first = json.loads(call("register", case.ct, case.xray, *quick, "--out", "a").out)
    assert str(Path("a") / "result.pth") in first["files"]
    done = call("register", case.ct, case.xray, "--start", "a/result.pth", *quick, "--out", "b")
    second = json.loads(done.out)
    start = torch.tensor(second["start"]["world_from_camera"])
    assert torch.allclose(start, torch.tensor(first["pose"]["world_from_camera"]), atol=2e-4)
    assert second["start_origin"] == "result.pth"
    refused = call(
        "register", case.ct, case.xray, "--start", "a/result.pth", "--pose-frame", "opencv"
    )
    assert (refused.code, "leave --pose-frame out" in refused.err) == (2, True)
