"""How a sequence is tracked. Nothing heavy is imported here: the parser of the command line reads it."""

from dataclasses import dataclass
from typing import Annotated

from napari_xreg.options import Option


@dataclass(frozen=True)
class TrackSettings:
    """How a sequence is tracked.

    Parameters
    ----------
    pixels
        Longer side of the image that a frame is compared at.
    jump_deg, jump_mm
        From where a frame was expected; what is found farther off is no result.
    lost_after
        So many frames in a row without a pose end the way in that direction.
    retry_starts
        Where the expected pose leads to nothing that is trusted; 0: no second try.
    smooth
        Whether a smooth motion is worked out from all frames.
    """

    pixels: Annotated[
        int, Option("Pixels", "Longer side of the image that is compared.", "", 32, 2048, 32)
    ] = 256
    jump_deg: Annotated[
        float,
        Option(
            "Largest turn", "Beside what is expected from the frames before.", "degrees", 0.1, 180.0
        ),
    ] = 10.0
    jump_mm: Annotated[
        float,
        Option("Largest shift", "In the image, beside what is expected.", "mm", 0.1, 500.0),
    ] = 10.0
    lost_after: Annotated[
        int, Option("Lost after", "Frames in a row without a pose.", "frames", 1, 1000)
    ] = 10
    retry_starts: Annotated[
        int,
        Option(
            "Further starts",
            "About the expected pose, where that alone is not trusted.",
            "",
            0,
            256,
        ),
    ] = 16
    smooth: Annotated[
        bool, Option("Smooth", "Work out a smooth motion, each pose as far as it is uncertain.")
    ] = True
