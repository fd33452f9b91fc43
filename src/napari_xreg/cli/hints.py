"""Which option supplies what a reader says it needs: the library names the value, this its flag."""

from napari_xreg.images import IncompleteRadiograph, SeveralFrames, SeveralSeries

_FLAGS = {
    "source_to_detector": "--sdd",
    "source_to_isocenter": "--source-to-isocenter",
    "pixel_spacing": "--pixel-spacing",
    "read_as": "--read-as",
}


def hint(error: BaseException) -> str:
    """``: give --sdd, --pixel-spacing``, or nothing where no option would help."""
    if isinstance(error, IncompleteRadiograph):
        flags = [_FLAGS[name] for name in error.needed if name in _FLAGS]
    elif isinstance(error, SeveralFrames):
        flags = ["--frame"]
    elif isinstance(error, SeveralSeries):
        flags = ["--series"]
    else:
        flags = []
    return f": give {', '.join(flags)}" if flags else ""
