"""Arguments of `track`."""

from napari_xreg.cli.arguments.base import Commands, Parser
from napari_xreg.cli.arguments.options import (
    add_ct,
    add_device,
    add_further,
    add_out,
    add_radiograph_geometry,
    add_settings,
    add_start,
    add_structures,
    add_volume,
)
from napari_xreg.cli.arguments.values import not_negative, positive, whole
from napari_xreg.workflows import TrackSettings


def add_track(commands: Commands, common: Parser) -> None:
    """Add `track`."""
    track = commands.add_parser(
        "track",
        parents=[common],
        help="find where a bone was in every frame of a sequence",
        description="Track what is rendered of a CT through the frames of one camera or several, from a "
        "frame whose pose is known well enough. Each frame is refined from where the ones before lead to "
        "expect it, and judged; what is not found is left open.",
    )
    add_ct(track)
    add_device(track)
    track.add_argument(
        "xray",
        metavar="CINE",
        nargs="?",
        help="DICOM, TIFF or film (AVI, MP4) of several frames, or a folder with a file for each; none where CT is a trial "
        "of Autoscoper (trial.cfg), which names its own",
    )
    add_volume(track)
    add_out(track, "xreg-track")
    add_further(track, "of a further camera on the same time base", metavar="CINE", each="camera")
    add_structures(track)
    track.add_argument(
        "--move",
        action="append",
        default=[],
        metavar="NAME",
        help="structure of --labels that moves by itself beside the rest of the CT, or a bone of a trial: all of them are "
        "tracked together, as `bones` registers them; may be repeated",
    )
    add_start(
        track,
        "where the C-arm stands in the frame that is started from (--frame)",
        several=True,
        center="the middle of the CT, or of --structures",
    )
    which = track.add_argument_group("which frames")
    which.add_argument("--first", type=whole, metavar="N", help="default: the first there is")
    which.add_argument("--last", type=whole, metavar="N", help="default: the last there is")
    which.add_argument(
        "--every", type=positive, default=1, metavar="N", help="default: %(default)s"
    )
    which.add_argument(
        "--key",
        action="append",
        nargs=2,
        default=[],
        metavar=("N", "FILE"),
        help="pose of the first camera in frame N that was checked (of a pose file, of the track.csv of "
        "an earlier run, or of JointTrack's .jts or .jtk, which have a line for each frame of the sequence): it stays as it is; may be repeated",
    )
    which.add_argument(
        "--key-of",
        action="append",
        nargs=3,
        default=[],
        metavar=("NAME", "N", "FILE"),
        help="the same about one of the bones of --move (or patient): it stays in frame N, and the others are looked for beside it; may be "
        "repeated",
    )
    how = track.add_argument_group("tracking")
    add_settings(how, TrackSettings())
    how.add_argument(
        "--near-bone",
        type=not_negative,
        default=5.0,
        metavar="MM",
        help="as of `register` (default: %(default)g)",
    )
    how.add_argument("--no-film", action="store_true", help="do not draw a film")
    add_radiograph_geometry(track)
