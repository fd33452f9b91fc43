"""The examples of docs/extending.md: each is run as it stands there, and used as a user would use it."""

import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import nibabel
import numpy as np
import pytest
import torch
from backends import refined
from scipy.io import savemat

from napari_xreg.cli import main
from napari_xreg.geometry import CArm, Detector, lps_from_ras
from napari_xreg.images import (
    FORMATS,
    Radiograph,
    ReadError,
    patterns,
    read_volume,
    write_radiograph,
)
from napari_xreg.metrics import SIMILARITIES, mean_target_registration_error
from napari_xreg.progress import Control, run
from napari_xreg.records import read_result
from napari_xreg.registration import COMPARISONS, SOLVERS, Solver, Status, View, Wanted, refine
from napari_xreg.rendering import render_drr
from napari_xreg.session import Session
from napari_xreg.simulation import phantom
from napari_xreg.training import OneCT, PoseRange, Recipe, drawn_from, train
from napari_xreg.widgets.train.form import TrainForm
from napari_xreg.workflows import (
    INITIALISERS,
    RECIPES,
    InitialiseRequest,
    NoStart,
    initialise,
)

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs" / "extending.md"
TABLES = (SIMILARITIES, COMPARISONS, SOLVERS, INITIALISERS, RECIPES)
# Rows and columns differ, pixels are not square, the principal point is not in the middle.
NEAR = ("--primary", 13, "--secondary", -6, "--roll", 2, "--offset", 7, -6, 15)
CARM = CArm(1020.0, 750.0, Detector((60, 72), (4.8, 4.2), (27.0, 37.5)))


def blocks() -> dict[str, str]:
    """Path in the tree, and code."""
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return {block.split("\n", 1)[0].removeprefix("# src/"): block for block in code}


BLOCKS = blocks()


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Runs the block of a path as a module; afterwards it and what it put into the tables is gone."""

    def load(path: str) -> ModuleType:
        name = path.removesuffix(".py").replace("/", ".")
        file = tmp_path / Path(path).name
        file.write_text(BLOCKS[path], encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    before, formats = [dict(table) for table in TABLES], list(FORMATS)
    yield load
    for table, entries in zip(TABLES, before, strict=True):
        table.clear()
        table.update(entries)
    FORMATS[:] = formats


@pytest.fixture(scope="module")
def patient():
    return phantom(spacing_mm=6.0)


@pytest.fixture(scope="module")
def files(patient, radiograph, tmp_path_factory):
    """``ct.nii.gz`` and ``x.npz``."""
    folder = tmp_path_factory.mktemp("case")
    affine = lps_from_ras(patient.volume.world_from_index.double()).numpy()
    hu = np.ascontiguousarray(patient.volume.hu.numpy().transpose(2, 1, 0)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(hu, affine), folder / "ct.nii.gz")
    write_radiograph(folder / "x.npz", radiograph)
    return folder / "ct.nii.gz", folder / "x.npz"


def pose(patient, primary, secondary, offset):
    return CARM.world_from_camera(
        primary, secondary, 3.0, isocenter=patient.volume.center, offset_mm=offset
    )


@pytest.fixture(scope="module")
def truth(patient):
    return pose(patient, 12.0, -7.0, (5.0, -8.0, 12.0))


@pytest.fixture(scope="module")
def radiograph(patient, truth):
    image = render_drr(patient.volume, CARM, truth, method="joseph")
    return Radiograph(image, CARM, simulated=True)


def error_mm(patient, found, truth):
    points = torch.tensor(list(patient.landmarks.values()), dtype=torch.float64)
    return float(mean_target_registration_error(found, truth, points))


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """The command line: exit code, and what it said or its JSON."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, shown=False):
        capsys.readouterr()
        code = main([str(a) for a in (*arguments, *(() if shown else ("--json", "--quiet")))])
        said = capsys.readouterr()
        assert said.out, said.err
        return code, said.out if shown else json.loads(said.out)

    return run


@pytest.fixture
def panel(qtbot):
    """A function that opens what the Refine widget asks."""
    from napari_xreg.widgets.refine.settings import RefineSettingsPanel

    def made():
        panel = RefineSettingsPanel()
        qtbot.addWidget(panel)
        return panel

    return made


# ---------------------------------------------------------------------- the page


def test_every_walk_is_counted_and_has_a_block():
    assert len(BLOCKS) == 6
    counted = re.findall(
        r"^\| .+? \| `(\S+\.py)` \| `(\S+\.py)` \| (\d)",
        PAGE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert [f"napari_xreg/{own}" for own, _, _ in counted] == list(BLOCKS)
    for own, table, _ in counted:
        assert not (REPOSITORY / "src" / "napari_xreg" / own).exists(), "choose another example"
        assert (REPOSITORY / "src" / "napari_xreg" / table).is_file()


def test_the_blocks_pass_the_linters_of_the_tree(tmp_path):
    for path, code in BLOCKS.items():
        (tmp_path / Path(path).name).write_text(code, encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    config = ["--config", str(REPOSITORY / "pyproject.toml"), "--no-cache", str(tmp_path)]
    for check in (["check", "--ignore", "I001"], ["format", "--check"]):
        done = subprocess.run([*ruff, *check, *config], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


# ---------------------------------------------------------------------- a similarity


def test_a_similarity(example, files, radiograph, panel, call, monkeypatch):
    made = example("napari_xreg/metrics/gradient_difference.py")
    # Slopes 1, 3 along a row against 3, 1, of images that spread alike: d^2 / v = 4 / 5; down, none.
    x, y = torch.tensor([[0.0, 1.0, 4.0]] * 2), torch.tensor([[0.0, 3.0, 4.0]] * 2)
    assert float(made.gradient_difference(x, y)) == pytest.approx((5 / 9 + 1) / 2, abs=1e-5)
    image = radiograph.line_integrals
    assert float(made.gradient_difference(image, 3 * image + 7)) == pytest.approx(1, abs=1e-4)
    usable = torch.ones(image.shape, dtype=torch.bool)
    usable[:20] = False
    spoilt = torch.where(usable, image, 50.0)
    assert float(made.gradient_difference(image, spoilt, mask=usable)) == pytest.approx(1, abs=1e-4)
    settings = panel()
    settings.choose_solver("adam")
    settings.measure.setCurrentText("gradient difference")
    assert settings.measure.toolTip().startswith("Gradient difference (Penney et al. 1998)")
    chosen = settings.choices().settings()
    assert chosen.similarity is made.gradient_difference
    assert "gradient difference" in " ".join(call("register", "--help", shown=True)[1].split())
    short = replace(chosen, pixels=(48,), iterations=2)
    monkeypatch.setattr(Solver, "settings_for", lambda solver, wanted: short)
    code, answer = call(
        "register", *files, "--method", "adam", "--compare", "gradient difference",
        "--primary", 11, "--film", "none",
    )  # fmt: skip
    assert (code, answer["settings"]["similarity"]) == (1, "gradient_difference")


# ---------------------------------------------------------------------- a channel


def test_a_channel(example, patient, truth, radiograph, files, panel, call):
    made = example("napari_xreg/registration/refinement/second_order/curvature.py")
    for along in ("rows", "columns"):
        flat, slope = made.SecondDerivative(along).kernels()[:: 1 if along == "rows" else -1]
        x = np.arange(len(slope)) - len(slope) // 2
        assert slope @ (x**2 / 2) == pytest.approx(1, abs=1e-5)
        assert slope @ (3 * x + 5) == pytest.approx(0, abs=1e-5)
        assert flat.sum() == pytest.approx(1, abs=1e-5)
    settings = panel()
    settings.measure.setCurrentText("curvature")
    assert settings.measure.toolTip().startswith("The second derivatives")
    chosen = settings.choices().settings()
    names = {"loss", "curvature_rows", "curvature_columns"}
    start = pose(patient, 12.5, -7.5, (4.0, -7.0, 9.0))
    levels = (replace(chosen.levels[1], pixels=60, voxel_mm=None),)
    quick = replace(chosen, levels=levels, threads=1, keep_images=False)
    pivot = patient.volume.center
    view = View(radiograph, start)
    found = run(refine(patient.volume, view, settings=quick))
    there = refined("batched", patient.volume, [view], quick, pivot)
    for result in (found, there):
        assert set(result.losses) == names
        assert error_mm(patient, result.world_from_camera, truth) < 1.0
    code, answer = call(
        "register", *files, "--compare", "curvature", "--film", "none",
        "--primary", 12.5, "--secondary", -7, "--roll", 3, "--offset", 4, -7, 11,
    )  # fmt: skip
    assert code in (0, 1)
    assert set(answer["losses"]) == names


# ---------------------------------------------------------------------- a solver


def test_a_solver(example, patient, truth, radiograph, files, panel, call):
    made = example("napari_xreg/registration/refinement/compass.py")
    settings = panel()
    settings.optimiser.setCurrentText("Compass search")
    assert settings.optimiser.toolTip() == made.COMPASS.about
    assert settings.iterations.value() == 40
    assert not settings.starts.isEnabled()
    assert not settings.locks["depth"].isEnabled()
    assert settings.choices().settings() == made.CompassSettings()
    start = pose(patient, 14.0, -4.0, (10.0, -4.0, 18.0))
    seen = []
    quick = made.CompassSettings(keep_images=False)
    found = run(refine(patient.volume, View(radiograph, start), settings=quick), seen.append)
    assert found.status is Status.CONVERGED
    assert len(seen) == len(found.trajectory) <= made.COMPASS.most_iterates(quick)
    assert found.losses["loss"] == min(i.loss for i in seen if i.level == 1)
    before, after = (error_mm(patient, p, truth) for p in (start, found.world_from_camera))
    assert before > 8.0
    assert after < 2.0
    control = Control()
    control.cancel()
    none = run(refine(patient.volume, View(radiograph, start), settings=quick, control=control))
    assert none.status is Status.CANCELLED
    assert torch.equal(none.world_from_camera.matrix(), start.matrix())
    assert "compass: Compass search. No derivatives" in " ".join(
        call("register", "--help", shown=True)[1].split()
    )
    code, answer = call("register", *files, "--method", "compass", "--film", "none", *NEAR)
    assert (code, answer["settings"]["kind"]) == (0, "CompassSettings")
    with pytest.raises(ValueError, match="from one start: got 4"):
        SOLVERS["compass"].settings_for(Wanted(starts=4))


def test_a_solver_in_the_window(
    example, radiograph, patient, truth, make_napari_viewer_proxy, qtbot
):
    from napari_xreg.widgets.jobs.workbench import workbench_of
    from napari_xreg.widgets.refine.widget import RefineWidget

    example("napari_xreg/registration/refinement/compass.py")
    viewer = make_napari_viewer_proxy()
    bench = workbench_of(viewer)
    bench.session.patient.set_volume(patient.volume)
    start = pose(patient, 13.0, -6.0, (7.0, -6.0, 15.0))
    bench.session.exposures.add(radiograph, name="frontal", start=start, truth=truth)
    widget = RefineWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Refine", area="right")
    widget.settings.optimiser.setCurrentText("Compass search")
    widget.buttons.go.click()
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)
    (result,) = bench.session.results.all
    assert result.registration.status is Status.CONVERGED
    assert len(widget.iterations.losses.iterates) == len(result.registration.trajectory) > 20
    assert error_mm(patient, result.registration.world_from_camera, truth) < 2.0
    bench.close()


# ---------------------------------------------------------------------- a volume format


def test_a_volume_format(example, patient, call, tmp_path):
    from napari_xreg.viewer.files.readers import get_reader, read_ct_layers

    example("napari_xreg/images/formats/matlab.py")
    # Sheared and anisotropic, in RAS.
    affine = np.array([[-3.0, 0.5, 0, 40], [0, 4.0, 0, -20], [0, 0, 5.0, 7], [0, 0, 0, 1]])
    voxels = np.full((4, 3, 2), -1000, np.int16)
    voxels[3, 1, 0] = 700
    savemat(tmp_path / "ct.mat", {"voxels": voxels, "affine": affine})
    volume = read_volume(tmp_path / "ct.mat")
    assert volume.shape == (2, 3, 4)
    assert float(volume.hu[0, 1, 3]) == 700
    # Voxel (3, 1, 0) in RAS: (-9 + 0.5 + 40, 4 - 20, 7); LPS turns the first two.
    place = volume.world_from_index @ torch.tensor([3.0, 1, 0, 1]).double()
    assert place.tolist() == pytest.approx([-31.5, 16.0, 7.0, 1.0])
    assert call("inspect", "ct.mat")[1]["kind"] == "CT"
    assert get_reader(str(tmp_path / "ct.mat")) is read_ct_layers
    assert "*.mat" in patterns("volume")
    savemat(tmp_path / "half.mat", {"voxels": voxels})
    with pytest.raises(
        ReadError, match=r"half.mat: voxels and affine are needed: affine is absent"
    ):
        read_volume(tmp_path / "half.mat")
    (tmp_path / "broken.mat").write_bytes(b"nothing of the kind")
    with pytest.raises(ReadError, match=r"broken.mat: this is not a MATLAB file"):
        read_volume(tmp_path / "broken.mat")


# ---------------------------------------------------------------------- an initialiser


@pytest.mark.slow
def test_an_initialiser(example, patient, truth, radiograph, files, call):
    example("napari_xreg/workflows/starting/by_centre.py")
    request = InitialiseRequest("centre", patient.volume, radiograph)
    found = run(initialise(request))
    made = render_drr(patient.volume, CARM, found.pose, method="joseph").double()
    weights = [image / image.sum() for image in (made, radiograph.line_integrals.double())]
    for axis in (0, 1):  # the centres of both images are less than two pixels apart
        at = [float(w.sum(1 - axis) @ torch.arange(w.shape[axis]).double()) for w in weights]
        assert abs(at[0] - at[1]) < 2.0
    dark = replace(radiograph, line_integrals=torch.zeros(CARM.detector.shape))
    with pytest.raises(NoStart, match="is empty"):
        run(initialise(replace(request, radiograph=dark)))
    code, answer = call("register", *files, "--init", "centre", "--film", "none")
    assert (code, answer["start_origin"]) == (0, "centre of mass")
    registered = read_result("xreg-result/result.json").world_from_camera
    assert error_mm(patient, registered, truth) < 1.0


# ---------------------------------------------------------------------- a recipe


def test_a_recipe(example, patient, files, call, tmp_path, qtbot):
    made = example("napari_xreg/landmarks/centre.py")
    recipe = RECIPES["centre"]()
    assert isinstance(recipe, Recipe)
    one = OneCT("phantom", patient.volume, patient.labels)
    poses = PoseRange(offset_mm=30.0)
    with drawn_from(torch.Generator().manual_seed(5)):
        network = recipe.network(one, "scratch")
    task = recipe.task(network, one, carm=CARM, poses=poses, seed=3)
    with torch.no_grad():
        before = task.validate()[0]["median_error_mm"]
    settings = replace(recipe.settings, steps=60)
    trained = run(train(task, settings))
    assert min(v.scores["score"] for v in trained.validations) < 0.8 * before
    code, answer = call("train", "centre", files[0], "--out", "w.safetensors", "--minutes", 0.02)
    assert (code, answer["task"]) == (0, "centre")
    again = made.load_centre(tmp_path / "w.safetensors")
    assert again.configuration() == network.configuration()
    form = TrainForm(Session(), [make() for make in RECIPES.values()])
    qtbot.addWidget(form)
    form.what.setCurrentText("Isocenter finder")
    assert form.what.toolTip() == recipe.help
    assert form.rate.value() == pytest.approx(1e-3)
