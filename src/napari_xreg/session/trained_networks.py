"""Weights of networks that were trained here, and those that somebody wants to use."""

from dataclasses import dataclass, replace
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
        self._wanted: dict[str, Weights] = {}

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
        known = self._trained.setdefault(weights.file, weights)
        self._wanted[weights.kind] = replace(known)
        self.changed.emit()

    def wanted(self, kind: str) -> Weights | None:
        """Those to use, of a kind: another object whenever it was said; None: nobody said."""
        return self._wanted.get(kind)
