"""The refinement that curves, slider and layers show: one that runs, or a result of the session."""

from dataclasses import dataclass, field

from napari_xreg.geometry import CArm, Pose
from napari_xreg.registration import Iterate, Registration, solver_of
from napari_xreg.session import Result
from napari_xreg.workflows import RefineRequest, rig_poses

PIXELS_AGAIN = 256
"""Longer side of pictures of iterations that are drawn again."""


@dataclass(eq=False)
class ShownRefinement:
    """Grows while it runs; has a name and a registration once it ended.

    Parameters
    ----------
    name
        Of the result; empty while it runs.
    ids
        Of the radiographs.
    rig
        Their poses when it began (or ended: only how they stand to each other counts).
    carm
        Of the first radiograph.
    shape
        Rows and columns of the finest pictures.
    levels
        How many.
    expected
        How many iterates may come.
    simulated
        Whether a radiograph is.
    bone
        As `Result.bone`.
    """

    name: str
    ids: tuple[str, ...]
    rig: tuple[Pose, ...]
    carm: CArm
    shape: tuple[int, int]
    levels: int
    expected: int
    simulated: bool
    bone: str | None = None
    registration: Registration | None = None
    iterates: list[Iterate] = field(default_factory=list)

    @property
    def ended_at(self) -> int | None:
        """The iterate that the result is; None while it runs, and where none is."""
        return None if self.registration is None else self.registration.ended_at

    def poses_at(self, iterate: Iterate) -> dict[str, Pose]:
        """The pose of each radiograph, by id."""
        return rig_poses(self.ids, self.rig, iterate.world_from_camera)

    def is_of(self, result: Result) -> bool:
        """Whether it is this result."""
        return self.registration is result.registration


def shown_of_request(request: RefineRequest) -> ShownRefinement:
    """A refinement that begins."""
    radiographs = [view.radiograph for view in request.views]
    solver = solver_of(request.settings)
    pixels = solver.level_pixels(request.settings)
    carm = radiographs[0].carm
    rows, columns = carm.detector.shape
    scale = min(1.0, max(pixels) / max(rows, columns))
    return ShownRefinement(
        "",
        request.ids,
        tuple(view.world_from_camera for view in request.views),
        carm,
        (max(8, round(rows * scale)), max(8, round(columns * scale))),
        len(pixels),
        solver.most_iterates(request.settings),
        any(radiograph.simulated for radiograph in radiographs),
    )


def shown_of_result(result: Result, carm: CArm) -> ShownRefinement:
    """A result of the session; `carm` is its first radiograph's. Its iterates are still to be added."""
    registration = result.registration
    iterates = registration.trajectory
    pictures = [it.image for it in iterates if it.image is not None]
    again = carm.at_most(PIXELS_AGAIN).detector.shape
    rows, columns = max((tuple(p.shape) for p in pictures), default=again)
    return ShownRefinement(
        result.name,
        result.radiographs,
        registration.views or (registration.world_from_camera,),
        carm,
        (int(rows), int(columns)),
        1 + max(it.level for it in iterates),
        len(iterates),
        registration.simulated,
        result.bone,
    )
