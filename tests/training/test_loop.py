"""The training loop: it learns, stops, resumes bit for bit, and keeps the best weights."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from napari_xreg.progress import Control, run
from napari_xreg.training import (
    CheckpointError,
    Step,
    TrainingStatus,
    TrainSettings,
    Validation,
    read_state,
    train,
    write_state,
)


class LineTask:
    """Learn y = 3 x0 - 2 x1 + 0.5 from noisy draws; validation counts how often it was asked."""

    def __init__(self, scores=None):
        torch.manual_seed(3)
        self.network = nn.Linear(2, 1)
        self.batches = 0
        self.scores = scores
        self.validated = []

    def losses(self, generator):
        self.batches += 1
        x = torch.randn(16, 2, generator=generator)
        y = x @ torch.tensor([[3.0], [-2.0]]) + 0.5 + 0.1 * self.batches / 100
        error = (self.network(x) - y).square().mean()
        return {"loss": error, "twice": 2 * error}

    def validate(self):
        self.validated.append({k: v.clone() for k, v in self.network.state_dict().items()})
        error = (self.network.weight - torch.tensor([[3.0, -2.0]])).abs().max()
        score = float(error) if self.scores is None else self.scores[len(self.validated) - 1]
        return {"score": score}, None

    def state(self):
        return {"batches": self.batches}

    def restore(self, state):
        self.batches = state["batches"]


SETTINGS = TrainSettings(
    steps=60, learning_rate=0.2, warm_up=5, validate_every=20, averaging=0.9, weight_decay=0.0
)


def test_it_learns_and_says_so():
    task = LineTask()
    events = []
    iterator = train(task, SETTINGS)
    while True:
        try:
            events.append(next(iterator))
        except StopIteration as end:
            trained = end.value
            break
    steps = [e for e in events if isinstance(e, Step)]
    assert [e.index for e in steps] == list(range(1, 61))
    assert steps[-1].losses["loss"] < 0.05 * steps[0].losses["loss"]
    assert steps[0].losses["twice"] == pytest.approx(2 * steps[0].losses["loss"])
    assert [e.index for e in events if isinstance(e, Validation)] == [20, 40, 60]
    assert trained.status is TrainingStatus.FINISHED
    assert trained
    assert trained.steps == 60
    # Warm-up by hand: 1/5 of 0.2; the last step is near a hundredth.
    assert steps[0].learning_rate == pytest.approx(0.04)
    assert steps[4].learning_rate == pytest.approx(0.2)
    assert steps[-1].learning_rate == pytest.approx(0.002, rel=0.1)


def test_resume_is_an_uninterrupted_run(tmp_path):
    whole = run(train(LineTask(), SETTINGS))
    first = LineTask()
    control = Control()
    iterator = train(first, SETTINGS, control=control)
    half = None
    while half is None:
        try:
            if next(iterator).index == 33:
                control.cancel()
        except StopIteration as end:
            half = end.value
    assert half.status is TrainingStatus.CANCELLED
    assert half.steps == 33
    write_state(tmp_path / "half.resume", half.state)
    state = read_state(tmp_path / "half.resume")
    rest = run(train(LineTask(), SETTINGS, resume=state))
    assert rest.steps == 60
    for name, value in whole.state["network"].items():
        assert torch.equal(value, rest.state["network"][name])
    for name, value in whole.best.items():
        assert torch.equal(value, rest.best[name])
    assert [v.index for v in rest.validations] == [20, 40, 60]
    assert [v.scores for v in rest.validations] == [v.scores for v in whole.validations]


def test_the_best_weights_are_kept_not_the_last():
    task = LineTask(scores=[0.5, 0.2, 0.9])
    trained = run(train(task, SETTINGS))
    assert [v.best for v in trained.validations] == [True, True, False]
    for name, value in trained.best.items():
        assert torch.equal(value, task.validated[1][name])
        assert not torch.equal(value, trained.state["network"][name])


def test_validation_sees_the_mean_weights_and_training_its_own():
    task = LineTask()
    run(train(task, TrainSettings(steps=4, validate_every=2, averaging=0.9, warm_up=0)))
    other = LineTask()
    run(train(other, TrainSettings(steps=4, validate_every=4, averaging=0.9, warm_up=0)))
    for name, value in task.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[name])
        assert not torch.equal(value, task.validated[-1][name])


def test_a_loss_that_is_no_number_ends_it_with_what_there_was():
    task = LineTask()
    healthy = task.losses

    def ill(generator):
        losses = healthy(generator)
        return {k: v * float("nan") for k, v in losses.items()} if task.batches > 25 else losses

    task.losses = ill
    trained = run(train(task, SETTINGS))
    assert trained.status is TrainingStatus.NOT_FINITE
    assert not trained
    assert trained.steps == 25
    assert all(torch.isfinite(v).all() for v in trained.best.values())


class Clock:
    """Seconds that pass when told to, in place of `time` in the loop."""

    def __init__(self):
        self.now = 1000.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("napari_xreg.training.loop.time", clock)
    return clock


def test_time_ends_it_too(clock):
    task = LineTask()
    learn = task.losses

    def losses(generator):
        clock.now += 0.25
        return learn(generator)

    task.losses = losses
    trained = run(train(task, TrainSettings(steps=10**9, by_time=0.6, validate_every=10**9)))
    assert trained.status is TrainingStatus.FINISHED
    assert trained.steps == 3  # 0.25, 0.5, 0.75
    assert trained.seconds == pytest.approx(0.75)
    assert len(trained.validations) == 1


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        TrainSettings(steps=0)
    with pytest.raises(ValueError, match="averaging in"):
        TrainSettings(averaging=1.0)


def test_another_file_is_no_state(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "w.ckpt")
    with pytest.raises(CheckpointError, match="not the state of a training"):
        read_state(tmp_path / "w.ckpt")


def test_a_pause_is_no_time_of_training(clock):
    class Paused(Control):
        def proceed(self):
            clock.now += 40.0
            return super().proceed()

    loop = train(LineTask(), replace(SETTINGS, by_time=60.0), control=Paused())
    first = next(loop)
    clock.now += 1.5
    second = next(loop)
    loop.close()
    assert (first.seconds, second.seconds) == (0.0, 1.5)
