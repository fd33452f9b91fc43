"""Arguments of `bones`."""

from napari_xreg.cli.arguments.base import Commands, Parser
from napari_xreg.cli.arguments.options import (
    add_ct,
    add_further,
    add_labels,
    add_out,
    add_radiograph_geometry,
    add_start,
)
from napari_xreg.cli.arguments.values import not_negative, starts_or_auto


def add_bones(commands: Commands, common: Parser) -> None:
    """Add `bones`."""
    bones = commands.add_parser(
        "bones",
        parents=[common],
        help="find several bones that moved against each other in the same radiographs",
        description="Register several bones together: some that are cut out of a CT by its label map, and the "
        "rest of it; or the bones of a trial of Autoscoper. Each explains its part of the radiographs, so bones "
        "that overlap do not take each other's edges for their own.",
    )
    add_ct(bones)
    bones.add_argument(
        "xray",
        metavar="XRAY",
        nargs="?",
        help="as of `register`; none where CT is a trial of Autoscoper (trial.cfg)",
    )
    bones.add_argument(
        "--move",
        action="append",
        default=[],
        metavar="NAME",
        help="structure of --labels that moves by itself, by name or id; several with commas between them move "
        "together; of a trial, a bone (default: all). May be repeated",
    )
    add_labels(bones)
    add_out(bones, "xreg-bones")
    add_further(bones, "a further radiograph of the same moment, as of `register`")
    add_start(
        bones,
        "where the C-arm is thought to stand about the CT",
        several=True,
        center="the middle of the structures that --move names; of a trial, of each bone's volume",
    )
    bones.add_argument(
        "--truth",
        metavar="FILE",
        help="true poses of the first radiograph, as `simulate` writes them beside it: the errors of each bone",
    )
    how = bones.add_argument_group("refinement")
    how.add_argument(
        "--multi-start",
        type=starts_or_auto,
        default=0,
        metavar="N",
        help="ways in which each bone is turned as it is looked for; auto (default): as many as it takes",
    )
    how.add_argument(
        "--near-bone",
        type=not_negative,
        metavar="MM",
        help="bones of a trial: as of `register` (default: 5; 0: the whole images, without looking for each bone)",
    )
    add_radiograph_geometry(bones)
    bones.set_defaults(device="cpu", attenuation="auto")
