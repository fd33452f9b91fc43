"""When the frames of a DICOM file were acquired (PS3.3 C.7.6.5)."""

from itertools import accumulate
from pathlib import Path

from pydicom import dcmread

from napari_xreg.images.dicom.header import FrameHeader
from napari_xreg.images.errors import ReadError

_TAGS = [
    "NumberOfFrames", "FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate",
]  # fmt: skip
_SECOND = 1000.0


def frame_times(path: Path) -> tuple[float, ...] | None:
    """Seconds since the first frame, of every frame; None where the header does not say.

    From Frame Time Vector, else Frame Time, else Cine Rate, else Recommended Display Frame Rate. A value
    that cannot be is as good as none.
    """
    try:
        dataset = dcmread(path, force=True, specific_tags=_TAGS, stop_before_pixels=True)
        header = FrameHeader(path.name, (dataset,))
        count = max(1, int(dataset.get("NumberOfFrames") or 1))
        steps = header.usable_numbers("FrameTimeVector", [])
        if steps is not None and len(steps) == count and min(steps[1:], default=1.0) > 0:
            return tuple(accumulate((0.0, *(step / _SECOND for step in steps[1:]))))
        each = header.usable_number("FrameTime", [])
        for keyword in ("CineRate", "RecommendedDisplayFrameRate"):
            rate = header.usable_number(keyword, [])
            if (each is None or each <= 0) and rate is not None and rate > 0:
                each = _SECOND / rate
        if each is None or each <= 0:
            return None
        return tuple(number * each / _SECOND for number in range(count))
    except (ReadError, OSError, ValueError, AttributeError, TypeError):
        return None
