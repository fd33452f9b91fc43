"""The examples in the documentation give what they say; its links and labels are those there are."""

import ast
import doctest
import importlib.util
import re
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
WIDGETS = REPOSITORY / "src" / "napari_xreg" / "widgets"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.glob("**/*.md")])
# Where words in bold are what the program shows.
# Of these the greater part is for scripts and the command line.
FEW_BUTTONS = {"gpu.md", "sequences.md"}
# Of these all of it: `test_study`, and below.
NO_BUTTONS = {
    "bones.md", "many-radiographs.md", "evaluate.md", "other-programs.md", "data-sets.md", "study.md",
}  # fmt: skip
GUIDES = [
    DOCS / "tutorial.md",
    *(page for page in sorted((DOCS / "how-to").glob("*.md")) if page.name not in NO_BUTTONS),
]
NAPARI = {"Plugins", "Layers", "Register", "File", "Open Sample"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_give_what_they_say(page):
    failed, _ = doctest.testfile(
        str(page), module_relative=False, globs={"torch": torch}, encoding="utf-8"
    )
    assert failed == 0


def test_the_conventions_have_examples_to_check():
    text = (DOCS / "conventions.md").read_text(encoding="utf-8")
    assert len(doctest.DocTestParser().get_examples(text)) >= 6


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_are_there(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_picture_is_shown_somewhere():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    pictures = [path.name for path in (DOCS / "images").iterdir()]
    assert pictures
    assert [name for name in pictures if f"images/{name}" not in text] == []


def test_the_figure_of_the_rooms_is_that_of_the_contracts():
    maker = runpy.run_path(str(DOCS / "make_architecture.py"))
    assert maker["FIGURE"].read_text(encoding="utf-8") == maker["drawn"]()


def test_the_site_has_the_pages_it_lists():
    listed = re.findall(r"[\w/-]+\.md", (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))
    assert "tutorial.md" in listed
    assert [name for name in listed if not (DOCS / name).is_file()] == []
    pages = {str(page.relative_to(DOCS)) for page in DOCS.glob("**/*.md")}
    unlisted = {name for name in pages - set(listed) if not name.startswith("decisions/")}
    assert unlisted == set()


def test_every_decision_is_listed():
    folder = DOCS / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    pages = [page.name for page in folder.glob("0*.md")]
    assert pages
    assert [name for name in pages if f"({name})" not in index] == []
    numbers = [name[:4] for name in pages]
    assert len(set(numbers)) == len(numbers)


# ---------------------------------------------------------------------- labels


class Shown:
    """What the widgets may show: the strings of their source and of the manifest."""

    def __init__(self):
        self.words: set[str] = set()
        self.patterns: list[re.Pattern[str]] = []
        rooms = ("widgets", "viewer", "workflows", "registration", "training", "rayemb")
        for path in (file for room in rooms for file in (WIDGETS.parent / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    self.words.add(node.value)
                elif isinstance(node, ast.JoinedStr):
                    self.patterns.append(re.compile("".join(map(self._part, node.values))))
        manifest = (WIDGETS.parent / "napari.yaml").read_text(encoding="utf-8")
        self.words.update(re.findall(r"(?:display_name|title): (.+)", manifest))

    @staticmethod
    def _part(part):
        return re.escape(part.value) if isinstance(part, ast.Constant) else "(.+)"

    def __contains__(self, label):
        if label in self.words:
            return True
        found = (pattern.fullmatch(label) for pattern in self.patterns if pattern.groups)
        return any(match and self.words.issuperset(match.groups()) for match in found)


@pytest.fixture(scope="module")
def shown():
    return Shown()


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_what_a_guide_says_to_press_is_there(page, shown):
    bold = re.findall(r"\*\*(.+?)\*\*", page.read_text(encoding="utf-8"), re.DOTALL)
    labels = {" ".join(words.split()) for words in bold} - NAPARI
    assert len(labels) > (0 if page.name in FEW_BUTTONS else 5)
    assert sorted(label for label in labels if label not in shown) == []


def test_a_label_that_nothing_shows_is_noticed(shown):
    assert "Refine" in shown
    assert "Isocenter (mm)" in shown
    assert "Spread, in plane" in shown
    assert "Press here" not in shown
    assert "Isocentre (mm)" not in shown


# ---------------------------------------------------------------------- scripts of the how-tos


@pytest.fixture(scope="module")
def own_files(tmp_path_factory):
    """The files that the how-tos name: a CT, and DICOM radiographs of it."""
    import nibabel

    from napari_xreg.geometry import CArm, CArmPose, Detector
    from napari_xreg.images import Landmark, write_dicom_radiograph, write_landmarks
    from napari_xreg.simulation import phantom, simulate_radiograph

    folder = tmp_path_factory.mktemp("own")
    patient = phantom(spacing_mm=4.0)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ patient.volume.world_from_index.numpy()
    hu = patient.volume.hu.numpy().transpose(2, 1, 0).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(hu, affine), folder / "ct.nii.gz")
    carm = CArm(1020.0, 700.0, Detector((96, 104), (3.2, 3.2)))
    isocenter = tuple(patient.volume.center.tolist())
    # The same motion of the patient for all: the views' poses relative to each other are right.
    at_first, moved_to = (
        carm.pose_from(CArmPose(8.0, -4.0, roll, offset, isocenter))
        for roll, offset in ((0.0, (0.0, 0.0, 0.0)), (1.0, (7.0, -5.0, 9.0)))
    )
    motion = moved_to @ at_first.inverse()
    truths = {}
    for name, primary in (("xray", 8.0), ("frontal", 3.0), ("oblique", 61.0)):
        nominal = CArmPose(primary, -4.0, isocenter=isocenter)
        truths[name] = motion @ carm.pose_from(nominal)
        made = simulate_radiograph(
            patient.volume, None, carm, truths[name], severity="clean", seed=3
        )
        write_dicom_radiograph(folder / f"{name}.dcm", replace(made.radiograph, nominal=nominal))
    points = torch.tensor(list(patient.landmarks.values()), dtype=torch.float64)
    pixels = carm.project(points, truths["xray"]).tolist()
    marks = [
        Landmark(name, place, (row, column))
        for (name, place), (row, column) in zip(patient.landmarks.items(), pixels, strict=True)
    ]
    write_landmarks(folder / "landmarks.csv", marks)
    return folder, truths, points


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "found", "files"),
    [
        ("own-data.md", {"found.world_from_camera": "xray"}, ["pose.tfm", "work.xreg.json"]),
        ("two-views.md", {"frontal": "frontal", "oblique": "oblique"}, []),
        ("metal-implant.md", {"found.world_from_camera": "xray"}, []),
        ("landmarks.md", {"pose": "xray"}, []),
    ],
)
def test_the_script_of_a_how_to_registers(page, found, files, own_files, monkeypatch):
    from napari_xreg.metrics import mean_target_registration_error

    folder, truths, points = own_files
    text = (DOCS / "how-to" / page).read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    exec(compile(script, page, "exec"), names)
    assert names["found"], names["found"].status
    for expression, name in found.items():
        pose = eval(expression, names)
        error = mean_target_registration_error(pose, truths[name], points)
        assert float(error) < 2.0, expression
    assert [name for name in files if not (folder / name).exists()] == []


def test_poses_from_and_to_other_programs():
    names = script_of("other-programs.md")
    pose, carm = names["pose"], names["carm"]
    for name in ("back", "plain_pose", "pose_of_diffdrr", "pose_of_nanodrr", "pose_of_deepfluoro"):
        found = names[name].matrix().reshape(4, 4).double()
        assert torch.allclose(found, pose.matrix(), atol=1e-3), name
    assert torch.allclose(names["same"], names["pixels"])
    for name in ("plain", "of_diffdrr", "of_nanodrr", "of_deepfluoro"):
        matrix = names[name].camera_matrix().double()
        assert torch.allclose(matrix, carm.camera_matrix().double(), atol=0.01), name
    assert torch.allclose(names["again"], names["diffdrr"].matrix, atol=1e-4)


def test_how_good_a_registration_is(capsys):
    names = script_of("evaluate.md")
    said = capsys.readouterr().out
    parts = names["mean_in_plane_error"], names["mean_depth_error"]
    plane, depth = (part(names["found"], names["true"], names["points"]) for part in parts)
    assert bool((names["errors"] <= plane + depth + 1e-9).all())
    assert bool((names["errors"] >= torch.maximum(plane, depth) - 1e-9).all())
    below = int((names["errors"] < 1.0).sum())
    assert f"({below}/200, " in said


def script_of(page):
    """The names that the script of a page leaves."""
    text = (DOCS / "how-to" / page).read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(script, page, "exec"), names)
    return names


# ---------------------------------------------------------------------- the site


@pytest.mark.slow
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("mkdocs", "mkdocstrings", "material")),
    reason="the site needs the extra `docs`",
)
def test_the_site_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    tutorial = (tmp_path / "site" / "tutorial.html").read_text(encoding="utf-8")
    assert "Restart from this iteration" in tutorial
    reference = (tmp_path / "site" / "reference" / "registration.html").read_text(encoding="utf-8")
    assert "Levenberg-Marquardt" in reference  # the docstring of `refine`
