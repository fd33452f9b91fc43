"""A starting pose from points that RayEmb finds on the radiograph."""

from collections.abc import Generator

from napari_xreg.files import plain
from napari_xreg.progress import Control
from napari_xreg.rayemb import (
    CorrespondSettings,
    Looks,
    SearchRound,
    TemplateMade,
    WeightsFile,
)
from napari_xreg.workflows.points import (
    FindPointsRequest,
    LocateRequest,
    find_points,
    locate,
)
from napari_xreg.workflows.preparing import PrepareNetworkRequest, WeightsRead, prepare_network
from napari_xreg.workflows.starting.initialisers import NoStart
from napari_xreg.workflows.starting.starting import InitialiseRequest, StartingPose
from napari_xreg.workflows.starting.starts_by_method import RAYEMB_SPREAD, RAYEMB_STARTS


def find_start(
    request: InitialiseRequest, *, control: Control | None = None
) -> Generator[WeightsRead | TemplateMade | SearchRound, None, StartingPose | None]:
    """Prepare the network, find points, solve: see `INITIALISERS`."""
    control = control or Control()
    prepared = yield from prepare_network(
        PrepareNetworkRequest(
            request.volume, request.radiograph, request.labels, request.isocenter,
            WeightsFile(request.weights), cache=request.cache,
        ),
        control=control,
    )  # fmt: skip
    if prepared is None:
        return None
    settings = CorrespondSettings(seed=request.seed)
    found = yield from find_points(
        FindPointsRequest(prepared, request.labels, settings=settings), control=control
    )
    if control.cancelled:
        return None
    located = locate(LocateRequest(prepared, found))
    looks, verdict = prepared.polarity.looks, located.verdict
    notes = () if looks is Looks.RIGHT else (looks.value,)
    if located.world_from_camera is None:
        raise NoStart(" ".join(["RayEmb found no start.", located.solution.reason, *notes]))
    if not verdict.trusted:
        notes = (f"the start of RayEmb: {verdict.sentence}", *notes)
    evidence = {
        "method": "rayemb",
        "weights": dict(prepared.about),
        "points_used": int(located.solution.used.sum()),
        "points": len(found),
        "trusted": verdict.trusted,
        "probability": verdict.likelihood.probability,
        "within_mm": verdict.likelihood.within_mm,
        "sentence": verdict.sentence,
        "evidence": plain(verdict.evidence),
        "polarity": looks.name.lower(),
    }
    said = f"RayEmb: {verdict.sentence}" if verdict.trusted else ""
    return StartingPose(
        located.world_from_camera, prepared.center, "RayEmb", notes, said, {"init": evidence},
        RAYEMB_STARTS, RAYEMB_SPREAD,
    )  # fmt: skip
