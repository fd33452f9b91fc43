"""What a simulated radiograph should look like: of the demo, the command, the question in the window."""

from dataclasses import dataclass
from typing import Annotated

from napari_xreg.options import Choice, Option


@dataclass(frozen=True)
class SampleSettings:
    """How a radiograph is simulated. (Imports no torch: a command's help is made of it.)

    Parameters
    ----------
    severity, seed
        As of `simulate_radiograph`.
    primary_deg, secondary_deg, roll_deg
        Where the C-arm stands: the truth.
    pixels
        Rows and columns of a detector of `SIZE_MM`.
    start_error
        How far the declared pose is off, in units of the usual spread.
    """

    severity: Annotated[
        str,
        Option(
            "Severity",
            "How far from a rendering.",
            choices={
                "clean": Choice("clean", "a rendering with little noise."),
                "typical": Choice("typical", "scatter, noise, blur, an instrument."),
                "hard": Choice(
                    "hard", "more of it, and bones that moved (where there are labels)."
                ),
                "real": Choice(
                    "real", "tissue and bones that the CT has not, saturated air, beads, letters."
                ),
            },
        ),
    ] = "typical"
    seed: Annotated[
        int, Option("Seed", "The same seed gives the same image.", low=0, high=2**31 - 1)
    ] = 20_000
    primary_deg: Annotated[
        float, Option("Primary angle", "LAO(+)/RAO: towards the patient's left.", "°", -180, 180)
    ] = 18.0
    secondary_deg: Annotated[
        float, Option("Secondary angle", "Cranial(+)/caudal: towards the head.", "°", -180, 180)
    ] = -9.0
    roll_deg: Annotated[float, Option("Roll", "About the central ray.", "°", -180, 180)] = 4.0
    pixels: Annotated[
        int,
        Option(
            "Pixels per side", "Rows and columns of a detector of 300 × 300 mm.", "", 32, 2048, 64
        ),
    ] = 256
    # More than a header usually is: there is something to register.
    start_error: Annotated[
        float,
        Option(
            "Initial pose error",
            "How far the pose in the file header is off the true one: 1 is a standard deviation of "
            "3° about each axis, 10 mm in the detector's plane and 15 mm in depth; 0: the truth.",
            "× sigma", 0.0, 100.0, 0.5,
        ),
    ] = 1.5  # fmt: skip


SIZE_MM = 300.0
"""Of the detector, rows and columns, where there is no radiograph to be like."""
