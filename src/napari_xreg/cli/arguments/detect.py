"""Arguments of `detect`."""

from napari_xreg.cli.arguments.base import Commands, Parser, worded
from napari_xreg.cli.arguments.options import add_landmark_frame, add_out, add_radiograph_geometry
from napari_xreg.cli.arguments.values import not_negative, whole


def _passes() -> str:
    from napari_xreg.landmarks import DetectSettings

    return f"with dropout; 0: one without (default: {DetectSettings().passes})"


def _beta() -> str:
    from napari_xreg.registration import Weighting

    return f"of continuous (default: {Weighting().beta:g})"


def add_detect(commands: Commands, common: Parser) -> None:
    """Add `detect`."""
    detect = commands.add_parser(
        "detect",
        parents=[common],
        help="find named landmarks on a radiograph with a trained detector",
        description="Write landmarks with their uncertainty (landmarks.csv, detections.json) and a "
        "picture of them; with --landmarks of the CT also the pose that follows (pose.json).",
    )
    detect.add_argument(
        "xray", metavar="XRAY", help="DICOM (XA, RF, DX, CR), PNG, TIFF, NPY, NPZ, AVI, MP4"
    )
    detect.add_argument("--weights", required=True, metavar="FILE", help="of `train landmarks`")
    detect.add_argument(
        "--landmarks", metavar="FILE", help="of the CT, with positions, to solve for the pose"
    )
    add_landmark_frame(detect)
    add_out(detect, "xreg-detect")
    detect.add_argument("--mask", action="append", default=[], metavar="FILE", help="0: not used")
    worded(detect.add_argument("--passes", type=whole), _passes)
    detect.add_argument("--seed", type=whole, default=0, help="of the dropout")
    detect.add_argument(
        "--weighting",
        choices=("none", "covariance", "continuous", "inverse", "rank"),
        default="covariance",
        help="how uncertainty becomes weight (default: %(default)s)",
    )
    worded(detect.add_argument("--beta", type=not_negative), _beta)
    detect.add_argument(
        "--discard", type=whole, default=0, metavar="K", help="leave the K most uncertain out"
    )
    add_radiograph_geometry(detect)
