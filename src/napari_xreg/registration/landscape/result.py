"""What is known of the loss around a pose: sections along C-arm parameters, and a map over two."""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import LENGTH_MM, CArm, CArmPose, Pose
from napari_xreg.registration.landscape.minima import Minimum, local_minima, map_minima
from napari_xreg.registration.landscape.settings import LandscapeSettings, Values


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
    measure
        Which loss, as of `LandscapeSettings`.
    terms
        What it is made of, by name; not weighted.
    """

    parameters: tuple[str, ...]
    index: tuple[int, ...]
    offset: tuple[float, ...]
    loss: float
    measure: str
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

    @property
    def minima(self) -> tuple[tuple[float, float], ...]:
        """Offsets of the local minima among the computed samples, deepest first."""
        found = map_minima(self.losses)
        return tuple((float(self.row_offsets[r]), float(self.column_offsets[c])) for r, c in found)

    @property
    def astray_deg(self) -> Values:
        """Angle between the way down and the way to the centre, degrees, rows x columns.

        0: the steepest descent leads straight to the pose about which the map was made; above 90: away from
        it. Angles count against millimetres as in the distance of poses, `LENGTH_MM` to a radian, so the
        way to the centre is that of the geodesic. NaN at the centre, where the loss is flat and beside
        samples that were not computed.
        """
        across, down = (
            np.deg2rad(offsets) if unit_of(name) == "degrees" else offsets / LENGTH_MM
            for name, offsets in zip(
                self.parameters, (self.row_offsets, self.column_offsets), strict=True
            )
        )
        rise = np.asarray(np.gradient(self.losses, across, down))
        away = np.stack(np.meshgrid(across, down, indexing="ij"))
        length = np.linalg.norm(rise, axis=0) * np.linalg.norm(away, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            cosine = (rise * away).sum(0) / length
        return np.rad2deg(np.arccos(np.clip(cosine, -1.0, 1.0)))

    @property
    def leads_home(self) -> float:
        """Share of the map from which the way down leads nearer to its centre; NaN where nothing is known."""
        known = self.astray_deg[np.isfinite(self.astray_deg)]
        return float((known < 90.0).mean()) if known.size else float("nan")


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
    beside
        The same of a second measure, if one was asked for.
    """

    world_from_camera: Pose
    center: CArmPose
    profiles: dict[str, Profile]
    pair: PairMap | None
    settings: LandscapeSettings
    complete: bool = True
    simulated: bool = False
    beside: "Landscape | None" = None

    @property
    def each(self) -> tuple["Landscape", ...]:
        """This one, and what is beside it."""
        return (self,) if self.beside is None else (self, self.beside)

    def completed(self) -> "Landscape":
        """The same, nothing missing."""
        beside = None if self.beside is None else self.beside.completed()
        return replace(self, complete=True, beside=beside)

    def set(self, sample: LandscapeSample) -> None:
        """Fill in one sample: how a viewer keeps its own copy while they arrive."""
        if self.beside is not None and sample.measure != self.settings.measure:
            self.beside.set(sample)
        elif len(sample.parameters) == 1:
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
    made = [
        _empty_of_one(carm, world_from_camera, isocenter, each, simulated=simulated)
        for each in settings.each
    ]
    return replace(made[0], beside=made[1]) if len(made) > 1 else made[0]


def _empty_of_one(
    carm: CArm,
    world_from_camera: Pose,
    isocenter: Float[Tensor, "3"],
    settings: LandscapeSettings,
    *,
    simulated: bool,
) -> Landscape:
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
