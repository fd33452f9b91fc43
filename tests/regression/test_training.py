"""What a pose network learns from, the loss by hand, and the recipe from a request to a start."""

import json
import math
from dataclasses import replace

import pytest
import torch

from napari_xreg.files import plain
from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.metrics import rotation_error_deg
from napari_xreg.progress import run
from napari_xreg.regression import (
    Place,
    PoseFrame,
    PoseNetwork,
    PoseRecipe,
    PoseSettings,
    PoseTask,
    PoseValidator,
    PoseViewPool,
    PoseViewSettings,
    evaluate,
    load_pose_network,
    pose_cases,
    predict,
    standard_errors,
)
from napari_xreg.regression.validation import errors_of
from napari_xreg.simulation import phantom
from napari_xreg.training import (
    CLEAN,
    NAMED_RANGES,
    STANDARD_CARM,
    Appearance,
    EvenOffsets,
    FixedCamera,
    OneCT,
    Phantoms,
    PoseRange,
    Step,
    TrainSettings,
    Validation,
    train,
)

NARROW = PoseRange((-20.0, 20.0), (-10.0, 10.0), (-5.0, 5.0), 15.0)
CAMERA = FixedCamera(1020.0, 32, 300 / 32)
SMALL = CArm(1020.0, 750.0, Detector((32, 40), (9.0, 7.5), (14.0, 20.5)))


@pytest.fixture(scope="module")
def patient():
    made = phantom(spacing_mm=8.0, seed=3)
    return OneCT("phantom 3", made.volume, made.labels)


@pytest.fixture(scope="module")
def center(patient):
    return patient.population().patient.isocenter.double()


def new_network(center, rotation="rotation_6d"):
    torch.manual_seed(0)
    frame = PoseFrame(rotation, center=tuple(center.tolist()))
    network = PoseNetwork("compact", framing=CAMERA, frame=frame)
    network.begin_at(NARROW.middle(SMALL, center), Place(center))
    return network


def task_of(patient, center, network, **changes):
    views = PoseViewSettings(SMALL, NARROW, views=4, kept=3, renew_every=2, first=2)
    settings = PoseSettings(views, batch=4, **changes)
    return PoseTask(
        network, patient.population(center), lambda network: ({"score": 0.0}, None), settings
    )


@pytest.mark.slow
def test_views_are_of_the_poses_they_say(patient, center):
    views = PoseViewSettings(SMALL, NARROW, views=3, kept=2, renew_every=1, first=1)
    pool = PoseViewPool(patient.population(center), CAMERA, "bone", views, 5)
    chosen = pool.draw(2, torch.Generator().manual_seed(1))
    for found, at in chosen:
        again = found.patient.render(CAMERA.carm(SMALL), found.poses[at : at + 1])
        torch.testing.assert_close(again[0], found.kinds[at])
        torch.testing.assert_close(found.center, found.patient.isocenter)
        # In the range: the isocenter lies within 30 mm of 750 mm before the source.
        depth = float(found.poses[at].inverse().apply(found.center)[2])
        assert abs(depth - 750.0) <= 30.0
    alone = pool.draw(5, torch.Generator().manual_seed(1), one_patient=True)
    assert len({id(found) for found, _ in alone}) == 1


def test_the_loss_is_the_double_geodesic_by_hand(patient, center):
    network = new_network(center)
    for head in (network.rot_regression, network.xyz_regression):
        torch.nn.init.zeros_(head.weight)  # it says the same pose whatever it sees
    task = task_of(patient, center, network, appearance=CLEAN)
    with torch.no_grad():
        losses = task.losses(torch.Generator().manual_seed(2))
    chosen = task.pool.draw(4, torch.Generator().manual_seed(2))
    said = NARROW.middle(SMALL, center)
    away = []
    for views, at in chosen:
        true = views.poses[at]
        arc = 510.0 * math.radians(float(rotation_error_deg(said, true)))
        shift = said.inverse().apply(center) - true.inverse().apply(center)
        away.append(math.hypot(arc, float(shift.norm())))
    assert float(losses["geodesic"]) == pytest.approx(sum(away) / 400, rel=1e-4)
    assert float(losses["loss"]) == pytest.approx(sum(away) / 400, rel=1e-4)


def test_the_similarity_reaches_every_weight_of_the_heads(patient, center):
    network = new_network(center)
    with_images = task_of(patient, center, network, similarity=1.0, appearance=CLEAN)
    losses = with_images.losses(torch.Generator().manual_seed(2))
    assert 0 < float(losses["similarity"].detach()) < 2
    losses["similarity"].backward()
    for head in (network.rot_regression, network.xyz_regression):
        assert bool((head.bias.grad != 0).all())


def test_the_overlap_of_bone_has_a_gradient_that_a_threshold_has_not(patient, center):
    network = new_network(center)
    for head in (network.rot_regression, network.xyz_regression):
        torch.nn.init.zeros_(head.weight)  # it says the same pose whatever it sees
    task = task_of(patient, center, network, overlap=2.0, appearance=CLEAN)
    losses = task.losses(torch.Generator().manual_seed(2))
    assert set(losses) == {"loss", "geodesic", "overlap", "median_error_mm"}
    losses["overlap"].backward()
    assert bool((network.xyz_regression.bias.grad != 0).all())
    # Of two columns of the identity three numbers change nothing of the rotation.
    assert int((network.rot_regression.bias.grad != 0).sum()) == 3
    losses = {name: value.detach() for name, value in losses.items()}
    # By hand: of the bone alone, at the pose that it says.
    chosen = task.pool.draw(4, torch.Generator().manual_seed(2), one_patient=True)
    seen = chosen[0][0].patient.render(task.pool.carm, NARROW.middle(SMALL, center)[None])[:, 0]
    meant = torch.stack([views.kinds[at, 0] for views, at in chosen])
    a, b = (1 - torch.exp(-values.double() / 0.25) for values in (meant, seen))
    dice = 2 * (a * b).sum((1, 2)) / ((a * a).sum((1, 2)) + (b * b).sum((1, 2)))
    assert 0.1 < float(dice.mean()) < 0.99
    assert float(losses["overlap"]) == pytest.approx(float(2 * (1 - dice.mean())), rel=1e-3)
    both = float(losses["geodesic"]) + float(losses["overlap"])
    assert float(losses["loss"]) == pytest.approx(both, rel=1e-5)


@pytest.mark.slow
def test_a_minute_of_training_brings_the_pose_nearer(patient, center):
    network = new_network(center)
    cases = pose_cases(
        patient.volume, patient.labels, seeds=range(800, 804), poses=NARROW, carm=SMALL,
        isocenter=center, step_mm=4.0,
    )  # fmt: skip
    views = PoseViewSettings(SMALL, NARROW, views=8, kept=16, renew_every=4, first=16)
    settings = PoseSettings(
        views, batch=8, appearance=replace(Appearance(), collimated=0.0, rod=0.0)
    )
    task = PoseTask(network, patient.population(center), PoseValidator(cases), settings)
    first = []
    last = []
    for event in train(
        task, TrainSettings(steps=60, learning_rate=2e-3, warm_up=5, validate_every=60)
    ):
        if hasattr(event, "losses"):
            (first if event.index <= 10 else last).append(event.losses["geodesic"])
    assert sum(last[-10:]) < 0.8 * sum(first)
    state = task.state()
    again = task_of(patient, center, new_network(center))
    again.restore({"steps": 5})
    assert again.state()["steps"] == 5
    assert state["steps"] == 60


def test_errors_are_taken_apart_in_the_cameras_axes():
    center = torch.tensor([5.0, -3.0, 40.0], dtype=torch.float64)
    truth = SMALL.world_from_camera(30.0, -12.0, 5.0, isocenter=center)
    # The C-arm moved by (2, -3, 7) mm along its axes, then turned by a degree about the centre's y.
    moved = truth @ Pose(torch.eye(3).double(), torch.tensor([2.0, -3.0, 7.0]).double())
    errors = errors_of(moved, truth, center)
    torch.testing.assert_close(errors, torch.tensor([0.0, 0.0, 0.0, -2.0, 3.0, -7.0]).double())
    axis = truth.rotation[:, 1] * math.radians(1.0)
    turned = truth.left_perturb(torch.cat([axis, torch.zeros(3).double()]), center)
    errors = errors_of(turned, truth, center)
    torch.testing.assert_close(
        errors, torch.tensor([0.0, -1.0, 0.0, 0.0, 0.0, 0.0]).double(), atol=1e-9, rtol=0
    )


def test_a_network_that_says_the_truth_has_no_error(patient, center):
    cases = pose_cases(
        patient.volume, patient.labels, seeds=(800, 801), poses=NARROW, carm=SMALL, isocenter=center,
        step_mm=8.0,
    )  # fmt: skip
    network = new_network(center).eval()
    network.begin_at(cases[1].truth, Place(center))
    for head in (network.rot_regression, network.xyz_regression):
        torch.nn.init.zeros_(head.weight)
    results = evaluate(network, cases)
    assert results[1].mtre_mm < 1e-3
    assert results[0].mtre_mm > 5
    shown = PoseRecipe().picture(results)
    assert dict(zip(shown.names, shown.units, strict=True))["depth"] == "mm"
    assert shown.errors[0].tolist() == results[0].errors.tolist()
    assert PoseRecipe().picture(None) is None
    scores, _ = PoseValidator([cases[1]])(network)
    assert scores["median_mtre_mm"] < 1e-3
    assert scores["within_30mm_share"] == 1.0
    # The median of |x| over 0.6745; too few to say.
    assert standard_errors(results) is None
    four = standard_errors([results[1]] * 3 + [results[0]] * 2)
    assert max(four) < 1e-3


def test_ranges_of_the_xvr_paper_by_hand():
    pelvis = NAMED_RANGES["xvr-pelvis"]
    poses = pelvis.sample(SMALL, torch.zeros(3).double(), 200, torch.Generator().manual_seed(4))
    inside = poses.inverse().apply(torch.zeros(3).double())
    assert float(inside[:, 2].min()) >= 450.0
    assert float(inside[:, 2].max()) <= 1000.0
    assert float(inside[:, 2].max() - inside[:, 2].min()) > 500.0
    assert float(inside[:, :2].abs().max()) <= 150.0
    middle = pelvis.middle(SMALL, torch.zeros(3).double())
    torch.testing.assert_close(
        middle.inverse().apply(torch.zeros(3).double()), torch.tensor([0.0, 0.0, 725.0]).double()
    )
    assert pelvis.described()["even_offsets"]["from_source_mm"] == (450.0, 1000.0)
    with pytest.raises(ValueError, match="before the source"):
        EvenOffsets(from_source_mm=(0.0, 10.0))


def test_the_recipe_speaks_about_the_middle_of_the_bone_and_finetunes_for_another(
    patient, center, tmp_path
):
    from napari_xreg.training import save_network

    recipe = PoseRecipe(validation_images=4)
    network = recipe.network(patient, "scratch")
    torch.testing.assert_close(torch.tensor(network.frame.center).double(), center)
    assert network.new
    task = recipe.task(network, patient, carm=SMALL, poses=NARROW, seed=0)
    assert not network.new
    scores, detail = task.validate()
    recipe.finish(network, detail)
    assert len(network.errors) == 6
    assert "half of the poses are off by less than" in recipe.words(scores)
    save_network(tmp_path / "one.safetensors", network, {})
    other = recipe.network(Phantoms(), tmp_path / "one.safetensors")
    assert other.frame.center == "bone"
    assert not other.new


@pytest.mark.slow
def test_a_published_network_is_finetuned_where_it_spoke_about(patient, tmp_path):
    import seeded_xvr as seeded

    torch.save(seeded.checkpoint_of("twist"), tmp_path / "0001.pth")
    network = PoseRecipe().network(patient, tmp_path / "0001.pth")
    torch.testing.assert_close(
        torch.tensor(network.frame.center).double(), patient.volume.center.double()
    )
    poses = NARROW.sample(STANDARD_CARM, patient.volume.center.double(), 2, torch.Generator())
    assert poses.batch_shape == (2,)
    task = task_of(patient, patient.volume.center.double(), network)
    losses = task.losses(torch.Generator().manual_seed(1))
    losses["loss"].backward()
    assert bool(torch.isfinite(network.backbone.conv1.weight.grad).all())


def test_one_of_diffpose_is_used_as_it_is(patient, center):
    frame = PoseFrame("se3_log_map", None, 1.0, None, False, "volume", "diffpose")
    network = PoseNetwork("resnet18", framing=FixedCamera(pixels=32), frame=frame)
    with pytest.raises(ValueError, match="used as it is"):
        task_of(patient, center, network)


def test_a_radiograph_past_which_the_camera_looks_is_refused(center):
    from napari_xreg.images import Radiograph

    away = CArm(1020.0, 750.0, Detector((8, 8), (1.0, 1.0), (900.0, 3.5)))
    with pytest.raises(ValueError, match="looks past the radiograph"):
        predict(new_network(center).eval(), Radiograph(torch.zeros(8, 8), away), Place(center))


@pytest.mark.slow
def test_a_training_of_the_workflow_leaves_a_file_that_finds_a_start(patient, center, tmp_path):
    from napari_xreg.workflows import (
        InitialiseRequest,
        TrainRequest,
        initialise,
        train as train_workflow,
    )

    recipe = PoseRecipe(validation_images=4)
    request = TrainRequest(
        recipe, patient, tmp_path / "pose.safetensors", poses=NARROW, carm=SMALL, minutes=0.01
    )
    events = []
    outcome = run(train_workflow(request), events.append)
    assert outcome.card["task"] == "pose"
    assert outcome.card["request"]["similarity"] == 0.0
    # Every step is a line, and every validation; a training that goes on goes on in the same file.
    lines = [json.loads(line) for line in request.journal_file.read_text().splitlines()]
    assert lines[0] == {"began": plain(request.described()), "step": 0}
    told = [event for event in events if isinstance(event, Step | Validation)]
    assert [line["step"] for line in lines[1:]] == [event.index for event in told]
    steps = [line for line in lines[1:] if "loss/loss" in line]
    assert len(steps) == outcome.trained.steps
    assert steps[-1]["loss/loss"] == pytest.approx(
        next(event for event in reversed(told) if isinstance(event, Step)).losses["loss"]
    )
    assert "half of the poses" in outcome.card["words"]
    network, about = load_pose_network(outcome.file)
    assert about["measured_on"] == "simulated radiographs"
    case = pose_cases(
        patient.volume, patient.labels, seeds=(801,), poses=NARROW, carm=SMALL, isocenter=center,
        step_mm=8.0,
    )[0]  # fmt: skip
    start = run(
        initialise(
            InitialiseRequest(
                "regression", patient.volume, case.radiograph, patient.labels, weights=outcome.file
            )
        )
    )
    found = predict(network, case.radiograph, Place(center)).world_from_camera
    torch.testing.assert_close(start.pose.translation, found.translation)
    assert start.starts == 16
    assert start.spread.depth_mm == pytest.approx(network.errors[5])
    assert start.extra["init"]["method"] == "regression"
    assert "on simulated radiographs" in start.said
