"""What solvers that compare whole images by a similarity are asked."""

from dataclasses import dataclass
from typing import Self

from napari_xreg.metrics import SIMILARITIES, Similarity, ncc
from napari_xreg.registration.refinement.solver import Wanted


@dataclass(frozen=True)
class SimilaritySettings:
    """Levels, and what is compared.

    Parameters
    ----------
    pixels
        Longer side of the radiograph, level by level, coarse to fine.
    iterations
        At most, a level.
    similarity
        ``(radiograph, rendered, mask=...)``, [1, rows, columns] each, to a number a batch item; higher
        is better.
    keep_images
        Put the DRR of every iterate into the trajectory.
    """

    pixels: tuple[int, ...] = (64, 128)
    iterations: int = 600
    similarity: Similarity = ncc
    keep_images: bool = True

    def __post_init__(self) -> None:
        if not self.pixels or min(self.pixels) < 16:
            raise ValueError(
                f"every level needs at least 16 pixels, for patches: got {self.pixels}"
            )
        if self.iterations < 1:
            raise ValueError(f"at least one iteration a level: got {self.iterations}")

    @classmethod
    def configured(cls, wanted: Wanted) -> Self:
        """`Solver.configure`."""
        default = cls()
        pixels = default.pixels[-1:] if wanted.finest_only else default.pixels
        return cls(
            pixels=pixels if wanted.pixels is None else wanted.pixels,
            iterations=default.iterations if wanted.iterations is None else wanted.iterations,
            similarity=SIMILARITIES[wanted.compare] if wanted.compare else default.similarity,
            keep_images=wanted.keep_images,
        )
