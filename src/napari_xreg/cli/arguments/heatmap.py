"""Arguments of `heatmap`."""

from napari_xreg.cli.arguments.base import Commands, Parser
from napari_xreg.cli.arguments.options import (
    add_ct,
    add_landmark_frame,
    add_out,
    add_radiograph_geometry,
)
from napari_xreg.cli.arguments.values import number, whole


def add_heatmap(commands: Commands, common: Parser) -> None:
    """Add `heatmap`."""
    heatmap = commands.add_parser(
        "heatmap",
        parents=[common],
        help="where a radiograph agrees with 3D points of a CT (RayEmb)",
        description="Find 3D points of the CT on a radiograph, without a pose. For each point a "
        "picture, its position with a covariance, and the probability that it is in the image; all "
        "heatmaps in heatmaps.npz.",
    )
    add_ct(heatmap)
    heatmap.add_argument(
        "xray", metavar="XRAY", help="DICOM (XA, RF, DX, CR), PNG, TIFF, NPY, NPZ, AVI, MP4"
    )
    heatmap.add_argument(
        "--point",
        type=number,
        nargs=3,
        action="append",
        default=[],
        metavar=("X", "Y", "Z"),
        help="world LPS mm; may be repeated",
    )
    heatmap.add_argument(
        "--landmark",
        action="append",
        default=[],
        metavar="NAME",
        help="of --landmarks, or of the phantom; may be repeated",
    )
    heatmap.add_argument("--landmarks", metavar="FILE", help="points (.fcsv, .mrk.json, .csv)")
    add_landmark_frame(heatmap)
    heatmap.add_argument("--weights", metavar="FILE", help="default: those of the package")
    add_out(heatmap, "xreg-heatmap")
    heatmap.add_argument("--labels", metavar="FILE", help="label map: the middle of its structures")
    heatmap.add_argument("--mask", action="append", default=[], metavar="FILE", help="0: not used")
    heatmap.add_argument(
        "--isocenter",
        nargs="+",
        default=["center"],
        metavar="X Y Z",
        help="middle of the reference views, world LPS mm (default: the middle of the bone)",
    )
    heatmap.add_argument(
        "--seed", type=whole, default=0, help="of the reference views that are drawn"
    )
    add_radiograph_geometry(heatmap)
