"""How a second-order refinement is done, and how its end is judged."""

from dataclasses import dataclass, field, replace

from napari_xreg.progress import Control
from napari_xreg.registration.refinement.hypotheses import SagittalPlane
from napari_xreg.registration.refinement.result import Status
from napari_xreg.registration.refinement.second_order.depth import ExpectedDepth
from napari_xreg.registration.refinement.second_order.levels import COARSE_TO_FINE, Level
from napari_xreg.registration.refinement.starts import Hypothesis, Spread

AS_MANY_AS_IT_TAKES = 0
"""Starts: their number is left to the program."""
STARTS_IN_TURN = (1, 16, 128, 256)
"""So many starts in turn, while no result is trusted, where their number is left to the program."""

SAME_GAIN = 0.03
"""Of one beam, the brightness of bone is judged to differ by about 0.01 from picture to picture."""


@dataclass(frozen=True)
class RefineSettings:
    """How to refine.

    Parameters
    ----------
    levels
        Coarse to fine; the last should use the full-resolution CT.
    starts
        1: from the given pose alone. More: that many poses spread about it are refined at the
        coarsest level and the best go on. 0: as many as it takes (`rounds`).
    rounds
        Where the number is left to the program: from so many starts in turn, spread wider each time
        (`starts_in_turn.width_of`), while no result is trusted.
    spread
        How widely the further starts are spread.
    origin
        Who proposed the given pose, in words (`Hypothesis`).
    beside
        Poses that others propose: refined at the coarsest level together with the given one, each
        from its own starts, and the best go on. Once, where their number is left to the program.
    antipode
        Of one radiograph, refine at the coarse levels from the mirrored pose of the start too
        (`hypotheses.antipode`), and go on from there if that explains it better.
    sagittal
        The plane of that mirror (`hypotheses.sagittal_plane`); None: through the isocenter, across the
        patient's left-right axis.
    given_up
        Of one case, it ends before the last level where it is less likely than this to have found its way: that
        level takes most of the time of a start that has gone astray. 0: it does not.
    carried
        How many candidates enter each further level (the last number holds for the rest); while it is
        more than one, the given start goes along.
    locked
        C-arm parameters that stay: "primary", "secondary", "roll", "x", "y", "depth".
    depth
        What is known of the depth beforehand, where one radiograph may not tell it; None: nothing.
    tolerance_mm
        A step shorter than this ends the last level; coarser levels end at a tenth of a pixel.
    untried
        A step of the last level shorter than so many of its pixels is taken and ends it, without a look at
        where it led; the covariance is that of the pose before it. 0: none is, and `tolerance_mm` alone ends it.
    stride
        How many times as long as Gauss and Newton have it a step of the last level is, below 2, where tone and weights of
        outliers are fitted: held while it is made, they follow it, so that it goes about half of the way.
    bone_pixels
        Longer side of the image, at most, that the brightness of bone is judged in (`hardening`), and scatter;
        None: that of the level.
    bone_gain
        What it was in a picture just before (`Registration.bone_gain`): kept, so that the CT that was made
        for it serves again, unless this picture says otherwise by more than `SAME_GAIN`. None: not known.
    begun_near
        The start is right to a millimetre or two: scatter (`scatter`) is judged there at once, in as many pixels as the
        brightness of bone. False: only where a level has brought the pose so near.
    seed
        Of the further starts.
    keep_images
        Put the DRR of every iterate into the trajectory.
    threads
        Rendering threads; None: all processors.
    """

    levels: tuple[Level, ...] = COARSE_TO_FINE
    starts: int = AS_MANY_AS_IT_TAKES
    rounds: tuple[int, ...] = STARTS_IN_TURN
    spread: Spread = field(default_factory=Spread)
    origin: str = ""
    beside: tuple[Hypothesis, ...] = ()
    antipode: bool = True
    sagittal: SagittalPlane | None = None
    carried: tuple[int, ...] = (4, 1)
    given_up: float = 0.0
    locked: tuple[str, ...] = ()
    depth: ExpectedDepth | None = None
    tolerance_mm: float = 0.02
    untried: float = 0.15
    stride: float = 1.7
    bone_pixels: int | None = None
    bone_gain: float | None = None
    begun_near: bool = False
    seed: int = 0
    keep_images: bool = True
    threads: int | None = None

    def __post_init__(self) -> None:
        if not self.levels:
            raise ValueError("at least one level is needed")
        if self.starts < 0 or not self.carried or min(self.carried) < 1:
            raise ValueError(
                "starts and carried candidates must be at least 1 (starts may be 0, as many as it "
                f"takes): got starts={self.starts}, carried={self.carried}"
            )
        if not self.rounds or min(self.rounds) < 1:
            raise ValueError(f"there are rounds, each of a start or more: got {self.rounds}")
        if self.locked and self.beside:
            raise ValueError(
                "what is locked is known: it cannot differ from one proposed pose to the next"
            )
        if not self.tolerance_mm > 0:
            raise ValueError(f"the tolerance must be positive: got {self.tolerance_mm} mm")
        if not 0 < self.stride < 2:
            raise ValueError(f"a stride lies between 0 and 2: got {self.stride}")

    def entering(self, number: int) -> int:
        """How many candidates, the given start not counted, enter a level after the first."""
        return self.carried[min(number, len(self.carried)) - 1]

    def is_last(self, number: int) -> bool:
        """Whether a level is the finest."""
        return number == len(self.levels) - 1

    def tolerance_at(self, number: int, pixel_mm: float) -> float:
        """A step shorter than this ends a level, mm; `pixel_mm` as `Look.pixel_at_pivot_mm`."""
        return self.tolerance_mm if self.is_last(number) else 0.1 * pixel_mm

    def untried_at(self, number: int, pixel_mm: float) -> float:
        """A step shorter than this ends a level without a look, mm."""
        return self.untried * pixel_mm if self.is_last(number) else 0.0

    def stride_at(self, number: int, level: Level) -> float:
        """`stride` at the last level; 1 far off, and where nothing is fitted beside the pose: Gauss and
        Newton go all of the way there.
        """
        follows = level.channels.tone or level.channels.outlier_scale is not None
        return self.stride if follows and self.is_last(number) else 1.0

    def bone_look(self, level: Level) -> Level:
        """A level as the brightness of bone is judged there."""
        if self.bone_pixels is None or self.bone_pixels >= level.pixels:
            return level
        return replace(level, pixels=self.bone_pixels)


def status_of(flat: bool, ended: Status, control: Control | None) -> Status:
    """How a refinement ended: from whether the DRRs of its best pose are flat, and what its optimiser
    says (converged, stalled, or out of iterations).
    """
    if control is not None and control.cancelled:
        return Status.CANCELLED
    return Status.NO_OVERLAP if flat else ended
