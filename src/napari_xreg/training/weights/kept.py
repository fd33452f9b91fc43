"""What a training leaves on disk while it runs: the best weights, and the state to go on from."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from napari_xreg.files import check_writable
from napari_xreg.training.events import Trained, Validation
from napari_xreg.training.network import RadiographNetwork
from napari_xreg.training.weights.network_file import save_network
from napari_xreg.training.weights.state_file import write_state


@dataclass(frozen=True)
class Kept:
    """Two files that are renewed at every validation, each in one go.

    Whatever ends the program, what was learned until the last validation is there, and training
    goes on from it.

    Parameters
    ----------
    file
        Of the weights (``.safetensors``).
    finish
        Adds to a network what follows from the details of its validation.
    """

    file: Path
    finish: Callable[[Any, Any], None]

    @property
    def state_file(self) -> Path:
        """Of the state to resume from, beside the weights."""
        return self.file.with_suffix(".resume")

    def check(self) -> None:
        """Find out whether both can be written, before anything is learned.

        Raises
        ------
        WriteError
            If not.
        """
        for file in (self.file, self.state_file):
            check_writable(file)
        self.file.parent.mkdir(parents=True, exist_ok=True)

    def validated(
        self, network: RadiographNetwork, validation: Validation, about: Mapping[str, Any]
    ) -> None:
        """Write what a `Validation` that the loop yielded brought: weights where they are better.

        Parameters
        ----------
        about
            The best weights so far.

        Raises
        ------
        WriteError, CheckpointError
            If it cannot be written. What was there stays.
        """
        assert validation.weights is not None
        assert validation.state is not None
        if validation.best or not self.file.exists():
            detail = validation.detail if validation.best else None
            self._weights(network, validation.weights, detail, about)
        # After the weights: a state on disk has its weights beside it.
        write_state(self.state_file, validation.state)

    def ended(self, network: RadiographNetwork, trained: Trained, about: Mapping[str, Any]) -> None:
        """Write the result.

        Raises
        ------
        WriteError, CheckpointError
            As `validated`.
        """
        best = min(trained.validations, key=lambda v: v.scores["score"], default=None)
        detail = None if best is None else best.detail
        self._weights(network, trained.best, detail, about)
        write_state(self.state_file, trained.state)

    def _weights(
        self,
        network: RadiographNetwork,
        weights: Mapping[str, Tensor],
        detail: Any,
        about: Mapping[str, Any],
    ) -> None:
        """Other weights than the network has now: into a copy, for it is being trained."""
        kept = copy.deepcopy(network)
        kept.load_state_dict(dict(weights))
        self.finish(kept, detail)
        save_network(self.file, kept, about, half=True)


def best_scores(validations: Iterable[Validation]) -> Mapping[str, float]:
    """Of the weights that are kept; empty if they were never measured."""
    return min((v.scores for v in validations), key=lambda s: s["score"], default={})


def reason(error: Exception) -> str:
    """Why something was not written, in one line."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
