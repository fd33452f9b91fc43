"""Seeds are local: whatever runs, the random numbers of the program are where they were."""

import ast
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Landmark, Radiograph
from napari_xreg.landmarks import (
    CompactDetector,
    DetectSettings,
    LandmarkSettings,
    LandmarkTask,
    LandmarkViewSettings,
    detect,
    load_detector,
)
from napari_xreg.progress import run
from napari_xreg.rayemb import (
    CompactEncoder,
    CorrespondSettings,
    TemplateSettings,
    correspond,
    embed,
    make_templates,
)
from napari_xreg.registration import (
    AdamSettings,
    Correspondences,
    Level,
    RefineSettings,
    Spread,
    View,
    refine,
    solve_pnp,
)
from napari_xreg.rendering import render_drr
from napari_xreg.simulation import TYPICAL, phantom, simulate_radiograph
from napari_xreg.training import (
    Framing,
    OnePatient,
    PoseRange,
    TrainSettings,
    drawn_from,
    patient_from_volume,
    save_network,
    train,
)

CARM = CArm(1020.0, 750.0, Detector((64, 72), (4.6, 4.1), (29.0, 40.5)))
COARSE = Framing(pixel_mm=7.0, multiple=16, smallest=48)


@contextmanager
def untouched():
    """Fails if torch's or numpy's numbers moved (the tests' type checks draw from Python's)."""
    before = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    yield
    numbers, name_and_numbers = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    assert torch.equal(numbers, before[0])
    assert (name_and_numbers[1] == before[1][1]).all()
    assert name_and_numbers[2] == before[1][2]


@pytest.fixture(scope="module")
def made():
    return phantom(spacing_mm=9.0, seed=5)


@pytest.fixture(scope="module")
def marks(made):
    return [Landmark(name, place) for name, place in made.landmarks.items()]


@pytest.fixture(scope="module")
def view(made):
    pose = CARM.world_from_camera(10.0, -20.0, isocenter=made.volume.center)
    start = CARM.world_from_camera(14.0, -17.0, isocenter=made.volume.center)
    return View(Radiograph(render_drr(made.volume, CARM, pose), CARM), start)


@pytest.fixture(scope="module")
def detector(marks):
    with drawn_from(torch.Generator().manual_seed(3)):
        return CompactDetector([mark.name for mark in marks], (8, 8, 8, 8), framing=COARSE)


@pytest.mark.slow
def test_nothing_draws_from_pythons_generator_or_seeds_one_of_the_program():
    import napari_xreg

    found = []
    for file in Path(napari_xreg.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
                found += [file] if module in ("random", "numpy.random") else []
            elif isinstance(node, ast.Call):
                call = ast.unparse(node.func)
                forbidden = ("torch.manual_seed", "torch.seed", "np.random.seed", "cv2.setRNGSeed")
                found += [file] if call in forbidden or call.endswith("fork_rng") else []
    assert found == []


def test_detection_and_its_file(detector, view, tmp_path):
    with untouched():
        first = run(detect(detector, view.radiograph, settings=DetectSettings(4, batch=2, seed=6)))
        save_network(tmp_path / "d.safetensors", detector, {})
        load_detector(tmp_path / "d.safetensors")
    # Whatever others draw meanwhile.
    between = []
    for event in detect(detector, view.radiograph, settings=DetectSettings(4, batch=2, seed=6)):
        torch.manual_seed(len(between))
        torch.rand(5)
        between.append(event.detections.pixels)
    assert torch.equal(first.pixels, between[-1])
    assert not torch.equal(first.samples[0], first.samples[1])
    torch.manual_seed(0)


@pytest.mark.slow
def test_training(made, marks, detector):
    def unjudged(network):
        return {"score": 1.0}, None

    population = OnePatient(
        patient_from_volume(made.volume, labels=made.labels, landmarks=marks, voxel_mm=9.0)
    )
    views = LandmarkViewSettings(CARM, PoseRange(offset_mm=3.0), views=2, first=1)
    small = LandmarkSettings(views, batch=2)

    def learned():
        with untouched():
            with drawn_from(torch.Generator().manual_seed(4)):
                network = CompactDetector(detector.names, (8, 8, 8, 8), framing=COARSE)
            task = LandmarkTask(network, population, unjudged, small)
            return run(train(task, TrainSettings(steps=3, validate_every=2, seed=8))).best

    once = learned()
    torch.rand(7)
    twice = learned()
    # Dropout is seeded too: the same training, whatever else was drawn.
    assert all(torch.equal(value, twice[name]) for name, value in once.items())


def test_refinement_from_several_starts_and_adam(made, view):
    settings = RefineSettings(levels=(Level(24, 3),), spread=Spread(), starts=4, seed=5)
    with untouched():
        run(refine(made.volume, view, settings=settings))
        run(refine(made.volume, view, settings=AdamSettings((24,), iterations=2)))


def test_pnp(marks, view):
    places = torch.tensor([mark.position for mark in marks], dtype=torch.float64)
    pixels = CARM.project(places, view.world_from_camera)
    pixels[0] += 30
    with untouched():
        assert solve_pnp(Correspondences(places, pixels), CARM)


def test_simulation(made, view):
    with untouched():
        phantom(spacing_mm=10.0, seed=2)
        simulate_radiograph(
            made.volume,
            made.labels,
            CARM,
            view.world_from_camera,
            severity=TYPICAL,
            seed=3,
            rays_per_side=1,
        )


def test_correspondences(made, view):
    with drawn_from(torch.Generator().manual_seed(3)):
        encoder = CompactEncoder(8, (8, 8, 8), COARSE).eval()
    points = made.volume.center + torch.randn(40, 3, generator=torch.Generator().manual_seed(1))
    settings = TemplateSettings(count=4, voxel_mm=9.0)
    with untouched():
        templates = run(
            make_templates(
                encoder, made.volume, CARM, isocenter=made.volume.center, settings=settings
            )
        )
        found = correspond(
            encoder, embed(encoder, view.radiograph), templates, points.double(),
            settings=CorrespondSettings(top=20, redraws=2, per_point=3),
        )  # fmt: skip
        run(found)
