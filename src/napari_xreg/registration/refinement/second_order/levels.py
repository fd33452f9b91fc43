"""Levels of a coarse-to-fine refinement."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from napari_xreg.images import Volume
from napari_xreg.registration.refinement.second_order.channels import FAR_OFF, ROBUST, Channels
from napari_xreg.rendering import Method, at_voxel_size, prepare


@dataclass(frozen=True)
class Level:
    """How finely radiograph and CT are looked at, and for how long.

    Parameters
    ----------
    pixels
        Size of the longer side of the radiograph, pixels; an image that is smaller stays as it is.
    voxel_mm
        The CT is averaged to voxels of about this size; None: its full resolution.
    iterations
        At most this many steps.
    channels
        Which images are compared.
    method
        Integrator: "joseph" or "trilinear".
    """

    pixels: int
    voxel_mm: float | None
    iterations: int = 20
    channels: Channels = field(default_factory=Channels)
    method: Method = "joseph"

    def __post_init__(self) -> None:
        if self.pixels < 8:
            raise ValueError(f"a level needs at least 8 pixels: got {self.pixels}")
        if self.voxel_mm is not None and not self.voxel_mm > 0:
            raise ValueError(f"the voxel size of a level must be positive: got {self.voxel_mm} mm")
        if self.iterations < 1:
            raise ValueError(f"a level needs at least one iteration: got {self.iterations}")


TO_THE_END = 60
"""Iterations of the last level: where grey values are cut off it may take more than the 20 of a coarser one
(docs/decisions/0026-auto.md)."""

COARSE_TO_FINE = (
    Level(32, 6.0, channels=FAR_OFF),
    Level(64, 3.0, channels=ROBUST),
    Level(128, None, channels=ROBUST),
    Level(256, None, TO_THE_END, channels=ROBUST),
)
"""The last levels on the full-resolution CT: a coarser one leaves about 0.6 mm of bias."""


def levels_at(pixels: Sequence[int]) -> tuple[Level, ...]:
    """Levels of given sizes, the CT as coarse as the default levels take it there.

    The last one sees the CT in full: a coarser one leaves a bias.

    Parameters
    ----------
    pixels
        Longer side of the radiograph, coarse to fine.
    """
    levels = []
    for number, count in enumerate(pixels):
        like = min(COARSE_TO_FINE, key=lambda level: abs(level.pixels - count))
        last = number == len(pixels) - 1
        channels = like.channels if number == 0 and len(pixels) > 1 else ROBUST
        steps = TO_THE_END if last else Level.iterations
        levels.append(Level(count, None if last else like.voxel_mm, steps, channels))
    return tuple(levels)


def volume_at(volume: Volume, level: Level) -> Volume:
    """The CT as coarse as a level sees it."""
    return volume if level.voxel_mm is None else at_voxel_size(volume, level.voxel_mm)


def prepare_levels(volume: Volume, levels: Sequence[Level]) -> None:
    """Make the CT of all levels ready to be rendered on the CPU: what a refinement begins each with.

    It is kept with the volume, so it may be made while something else looks for a start.
    """
    for level in levels:
        prepare(volume_at(volume, level), packed=True)
