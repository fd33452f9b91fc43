"""Where the radiograph's own file says that the C-arm stood."""

from collections.abc import Generator

from napari_xreg.progress import Control
from napari_xreg.workflows.opening.radiographs import PoseUnknown, header_pose
from napari_xreg.workflows.starting.initialisers import NoStart
from napari_xreg.workflows.starting.starting import InitialiseRequest, StartingPose


def find_start(
    request: InitialiseRequest, *, control: Control | None = None
) -> Generator[object, None, StartingPose | None]:
    """Read the header: see `INITIALISERS`."""
    yield from ()
    said = request.isocenter
    middle, middle_of = request.volume.center.detach().cpu().double(), "the CT"
    if request.labels is not None and request.structures:
        middle, middle_of = request.labels.middle(request.structures), "the structures to register"
    isocenter = middle if said is None else said
    try:
        return header_pose(
            request.radiograph, isocenter, overrule=said is not None, middle_of=middle_of
        )
    except PoseUnknown as unknown:
        raise NoStart(f"{unknown}.") from unknown
