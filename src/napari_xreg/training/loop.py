"""The loop all networks share: optimiser, schedule, validation, stop, resume, best weights."""

import math
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from napari_xreg.progress import Control
from napari_xreg.registration import AdamSteps
from napari_xreg.training.events import Step, Trained, TrainingStatus, Validation
from napari_xreg.training.weights.checkpoint import CheckpointError
from napari_xreg.training.weights.state_file import check_state


@runtime_checkable
class Task(Protocol):
    """What is learned: losses of a step and scores of a validation."""

    @property
    def network(self) -> nn.Module:
        """What is trained, on the device to train on."""
        ...

    def losses(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Losses of one batch drawn by the generator; ``"loss"`` is minimised."""
        ...

    def validate(self) -> tuple[Mapping[str, float], Any]:
        """Scores with the network as it is, and details; ``"score"`` is better when lower."""
        ...

    def state(self) -> Mapping[str, Any]:
        """What the task itself remembers between steps, for an exact resume."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a `state`."""
        ...


@dataclass(frozen=True)
class TrainSettings:
    """How to train.

    Parameters
    ----------
    steps
        Of the optimiser.
    learning_rate
        At its highest, after the warm-up.
    warm_up
        Steps over which it rises; then it falls along a cosine to a hundredth.
    by_time
        Seconds, without pauses, after which training ends although steps are left; the cosine
        follows whichever of the two is further on.
    weight_decay, clip
        Of AdamW; largest norm of a gradient.
    averaging
        Decay of the running mean of the weights that is validated and kept; 0 for none.
    validate_every
        Steps.
    seed
        Of the batches.
    """

    steps: int = 4000
    learning_rate: float = 1e-3
    warm_up: int = 100
    by_time: float = math.inf
    weight_decay: float = 1e-2
    clip: float = 5.0
    averaging: float = 0.995
    validate_every: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.validate_every < 1 or self.warm_up < 0:
            raise ValueError(f"steps and validate_every are at least 1: got {self!r}")
        if not self.learning_rate > 0 or not self.by_time > 0 or not 0 <= self.averaging < 1:
            raise ValueError(
                "learning_rate and by_time must be positive, averaging in [0, 1): got "
                f"{self.learning_rate}, {self.by_time}, {self.averaging}"
            )

    def rate(self, step: int, seconds: float) -> float:
        """Learning rate of a step (counted from 0)."""
        if step < self.warm_up:
            return self.learning_rate * (step + 1) / self.warm_up
        share = max(
            (step - self.warm_up) / max(1, self.steps - self.warm_up), seconds / self.by_time
        )
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def train(
    task: Task,
    settings: TrainSettings | None = None,
    *,
    resume: Mapping[str, Any] | None = None,
    control: Control | None = None,
) -> Generator[Step | Validation, None, Trained]:
    """Train a network; it is left with its last weights, the best ones are in the result.

    With several processes (``torchrun``, `torch.distributed` initialised) every one draws its own
    batches and gradients are averaged. The device is that of the network.

    Parameters
    ----------
    task
        See `Task`.
    settings
        See `TrainSettings`. A resumed run may have more steps than it had.
    resume
        `Trained.state` of an earlier run: continues as if it had not been interrupted (bit for bit
        on one machine, if the schedule does not depend on time).
    control
        Cancel, pause, step.

    Yields
    ------
    Step, Validation
        In order.

    Returns
    -------
    Trained
        With the best weights.

    Raises
    ------
    CheckpointError
        If the state to resume from is that of another network or task.
    """
    chosen = settings or TrainSettings()
    control = control or Control()
    network = task.network
    optimiser = AdamSteps(
        list(network.parameters()), betas=(0.9, 0.98), weight_decay=chosen.weight_decay
    )
    rank = _rank()
    generator = torch.Generator().manual_seed(chosen.seed + 1_000_003 * rank)
    mean = {name: value.detach().clone() for name, value in network.state_dict().items()}
    best: dict[str, Tensor] = {}
    best_score, done, before = math.inf, 0, 0.0
    validations: list[Validation] = []
    if resume is not None:
        check_state(resume, network)
        try:
            optimiser.restore(resume["optimiser"])
            task.restore(resume["task"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"the state to resume from is of another training: {error}"
            ) from error
        network.load_state_dict(resume["network"])
        generator.set_state(resume["generator"])
        mean = {name: value.to(mean[name].device).clone() for name, value in resume["mean"].items()}
        best = dict(resume["best"])
        best_score, done, before = resume["best_score"], resume["steps"], resume["seconds"]
        validations = list(resume["validations"])
    began = time.perf_counter()
    status = TrainingStatus.FINISHED

    def seconds() -> float:
        return before + time.perf_counter() - began

    def state() -> dict[str, Any]:
        return {
            "network": _copied(network.state_dict()),
            "optimiser": optimiser.state(),
            "generator": generator.get_state(),
            "mean": _copied(mean),
            "best": best,
            "best_score": best_score,
            "steps": done,
            "seconds": seconds(),
            "validations": tuple(validations),
            "task": dict(task.state()),
        }

    over = done >= chosen.steps or before >= chosen.by_time
    while not over:
        asked = time.perf_counter()
        goes_on = control.proceed()
        began += time.perf_counter() - asked  # a pause is no time of training
        if not goes_on:
            status = TrainingStatus.CANCELLED
            break
        network.train()
        rate = chosen.rate(done, seconds() if math.isfinite(chosen.by_time) else 0.0)
        losses = task.losses(generator)
        if not torch.isfinite(losses["loss"]):
            status = TrainingStatus.NOT_FINITE
            break
        optimiser.zero_grad()
        losses["loss"].backward()
        _average_gradients(network)
        nn.utils.clip_grad_norm_(network.parameters(), chosen.clip)
        optimiser.step(rate)
        done += 1
        _update_mean(mean, network, chosen.averaging, done)
        yield Step(done, {k: float(v.detach()) for k, v in losses.items()}, rate, seconds())
        # Asked once, so that the last step is always validated.
        over = done >= chosen.steps or seconds() >= chosen.by_time
        if done % chosen.validate_every == 0 or over:
            scores, detail = _validated(task, network, mean)
            better = scores["score"] < best_score
            if better or not best:
                best_score = scores["score"]
                best = _copied(mean)
            validation = Validation(done, seconds(), scores, better, detail)
            validations.append(validation)
            yield replace(validation, weights=best, state=state())
    if not best:
        best = _copied(mean)
    return Trained(status, best, state(), done, seconds(), tuple(validations))


def _copied(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in weights.items()}


def _update_mean(mean: dict[str, Tensor], network: nn.Module, averaging: float, done: int) -> None:
    # Early weights are forgotten sooner than `averaging` alone would let them be.
    decay = min(averaging, done / (done + 9.0)) if averaging > 0 else 0.0
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            mean[name].lerp_(value.detach(), 1 - decay)
        else:
            mean[name].copy_(value)


def _validated(
    task: Task, network: nn.Module, mean: Mapping[str, Tensor]
) -> tuple[Mapping[str, float], Any]:
    """Scores of the mean weights; the network gets its own back."""
    own = {name: value.detach().clone() for name, value in network.state_dict().items()}
    network.load_state_dict(mean)
    network.eval()
    try:
        with torch.no_grad():
            return task.validate()
    finally:
        network.load_state_dict(own)
        network.train()


def _rank() -> int:
    distributed = torch.distributed
    ready = distributed.is_available() and distributed.is_initialized()
    return distributed.get_rank() if ready else 0


def _average_gradients(network: nn.Module) -> None:
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return
    count = distributed.get_world_size()
    for parameter in network.parameters():
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)
            parameter.grad /= count
