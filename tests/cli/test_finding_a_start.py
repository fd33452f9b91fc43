"""Heatmaps, starts that nobody gave, masks and further radiographs, as a user asks for them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from napari_xreg.cli.console import Console
from napari_xreg.cli.finding_start import shown
from napari_xreg.geometry import CArmPose
from napari_xreg.images import Landmark, Radiograph, write_landmarks, write_radiograph
from napari_xreg.landmarks import CompactDetector
from napari_xreg.progress import Control
from napari_xreg.rayemb import CompactEncoder
from napari_xreg.records.pose_frames import pose_of_matrix
from napari_xreg.registration import Spread
from napari_xreg.regression import PoseNetwork
from napari_xreg.rendering import render_drr
from napari_xreg.training import FixedCamera, save_network
from napari_xreg.workflows import NoStart, StartingPose
from napari_xreg.workflows.starting import several

QUICK = ("--film", "none", "--json", "--quiet")


@pytest.fixture(scope="session")
def second(case):
    """Another view of the same patient, its header off by the same motion of the patient."""
    center = tuple(case.volume.center.tolist())
    truth = case.carm.pose_from(CArmPose(58.0, 4.0, -3.0, (2.0, 6.0, -9.0), center))
    # What moved the first header from its truth, in the world.
    moved = case.start @ case.pose.inverse()
    header = case.carm.carm_pose(moved @ truth, case.volume.center.double())
    image = render_drr(case.volume, case.carm, truth)
    file = case.folder / "second.npz"
    write_radiograph(file, Radiograph(image, case.carm, nominal=header, simulated=True))
    return str(file), truth


@pytest.mark.parametrize(("asked", "used"), [(None, 3), (2, 2)])
def test_a_network_computes_on_as_many_threads_as_are_asked(monkeypatch, asked, used):
    monkeypatch.setattr("napari_xreg.cli.finding_start.thread_count", lambda: 3)

    def work():
        return torch.get_num_threads()
        yield

    found = shown(work(), Control(), asked, Console(json=False, quiet=True))
    assert found == used


class TestHeatmap:
    @pytest.fixture
    def answer(self, call, case, tmp_path):
        x, y, z = case.volume.center.tolist()
        done = call(
            "heatmap", case.ct, case.xray, "--point", x, y, z, "--point", x + 31, y - 12, z + 24,
            "--labels", case.labels, "--out", tmp_path / "maps", "--json", "--quiet",
        )  # fmt: skip
        assert done.code == 0, done.err
        return json.loads(done.out)

    @pytest.mark.slow
    def test_files_and_numbers_agree(self, answer, case, tmp_path):
        assert answer["schema"] == "napari-xreg/heatmaps"
        assert answer["simulated"] is True
        assert answer["polarity"] in ("right", "unclear")
        first, other = answer["points"]
        assert first["point_mm"] == pytest.approx(case.volume.center.tolist())
        assert first["peak_row_column"] != other["peak_row_column"]
        kept = np.load(tmp_path / "maps" / "heatmaps.npz")
        assert list(kept["names"]) == ["point 1", "point 2"]
        assert kept["probability"].sum((1, 2)) == pytest.approx([1.0, 1.0], abs=1e-4)
        rows, columns = kept["similarity"].shape[1:]
        for i, entry in enumerate((first, other)):
            assert 0 < entry["similarity"] <= 1
            assert 0 <= entry["in_image"] <= 1
            covariance = torch.tensor(entry["covariance_px2"])
            assert (torch.linalg.eigvalsh(covariance) > 0).all()
            top = np.unravel_index(kept["probability"][i].argmax(), (rows, columns))
            # The refined peak lies within a heatmap pixel of the most probable one.
            pixel = 72 / rows
            assert kept["pixels"][top] == pytest.approx(entry["peak_row_column"], abs=pixel)
            with Image.open(entry["picture"]) as picture:
                assert picture.size[0] > 900
        # Corner to corner of the radiograph of 72 x 80 pixels.
        assert kept["pixels"][0, 0] == pytest.approx([-0.5, -0.5], abs=1.0)
        assert kept["pixels"][-1, -1] == pytest.approx([71.5, 79.5], abs=1.0)

    @pytest.mark.slow
    def test_landmarks_by_name(self, call, case, tmp_path):
        center = tuple(case.volume.center.tolist())
        marks = [Landmark("a place", center), Landmark("elsewhere", (0.0, 0.0, 0.0))]
        write_landmarks(tmp_path / "marks.csv", marks)
        done = call(
            "heatmap", case.ct, case.xray, "--landmark", "a place",
            "--landmarks", tmp_path / "marks.csv", "--labels", case.labels,
        )  # fmt: skip
        assert done.code == 0, done.err
        assert "a place: row" in done.out
        assert (tmp_path / "xreg-heatmap" / "a-place.png").is_file()
        unknown = call(
            "heatmap", case.ct, case.xray, "--landmark", "b", "--landmarks", tmp_path / "marks.csv"
        )
        assert unknown.code == 2
        assert "there are a place, elsewhere" in unknown.err

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ((), "--point X Y Z"),
            (("--landmark", "ASIS-l"), "--landmarks FILE"),
            (("--point", 9999, 0, 0), "outside the CT"),
        ],
    )
    def test_what_is_missing_is_said(self, call, case, options, words):
        done = call("heatmap", case.ct, case.xray, *options)
        assert done.code == 2
        assert words in done.err


class TestInit:
    @pytest.mark.slow
    def test_a_start_from_rayemb(self, call, case, tmp_path):
        torch.manual_seed(0)
        save_network(tmp_path / "new.safetensors", CompactEncoder(), {"trained_on": "nothing"})
        done = call(
            "register", case.ct, case.xray, "--init", "rayemb", "--labels", case.labels,
            "--weights", tmp_path / "new.safetensors", "--multi-start", 2,
            "--out", tmp_path / "out", *QUICK,
        )  # fmt: skip
        # Weights that learned nothing: either no pose at all, or one that is not trusted.
        if done.code == 1 and not done.out:
            assert "RayEmb found no start" in done.err
            return
        answer = json.loads(done.out)
        assert answer["start_origin"] == "RayEmb"
        assert answer["init"]["method"] == "rayemb"
        assert answer["init"]["weights"]["trained_on"] == "nothing"
        assert answer["init"]["trusted"] is False
        assert any("Do not rely on this pose" in note for note in answer["assumptions"])
        assert answer["settings"]["starts"] == 2
        assert any(entry["role"] == "weights" for entry in answer["inputs"])

    @pytest.mark.slow
    def test_a_found_start_is_used_with_what_it_asks_for(self, call, case, tmp_path, monkeypatch):
        def find(request, *, control):
            isocenter = case.volume.center.double()
            extra = {"init": {"method": "stub"}}
            spread = Spread(1.5, 4.0, 6.0)
            yield from ()
            return StartingPose(
                case.pose, isocenter, "a stub", ("mind the gap",), "", extra, 3, spread
            )

        monkeypatch.setattr(several, "initialise", find)
        done = call(
            "register", case.ct, case.xray, "--init", "rayemb", "--truth", case.truth,
            "--out", tmp_path / "out", *QUICK,
        )  # fmt: skip
        assert done.code == 0, done.err
        answer = json.loads(done.out)
        assert answer["init"] == {"method": "stub"}
        assert answer["start_origin"] == "a stub"
        assert "mind the gap" in answer["assumptions"]
        assert answer["settings"]["starts"] == 3
        assert answer["settings"]["spread"]["depth_mm"] == 6.0
        assert answer["truth"]["start"]["mean_target_registration_error_mm"] < 1e-3

    @pytest.mark.slow
    def test_several_are_refined_together(self, call, case, tmp_path, monkeypatch):
        """One finds nothing, one is right, one far off: the right one goes on, and it is said."""
        usual = several.initialise
        isocenter = case.volume.center.double()

        def find(request, *, control):
            if request.method == "landmarks":
                raise NoStart("no landmark was seen.")
            if request.method != "rayemb":
                return (yield from usual(request, control=control))
            extra = {"init": {"method": "stub"}}
            return StartingPose(
                case.pose,
                isocenter,
                "a stub",
                ("mind the gap",),
                "",
                extra,
                3,
                Spread(1.5, 4.0, 6.0),
            )

        monkeypatch.setattr(several, "initialise", find)
        sides = {
            "ASIS left": (21.0, 4.0, 0.0),
            "ASIS right": (-9.0, 4.0, 2.0),
            "a": (1.0, 2.0, 3.0),
        }
        write_landmarks(tmp_path / "a.csv", [Landmark(*each) for each in sides.items()])
        done = call(
            "register", case.ct, case.xray, "--init", "manual,landmarks,rayemb,dicom",
            "--primary", 70, "--secondary", 20, "--landmarks", tmp_path / "a.csv",
            "--weights", self.detector_weights(tmp_path), "--weights", self.rayemb_weights(tmp_path),
            "--out", tmp_path / "out", "--film", "none", "--json",
        )  # fmt: skip
        assert done.code == 0, done.err
        answer = json.loads(done.out)
        assert answer["start_origin"] == "C-arm angles"
        assert [each["method"] for each in answer["init"]] == [
            "C-arm angles", "stub", "header of the radiograph",
        ]  # fmt: skip
        assert [each["starts"] for each in answer["settings"]["beside"]] == [3, 1]
        assert answer["settings"]["origin"] == "C-arm angles"
        assert answer["settings"]["sagittal"]["point"] == [6.0, 4.0, 1.0]
        assert "mind the gap" in answer["assumptions"]
        said = next(note for note in answer["notes"] if note.startswith("Of the proposed poses"))
        assert "C-arm angles (level" in said
        assert not said.startswith("Of the proposed poses the best is from C-arm angles")
        assert "landmarks: no landmark was seen." in answer["assumptions"]
        found = pose_of_matrix(
            torch.tensor(answer["pose"]["world_from_camera"]).double(), "world_from_camera"
        )
        point = isocenter + 40.0
        assert float((found.inverse().apply(point) - case.pose.inverse().apply(point)).norm()) < 1.0

    @staticmethod
    def rayemb_weights(folder):
        torch.manual_seed(0)
        save_network(folder / "ray.safetensors", CompactEncoder(), {})
        return folder / "ray.safetensors"

    @staticmethod
    def detector_weights(folder):
        save_network(folder / "d.safetensors", CompactDetector(("a",), widths=(8, 8, 8, 8)), {})
        return folder / "d.safetensors"

    def test_whose_weights_they_are(self, call, case, tmp_path, monkeypatch):
        asked = []

        def find(request, *, control):
            asked.append((request.method, request.weights and request.weights.name))
            raise NoStart(f"{request.method} finds nothing.")
            yield

        monkeypatch.setattr(several, "initialise", find)
        ray = self.rayemb_weights(tmp_path)
        network = PoseNetwork(framing=FixedCamera(pixels=32))
        save_network(tmp_path / "pose.safetensors", network, {})
        files = ("--weights", tmp_path / "pose.safetensors", "--weights", ray)
        words = ("register", case.ct, case.xray, "--quiet")
        done = call(*words, *files, "--init", "rayemb,regression")
        assert done.code == 1
        assert "rayemb finds nothing. regression finds nothing." in done.err
        assert asked == [("rayemb", "ray.safetensors"), ("regression", "pose.safetensors")]
        torch.save({"state_dict": {"a": torch.zeros(2)}}, tmp_path / "old.ckpt")
        asked.clear()
        call(*words, *files[:2], "--weights", tmp_path / "old.ckpt", "--init", "rayemb,regression")
        assert asked == [("rayemb", "old.ckpt"), ("regression", "pose.safetensors")]
        done = call(*words, "--weights", ray, "--init", "regression,landmarks")
        assert done.code == 2
        assert "ray.safetensors: --init regression,landmarks has no use for it" in done.err
        done = call(*words, "--weights", ray, "--init", "rayemb,regression")
        assert done.code == 2
        assert "--init regression needs --weights" in done.err

    def test_no_start_is_a_failure_not_bad_input(self, call, case, monkeypatch):
        def find(request, *, control):
            raise NoStart("nothing was found: look elsewhere")
            yield

        monkeypatch.setattr(several, "initialise", find)
        # Its words take no file behind them along.
        done = call("register", "--init", "rayemb", case.ct, case.xray, "--json")
        assert done.code == 1
        assert "nothing was found: look elsewhere" in done.err
        assert done.out == ""

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--init", "rayemb", "--primary", 3), "not both"),
            (("--init", "rayemb", "--start", "x.json"), "not both"),
            (("--weights", "w.safetensors"), "--weights belong to --init"),
            (("--spread", 1, 2, 3), "--multi-start N"),
            (("--init", "rayemb", "--multi-start", 1, "--spread", 1, 2, 3), "--multi-start N"),
            (("--init", "guess"), "invalid choice"),
            (("--init", "rayemb,"), "invalid choice: ''"),
            (("--init", "manual"), "--init manual needs a start"),
            (("--init", "dicom", "--primary", 3), "not both; or --init manual too"),
            (("--init", "dicom,dicom"), "dicom stands twice"),
            (("--init", "dicom,rayemb", "--lock", "depth"), "--lock holds a pose"),
            (("--init", "dicom,rayemb", "--method", "adam"), "several --init belong to"),
            (("--init", "dicom", "--weights", "w"), "--weights belong to --init rayemb or"),
            (
                ("--init", "dicom,rayemb", "--weights", "a", "--weights", "b"),
                "--weights was given 2 files for --init rayemb: give one each",
            ),
        ],
    )
    def test_what_does_not_go_together(self, call, case, options, words):
        done = call("register", case.ct, case.xray, *options)
        assert done.code == 2
        assert words in done.err


class TestMask:
    @pytest.mark.slow
    def test_it_limits_what_is_compared(self, call, case, tmp_path):
        white = np.full((72, 80), 255, np.uint8)
        white[50:, :20] = 0
        Image.fromarray(white).save(tmp_path / "mask.png")
        done = call(
            "register", case.ct, case.xray, "--mask", tmp_path / "mask.png",
            "--out", tmp_path / "out", *QUICK,
        )  # fmt: skip
        assert done.code == 0, done.err
        answer = json.loads(done.out)
        assert "mask: mask.png" in answer["views"][0]["operations"]
        assert any(entry["role"] == "mask" for entry in answer["inputs"])

    @pytest.mark.parametrize("kind", ["shape", "empty", "color", "text", "absent"])
    def test_a_mask_that_cannot_be_is_refused(self, call, case, tmp_path, kind):
        file = tmp_path / "mask.npy"
        shapes = {"shape": np.ones((80, 72)), "empty": np.zeros((72, 80)),
                  "color": np.ones((72, 80, 3))}  # fmt: skip
        if kind in shapes:
            np.save(file, shapes[kind])
        elif kind == "text":
            file = tmp_path / "mask.png"
            file.write_text("no image")
        done = call("register", case.ct, case.xray, "--mask", file)
        assert done.code == 2
        words = {"shape": "80 x 72 pixels, the radiograph 72 x 80", "empty": "leaves no pixel",
                 "color": "one grey image", "text": "not an image", "absent": "mask.npy"}  # fmt: skip
        assert words[kind] in done.err

    def test_masks_are_counted(self, call, case, second, tmp_path):
        np.save(tmp_path / "m.npy", np.ones((72, 80)))
        done = call(
            "register", case.ct, case.xray, "--radiograph", second[0], "--mask", tmp_path / "m.npy"
        )
        assert done.code == 2
        assert "1 mask was given for 2 radiographs" in done.err


class TestSeveral:
    @pytest.mark.slow
    def test_they_move_together(self, call, case, second, tmp_path):
        path, truth = second
        done = call(
            "register", case.ct, case.xray, "--radiograph", path, "--truth", case.truth,
            "--out", tmp_path / "out", *QUICK,
        )  # fmt: skip
        assert done.code == 0, done.err
        answer = json.loads(done.out)
        assert len(answer["views"]) == 2
        assert answer["truth"]["final"]["mean_target_registration_error_mm"] < 0.5
        found = pose_of_matrix(
            torch.tensor(answer["views"][1]["pose"]["world_from_camera"], dtype=torch.float64),
            "world_from_camera",
        )
        torch.testing.assert_close(found.translation, truth.translation, rtol=0, atol=1.0)
        assert (tmp_path / "out" / "overlay-2.png").is_file()
        assert "overlay-2.png" in " ".join(answer["files"])

    def test_a_second_one_without_a_pose_in_its_header(self, call, case, tmp_path):
        image = torch.rand(72, 80, generator=torch.Generator().manual_seed(1))
        write_radiograph(tmp_path / "bare.npz", Radiograph(image, case.carm))
        done = call("register", case.ct, case.xray, "--radiograph", tmp_path / "bare.npz")
        assert done.code == 2
        assert "bare.npz does not say where the C-arm stood" in done.err
