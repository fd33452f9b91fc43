"""What the Refine widget offers, and the settings of the library that it stands for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from napari_xreg.metrics import gradient_ncc, multiscale_ncc, ncc, xvr_similarity
from napari_xreg.registration import (
    COARSE_TO_FINE,
    ROBUST,
    AdamSettings,
    Channels,
    Level,
    RefineSettings,
    Similarity,
    Spread,
)

LEVENBERG_MARQUARDT, ADAM = "Levenberg–Marquardt", "Adam"

CHANNELS: dict[str, tuple[Channels | None, str]] = {
    "intensity + gradient, robust": (
        None,
        (
            "z-scored image and its Gaussian derivatives; from the second level on with "
            "Geman–McClure weights against instruments, and a fitted tone curve. The default."
        ),
    ),
    "image and edges": (
        Channels(),
        "The same without weights and tone: plain least squares, 1 − NCC.",
    ),
    "edges only": (
        Channels(intensity=0.0, gradient=1.0),
        "The derivatives of the image alone: blind to slow changes of brightness.",
    ),
    "image only": (
        Channels(intensity=1.0, gradient=0.0),
        "1 − NCC of the image alone: widest basin, easily misled by contrast.",
    ),
}
"""Levenberg-Marquardt: what is compared (None: the library's own choice, level by level), in words."""

SIMILARITIES: dict[str, Similarity] = {
    "mNCC and gNCC (xvr)": xvr_similarity,
    "multiscale NCC": multiscale_ncc,
    "gradient NCC": gradient_ncc,
    "NCC": ncc,
}
"""Adam: what is maximised; the first line of a function's docstring explains it to the user."""

SCALES = {
    "coarse to fine": "Radiograph at 32, 64, 128, 256 pixels (Adam: 64, 128); the CT coarser first.",
    "finest only": "The last level alone: for a start that is nearly right.",
    "custom": "Longer side of the radiograph in pixels, level by level.",
}
"""What the levels are, in words."""

STARTS = (1, 16, 64, 128)
ADAM_SCALES = {"coarse to fine": (64, 128), "finest only": (128,)}
LM_ITERATIONS, ADAM_ITERATIONS = COARSE_TO_FINE[0].iterations, AdamSettings().iterations


@dataclass(frozen=True)
class RefineChoices:
    """What the user chose.

    Parameters
    ----------
    optimiser
        `LEVENBERG_MARQUARDT` or `ADAM`.
    metric
        A key of `CHANNELS` or of `SIMILARITIES`.
    scales
        One of `SCALES`.
    pixels
        Longer side of the radiograph level by level, for the scales "own".
    iterations
        At most, a level.
    starts, spread, locked
        As in `RefineSettings`; Adam has one start and no locks.
    """

    optimiser: str = LEVENBERG_MARQUARDT
    metric: str = next(iter(CHANNELS))
    scales: str = next(iter(SCALES))
    pixels: tuple[int, ...] = (64, 128, 256)
    iterations: int = LM_ITERATIONS
    starts: int = 1
    spread: Spread = field(default_factory=Spread)
    locked: tuple[str, ...] = ()

    def settings(self) -> RefineSettings | AdamSettings:
        """What to call the library with.

        Raises
        ------
        ValueError
            If a choice makes no sense, in words for the user.
        """
        if self.optimiser == ADAM:
            return AdamSettings(
                pixels=ADAM_SCALES.get(self.scales, self.pixels),
                iterations=self.iterations,
                similarity=SIMILARITIES[self.metric],
            )
        return RefineSettings(
            levels=self.levels(), starts=self.starts, spread=self.spread, locked=self.locked
        )

    def levels(self) -> tuple[Level, ...]:
        """Of Levenberg-Marquardt."""
        if self.scales == "coarse to fine":
            levels: tuple[Level, ...] = COARSE_TO_FINE
        elif self.scales == "finest only":
            levels = COARSE_TO_FINE[-1:]
        else:
            levels = own_levels(self.pixels)
        channels, _ = CHANNELS[self.metric]
        return tuple(
            replace(level, iterations=self.iterations, channels=channels or level.channels)
            for level in levels
        )

    def as_json(self) -> dict[str, object]:
        """As plain values, for a session's file."""
        return {
            "optimiser": self.optimiser,
            "metric": self.metric,
            "scales": self.scales,
            "pixels": list(self.pixels),
            "iterations": self.iterations,
            "starts": self.starts,
            "spread": {
                "rotation_deg": self.spread.rotation_deg,
                "in_plane_mm": self.spread.in_plane_mm,
                "depth_mm": self.spread.depth_mm,
            },
            "locked": list(self.locked),
        }


def metrics_of(optimiser: str) -> dict[str, str]:
    """What an optimiser can compare: names, each with a sentence."""
    if optimiser == ADAM:
        return {name: _first_line(function) for name, function in SIMILARITIES.items()}
    return {name: words for name, (_, words) in CHANNELS.items()}


def _first_line(function: Similarity) -> str:
    lines = (getattr(function, "__doc__", None) or "").strip().splitlines()
    return lines[0] if lines else ""


def own_levels(pixels: Sequence[int]) -> tuple[Level, ...]:
    """Levels of given sizes, the CT as coarse as the library takes it there.

    The last one sees the CT in full: a coarser one leaves a bias.
    """
    if not pixels:
        raise ValueError("custom resolution: write the pixels of each level, for example 64, 128")
    levels = []
    for number, count in enumerate(pixels):
        like = min(COARSE_TO_FINE, key=lambda level: abs(level.pixels - count))
        last = number == len(pixels) - 1
        channels = like.channels if number == 0 and len(pixels) > 1 else ROBUST
        levels.append(Level(count, None if last else like.voxel_mm, channels=channels))
    return tuple(levels)


def pixels_of(text: str) -> tuple[int, ...]:
    """The numbers of "64, 128 256".

    Raises
    ------
    ValueError
        If it is something else, or a number is below 8.
    """
    words = [word for word in re.split(r"[\s,;]+", text.strip()) if word]
    if not words or not all(re.fullmatch(r"\d{1,5}", word) for word in words):
        raise ValueError(
            "custom resolution: write the pixels of each level, coarse to fine, for example "
            f"64, 128, 256: got {text!r}"
        )
    counts = tuple(int(word) for word in words)
    if min(counts) < 8:
        raise ValueError(f"custom resolution: a level needs at least 8 pixels: got {text!r}")
    return counts
