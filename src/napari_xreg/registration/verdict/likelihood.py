"""One scale of trust, whatever found a pose: a probability, the distance it is about, a word, a colour."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

TRUSTED = 0.9
"""Least probability of a pose that may be used without a second look."""

WORDS: Mapping[bool | None, str] = MappingProxyType(
    {True: "trusted", False: "not trusted", None: "not judged"}
)
COLORS: Mapping[bool | None, str] = MappingProxyType(
    {True: "#1a9c5b", False: "#d9482b", None: "#808080"}
)
"""Green, red, grey: legible on light and on dark; the words say the same."""
LOOK_AGAIN, LOOK_AGAIN_COLOR = "look again", "#c98a00"
"""Likely enough, but something else speaks against it."""

CAUTION = "Not trusted: the standard deviations are worth something only if the pose is right."
"""Beside every standard deviation of a result that is not trusted."""


@dataclass(frozen=True)
class Likelihood:
    """How likely a pose is near enough.

    Parameters
    ----------
    probability
        0 to 1; None where it was never measured for what found the pose.
    within_mm
        What near enough is.
    measured
        How that distance is meant, after "within so many mm"; empty: in space.
    doubted
        Something else speaks against the pose: it is not trusted, however likely.
    """

    probability: float | None
    within_mm: float
    measured: str = ""
    doubted: bool = False

    @property
    def trusted(self) -> bool | None:
        """Whether the pose may be used without a second look; None where that is not known."""
        if self.doubted:
            return False
        return None if self.probability is None else self.probability >= TRUSTED

    @property
    def word(self) -> str:
        """Trusted, look again, not trusted, or not judged."""
        return LOOK_AGAIN if self._looked_at_again else WORDS[self.trusted]

    @property
    def color(self) -> str:
        """Of the word, ``#rrggbb``."""
        return LOOK_AGAIN_COLOR if self._looked_at_again else COLORS[self.trusted]

    @property
    def _looked_at_again(self) -> bool:
        return self.doubted and self.probability is not None and self.probability >= TRUSTED

    @property
    def words(self) -> str:
        """The word, the probability and the distance: a sentence to go on."""
        word = self.word.capitalize()
        if self.probability is None:
            return word
        chance = _chance(self.probability, "more than ", "less than ")
        measured = f" {self.measured}" if self.measured else ""
        return f"{word}: {chance} likely to lie within {self.within_mm:g} mm{measured}"

    @property
    def short(self) -> str:
        """The word with the probability, for a cell of a table."""
        if self.probability is None:
            return self.word
        return f"{self.word}, {_chance(self.probability, '> ', '< ')}"


def _chance(probability: float, above: str, below: str) -> str:
    """In percent; nothing fitted is certain."""
    if probability > 0.99:
        return f"{above}99 %"
    return f"{below}1 %" if probability < 0.01 else f"{100 * probability:.0f} %"
