"""Rooms are entered through their fronts: what those offer is there, and costs nothing to look at."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

import napari_xreg

PACKAGE = Path(napari_xreg.__file__).parent
ROOMS = sorted(file.parent.name for file in PACKAGE.glob("*/__init__.py"))
HEAVY = {"torch", "numpy", "scipy", "numba", "cv2", "napari", "qtpy", "pydicom", "jaxtyping"}


@pytest.mark.parametrize("room", ROOMS)
def test_every_name_of_a_front_is_there(room):
    front = importlib.import_module(f"napari_xreg.{room}")
    assert set(front.__all__) <= set(dir(front))
    for name in front.__all__:
        assert getattr(front, name) is not None


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "cli"])
def test_no_module_has_the_name_of_something_else_that_the_front_offers(room):
    """Whoever imported the module by its path would find it where the function was."""
    stub = ast.parse((PACKAGE / room / "__init__.pyi").read_text(encoding="utf-8"))
    names = {alias.name for n in stub.body if n.module is not None for alias in n.names}
    assert names & {path.stem for path in (PACKAGE / room).iterdir()} == set()


def test_a_script_starts_with_a_dozen_names():
    names = {"CArm", "Pose", "Radiograph", "Session", "View", "Volume", "read_radiograph"}
    names |= {"read_volume", "refine", "render_drr", "solve_pnp", "write_result"}
    assert set(napari_xreg.__all__) == names
    for name in names:
        assert getattr(napari_xreg, name).__name__ == name
    assert napari_xreg.refine is napari_xreg.registration.refine


SCRIPTS = ("src", "benchmarks", "docs", "scripts")


@pytest.mark.slow
def test_every_public_name_has_a_user():
    """The program, a benchmark, a page or a script: a test alone is none.

    What the module of a name says of it elsewhere counts (the class of an answer, a default).
    """
    repository = PACKAGE.parents[1]
    files = [f for folder in SCRIPTS for f in (repository / folder).rglob("*") if f.is_file()]
    files = [
        f for f in (*files, repository / "README.md") if f.suffix in (".py", ".md", ".yaml", "")
    ]
    words = {f: Counter(re.findall(r"\w+", f.read_text(encoding="utf-8"))) for f in files}
    unused = []
    for room in ROOMS:
        if room == "cli":
            continue
        front = ast.parse((PACKAGE / room / "__init__.pyi").read_text(encoding="utf-8"))
        for entry in front.body:
            own = PACKAGE / room / f"{(entry.module or '').replace('.', '/')}.py"
            for alias in entry.names:
                counts = [words[f][alias.name] - (f == own) for f in files if f in words]
                if not sum(counts):
                    unused.append(f"{room}.{alias.name}")
    assert unused == []


def test_looking_at_the_fronts_imports_nothing_heavy():
    code = f"import {', '.join(f'napari_xreg.{room}' for room in ROOMS)}, sys; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(said.stdout.split()) == set()
    assert "napari_xreg.geometry" in said.stdout.split()


def test_a_contract_guards_every_front():
    project = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    guarded = [c["allowed_importers"] for c in contracts if c["type"] == "protected"]
    assert sorted(guarded) == [[f"napari_xreg.{room}"] for room in ROOMS if room != "cli"]
