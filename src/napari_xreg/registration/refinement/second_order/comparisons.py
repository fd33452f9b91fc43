"""What Levenberg-Marquardt can compare: one table, which the command line and the window list."""

from dataclasses import dataclass

from napari_xreg.registration.refinement.second_order.channels import Channels, gradient, intensity


@dataclass(frozen=True)
class Comparison:
    """A choice of channels by name.

    Parameters
    ----------
    about
        What it does, in a sentence or two for the user.
    channels
        None: level by level as the default levels say.
    """

    about: str
    channels: Channels | None = None


COMPARISONS: dict[str, Comparison] = {
    "intensity + gradient, robust": Comparison(
        "z-scored image and its Gaussian derivatives; from the second level on with "
        "Geman–McClure weights against instruments, and a fitted tone curve. The default."
    ),
    "intensity + gradient": Comparison(
        "The same without weights and tone: plain least squares, 1 − NCC.", Channels()
    ),
    "gradient": Comparison(
        "The derivatives of the image alone: blind to slow changes of brightness.",
        Channels(gradient(1.0)),
    ),
    "intensity": Comparison(
        "1 − NCC of the image alone: widest basin, easily misled by contrast.",
        Channels(intensity(1.0)),
    ),
}
"""What Levenberg-Marquardt can compare, by name; the first is the default."""
