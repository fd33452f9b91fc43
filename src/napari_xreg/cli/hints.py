"""Which option supplies what a reader says it needs: the library names the value, this its flag."""

from napari_xreg.datasets import SeveralCases, SeveralCaseViews
from napari_xreg.images import (
    IncompleteRadiograph,
    SeveralFrames,
    SeveralSeries,
    UnknownSpacing,
    UnknownValues,
)
from napari_xreg.workflows import PoseUnknown, SeveralTrialFrames, SeveralVolumes

_FLAGS = {
    "source_to_detector": "--sdd",
    "source_to_isocenter": "--source-to-isocenter",
    "pixel_spacing": "--pixel-spacing",
    "read_as": "--read-as",
}


_GEOMETRY = (
    "or --geometry FILE (JSON, or a calibration of XMALab, Autoscoper or JointTrack) that says it"
)
CT_VALUES = "--ct-values hu, or --ct-values linear AIR BONE"


def hint(error: BaseException) -> str:
    """``: give --sdd, --pixel-spacing``, or nothing where no option would help."""
    if isinstance(error, IncompleteRadiograph):
        flags = [_FLAGS[name] for name in error.needed if name in _FLAGS]
        if set(error.needed) - {"read_as"}:
            flags.append(_GEOMETRY)
    elif isinstance(error, SeveralFrames):
        flags = ["--frame"]
    elif isinstance(error, SeveralTrialFrames):
        flags = ["--frame N"]
    elif isinstance(error, SeveralVolumes):
        flags = ["--volume NAME"]
    elif isinstance(error, SeveralCases):
        flags = ["--case NAME"]
    elif isinstance(error, SeveralCaseViews):
        flags = ["--view NAME"]
    elif isinstance(error, SeveralSeries):
        flags = ["--series"]
    elif isinstance(error, UnknownSpacing):
        flags = ["--ct-spacing X Y Z", CT_VALUES]
    elif isinstance(error, UnknownValues):
        flags = [CT_VALUES]
    elif isinstance(error, PoseUnknown):
        flags = [
            "--primary and --secondary (degrees), --start FILE, or --geometry FILE (a calibration)"
        ]
    else:
        flags = []
    return f": give {', '.join(flags)}" if flags else ""
