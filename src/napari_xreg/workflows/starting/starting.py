"""Where a registration starts from: a pose that was found, by any of the initialisers."""

import importlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import LabelMap, Landmark, Radiograph, Volume
from napari_xreg.progress import Control
from napari_xreg.registration import Attention, Spread
from napari_xreg.workflows.starting.initialisers import INITIALISERS


@dataclass(frozen=True, eq=False)
class StartingPose:
    """A pose to refine from, and where it came from.

    Parameters
    ----------
    pose
        ``world_from_camera``.
    isocenter
        Pivot of the refinement, world mm.
    origin
        In words.
    notes
        What was assumed, and warnings.
    said
        A sentence on how good it is, where there is no warning.
    extra
        What a result file says of how it was found.
    starts, spread
        Of a refinement from it, where nobody asks for something else.
    attention
        Where a network looked in the first radiograph.
    """

    pose: Pose
    isocenter: Float[Tensor, "3"]
    origin: str
    notes: tuple[str, ...] = ()
    said: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    starts: int = 0
    spread: Spread = field(default_factory=Spread)
    attention: Attention | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class InitialiseRequest:
    """What an initialiser may use.

    Parameters
    ----------
    method
        A name in `INITIALISERS`.
    volume, radiograph
        The CT; the radiograph with its geometry, without what is masked.
    labels
        Where the bone is.
    landmarks
        Of the patient, with positions.
    isocenter
        World mm; None: what the method finds sensible.
    structures
        Of `labels`, that are registered; none: the whole CT.
    warp, template
        Of a pose network that speaks of a template: where that lies in the CT (`read_warp`), or the
        template's CT, which is registered to this one (`align_to_template`); both: the warp, and from
        the template only what the network speaks about in it (`place_in_template`).
    weights
        Of its network; None: those of the package, where it has some.
    seed
        Of everything that is drawn.
    given
        The pose that the user gives.
    cache
        Folder where what can be used again is kept; None: nowhere.
    beside
        Further radiographs of the patient lying still, each with where its camera stands in the axes of
        the first (``first_from_camera``); None: as their files say.
    """

    method: str
    volume: Volume
    radiograph: Radiograph
    labels: LabelMap | None = None
    landmarks: tuple[Landmark, ...] = ()
    isocenter: Float[Tensor, "3"] | None = None
    weights: Path | None = None
    seed: int = 0
    given: StartingPose | None = None
    cache: Path | None = None
    beside: tuple[tuple[Radiograph, Pose | None], ...] = ()
    structures: tuple[int, ...] = ()
    warp: Path | None = None
    template: Path | None = None


def initialise(
    request: InitialiseRequest, *, control: Control | None = None
) -> Generator[Any, None, StartingPose | None]:
    """Find a pose to refine from.

    Yields
    ------
    WeightsRead, TemplateMade, SearchRound, PassesDone
        As the method goes along.

    Returns
    -------
    StartingPose or None
        None if cancelled.

    Raises
    ------
    NoStart
        If there is none.
    ValueError
        If the method is unknown, or lacks something that it needs.
    """
    if request.method not in INITIALISERS:
        raise ValueError(f"an initialiser is {' or '.join(INITIALISERS)}: got {request.method!r}")
    chosen = INITIALISERS[request.method]
    for need in chosen.needs:
        if getattr(request, need) in (None, ()):
            raise ValueError(f"{need} are needed for a start by {chosen.name}")
    module = importlib.import_module(chosen.module)
    found: StartingPose | None = yield from module.find_start(request, control=control)
    return found
