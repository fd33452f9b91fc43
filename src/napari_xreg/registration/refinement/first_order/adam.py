"""First-order refinement: the Adam recipe of xvr, for comparison and for losses without residuals.

Constants and stopping rule are those of xvr's registrar (Gopalakrishnan et al., 2025, Methods M.6,
and its released code): Adam with 1e-2 rad and 1 mm; on a plateau (10 iterations without a relative
gain of 1e-4) both are divided by ten; the third plateau, counting the first rate as one, ends a
scale; at most 500 iterations a scale; scale k starts at rates divided by 2^(0 + 1 + ... + k). The
loss is the mean of multiscale NCC (global and 9-pixel patches) and gradient NCC (11-pixel patches).
Unlike there, the best pose is kept, not the last.
"""

from dataclasses import dataclass

from napari_xreg.metrics import SIMILARITIES, Similarity, similarity_words, xvr_similarity
from napari_xreg.registration.refinement.first_order.ascent import AscentSettings, ascend
from napari_xreg.registration.refinement.solver import Solver


@dataclass(frozen=True)
class AdamSettings(AscentSettings):
    """The recipe's constants; see the module's docstring.

    Parameters
    ----------
    pixels, iterations, similarity, keep_images, rotation_rate, translation_rate, method
        As of `AscentSettings`.
    patience, threshold, plateaus
        The stopping rule.
    """

    iterations: int = 500
    similarity: Similarity = xvr_similarity
    patience: int = 10
    threshold: float = 1e-4
    plateaus: int = 3

    def rule(self, scale: int) -> "_Plateaus":
        """Of a scale, by its number."""
        return _Plateaus(self, 2.0 ** (scale * (scale + 1) / 2))


class _Plateaus:
    """When the rates fall, and when a scale has ended; see the module's docstring."""

    def __init__(self, settings: AdamSettings, divisor: float) -> None:
        self.rates = (settings.rotation_rate / divisor, settings.translation_rate / divisor)
        self._settings = settings
        self._highest, self._waited, self._plateaus = float("-inf"), 0, 1

    def met(self, similarity: float) -> bool:
        """After an iteration."""
        if similarity > self._highest * (1 + self._settings.threshold):
            self._highest, self._waited = similarity, 0
        else:
            self._waited += 1
        if self._waited > self._settings.patience:
            self.rates = (0.1 * self.rates[0], 0.1 * self.rates[1])
            self._waited, self._plateaus = 0, self._plateaus + 1
        return self._plateaus >= self._settings.plateaus


ADAM = Solver(
    name="adam",
    title="Adam",
    about=(
        "First order, the recipe of xvr (Gopalakrishnan et al. 2025, M.6), for comparison. "
        "Minutes; one start, no locks, no covariance."
    ),
    settings=AdamSettings,
    compares=lambda: {name: similarity_words(function) for name, function in SIMILARITIES.items()},
    iterations=AdamSettings().iterations,
    several_starts=False,
    locks=False,
    covariance=False,
    configure=AdamSettings.configured,
    level_pixels=lambda settings: settings.pixels,
    most_iterates=lambda settings: len(settings.pixels) * settings.iterations,
    solve=ascend,
)
