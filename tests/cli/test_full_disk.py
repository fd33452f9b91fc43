"""A full disk costs the new file, never the old one, and the sentence names it."""

import ast
import contextlib
import json
import resource
from pathlib import Path

import numpy as np
import pytest
import torch

import napari_xreg
from napari_xreg.cli.commands import (
    register as register_command,
    render as render_command,
    simulate as simulate_command,
)
from napari_xreg.files import WriteError, written_folder
from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import (
    Landmark,
    Radiograph,
    write_dicom_radiograph,
    write_geometry,
    write_landmarks,
    write_radiograph,
)
from napari_xreg.images.known_geometry.sidecar import geometry_of
from napari_xreg.records import write_pose, write_result
from napari_xreg.records.pictures import write_gif, write_picture
from napari_xreg.records.report import write_report
from napari_xreg.records.trajectory_file import write_trajectory
from napari_xreg.registration import Iterate, Registration, Status
from napari_xreg.workflows import exporting

CARM = CArm(1013.0, 647.0, Detector((41, 53), (0.9, 1.3), (17.5, 29.25)))
POSE = CARM.pose_from(CArmPose(20.5, -7.5, 3.25, (1.5, -2.5, 9.0), (11.0, -23.0, 640.0)))
MOVED = CARM.pose_from(CArmPose(31.5, 4.5, 0.25, (7.5, 2.0, -9.0), (11.0, -23.0, 640.0)))


@contextlib.contextmanager
def full_disk(bytes_=64):
    """No file may grow beyond so many bytes: a write fails in its middle, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def radiograph(seed):
    values = torch.rand(41, 53, generator=torch.Generator().manual_seed(seed))
    return Radiograph(values, CARM, nominal=CArmPose(20.5, -7.5), simulated=True)


def picture(seed):
    return np.random.default_rng(seed).integers(0, 255, (41, 53, 3), dtype=np.uint8)


def iterates(seed):
    pose = POSE if seed == 1 else MOVED
    steps = tuple(Iterate(i, 0, 0, pose, {"loss": 0.5 / (i + 1)}) for i in range(seed, seed + 3))
    return Registration(
        world_from_camera=pose, status=Status.CONVERGED, losses={"loss": 0.25}, trajectory=steps,
        pivot=torch.tensor([11.0, -23.0, 640.0], dtype=torch.float64), covariance=None,
        views=(pose,), candidates=(), simulated=True, notes=(),
    )  # fmt: skip


def report(path, seed):
    carm = {"primary_deg": seed, "secondary_deg": 2, "roll_deg": 3, "offset_mm": [1, 2, 3]}
    carm["isocenter_mm"] = [4, 5, 6]
    data = {
        "status": {"trusted": True, "message": "done"}, "versions": {"napari-xreg": "1"},
        "simulated": True, "notes": [], "start": {"carm": carm}, "pose": {"carm": carm},
        "inputs": [], "iterations": 3, "created": "today",
    }  # fmt: skip
    write_report(path, data, title="a title", film=None)


def landmarks(path, seed):
    write_landmarks(path, [Landmark(f"mark {i}", (i + 0.5, seed, 9.0)) for i in range(9)])


def pose(path, seed):
    write_pose(path, POSE if seed == 1 else MOVED)


WRITERS = {
    "pose.json": pose,
    "pose.tfm": pose,
    "pose.txt": pose,
    "result.json": lambda path, seed: write_result(path, {"seed": seed, "text": "x" * 100}),
    "trajectory.csv": lambda path, seed: write_trajectory(path, iterates(seed), CARM, POSE),
    "report.html": report,
    "overlay.png": lambda path, seed: write_picture(path, picture(seed)),
    "film.gif": lambda path, seed: write_gif(path, [picture(seed), picture(seed + 1)]),
    "landmarks.csv": landmarks,
    "landmarks.fcsv": landmarks,
    "landmarks.mrk.json": landmarks,
    "geometry.json": lambda path, seed: write_geometry(
        path, geometry_of(CARM, CArmPose(seed, -7.5), "test")
    ),
    "x.npz": lambda path, seed: write_radiograph(path, radiograph(seed)),
    "x.png": lambda path, seed: write_radiograph(path, radiograph(seed)),
    "x.tif": lambda path, seed: write_radiograph(path, radiograph(seed)),
    "x.dcm": lambda path, seed: write_dicom_radiograph(path, radiograph(seed)),
}


def contents(folder):
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_the_old_file(tmp_path, name):
    path, write = tmp_path / name, WRITERS[name]
    write(path, 1)
    before = contents(tmp_path)
    with full_disk(), pytest.raises(WriteError, match="File too large") as caught:
        write(path, 2)
    assert contents(tmp_path) == before
    assert str(caught.value.filename).startswith(str(path))
    assert "part-" not in str(caught.value)
    write(path, 2)
    assert contents(tmp_path) != before


def test_an_image_and_its_geometry_belong_together(tmp_path, monkeypatch):
    # The image fits on the disk, the sidecar does not.
    write_radiograph(tmp_path / "x.png", radiograph(1))
    before = contents(tmp_path)
    monkeypatch.setattr(Path, "write_text", _full)
    with pytest.raises(WriteError, match=r"x\.png\.json"):
        write_radiograph(tmp_path / "x.png", radiograph(2))
    assert contents(tmp_path) == before


def _full(self, *args, **options):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("command", ["render", "simulate"])
def test_an_image_and_what_is_said_of_it_belong_together(
    call, case, tmp_path, monkeypatch, command
):
    # An .npy and its geometry; a simulated radiograph and its truth.
    name = "x.npy" if command == "render" else "x.npz"
    options = ("--pixels", 20, 24, "--pixel-spacing", 12, 11, "--primary")
    assert call(command, case.ct, "--out", name, *options, 10).code == 0
    before = contents(tmp_path)
    assert len(before) == 2
    module = render_command if command == "render" else simulate_command
    writer = "write_geometry" if command == "render" else "write_radiograph"
    monkeypatch.setattr(module, writer, _full)
    failed = call(command, case.ct, "--out", name, *options, 20)
    assert (failed.code, failed.out) == (2, "")
    assert failed.err.rstrip().endswith("No space left on device")
    assert contents(tmp_path) == before


class TestFolder:
    def test_a_folder_holds_one_run(self, tmp_path):
        out = tmp_path / "a" / "b"
        with written_folder(out, "register") as part:
            (part / "result.json").write_text("1")
            (part / "overlay-2.png").write_text("1")
        (out / "notes.txt").write_text("mine")
        with written_folder(out, "detect") as part:
            (part / "pose.json").write_text("other")
        with written_folder(out, "register", also=["later.json"]) as part:
            (part / "result.json").write_text("2")
        (out / "later.json").write_text("2")
        names = {"result.json", "notes.txt", "pose.json", "later.json", ".napari-xreg.json"}
        assert {file.name for file in out.iterdir()} == names
        assert (out / "result.json").read_text() == "2"
        with written_folder(out, "register") as part:
            (part / "result.json").write_text("3")
        assert not (out / "later.json").exists()

    @pytest.mark.parametrize("at", ["in the block", "while renaming"])
    def test_a_failure_in_the_middle_leaves_the_last_run(self, tmp_path, monkeypatch, at):
        out = tmp_path / "r"
        with written_folder(out, "register") as part:
            for name in ("a.json", "b.json", "c.json"):
                (part / name).write_text("1")
        before = contents(out)
        if at == "while renaming":
            rename, calls = Path.rename, []

            def failing(self, target):
                calls.append(target)
                if len(calls) == 6:
                    raise OSError(5, "Input/output error", str(self))
                return rename(self, target)

            monkeypatch.setattr(Path, "rename", failing)
        with pytest.raises(WriteError, match="Input/output") as caught:
            self.second_run(out, fails=at == "in the block")
        assert contents(out) == before
        assert caught.value.filename.startswith(str(out))
        assert "part-" not in caught.value.filename

    def second_run(self, out, fails):
        with written_folder(out, "register") as part:
            (part / "a.json").write_text("2")
            (part / "b.json").write_text("2")
            if fails:
                raise OSError(5, "Input/output error", str(part / "c.json"))

    def test_a_folder_that_was_made_for_nothing_goes(self, tmp_path):
        with pytest.raises(ZeroDivisionError), written_folder(tmp_path / "a" / "b", "x"):
            raise ZeroDivisionError
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("names", [["../mine.txt"], "mine.txt", [7, None], {"a": 1}])
    def test_a_list_that_was_tampered_with_removes_nothing_outside(self, tmp_path, names):
        out = tmp_path / "r"
        out.mkdir()
        (tmp_path / "mine.txt").write_text("mine")
        data = {"schema": "napari-xreg/folder", "version": 1, "runs": {"x": names}}
        (out / ".napari-xreg.json").write_text(json.dumps(data))
        with written_folder(out, "x") as part:
            (part / "a").write_text("1")
        assert (tmp_path / "mine.txt").read_text() == "mine"
        assert {file.name for file in out.iterdir()} == {"a", ".napari-xreg.json"}


WRITERS_OF_A_RESULT = [name for name in vars(exporting) if name.startswith("write_")]


@pytest.mark.slow
def test_a_registration_of_which_nothing_can_be_written_is_said_and_leaves_the_last_one(
    call, case, tmp_path, monkeypatch
):
    arguments = ("register", case.ct, case.xray, "--film", "none", "--out", "r")
    assert call(*arguments).code == 0
    before = contents(tmp_path)
    for name in WRITERS_OF_A_RESULT:
        monkeypatch.setattr(exporting, name, _full)
    failed = call(*arguments, "--method", "lm", "--seed", 3)
    assert failed.code == 2
    assert "pose: LAO" in failed.out or "pose: RAO" in failed.out
    assert failed.err.splitlines()[-1].endswith("r: No space left on device")
    assert contents(tmp_path) == before
    failed = call(*arguments, "--json")
    found = np.array(json.loads(failed.out)["pose"]["world_from_camera"])
    assert np.abs(found - case.pose.matrix().numpy()).max() < 2.0


@pytest.mark.slow
def test_a_registration_is_kept_but_for_the_file_that_cannot_be_written(
    call, case, tmp_path, monkeypatch
):
    arguments = ("register", case.ct, case.xray, "--film", "none", "--out", "r")
    assert call(*arguments).code == 0
    names = {file.name for file in (tmp_path / "r").iterdir()}
    (tmp_path / "r" / "report.html").write_text("of the last run")
    monkeypatch.setattr(exporting, "write_report", _full)
    monkeypatch.setattr(exporting, "overlay_picture", lambda *_, **__: 1 / 0)
    done = call(*arguments)
    assert done.code == 1
    assert "pose: " in done.out
    assert done.err.splitlines()[-1].endswith(
        "error: could not be written: overlay.png (ZeroDivisionError: division by zero); report.html "
        "(No space left on device); everything else was"
    )
    # What the last run left of them belongs to no other result.
    assert {f.name for f in (tmp_path / "r").iterdir()} == names - {"overlay.png", "report.html"}
    answer = json.loads(call(*arguments, "--json").out)
    assert set(answer["missing"]) == {"overlay.png", "report.html"}
    assert str(tmp_path / "r" / "result.tfm") not in answer["files"]  # they are as --out says
    assert "r/result.tfm" in [name.replace("\\", "/") for name in answer["files"]]


@pytest.mark.slow
@pytest.mark.parametrize(("status", "code"), [(Status.NOT_TRUSTED, 1), (Status.CANCELLED, 130)])
def test_what_is_missing_is_said_of_a_result_that_is_not_trusted_too(
    call, case, monkeypatch, status, code
):
    def refined(request, _):
        pose = request.views[0].world_from_camera
        pivot = torch.zeros(3, dtype=torch.float64)
        return Registration(pose, status, {"loss": 0.5}, (), pivot, None, (pose,))

    monkeypatch.setattr(register_command, "refine_shown", refined)
    monkeypatch.setattr(exporting, "write_report", _full)
    done = call("register", case.ct, case.xray, "--film", "none", "--out", "r")
    assert done.code == code
    assert "could not be written: report.html (No space left on device)" in done.err


# A method that writes, and the function around `written` that may call it. Where a writer is not
# the function itself, it is handed the path beside.
_WRITES = {
    "write_text", "write_bytes", "savez", "savez_compressed", "save_as", "mimwrite", "imwrite",
    "save_file", "tofile", "touch",
}  # fmt: skip
_BESIDE = {
    "files/folder.py": "only tries whether a file can be made",
    "images/dicom/decoding.py": "writes to memory",
    "training/weights/state_file.py": "fills a buffer, which is then written whole",
    "session/files/autosave.py": "locks a file of its own that holds nothing",
    "session/files/memory_files.py": "is handed the path beside by session_writer",
    "study/claims.py": "a claim is made if nobody else made it: that is what it is for",
    "training/weights/event_file.py": "is appended to, record by record",
    "training/weights/journal.py": "is appended to, line by line",
}


def _writes(node):
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name):
        name, owner = node.func.id, ""
    elif isinstance(node.func, ast.Attribute):
        name, owner = node.func.attr, ast.unparse(node.func.value)
    else:
        return False
    if name == "save":
        return owner in ("np", "torch", "nib", "nibabel") or any(
            keyword.arg == "format" for keyword in node.keywords
        )
    if name == "open":
        modes = [a for a in [*node.args, *(k.value for k in node.keywords)] if _mode(a)]
        return bool(modes)
    return name in _WRITES


def _mode(node):
    """Whether an argument is a mode in which `open` writes."""
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and set(node.value) <= set("rwaxb+t")
        and bool(set(node.value) & set("wax+"))
    )


def unguarded(tree):
    """The lines on which something is written outside a block of `written`."""
    found = []

    def walk(node, inside):
        if isinstance(node, ast.With):
            calls = [i.context_expr for i in node.items if isinstance(i.context_expr, ast.Call)]
            inside = inside or any(ast.unparse(call.func) == "written" for call in calls)
        if _writes(node) and not inside:
            found.append(node.lineno)
        for child in ast.iter_child_nodes(node):
            walk(child, inside)

    walk(tree, False)
    return found


@pytest.mark.slow
def test_nothing_is_written_in_place():
    source = Path(napari_xreg.__file__).parent
    found = {}
    for file in sorted(source.rglob("*.py")):
        name = file.relative_to(source).as_posix()
        if name != "files/whole.py" and (lines := unguarded(ast.parse(file.read_text()))):
            found[name] = lines
    assert set(found) <= set(_BESIDE), found


def test_that_test_sees_what_it_is_for():
    code = """
with written(path) as beside:
    beside.write_text("a")
    Image.fromarray(picture).save(beside, format="PNG")
path.write_text("b")
np.save(path, values)
with path.open("w", newline="") as stream:
    stream.write("c")
with path.open("rb") as stream, np.load(stream) as archive:
    recipe.save(file)
"""
    assert unguarded(ast.parse(code)) == [5, 6, 7]
