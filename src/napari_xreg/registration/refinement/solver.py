"""What a solver is: a value that says what it can do, and carries poses from start to end.

A solver is added by a file that defines one and a line in `solvers.SOLVERS`; the command line, the
Refine widget and the benchmarks list that table.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Volume
from napari_xreg.progress import Control
from napari_xreg.registration.refinement.attention import Attention
from napari_xreg.registration.refinement.result import Iterate, Registration
from napari_xreg.registration.refinement.starts import Hypothesis, Spread
from napari_xreg.registration.refinement.views import View


@runtime_checkable
class Solve(Protocol):
    """From radiographs with starting poses to a registration."""

    def __call__(
        self,
        volume: Volume,
        views: Sequence[View],
        *,
        settings: Any,
        pivot: Float[Tensor, "3"],
        control: Control | None,
    ) -> Generator[Iterate, None, Registration]:
        """At least one view; cancelling returns the best pose so far."""
        ...


@dataclass(frozen=True)
class Wanted:
    """What a user asks for, in terms that every solver understands.

    Parameters
    ----------
    compare
        A key of the solver's `compares`; None: its first.
    pixels
        Longer side of the radiograph, level by level; None: as the solver does by default.
    finest_only
        The last level of the default alone.
    iterations
        At most, a level; None: as by default.
    starts, spread, beside, origin, locked, seed
        As of `RefineSettings`; a solver that cannot do them refuses what is not the default. 0
        starts: as many as it takes.
    keep_images
        Put the DRR of every iterate into the trajectory.
    threads
        Rendering threads; None: all processors.
    attention
        Where a pose network looked in the first radiograph (`DiffPoseSettings`), for solvers that ask.
    """

    compare: str | None = None
    pixels: tuple[int, ...] | None = None
    finest_only: bool = False
    iterations: int | None = None
    starts: int = 0
    spread: Spread = field(default_factory=Spread)
    beside: tuple[Hypothesis, ...] = ()
    origin: str = ""
    locked: tuple[str, ...] = ()
    seed: int = 0
    keep_images: bool = True
    threads: int | None = None
    attention: Attention | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, eq=False)
class Solver:
    """A way to refine a pose.

    Parameters
    ----------
    name
        On the command line and in files.
    title, about
        What the user reads: a name, and a sentence or two.
    settings
        The class of its settings: every instance belongs to this solver.
    compares
        What it can compare, by name, each with a sentence; the first is the default.
    iterations
        At most so many a level, by default; of a solver whose levels differ, at the last.
    several_starts, locks, covariance
        Whether it refines from several starts, keeps C-arm parameters as they are, and says how
        certain the pose is.
    configure
        Settings for what a user wants.
    level_pixels, most_iterates
        Of settings: longer side of the radiograph, level by level, and how many iterates there can
        be.
    solve
        The work itself.
    prepare
        Makes of the CT, given settings, what `solve` begins with on the CPU; it is kept with the CT.
        For whoever has something else to do meanwhile.
    """

    name: str
    title: str
    about: str
    settings: type
    compares: Callable[[], Mapping[str, str]]
    iterations: int
    several_starts: bool
    locks: bool
    covariance: bool
    configure: Callable[[Wanted], Any]
    level_pixels: Callable[[Any], tuple[int, ...]]
    most_iterates: Callable[[Any], int]
    solve: Solve
    prepare: Callable[[Volume, Any], None] = lambda volume, settings: None

    def settings_for(self, wanted: Wanted) -> Any:
        """Settings of this solver for what a user wants.

        Raises
        ------
        ValueError
            If it cannot do what is wanted, or does not know what to compare.
        """
        if wanted.compare is not None and wanted.compare not in self.compares():
            raise ValueError(
                f"{self.title} compares {', '.join(self.compares())}: got {wanted.compare!r}"
            )
        several = wanted.starts > 1 or bool(wanted.beside)
        if several and not self.several_starts:
            raise ValueError(
                f"{self.title} refines from one start: got {wanted.starts} and {len(wanted.beside)} others"
            )
        if wanted.locked and not self.locks:
            raise ValueError(
                f"{self.title} moves every C-arm parameter: {', '.join(wanted.locked)} cannot be "
                "locked"
            )
        return self.configure(wanted)
