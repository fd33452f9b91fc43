"""Arguments of `joint`."""

from napari_xreg.cli.arguments.base import Commands, Parser
from napari_xreg.cli.arguments.options import add_landmark_frame
from napari_xreg.cli.arguments.values import whole


def add_joint(commands: Commands, common: Parser) -> None:
    """Add `joint`."""
    joint = commands.add_parser(
        "joint",
        parents=[common],
        help="how two tracked bones moved against each other",
        description="Motion of a distal bone against a proximal one, frame by frame, of two tables that `track` "
        "wrote of the same sequence: degrees about the helical axis and mm along it and, with landmarks, the joint "
        "coordinate system of Grood and Suntay (flexion, adduction, internal rotation; shifts along its axes).",
    )
    for name, words in (("proximal", "the bone that is taken to rest"), ("distal", "the other")):
        joint.add_argument(name, metavar=name.upper(), help=f"track.csv, or its folder, of {words}")
    joint.add_argument("--out", default="joint.csv", metavar="FILE", help="default: %(default)s")
    joint.add_argument(
        "--landmarks", metavar="FILE", help="points of both bones, in the frame of their CT"
    )
    joint.add_argument(
        "--distal-landmarks",
        metavar="FILE",
        help="points of the distal bone, where its CT is another than the proximal bone's",
    )
    add_landmark_frame(joint)
    for name, far in (
        ("proximal", "the hip's centre of a femur"),
        ("distal", "the ankle's centre of a tibia"),
    ):
        joint.add_argument(
            f"--{name}-axes",
            nargs=3,
            metavar=("MEDIAL", "LATERAL", "FAR"),
            help=f"names of three landmarks of that bone: on both sides of the joint, and at its other end ({far})",
        )
    joint.add_argument("--side", choices=("right", "left"), help="of the body; needed with axes")
    joint.add_argument(
        "--bends",
        choices=("backward", "forward"),
        default="backward",
        help="where the distal bone goes in flexion: backward in a knee, forward in a hip, elbow, wrist or ankle "
        "(default: %(default)s)",
    )
    joint.add_argument(
        "--reference",
        type=whole,
        metavar="N",
        help="frame that helical motions are counted from (default: the first trusted one)",
    )
