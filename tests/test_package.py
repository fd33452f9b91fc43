"""The distribution as users and napari find it."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from npe2 import PluginManifest

import napari_xreg

REPOSITORY = Path(__file__).resolve().parents[1]
MANIFEST = REPOSITORY / "src" / "napari_xreg" / "napari.yaml"


def test_version_is_the_literal_one():
    assert metadata.version("napari-xreg") == napari_xreg.__version__


def test_console_script_points_at_main():
    (script,) = metadata.entry_points(group="console_scripts", name="napari-xreg")
    assert callable(script.load())


def test_manifest_is_found_through_the_entry_point():
    # The way napari finds it. `name` must be the distribution's or the plugin vanishes in silence.
    manifest = PluginManifest.from_distribution("napari-xreg")
    assert manifest.name == "napari-xreg"
    assert manifest.contributions.sample_data


def test_manifest_at_the_top_is_the_one_in_the_package():
    assert (REPOSITORY / "napari.yaml").resolve() == MANIFEST.resolve()


def test_every_command_of_the_manifest_exists():
    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    for command in manifest.contributions.commands or []:
        assert command.id.startswith("napari-xreg.")
        module, name = str(command.python_name).split(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_importing_the_package_is_silent_and_loads_nothing_heavy():
    code = (
        "import sys, napari_xreg\n"
        "print([m for m in ('torch', 'numba', 'napari', 'qtpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert done.stderr == ""


def test_no_room_of_the_library_loads_qt_or_napari():
    code = (
        "import importlib, pkgutil, sys, napari_xreg\n"
        "for room in pkgutil.iter_modules(napari_xreg.__path__, 'napari_xreg.'):\n"
        "    if not room.name.endswith(('.widgets', '.cli', '.viewer')): importlib.import_module(room.name)\n"
        "print([m for m in ('napari', 'qtpy', 'vispy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_no_qt_binding_is_required():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    required = " ".join(project["dependencies"]).lower()
    assert "napari>=" in required
    for binding in ("pyqt", "pyside", "napari["):
        assert binding not in required


def test_dependencies_are_what_is_imported():
    """Nothing undeclared, and nothing that does not pull its weight."""
    imported = set()
    for path in (REPOSITORY / "src" / "napari_xreg").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(str(node.module).split(".")[0])
    imported -= {*sys.stdlib_module_names, "napari_xreg"}
    distribution = {"cv2": "opencv-python", "PIL": "pillow"}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[^\w-]", line)[0] for line in project["dependencies"]}
    host = {"napari", "npe2"}  # the program that this is a plugin of
    assert {distribution.get(name, name) for name in imported} | host == declared
