"""What each training is made of, without a viewer: requests, recipes, samples, files."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from train_parts import ToyRecipe, ToyTask

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Landmark, ReadError
from napari_xreg.landmarks import CompactDetector, load_detector
from napari_xreg.progress import Control, run
from napari_xreg.rayemb import CompactEncoder, save_encoder
from napari_xreg.training import (
    CTFolder,
    Mixture,
    OnePatient,
    PhantomPopulation,
    PoseRange,
    Step,
    Validation,
    read_checkpoint,
)
from napari_xreg.training.framing import Framing
from napari_xreg.widgets.train import landmarks as train_landmarks
from napari_xreg.widgets.train import rayemb as train_rayemb
from napari_xreg.widgets.train.landmarks import LandmarkRecipe
from napari_xreg.widgets.train.rayemb import RayEmbRecipe
from napari_xreg.widgets.train.recipes import recipes
from napari_xreg.widgets.train.request import (
    CTsOfFolder,
    OneCT,
    Phantoms,
    Resume,
    TrainRequest,
    training_carm,
)
from napari_xreg.widgets.train.samples import KnownPatients, SampleRequest
from napari_xreg.widgets.train.work import Outcome, training

POSES = PoseRange((-11.0, 12.0), (-13.0, 14.0), (-15.0, 16.0), 17.0)


def carm_of(pixels):
    """A C-arm whose detector sees the whole pelvis; rows and columns differ."""
    spacing = 330.0 / pixels
    return CArm(1020.0, 750.0, Detector((pixels, pixels + pixels // 8), (spacing, spacing)))


@pytest.fixture
def one(patient):
    marks = tuple(Landmark(name, xyz) for name, xyz in patient.landmarks.items())
    return OneCT("pelvis.nii", patient.volume, patient.labels, (2, 3), 321.0, marks)


def asked(one, **changes):
    return TrainRequest(
        one, Path("w.safetensors"), poses=POSES, carm=carm_of(80), seed=19, **changes
    )


@pytest.fixture
def calls(monkeypatch):
    """What the library's recipes are called with."""
    seen = {}

    def noting(name):
        def note(*values, **named):
            seen[name] = values, named
            return ToyTask(ToyRecipe(), values[0])

        return note

    for module, names in (
        (train_rayemb, ("patient_task", "population_task")),
        (train_landmarks, ("patient_landmark_task", "population_landmark_task")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, noting(name))
    return seen


def test_rayemb_learns_the_ct_that_was_asked_for(one, calls):
    recipe, request = RayEmbRecipe(), asked(one)
    network = recipe.network(request)
    recipe.task(request, network)
    values, named = calls["patient_task"]
    assert values == (network, one.volume)
    assert named == {
        "labels": one.labels, "label_ids": (2, 3), "bone_above_hu": 321.0, "carm": request.carm,
        "poses": POSES, "seed": 19,
    }  # fmt: skip


def test_landmarks_are_learnt_by_the_names_of_the_ct(one, calls):
    recipe, request = LandmarkRecipe(), asked(one)
    network = recipe.network(request)
    assert network.names == tuple(mark.name for mark in one.landmarks)
    recipe.task(request, network)
    values, named = calls["patient_landmark_task"]
    assert values == (network, one.volume, one.landmarks)
    assert named == {
        "labels": one.labels, "bone_above_hu": 321.0, "carm": request.carm, "poses": POSES,
        "seed": 19,
    }  # fmt: skip
    with pytest.raises(ValueError, match="no landmarks to learn"):
        recipe.network(asked(replace(one, landmarks=())))
    assert recipe.network(asked(Phantoms())).names == CompactDetector().names


@pytest.mark.parametrize(
    ("recipe", "name"),
    [(RayEmbRecipe(), "population_task"), (LandmarkRecipe(), "population_landmark_task")],
)
def test_many_are_learnt_from_the_same_poses_and_c_arm(calls, recipe, name):
    request = asked(Phantoms())
    recipe.task(request, recipe.network(request))
    (_, population), named = calls[name]
    assert isinstance(population, PhantomPopulation)
    views = named["settings"].views
    assert (views.poses, views.carm, named["settings"].seed) == (POSES, request.carm, 19)


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
    tiny = CompactEncoder(8, (8, 8, 8))
    save_encoder(tmp_path / "own.safetensors", tiny, {})
    own = RayEmbRecipe().network(asked(one, start=tmp_path / "own.safetensors"))
    for name, value in tiny.state_dict().items():
        assert torch.equal(own.state_dict()[name], value)
    shipped = RayEmbRecipe().network(asked(one, start="shipped"))
    scratch = RayEmbRecipe().network(asked(one))
    assert not torch.equal(shipped.head[2].bias, scratch.head[2].bias)
    # What goes on has the network it had, whatever is chosen to begin with.
    resume = Resume({}, tmp_path / "own.safetensors")
    assert RayEmbRecipe().network(asked(one, start="shipped", resume=resume)).widths == (8, 8, 8)


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
    offered = recipes()
    assert [(r.kind, r.widget) for r in offered] == [
        ("rayemb", "RayEmb"),
        ("landmarks", "Landmarks"),
    ]
    assert len({r.title for r in offered}) == 2
    for recipe in offered:
        assert recipe.settings(asked(Phantoms(), minutes=2.5)).by_time == 150.0


def test_samples_of_many_show_several_patients(patient, monkeypatch):
    drawn = []

    def draw(self, generator):
        drawn.append(1)
        made = OneCT("x", patient.volume).population().draw(generator)
        return replace(made, name=f"phantom {len(drawn)}")

    monkeypatch.setattr(PhantomPopulation, "draw", draw)
    known, shown = KnownPatients(), ToyRecipe().shown(carm_of(64))
    samples = SampleRequest(Phantoms(), POSES, shown, known).answer()
    assert [s.patient for s in samples] == [f"phantom {1 + i // 2}" for i in range(8)]
    # Asked again, they are not made again.
    SampleRequest(Phantoms(), POSES, shown, known).answer()
    assert len(drawn) == 4
    for sample in samples:
        assert sample.grey.shape == sample.mask.shape == shown.carm.detector.shape
        assert -11 <= sample.pose.primary_deg <= 12
        assert -15 <= sample.pose.roll_deg <= 16
        assert max(abs(v) for v in sample.pose.offset_mm) <= 2 * 17.0 + 1e-6
    assert isinstance(OneCT("x", patient.volume).population(), OnePatient)


def run_through(recipe, request, *, stop_after):
    """All events of a training that is stopped after so many validations, and its outcome."""
    control, events, seen = Control(), [], 0
    work = training(recipe, request, control)
    while True:
        try:
            events.append(next(work))
        except StopIteration as end:
            return events, end.value
        seen += isinstance(events[-1], Validation)
        if seen == stop_after:
            control.cancel()


class TinyLandmarkRecipe(LandmarkRecipe):
    validate_every = 3

    def new(self, names=None):
        framing = Framing(pixel_mm=7.0, multiple=16, smallest=48)
        return CompactDetector(names or ("a",), widths=(8, 8, 8, 8), framing=framing)


def test_a_landmark_detector_is_trained_and_says_how_sure_it_is(one, tmp_path, monkeypatch):
    judged = []
    monkeypatch.setattr(
        train_landmarks, "trust_threshold", lambda detail: judged.append(detail) or 4.5
    )
    recipe = TinyLandmarkRecipe()
    request = replace(asked(one), out=tmp_path / "marks.safetensors")
    events, outcome = run_through(recipe, request, stop_after=1)
    assert [e.index for e in events if isinstance(e, Step)] == [1, 2, 3]
    (validation,) = (e for e in events if isinstance(e, Validation))
    cloud = recipe.cloud(validation.detail)
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
    assert about["task"] == "landmarks"
    assert about["trained_on"] == "pelvis.nii"


def test_files_that_cannot_be_written_lose_nothing(one, tmp_path, monkeypatch):
    recipe = ToyRecipe()
    recipe.seconds_per_step = 0.0

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(recipe, "save", full)
    request = replace(asked(one), out=tmp_path / "w.safetensors")
    events, outcome = run_through(recipe, request, stop_after=2)
    assert isinstance(outcome, Outcome)
    assert outcome.problem == "no space left on device"
    assert [e.words for e in events if type(e).__name__ == "Unwritten"][:1] == [outcome.problem]
    # From what is in memory it goes on, and is written elsewhere.
    monkeypatch.undo()
    resume = Resume(outcome.trained.state, None, outcome.trained.steps)
    more = replace(request, out=tmp_path / "v.safetensors", resume=resume)
    events, second = run_through(recipe, more, stop_after=1)
    assert next(e for e in events if isinstance(e, Step)).index == outcome.trained.steps + 1
    assert second.state_file.is_file()
    kept = read_checkpoint(second.file).weights
    assert {name: value.tolist() for name, value in kept.items()} == {
        name: value.tolist() for name, value in second.trained.best.items()
    }
    assert kept["weight"].tolist() != second.trained.state["network"]["weight"].tolist()


def test_stopped_before_the_first_step_nothing_is_written(one, tmp_path):
    control = Control()
    control.cancel()
    work = training(ToyRecipe(), replace(asked(one), out=tmp_path / "w.safetensors"), control)
    assert run(work) is None
    assert list(tmp_path.iterdir()) == []


def test_torch_has_its_threads_back(one, tmp_path, monkeypatch):
    recipe, seen = ToyRecipe(), []
    recipe.seconds_per_step = 0.0
    inner = recipe.task
    monkeypatch.setattr(
        recipe, "task", lambda *a: seen.append(torch.get_num_threads()) or inner(*a)
    )
    before = torch.get_num_threads()
    request = replace(asked(one), out=tmp_path / "w.safetensors", threads=before + 1)
    run_through(recipe, request, stop_after=1)
    assert seen == [before + 1]
    assert torch.get_num_threads() == before
