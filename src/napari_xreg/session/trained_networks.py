"""Weights of networks that were trained here, and those that somebody wants to use."""

from dataclasses import dataclass
from pathlib import Path

from psygnal import Signal


@dataclass(frozen=True)
class Weights:
    """A file of weights.

    Parameters
    ----------
    kind
        What it is for: ``"rayemb"`` or ``"landmarks"``.
    file
        Where it is.
    words
        How good it is, in a sentence; empty where nobody knows.
    """

    kind: str
    file: Path
    words: str = ""


class TrainedWeights:
    """Weights a session knows of. They belong to no CT, are not saved, and no undo touches them."""

    changed = Signal()
    """Weights were trained, or others are wanted."""

    def __init__(self) -> None:
        self._trained: dict[Path, Weights] = {}
        self._wanted: dict[str, Path] = {}

    @property
    def trained(self) -> tuple[Weights, ...]:
        """Trained here, oldest first."""
        return tuple(self._trained.values())

    def add(self, weights: Weights) -> None:
        """Know these too; another entry of the same file is replaced."""
        self._trained.pop(weights.file, None)
        self._trained[weights.file] = weights
        self.changed.emit()

    def want(self, weights: Weights) -> None:
        """Use these for what they are for: the widget of that kind takes them over."""
        self._trained.setdefault(weights.file, weights)
        self._wanted[weights.kind] = weights.file
        self.changed.emit()

    def wanted(self, kind: str) -> Weights | None:
        """Those to use, of a kind; None: nobody said."""
        file = self._wanted.get(kind)
        return None if file is None else self._trained[file]
