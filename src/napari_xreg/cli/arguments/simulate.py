"""Arguments of `simulate`."""

from napari_xreg.cli.arguments.base import Commands, Parser
from napari_xreg.cli.arguments.options import add_carm, add_ct, add_settings, add_start
from napari_xreg.workflows import SampleSettings


def add_simulate(commands: Commands, common: Parser) -> None:
    """Add `simulate`."""
    simulate = commands.add_parser(
        "simulate",
        parents=[common],
        help="make a radiograph of a CT as a C-arm might have acquired it, with its truth",
        description="Simulate a radiograph: beam hardening, scatter, noise, collimator, "
        "instruments. Writes the image with its geometry and FILE.truth.json beside it.",
    )
    add_ct(simulate)
    simulate.add_argument(
        "--out", required=True, metavar="FILE", help=".npz, .png, .tif or .dcm chooses the format"
    )
    simulate.add_argument("--dicom", action="store_true", help="write DICOM XA whatever the ending")
    simulate.add_argument("--labels", metavar="FILE", help="label map: bones can move (hard)")
    add_settings(simulate, SampleSettings(), ("severity", "seed", "start_error"))
    add_carm(simulate)
    add_start(simulate, "where the C-arm stands", files=True)
