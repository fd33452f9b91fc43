"""Arguments of `inspect`."""

from napari_xreg.cli.arguments.base import Commands, Parser
from napari_xreg.cli.arguments.options import add_ct_values, add_label_names
from napari_xreg.cli.arguments.values import frame


def add_inspect(commands: Commands, common: Parser) -> None:
    """Add `inspect`."""
    inspect = commands.add_parser(
        "inspect",
        parents=[common],
        help="say what a file is and what is known of its geometry",
        description="Describe a CT, a label map, a radiograph, a data set, a result or a table of this "
        "program, or a file of weights.",
    )
    inspect.add_argument("file", metavar="FILE", help="file or folder")
    inspect.add_argument(
        "--as",
        dest="kind",
        choices=("ct", "labels", "radiograph"),
        help="read it as this (default: look at it)",
    )
    add_label_names(inspect)
    inspect.add_argument("--series", metavar="UID", help="which series of a DICOM folder")
    add_ct_values(inspect)
    inspect.add_argument("--frame", type=frame, help="frame of a multi-frame radiograph, from 1")
