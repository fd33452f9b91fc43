"""The loss around a pose: along each C-arm parameter and over a pair of them.

A refinement ends in the local minimum it starts above. These sections through the loss show where
the minima are, how wide their basins are, and which parameters the image hardly determines.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CARM_PARAMETERS, CArm, CArmPose, Pose
from napari_xreg.images import Volume
from napari_xreg.metrics import SIMILARITIES, is_flat, similarity_words
from napari_xreg.options import Choice, Option
from napari_xreg.progress import Control
from napari_xreg.registration.landscape.minima import Minimum, local_minima
from napari_xreg.registration.refinement.host.problem import Host
from napari_xreg.registration.refinement.levels import COARSE_TO_FINE, Level
from napari_xreg.registration.refinement.look import look_at
from napari_xreg.registration.refinement.views import View, at_pixels, pivot_of
from napari_xreg.rendering import Prepared, at_voxel_size, march_view, prepare

Values = npt.NDArray[np.float64]
REFINEMENT = "refinement"
"""The loss of the refinement, beside `SIMILARITIES`."""

_MEASURES = {
    REFINEMENT: Choice("same metric as Refine", "tone and robust weights fitted at every sample."),
    **{
        name: Choice(f"1 − {name}", similarity_words(function))
        for name, function in SIMILARITIES.items()
    },
}


def _level_title(level: Level) -> str:
    voxels = "full CT" if level.voxel_mm is None else f"{level.voxel_mm:g} mm CT"
    return f"{level.pixels} px image, {voxels}"


_LEVELS = {level: Choice(_level_title(level)) for level in COARSE_TO_FINE}
_PAIRS: dict[tuple[str, str] | None, Choice] = {
    None: Choice("no map"),
    **{pair: Choice(" × ".join(pair)) for pair in combinations(CARM_PARAMETERS, 2)},
}


@dataclass(frozen=True)
class LandscapeSettings:
    """Where the loss is sampled, and which loss.

    Parameters
    ----------
    range_deg, range_mm, range_depth_mm
        Sections reach this far to either side: angles, x and y, depth.
    samples
        Along each section; made odd, so that the pose itself is one of them.
    parameters
        Which sections: of ``("primary", "secondary", "roll", "x", "y", "depth")``.
    pair
        Two parameters whose plane is mapped; None: no map.
    pair_samples
        Along each side of the map; made odd.
    measure
        ``refinement``: the loss that `refine` minimises at this level, with the tone and robust
        weights fitted anew at every sample, over its total weight; or 1 - a similarity of
        `SIMILARITIES`, by its name. Lower is better; an image that has nothing to do with the
        radiograph scores about 1, and so does one that the patient has left.
    level
        How finely radiograph and CT are looked at.
    threads
        Rendering threads; None: all processors.
    """

    measure: Annotated[
        str, Option("Loss", "What is drawn; lower is better.", choices=_MEASURES)
    ] = REFINEMENT
    level: Annotated[
        Level,
        Option(
            "Resolution",
            "Longer side of the radiograph, and voxels: the levels of Refine. The coarse ones have "
            "wider basins.",
            choices=_LEVELS,
        ),
    ] = COARSE_TO_FINE[1]
    range_deg: Annotated[
        float, Option("Angles ±", "Primary, secondary and roll, to either side.", "°", 0.5, 90.0)
    ] = 20.0
    range_mm: Annotated[
        float, Option("x, y ±", "To either side, in camera axes.", "mm", 1.0, 400.0, decimals=0)
    ] = 40.0
    range_depth_mm: Annotated[
        float,
        Option(
            "Depth ±",
            "Along the central ray, to either side; from one view it needs a wide range.",
            "mm", 1.0, 600.0, decimals=0,
        ),
    ] = 120.0  # fmt: skip
    samples: Annotated[
        int,
        Option("Samples", "Along each section (made odd: the pose itself is one).", "", 3, 201, 2),
    ] = 25
    parameters: tuple[str, ...] = CARM_PARAMETERS
    pair: Annotated[
        tuple[str, str] | None,
        Option(
            "Map of",
            "The loss over two parameters at once shows oblique valleys. First: vertical axis; "
            "second: horizontal.",
            choices=_PAIRS,
        ),
    ] = ("primary", "x")
    # Steps of 1.7 degrees and 3.3 mm at the usual ranges: a valley of a few degrees is seen.
    pair_samples: Annotated[
        int, Option("Samples of map", "Along each side of the map.", "", 3, 101, 2)
    ] = 25
    threads: int | None = None

    def __post_init__(self) -> None:
        if not all(
            0 < r < float("inf") for r in (self.range_deg, self.range_mm, self.range_depth_mm)
        ):
            raise ValueError(
                "the ranges of a landscape must be positive: got "
                f"{self.range_deg} degrees, {self.range_mm} mm, depth {self.range_depth_mm} mm"
            )
        if self.samples < 3 or self.pair_samples < 3:
            raise ValueError(
                "a section needs at least 3 samples: got "
                f"samples={self.samples}, pair_samples={self.pair_samples}"
            )
        named = (*self.parameters, *(self.pair or ()))
        unknown = [name for name in named if name not in CARM_PARAMETERS]
        if unknown or not named:
            raise ValueError(
                f"unknown parameters {', '.join(unknown) or '(none given)'}: they are "
                f"{', '.join(CARM_PARAMETERS)}"
            )
        if self.pair is not None and self.pair[0] == self.pair[1]:
            raise ValueError(f"a map needs two different parameters: got {self.pair[0]} twice")
        if self.measure not in _MEASURES:
            raise ValueError(f"the measure is one of {', '.join(_MEASURES)}: got {self.measure!r}")

    def offsets(self, parameter: str, *, mapped: bool = False) -> Values:
        """Where a section is sampled, relative to the pose: degrees or mm, ascending, 0 in the middle."""
        count = self.pair_samples if mapped else self.samples
        half = count // 2
        reach = {"depth": self.range_depth_mm, "x": self.range_mm, "y": self.range_mm}
        step = reach.get(parameter, self.range_deg) / half
        return np.arange(-half, half + 1, dtype=np.float64) * step

    @property
    def total(self) -> int:
        """Number of renders (of each radiograph)."""
        sections = sum(self.offsets(name).size for name in self.parameters)
        if self.pair is None:
            return sections
        first, second = (self.offsets(name, mapped=True).size for name in self.pair)
        return sections + first * second


@dataclass(frozen=True, eq=False)
class LandscapeSample:
    """The loss at one place.

    Parameters
    ----------
    parameters
        One name for a section, two for the map.
    index
        Place in the profile, or (row, column) of the map: the first parameter runs along rows.
    offset
        From the centre, degrees or mm.
    loss
        Lower is better; about 1 for an image that has nothing to do with the radiograph.
    terms
        What it is made of, by name; not weighted.
    """

    parameters: tuple[str, ...]
    index: tuple[int, ...]
    offset: tuple[float, ...]
    loss: float
    terms: dict[str, float] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, eq=False)
class Profile:
    """A section through the loss along one C-arm parameter.

    Parameters
    ----------
    parameter
        Its name.
    offsets
        From the centre, degrees or mm, ascending.
    losses
        NaN where it was not computed (yet).
    """

    parameter: str
    offsets: Values
    losses: Values

    @property
    def unit(self) -> str:
        """Of the offsets."""
        return unit_of(self.parameter)

    @property
    def minima(self) -> tuple[Minimum, ...]:
        """Local minima among the computed samples, deepest first."""
        return local_minima(self.offsets, self.losses)


@dataclass(frozen=True, eq=False)
class PairMap:
    """The loss over a plane of two C-arm parameters; the first runs along rows."""

    parameters: tuple[str, str]
    row_offsets: Values
    column_offsets: Values
    losses: Values  # rows x columns, NaN where not computed

    @property
    def best(self) -> tuple[float, float] | None:
        """Offsets of the lowest sample; None where nothing was computed."""
        if not np.isfinite(self.losses).any():
            return None
        row, column = np.unravel_index(np.nanargmin(self.losses), self.losses.shape)
        return float(self.row_offsets[row]), float(self.column_offsets[column])


@dataclass(eq=False)
class Landscape:
    """Sections and map of the loss about a pose: not frozen, `set` fills them in place.

    Parameters
    ----------
    world_from_camera
        The centre: pose of the first radiograph.
    center
        The same in C-arm terms, about the isocenter that was used.
    profiles
        By parameter.
    pair
        The map, if one was asked for.
    settings
        What was asked.
    complete
        False where it was cancelled: some losses are NaN.
    simulated
        True if any radiograph was simulated.
    """

    world_from_camera: Pose
    center: CArmPose
    profiles: dict[str, Profile]
    pair: PairMap | None
    settings: LandscapeSettings
    complete: bool = True
    simulated: bool = False

    def set(self, sample: LandscapeSample) -> None:
        """Fill in one sample: how a viewer keeps its own copy while they arrive."""
        if len(sample.parameters) == 1:
            self.profiles[sample.parameters[0]].losses[sample.index] = sample.loss
        elif self.pair is not None:
            self.pair.losses[sample.index] = sample.loss


def unit_of(parameter: str) -> str:
    """Unit of a C-arm parameter."""
    return "mm" if parameter in ("x", "y", "depth") else "degrees"


def shifted_pose(carm: CArm, center: CArmPose, offsets: dict[str, float]) -> Pose:
    """The pose whose C-arm terms differ from `center` by these offsets, degrees and mm."""
    angles = {
        f"{name}_deg": getattr(center, f"{name}_deg") + offsets.get(name, 0.0)
        for name in ("primary", "secondary", "roll")
    }
    x, y, depth = (
        value + offsets.get(name, 0.0)
        for name, value in zip(("x", "y", "depth"), center.offset_mm, strict=True)
    )
    return carm.pose_from(replace(center, offset_mm=(x, y, depth), **angles))


def empty_landscape(
    carm: CArm,
    world_from_camera: Pose,
    isocenter: Float[Tensor, "3"],
    settings: LandscapeSettings,
    *,
    simulated: bool = False,
) -> Landscape:
    """A landscape with nothing computed yet: every loss is NaN."""
    profiles = {}
    for name in settings.parameters:
        offsets = settings.offsets(name)
        profiles[name] = Profile(name, offsets, np.full(offsets.size, np.nan))
    pair = None
    if settings.pair is not None:
        rows, columns = (settings.offsets(name, mapped=True) for name in settings.pair)
        pair = PairMap(settings.pair, rows, columns, np.full((rows.size, columns.size), np.nan))
    center = carm.carm_pose(world_from_camera, isocenter)
    return Landscape(world_from_camera, center, profiles, pair, settings, False, simulated)


def loss_landscape(
    volume: Volume,
    views: View | Sequence[View],
    *,
    settings: LandscapeSettings | None = None,
    isocenter: Float[Tensor, "3"] | None = None,
    control: Control | None = None,
) -> Generator[LandscapeSample, None, Landscape]:
    """Sample the loss around the present pose, coarsely first, so that the picture sharpens.

    Parameters
    ----------
    volume
        The CT.
    views
        One or several radiographs with their poses; several move together, and the C-arm terms
        are those of the first.
    settings
        See `LandscapeSettings`.
    isocenter
        Gives the C-arm terms their meaning, world mm; None: the middle of the volume.
    control
        Cancel, pause, step.

    Yields
    ------
    LandscapeSample
        Every sample, as it is computed.

    Returns
    -------
    Landscape
        Incomplete where it was cancelled.

    Raises
    ------
    ValueError
        If there is no view, or a radiograph has no usable content.
    """
    settings = settings or LandscapeSettings()
    views = (views,) if isinstance(views, View) else tuple(views)
    if not views:
        raise ValueError("a landscape needs at least one radiograph")
    pivot = pivot_of(volume, isocenter)
    carm = views[0].radiograph.carm
    result = empty_landscape(
        carm,
        views[0].world_from_camera,
        pivot,
        settings,
        simulated=any(view.radiograph.simulated for view in views),
    )
    loss_at = _loss_function(volume, views, settings, pivot)
    home = views[0].world_from_camera.inverse()
    for names, index, offset in _places(settings):
        if control is not None and not control.proceed():
            return result
        first = shifted_pose(carm, result.center, dict(zip(names, offset, strict=True)))
        motion = first @ home.to(dtype=first.translation.dtype)
        poses = (
            first,
            *(motion @ view.world_from_camera.to(dtype=torch.float64) for view in views[1:]),
        )
        loss, terms = loss_at(poses)
        sample = LandscapeSample(names, index, offset, loss, terms)
        result.set(sample)
        yield sample
    return replace(result, complete=True)


def _places(
    settings: LandscapeSettings,
) -> Generator[tuple[tuple[str, ...], tuple[int, ...], tuple[float, ...]], None, None]:
    """All sections side by side, every fourth sample first; then the map, row by row likewise."""
    for indices in _coarse_first(settings.samples // 2 * 2 + 1):
        for name in settings.parameters:
            for i in indices:
                yield (name,), (i,), (float(settings.offsets(name)[i]),)
    if settings.pair is None:
        return
    rows, columns = (settings.offsets(name, mapped=True) for name in settings.pair)
    for indices in _coarse_first(rows.size):
        for i in indices:
            for j in range(columns.size):
                yield settings.pair, (i, j), (float(rows[i]), float(columns[j]))


def _coarse_first(count: int) -> list[list[int]]:
    """Indices below `count`, an odd number, in rounds: every fourth from the middle, then the rest."""
    middle = count // 2
    rounds: list[list[int]] = [[], [], []]
    for i in range(count):
        distance = abs(i - middle)
        rounds[0 if distance % 4 == 0 else 1 if distance % 2 == 0 else 2].append(i)
    return rounds


class _Refinement:
    """The loss that `refine` minimises at a level, over the total weight of its channels."""

    def __init__(
        self,
        volume: Volume,
        views: Sequence[View],
        settings: LandscapeSettings,
        pivot: Float[Tensor, "3"],
    ) -> None:
        level, host = settings.level, Host(settings.threads)
        look = look_at(volume, [views], level, pivot)
        gains = None
        if level.channels.tone:
            # As in a refinement: the bone as bright as the radiographs say at its first pose.
            gains = host.bone_gains(look, _alone([view.world_from_camera for view in views]))
        self._problem = host.problem(look, torch.zeros(1, dtype=torch.long), gains)
        self._weight = sum(channel.weight for channel in level.channels.compared)

    def __call__(self, poses: tuple[Pose, ...]) -> tuple[float, dict[str, float]]:
        seen, model = self._problem.begin(_alone(poses))
        names = self._problem.names
        if self._problem.flat(seen, [0])[0]:
            # z-scored, a constant image would score as half explained.
            return 1.0, dict.fromkeys(names, 1.0)
        return float(model.loss[0]) / self._weight, dict(
            zip(names, model.terms[0].tolist(), strict=True)
        )


def _alone(poses: Sequence[Pose]) -> tuple[Pose, ...]:
    """Of every view a batch of one."""
    return tuple(Pose(pose.rotation[None], pose.translation[None]) for pose in poses)


class _Similarity:
    """1 - a similarity of images, mean over the radiographs."""

    def __init__(
        self, prepared: Prepared, views: Sequence[View], settings: LandscapeSettings
    ) -> None:
        self._prepared, self._settings = prepared, settings
        self._radiographs = [at_pixels(view.radiograph, settings.level.pixels) for view in views]
        self._masks = [
            None if bool(radiograph.usable.all()) else radiograph.usable
            for radiograph in self._radiographs
        ]
        if any(is_flat(r.line_integrals[r.usable]) for r in self._radiographs):
            raise ValueError(
                "the radiograph has no usable content: it is constant where it may be used"
            )
        self._similarity = SIMILARITIES[settings.measure]

    def __call__(self, poses: tuple[Pose, ...]) -> tuple[float, dict[str, float]]:
        losses = []
        for radiograph, mask, pose in zip(self._radiographs, self._masks, poses, strict=True):
            image = march_view(
                self._prepared,
                radiograph.carm,
                pose,
                method=self._settings.level.method,
                jacobian=False,
                threads=self._settings.threads,
            )[0]
            fixed = radiograph.line_integrals.detach().cpu().float()
            score = self._similarity(fixed, torch.from_numpy(image), mask=mask)
            losses.append(1.0 - float(score))
        suffixed = len(losses) > 1
        name = self._settings.measure
        terms = {f"{name}[{i + 1}]" if suffixed else name: v for i, v in enumerate(losses)}
        return float(np.mean(losses)), terms


def _loss_function(
    volume: Volume,
    views: Sequence[View],
    settings: LandscapeSettings,
    pivot: Float[Tensor, "3"],
) -> "_Refinement | _Similarity":
    if settings.measure == REFINEMENT:
        return _Refinement(volume, views, settings, pivot)
    if settings.level.voxel_mm is not None:
        volume = at_voxel_size(volume, settings.level.voxel_mm)
    return _Similarity(prepare(volume, packed=True), views, settings)
