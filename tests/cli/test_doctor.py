"""What `doctor` says of a machine where all is well, and of ones where something is not."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import napari_xreg
from napari_xreg import files, rendering
from napari_xreg.cli.commands.doctor import examine
from napari_xreg.cli.doctor_checks import CHECKS
from napari_xreg.rendering import cuda
from napari_xreg.rendering.cuda import check

BY_NAME = {each.name: each for each in CHECKS}


@pytest.fixture
def autosave(monkeypatch, tmp_path):
    """Of its own, so that what this machine holds does not count."""
    monkeypatch.setenv("NAPARI_XREG_AUTOSAVE", str(tmp_path / "kept"))
    monkeypatch.setattr(files, "free_memory", lambda: 7_300_000_000)
    return tmp_path / "kept"


def test_all_is_well(call, autosave):
    done = call("doctor", "--json")
    answer = json.loads(done.out)
    assert answer["schema"] == "napari-xreg/doctor"
    assert answer["version"] == 1
    found = {each["name"]: each for each in answer["checks"]}
    assert [each for each in answer["checks"] if not each["ok"]] == []
    assert (done.code, answer["ok"]) == (0, True)
    assert all(each["do"] == "" for each in found.values())
    assert list(found) == [
        "Python", "napari-xreg", "napari", "Qt", "torch", "graphics card", "compiled kernels",
        "rendering", "reader nibabel", "reader pydicom", "reader SimpleITK", "reader opencv-python",
        "reader pillow", "films", "memory", "autosave", "settings",
    ]  # fmt: skip
    assert found["napari-xreg"]["found"].startswith(napari_xreg.__version__)
    assert found["memory"]["found"] == "7.3 GB free"
    assert found["autosave"]["found"] == f"sessions are kept in {autosave}"
    assert not autosave.exists()  # looked at, not made


def test_what_is_wrong_comes_with_what_to_do(call, autosave, monkeypatch):
    """A library that does not load, a folder that is a file, no memory: the rest is still said."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    autosave.write_text("a file")
    monkeypatch.setattr(files, "free_memory", lambda: 1_200_000_000)
    done = call("doctor", "--quiet", "--json")
    answer = json.loads(done.out)
    wrong = {each["name"]: each for each in answer["checks"] if not each["ok"]}
    assert (done.code, answer["ok"]) == (1, False)
    assert list(wrong) == ["reader opencv-python", "memory", "autosave"]
    assert "cv2" in wrong["reader opencv-python"]["found"]
    assert wrong["reader opencv-python"]["do"] == "pip install --force-reinstall opencv-python"
    assert wrong["memory"]["found"].startswith("1.2 GB are free")
    assert wrong["autosave"]["found"].startswith(f"{autosave} cannot be written to: is a file")
    assert wrong["autosave"]["do"].startswith("set the environment variable NAPARI_XREG_AUTOSAVE")
    lines = call("doctor").out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("PROBLEM  memory: 1.2 GB"))
    assert lines[at + 1].strip().startswith("-> close other programs")
    assert lines[-1] == "problems: reader opencv-python, memory, autosave"


@pytest.mark.parametrize("factor", [1.001, float("nan")])
def test_a_wrong_picture_is_a_problem(monkeypatch, factor):
    right = rendering.render_drr

    def wrong(*arguments, backend, **options):
        drawn = right(*arguments, backend=backend, **options)
        return drawn * factor if backend == "numba" else drawn

    monkeypatch.setattr(rendering, "render_drr", wrong)
    found = examine(BY_NAME["rendering"])
    assert not found.ok
    assert found.found.startswith("a DRR (trilinear) differs by")
    assert found.do.startswith("do not use this machine's results")


def test_a_card_whose_kernels_do_not_work(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Some Card")
    monkeypatch.setattr(cuda, "available", lambda: True)
    monkeypatch.setattr(check, "trouble", lambda device: "no C compiler; install one (gcc)")
    found = examine(BY_NAME["graphics card"])
    assert not found.ok
    assert found.found == "the kernels do not work on Some Card: no C compiler; install one (gcc)"
    monkeypatch.setattr(cuda, "available", lambda: False)
    assert "no Triton 3.2 or newer" in examine(BY_NAME["graphics card"]).found


def test_no_qt(monkeypatch):
    from napari_xreg.cli.commands import demo as demo_command

    monkeypatch.setattr(demo_command, "_BINDINGS", ("no_such_binding",))
    found = examine(BY_NAME["Qt"])
    assert not found.ok
    assert "napari cannot open" in found.found


@pytest.mark.slow
def test_an_installation_that_cannot_be_written(tmp_path):
    """Files stand where folders would be made: permissions do not stop an administrator."""
    source = Path(napari_xreg.__file__).parent
    package = tmp_path / "src" / "napari_xreg"
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    for folder in (package, *package.rglob("*")):
        if folder.is_dir():
            (folder / "__pycache__").write_text("a file")
    home = tmp_path / "home"
    home.write_text("a file")
    named = ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "NUMBA_CACHE_DIR")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NAPARI_XREG")}
    environment |= dict.fromkeys(named, str(home))
    environment |= {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [
        sys.executable,
        "-c",
        "import sys; from napari_xreg.cli import main; sys.exit(main())",
    ]
    done = subprocess.run(
        [*command, "doctor", "--json", "--quiet"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    found = {each["name"]: each for each in answer["checks"]}
    assert found["napari-xreg"]["found"].endswith(str(package))
    assert done.returncode == 1
    assert "cannot be kept" in found["compiled kernels"]["found"]
    assert "NUMBA_CACHE_DIR" in found["compiled kernels"]["do"]
    # It still renders, and right.
    assert found["rendering"]["ok"], found["rendering"]
    assert not found["autosave"]["ok"]
    assert "NAPARI_XREG_AUTOSAVE" in found["autosave"]["do"]
    assert not found["settings"]["ok"]
