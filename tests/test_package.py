"""The distribution as users and napari find it."""

import ast
import dataclasses
import importlib
import inspect
import os
import re
import runpy
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from npe2 import PluginManifest

import napari_xreg
from napari_xreg.viewer import SAMPLES
from napari_xreg.workflows.opening.kinds import WEIGHTS

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


WIDGETS = {
    "Data": "Data", "Pose": "Pose", "Refine": "Refine", "Room": "3D view", "Geometry": "Geometry",
    "Landmarks": "Landmarks", "RayEmb": "Find points (RayEmb)", "Starts": "Find a pose",
    "Sequence": "Sequence", "Bones": "Bones", "Study": "Study", "Landscape": "Loss landscape",
    "Confidence": "Confidence", "Train": "Train", "Slices": "Slices",
}  # fmt: skip
"""Class, without "Widget", and its title in the menu, in the order of the Tools menu."""


def test_widgets_are_classes_that_napari_can_make():
    """napari hands the viewer over by the parameter's name; anything else is a TypeError there."""
    contributions = PluginManifest.from_file(MANIFEST).contributions
    commands = {command.id: str(command.python_name) for command in contributions.commands}
    shown = [widget.display_name for widget in contributions.widgets]
    assert shown == list(WIDGETS.values())
    for kind, widget in zip(WIDGETS, contributions.widgets, strict=True):
        assert widget.command == f"napari-xreg.{kind.lower()}"
        module, name = commands[widget.command].split(":")
        assert name == f"{kind}Widget"
        made = getattr(importlib.import_module(module), name)
        (parameter,) = inspect.signature(made).parameters
        assert parameter == "napari_viewer"
        assert made.__doc__


def test_every_contribution_names_a_command():
    contributions = PluginManifest.from_file(MANIFEST).contributions
    known = {command.id for command in contributions.commands}
    assert len(known) == len(contributions.commands)
    used = [
        entry.command
        for entry in (
            *contributions.widgets,
            *contributions.readers,
            *contributions.writers,
        )
    ]
    assert set(used) == known
    assert len(used) == len(known)
    # Samples are addresses that a reader of ours takes: of a command napari waits for layers.
    names = {
        sample.uri.rpartition("/")[2]: sample.reader_plugin for sample in contributions.sample_data
    }
    assert names == dict.fromkeys(SAMPLES, "napari-xreg")
    # The layers menu offers the widgets, in their order.
    (menu,) = contributions.menus.values()
    assert list(contributions.menus) == ["napari/layers/register"]
    assert [item.command for item in menu] == [widget.command for widget in contributions.widgets]
    assert [item.group for item in menu] == [f"xreg@{n}" for n in range(1, len(menu) + 1)]


def test_readers_leave_plain_pictures_to_napari():
    """Every plugin that claims *.tif makes napari ask which one to use, for every TIFF there is."""
    reader, study, sets, weights, _ = PluginManifest.from_file(MANIFEST).contributions.readers
    assert weights.filename_patterns == [f"*{ending}" for ending in WEIGHTS]
    for pattern in ("*.tif", "*.tiff", "*.png", "*.jpg", "*.csv", "*.json", "*.npy", "*"):
        assert pattern not in reader.filename_patterns
    for needed in ("*.nii.gz", "*.dcm", "*.nrrd", "*.mha", "*.fcsv", "*.mrk.json", "*.xreg.json"):
        assert needed in reader.filename_patterns
    assert reader.accepts_directories
    assert study.filename_patterns == ["*study.json"]
    assert study.accepts_directories
    assert sets.filename_patterns == ["*.h5", "*.hdf5"]
    assert sets.accepts_directories


def test_preferences_are_those_that_the_code_reads():
    from napari_xreg.viewer.user_preferences import Layout, Preferences

    sections = PluginManifest.from_file(MANIFEST).contributions.configurations.values()
    declared = {
        name: entry.default for section in sections for name, entry in section.properties.items()
    }
    assert declared.pop("tabs") == ", ".join(Layout().tabs)
    assert declared.pop("width") == Layout().width
    assert declared == dataclasses.asdict(Preferences())


def test_what_the_plugin_hub_asks_for():
    manifest = PluginManifest.from_file(MANIFEST)
    assert manifest.visibility == "public"
    assert manifest.categories[0] == "Registration"
    assert not manifest.display_name.endswith(")")
    # An icon of a font that is not installed keeps napari from starting.
    assert not any(command.icon for command in manifest.contributions.commands)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for key in ("name", "description", "readme", "license", "license-files", "authors"):
        assert project[key], key
    assert "\n" not in project["description"]
    assert project["requires-python"] == ">=3.11"
    assert "Framework :: napari" in project["classifiers"]
    assert any(line.startswith("Topic :: ") for line in project["classifiers"])
    assert project["optional-dependencies"]["all"] == ["napari[all]>=0.9,<0.10"]
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", readme, re.MULTILINE)
    assert len(headings) >= 3
    assert any("nstall" in heading for heading in headings)
    # setuptools and hatch both find it: the manifest is package data of the wheel.
    assert MANIFEST.parent.name == "napari_xreg"


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform.startswith("linux") and not os.environ.get("DISPLAY"),
    reason="napari draws nothing without a screen: run under xvfb-run",
)
def test_a_viewer_starts_without_the_plugin_s_code():
    """Only the manifest is read until a widget, reader or sample is asked for."""
    code = (
        "import sys, napari\n"
        "from npe2 import PluginManager, PluginManifest\n"
        f"manifest = PluginManifest.from_file({str(MANIFEST)!r})\n"
        "manager = PluginManager.instance()\n"
        "if 'napari-xreg' not in manager: manager.register(manifest)\n"
        "viewer = napari.Viewer(show=False)\n"
        "names = [str(action) for action in viewer.window._qt_window._qt_viewer and []]\n"
        "print(sorted(m for m in sys.modules if m == 'torch' or m.startswith('napari_xreg.')))\n"
        "viewer.close()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_importing_the_package_is_silent_and_loads_nothing_heavy():
    code = (
        "import sys, napari_xreg\n"
        "print([m for m in ('torch', 'numba', 'napari', 'qtpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert done.stderr == ""


@pytest.mark.slow
def test_a_start_does_not_wait_for_torchs_compiler():
    """It takes as long as torch itself; roma imports it (docs/decisions/0010)."""
    code = (
        "import sys, napari_xreg.session, napari_xreg.cli.commands.register\n"
        "from napari_xreg.widgets.data.widget import DataWidget\n"
        "print([m for m in ('torch._dynamo', 'roma') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
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
    required = [line.lower() for line in project["dependencies"]]
    assert any(line.startswith("napari>=") for line in required)
    for line in required:
        assert "[" not in line, line  # napari[all] and the like bring one
        assert not re.match(r"pyqt\d|pyside", line), line


@pytest.mark.slow
def test_dependencies_are_what_is_imported():
    """Nothing undeclared, and nothing that does not pull its weight."""
    imported = set()
    for path in (REPOSITORY / "src" / "napari_xreg").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(str(node.module).split(".")[0])
    # Triton comes with torch where there is a card to use it on; without it the CPU renders.
    # Films as MP4 are the extra `film`, schedulers of studies the extra `study`, BOBYQA the extra `xreg`.
    extras = {"imageio_ffmpeg", "distributed", "nlopt"}
    imported -= {*sys.stdlib_module_names, "napari_xreg", "triton", *extras}
    distribution = {"cv2": "opencv-python", "PIL": "pillow", "skimage": "scikit-image"}
    distribution["lazy_loader"] = "lazy-loader"
    distribution["pydantic_core"] = "pydantic"  # its own engine, of exactly its version
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[^\w-]", line)[0] for line in project["dependencies"]}
    host = {"napari", "npe2"}  # the program that this is a plugin of
    assert {distribution.get(name, name) for name in imported} | host == declared


def test_the_conda_recipe_asks_for_what_the_package_asks_for():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    called = {"opencv-python": "py-opencv", "torch": "pytorch", "SimpleITK": "simpleitk"}
    wanted = set()
    for requirement in project["dependencies"]:
        name, rest = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()
        wanted.add(f"{called.get(name, name)} {rest}")
    recipe = (REPOSITORY / "packaging" / "meta.yaml").read_text(encoding="utf-8")
    run = recipe.split("  run:\n")[1].split("\ntest:")[0]
    asked = {line.strip()[2:] for line in run.splitlines() if line.strip().startswith("- ")}
    assert asked - {"python >={{ python_min }}"} == wanted
    version = re.search(r'version = "([\d.]+)"', recipe).group(1)
    assert version == napari_xreg.__version__


def test_the_workflow_tries_what_the_package_promises():
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    promised = re.findall(r":: Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    workflow = (REPOSITORY / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    (tried,) = re.findall(r"python: (\[.*\])", workflow)
    assert ast.literal_eval(tried) == promised
    # No Qt binding comes with the wheel, and `doctor` calls that a fault.
    (extra,) = re.findall(r"pip install .*dist/\*\.whl.*\[(\w+)\]", workflow)
    assert "pyqt" in project["optional-dependencies"][extra][0]


@pytest.mark.slow
def test_words_lists_what_the_window_says():
    words = runpy.run_path(str(REPOSITORY / "scripts" / "words.py"))
    said = dict(words["listed"]())
    texts = set(said.values())
    assert "Refine from the current pose." in texts
    assert "Move the C-arm by hand" in texts  # of the manifest
    assert any("keeps {kept} so far" in text for text in texts)  # an f-string as one
    assert not any("font-size" in text for text in texts)
    assert len(texts) > 1000
