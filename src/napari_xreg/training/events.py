"""What a training run says while it runs, and what it returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Step:
    """One step of the optimiser.

    Parameters
    ----------
    index
        Steps made so far, this one included.
    losses
        By name; ``"loss"`` is what was minimised.
    learning_rate
        Of this step.
    seconds
        Of training, earlier sessions of a resumed run included.
    """

    index: int
    losses: Mapping[str, float]
    learning_rate: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Validation:
    """What the network can do now, on images it does not learn from.

    Parameters
    ----------
    index, seconds
        As `Step`.
    scores
        By name, with the unit in the name; ``"score"`` decides which weights are best (lower).
    best
        True where these are the best weights so far.
    detail
        Whatever a plot wants.
    weights
        The best so far, on the CPU, to keep in case the run does not end well; None in
        `Trained.validations`.
    state
        As `Trained.state`, at this step; None there too.
    """

    index: int
    seconds: float
    scores: Mapping[str, float]
    best: bool
    detail: Any = field(default=None, repr=False)
    weights: Mapping[str, Tensor] | None = field(default=None, repr=False)
    state: Mapping[str, Any] | None = field(default=None, repr=False)


class TrainingStatus(Enum):
    """How a training run ended; the value is what to tell the user."""

    FINISHED = "Training ran to its end; these are the best weights."
    CANCELLED = "Training was stopped; these are the best weights so far, and it can be resumed."
    NOT_FINITE = (
        "The loss stopped being a number; these are the best weights before that. Try a lower "
        "learning rate."
    )


@dataclass(frozen=True, eq=False)
class Trained:
    """The result of a training run.

    Parameters
    ----------
    status
        How it ended.
    best
        Weights with the lowest score, by name, on the CPU.
    state
        What `train` needs to go on: weights, optimiser, random state, counts.
    steps, seconds
        In all.
    validations
        All of them, in order.
    """

    status: TrainingStatus
    best: Mapping[str, Tensor] = field(repr=False)
    state: Mapping[str, Any] = field(repr=False)
    steps: int
    seconds: float
    validations: tuple[Validation, ...] = field(repr=False)

    def __bool__(self) -> bool:
        return self.status is not TrainingStatus.NOT_FINITE
