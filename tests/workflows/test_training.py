"""What each training is made of, without a viewer: requests, recipes, samples, files."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from trainings import ToyRecipe, ToyTask

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Landmark, ReadError
from napari_xreg.landmarks import (
    CompactDetector,
    LandmarkRecipe,
    load_detector,
    recipe as landmark_recipes,
)
from napari_xreg.progress import Control, run
from napari_xreg.rayemb import CompactEncoder, RayEmbRecipe, recipe as rayemb_recipes
from napari_xreg.simulation import phantom
from napari_xreg.training import (
    CTFolder,
    CTsOfFolder,
    Framing,
    Mixture,
    OneCT,
    OnePatient,
    PhantomPopulation,
    Phantoms,
    PoseRange,
    Recipe,
    Step,
    Validation,
    read_checkpoint,
    save_network,
)
from napari_xreg.training.patients import patients
from napari_xreg.training.weights import kept
from napari_xreg.workflows import (
    RECIPES,
    KnownPatients,
    Resume,
    TrainingSamplesRequest,
    TrainRequest,
    Unwritten,
    check_out,
    train,
    training_carm,
)
from napari_xreg.workflows.training import training as workflow

POSES = PoseRange((-11.0, 12.0), (-13.0, 14.0), (-15.0, 16.0), 17.0)


def carm_of(pixels):
    """A C-arm whose detector sees the whole pelvis; rows and columns differ."""
    spacing = 330.0 / pixels
    return CArm(1020.0, 750.0, Detector((pixels, pixels + pixels // 8), (spacing, spacing)))


@pytest.fixture(scope="module")
def patient():
    """The pelvis phantom with voxels of 6 mm."""
    return phantom(spacing_mm=6.0)


@pytest.fixture
def one(patient):
    marks = tuple(Landmark(name, xyz) for name, xyz in patient.landmarks.items())
    return OneCT("pelvis.nii", patient.volume, patient.labels, (27, 28), 321.0, marks)


def asked(one, recipe, **changes):
    out = changes.pop("out", Path("w.safetensors"))
    return TrainRequest(recipe, one, out, poses=POSES, carm=carm_of(80), seed=19, **changes)


HOW = {"carm": carm_of(80), "poses": POSES, "seed": 19}


@pytest.fixture
def calls(monkeypatch):
    """What the library's trainings are called with."""
    seen = {}

    def noting(name):
        def note(*values, **named):
            seen[name] = values, named
            return ToyTask(ToyRecipe(), values[0])

        return note

    for module, names in (
        (rayemb_recipes, ("patient_task", "population_task")),
        (landmark_recipes, ("patient_landmark_task", "population_landmark_task")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, noting(name))
    return seen


@pytest.mark.slow
def test_rayemb_learns_the_ct_that_was_asked_for(one, calls):
    recipe = RayEmbRecipe()
    network = recipe.network(one, "scratch")
    recipe.task(network, one, **HOW)
    values, named = calls["patient_task"]
    assert values == (network, one)
    assert named == HOW


def test_landmarks_are_learnt_by_the_names_of_the_ct(one, calls):
    recipe = LandmarkRecipe()
    network = recipe.network(one, "scratch")
    assert network.names == tuple(mark.name for mark in one.landmarks)
    recipe.task(network, one, **HOW)
    values, named = calls["patient_landmark_task"]
    assert values == (network, one)
    assert named == HOW
    with pytest.raises(ValueError, match="no landmarks to learn"):
        recipe.network(replace(one, landmarks=()), "scratch")
    assert recipe.network(Phantoms(), "scratch").names == CompactDetector().names
    assert recipe.network(Phantoms(("FH-l", "FH-r")), "scratch").names == ("FH-l", "FH-r")


@pytest.mark.parametrize(
    ("recipe", "name"),
    [(RayEmbRecipe(), "population_task"), (LandmarkRecipe(), "population_landmark_task")],
)
def test_many_are_learnt_from_the_same_poses_and_c_arm(calls, recipe, name):
    recipe.task(recipe.network(Phantoms(), "scratch"), Phantoms(), **HOW)
    (_, population), named = calls[name]
    assert isinstance(population, PhantomPopulation)
    views = named["settings"].views
    assert (views.poses, views.carm, named["settings"].seed) == (POSES, HOW["carm"], 19)


def test_points_of_one_ct_lie_where_it_says(one, monkeypatch):
    seen = []
    real = patients.patient_from_volume
    monkeypatch.setattr(
        patients, "patient_from_volume", lambda *a, **k: seen.append((a, k)) or real(*a, **k)
    )
    middle = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    drawn = one.population(middle).draw(torch.Generator())
    assert (drawn.name, drawn.landmarks) == ("pelvis.nii", one.landmarks)
    assert torch.equal(drawn.isocenter, middle)
    (((volume,), how),) = seen
    assert volume is one.volume
    assert how["labels"] is one.labels
    assert (how["label_ids"], how["bone_above_hu"]) == ((27, 28), 321.0)


def test_a_folder_may_be_mixed_with_phantoms(tmp_path):
    with pytest.raises(ReadError, match="holds no CT"):
        CTsOfFolder(tmp_path).population()
    (tmp_path / "a.nii").write_bytes(b"")
    mixed = CTsOfFolder(tmp_path, 0.25)
    population = mixed.population()
    assert isinstance(population, Mixture)
    assert [weight for _, weight in population.parts] == [1.0, 0.25]
    assert mixed.words() == "1 CT, and 0.25 times as often simulated pelves"
    assert isinstance(CTsOfFolder(tmp_path, 0.0).population(), CTFolder)
    assert str(tmp_path) not in str(mixed.described())


def test_weights_to_begin_with(one, tmp_path):
    tiny, recipe = CompactEncoder(8, (8, 8, 8)), RayEmbRecipe()
    save_network(tmp_path / "own.safetensors", tiny, {})
    own = recipe.network(one, tmp_path / "own.safetensors")
    for name, value in tiny.state_dict().items():
        assert torch.equal(own.state_dict()[name], value)
    shipped, scratch = recipe.network(one, "shipped"), recipe.network(one, "scratch")
    assert not torch.equal(shipped.head[2].bias, scratch.head[2].bias)


def test_large_detectors_are_simulated_smaller_over_the_same_area():
    carm = CArm(1000.0, 700.0, Detector((1000, 800), (0.3, 0.4), principal_point=(450.0, 410.0)))
    small = training_carm(carm)
    assert small.detector.shape == (256, 205)
    assert small.detector.size_mm == pytest.approx(carm.detector.size_mm)
    point = torch.tensor([[20.0, 30.0, 10.0]], dtype=torch.float64)
    pose = carm.world_from_camera(3.0, 4.0, isocenter=torch.zeros(3, dtype=torch.float64))
    (row, column), (small_row, small_column) = (
        c.project(point, pose)[0].tolist() for c in (carm, small)
    )
    assert (small_row + 0.5) / 256 == pytest.approx((row + 0.5) / 1000)
    assert (small_column + 0.5) / 205 == pytest.approx((column + 0.5) / 800)
    assert training_carm(small) is small


def test_what_is_offered():
    offered = {kind: make() for kind, make in RECIPES.items()}
    assert {kind: r.widget for kind, r in offered.items()} == {
        "rayemb": "Points",
        "landmarks": "Landmarks",
        "pose": "Find a pose",
        "similarity": "Loss landscape",
    }
    assert len({r.title for r in offered.values()}) == 4
    for kind, recipe in offered.items():
        assert isinstance(recipe, Recipe)
        assert recipe.kind == kind
        settings = asked(Phantoms(), recipe, minutes=2.5, learning_rate=3e-4).settings
        assert settings == replace(
            recipe.settings, steps=10**9, by_time=150.0, seed=19, learning_rate=3e-4
        )
        assert asked(Phantoms(), recipe).settings.learning_rate == 2e-3


def test_samples_of_many_show_several_patients(patient, monkeypatch):
    drawn = []

    def draw(self, generator):
        drawn.append(1)
        made = OneCT("x", patient.volume).population().draw(generator)
        return replace(made, name=f"phantom {len(drawn)}")

    monkeypatch.setattr(PhantomPopulation, "draw", draw)
    known, shown = KnownPatients(), ToyRecipe().shown(carm_of(64))
    samples = TrainingSamplesRequest(Phantoms(), POSES, shown, known).answer()
    assert [s.patient for s in samples] == [f"phantom {1 + i // 2}" for i in range(8)]
    # Asked again, they are not made again.
    TrainingSamplesRequest(Phantoms(), POSES, shown, known).answer()
    assert len(drawn) == 4
    for sample in samples:
        assert sample.grey.shape == sample.mask.shape == shown.carm.detector.shape
        assert -11 <= sample.pose.primary_deg <= 12
        assert -15 <= sample.pose.roll_deg <= 16
        assert max(abs(v) for v in sample.pose.offset_mm) <= 2 * 17.0 + 1e-6
    assert isinstance(OneCT("x", patient.volume).population(), OnePatient)


def run_through(request, *, stop_after):
    """All events of a training that is stopped after so many validations, and its outcome."""
    control, events, seen = Control(), [], 0
    work = train(request, control=control)
    while True:
        try:
            events.append(next(work))
        except StopIteration as end:
            return events, end.value
        seen += isinstance(events[-1], Validation)
        if seen == stop_after:
            control.cancel()


class TinyLandmarkRecipe(LandmarkRecipe):
    settings = replace(LandmarkRecipe.settings, validate_every=3)

    def new(self, names=()):
        framing = Framing(pixel_mm=7.0, multiple=16, smallest=48)
        return CompactDetector(names or ("a",), widths=(8, 8, 8, 8), framing=framing)


@pytest.mark.slow
def test_a_landmark_detector_is_trained_and_says_how_sure_it_is(one, tmp_path, monkeypatch):
    judged = []
    monkeypatch.setattr(
        landmark_recipes, "trust_threshold", lambda detail: judged.append(detail) or 4.5
    )
    recipe = TinyLandmarkRecipe()
    request = asked(one, recipe, out=tmp_path / "marks.safetensors")
    events, outcome = run_through(request, stop_after=1)
    assert [e.index for e in events if isinstance(e, Step)] == [1, 2, 3]
    (validation,) = (e for e in events if isinstance(e, Validation))
    assert validation.weights is validation.state is None  # they are on the disk
    cloud = recipe.picture(validation.detail)
    assert cloud.said.shape == cloud.error_mm.shape == cloud.counts.shape
    assert (cloud.said > 0).all()
    assert not cloud.surer_is_higher
    assert set(recipe.scores) <= set(validation.scores)
    first = next(e for e in events if isinstance(e, Step))
    assert set(recipe.step_errors) <= set(first.losses)
    assert "visible landmarks are found within" in recipe.words(outcome.scores)
    detector, about = load_detector(tmp_path / "marks.safetensors")
    assert detector.names == tuple(mark.name for mark in one.landmarks)
    assert detector.trusted_mm == 4.5
    assert judged[-1] is validation.detail
    assert about == outcome.card
    assert about["task"] == "landmarks"
    assert about["trained_on"] == "pelvis.nii"
    assert about["words"] == recipe.words(outcome.scores)
    assert about["request"]["secondary_deg"] == [-13.0, 14.0]


def test_files_that_cannot_be_written_lose_nothing(one, tmp_path, monkeypatch):
    recipe = ToyRecipe()
    recipe.seconds_per_step = 0.0

    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(kept, "save_network", full)
    request = asked(one, recipe, out=tmp_path / "w.safetensors")
    events, outcome = run_through(request, stop_after=2)
    assert outcome.problem == "no space left on device"
    said = next(e for e in events if isinstance(e, Unwritten))
    assert (said.words, said.what) == (outcome.problem, "weights")
    # From what is in memory it goes on, and is written elsewhere.
    monkeypatch.undo()
    resume = Resume(outcome.trained.state, None, outcome.trained.steps)
    more = replace(request, out=tmp_path / "v.safetensors", resume=resume)
    events, second = run_through(more, stop_after=1)
    assert next(e for e in events if isinstance(e, Step)).index == outcome.trained.steps + 1
    assert second.state_file.is_file()
    written = read_checkpoint(second.file).weights
    assert {name: value.tolist() for name, value in written.items()} == {
        name: value.half().tolist() for name, value in second.trained.best.items()
    }
    assert written["weight"].tolist() != second.trained.state["network"]["weight"].tolist()
    # What goes on has the network it had, whatever is chosen to begin with.
    resume = Resume(second.state_file, second.file)
    run_through(replace(request, start="shipped", resume=resume), stop_after=1)
    assert recipe.asked[-1][1] == second.file


def test_a_journal_that_cannot_be_written_is_called_so(one, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("no space left on device")

    recipe = ToyRecipe()
    recipe.seconds_per_step = 0.0
    monkeypatch.setattr(workflow, "Journal", full)
    events, outcome = run_through(asked(one, recipe, out=tmp_path / "w.safetensors"), stop_after=1)
    (said,) = (e for e in events if isinstance(e, Unwritten))
    assert (said.words, said.what) == ("no space left on device", "journal")
    assert (outcome.problem, outcome.file.is_file()) == ("", True)


def test_stopped_before_the_first_step_nothing_is_written(one, tmp_path):
    control = Control()
    control.cancel()
    work = train(asked(one, ToyRecipe(), out=tmp_path / "w.safetensors"), control=control)
    assert run(work) is None
    assert list(tmp_path.iterdir()) == []


def test_where_weights_go_is_checked_first(one, tmp_path):
    for make in (lambda file: asked(one, ToyRecipe(), out=file), check_out):
        with pytest.raises(ValueError, match=r"written as \.safetensors: got w.pth"):
            make(tmp_path / "w.pth")
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OSError):  # noqa: PT011 - of any kind
        check_out(tmp_path / "taken" / "w.safetensors")


def test_torch_has_its_threads_back(one, tmp_path, monkeypatch):
    recipe, seen = ToyRecipe(), []
    recipe.seconds_per_step = 0.0
    inner = recipe.task
    monkeypatch.setattr(
        recipe, "task", lambda *a, **k: seen.append(torch.get_num_threads()) or inner(*a, **k)
    )
    before = torch.get_num_threads()
    run_through(
        asked(one, recipe, out=tmp_path / "w.safetensors", threads=before + 1), stop_after=1
    )
    assert seen == [before + 1]
    assert torch.get_num_threads() == before
