"""A colour for every name, the same wherever the landmark is drawn."""

import colorsys
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

_GOLDEN = 0.6180339887  # steps of the golden ratio never come near an earlier hue for long
_FIRST = 0.13  # yellow
_LIGHTNESS = (0.62, 0.74)


class LandmarkColours:
    """Names in the order they were first seen, each with a hue of its own that stays."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, float, float, float]] = {}

    def of(self, name: str) -> tuple[float, float, float, float]:
        """Red, green, blue, opacity: 0 to 1; bright enough for the dark of a radiograph."""
        if name not in self._known:
            number = len(self._known)
            hue = (_FIRST + number * _GOLDEN) % 1.0
            lightness = _LIGHTNESS[number % len(_LIGHTNESS)]
            self._known[name] = (*colorsys.hls_to_rgb(hue, lightness, 0.95), 1.0)
        return self._known[name]

    def table(self, names: Iterable[str]) -> Float[ndarray, "n 4"]:
        """One row a name."""
        return np.array([self.of(name) for name in names], np.float32).reshape(-1, 4)

    def renamed(self, old: str, new: str) -> None:
        """The landmark keeps its colour under another name."""
        if old in self._known:
            self._known[new] = self._known[old]
