"""Results of xvr in a study: which file is a case's, and its pose, judged as ours are."""

import re
from dataclasses import replace
from pathlib import Path

from napari_xreg.datasets import read_xvr_result
from napari_xreg.files import ReadError
from napari_xreg.records import MethodEntry, StartEntry
from napari_xreg.registration import Registration, Status, View, judged
from napari_xreg.study.case import Prepared, StudyCase
from napari_xreg.workflows import StartingPose

ITS_OWN = StartEntry(name="its own", kind="file")
"""The start of a result that was computed elsewhere: no other one is tried."""
_NOT_IN_NAMES = re.compile(r'[<>:"|?*\x00-\x1f]')
"""What no name of a file holds on Windows: phantoms have a colon in theirs."""
ITS_OWN_WORDS = "where the other program began, as its file says"


def with_file(method: MethodEntry, case: StudyCase, folder: Path) -> MethodEntry:
    """The method with the file that holds its result of a case; a pattern is relative to the folder.

    Raises
    ------
    ReadError
        If the pattern holds something else in braces.
    """
    described = case.described.described()
    names = described.get("xrays") or [described.get("view") or case.name]
    words = {"case": case.name, "subject": case.subject, "radiograph": Path(names[0]).stem}
    try:
        name = str(method.results).format(
            **{key: _NOT_IN_NAMES.sub("-", word) for key, word in words.items()}
        )
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ReadError(
            f"methods, {method.name}: results: {{case}}, {{subject}} and {{radiograph}} can stand in braces: "
            f"got {method.results!r}"
        ) from error
    return method.model_copy(update={"results": str(folder / name)})


def registration_elsewhere(
    method: MethodEntry, prepared: Prepared
) -> tuple[StartingPose, tuple[View, ...], Registration, float | None]:
    """Start, views, result and the seconds that it took there, where that is known.

    Raises
    ------
    ReadError
        If the file is absent, no result of xvr, or does not say where that began.
    """
    found = read_xvr_result(str(method.results))
    center = prepared.patient.volume.center
    first, last = (
        found.pose(center, orientation=method.orientation, began=began) for began in (True, False)
    )
    start = StartingPose(first, prepared.isocenter, ITS_OWN_WORDS)
    views = prepared.views(first)
    result = Registration(
        last, Status.CONVERGED, {"loss": float("nan")}, (), prepared.isocenter,
        views=tuple(view.world_from_camera for view in prepared.views(last)),
        simulated=any(view.radiograph.simulated for view in views),
    )  # fmt: skip
    done = judged(result, prepared.patient.rendering.volume(), views)
    return start, views, replace(done, notes=("found by xvr", *done.notes)), found.seconds
