"""The parser of ``napari-xreg``."""

from napari_xreg import __version__
from napari_xreg.cli.arguments.base import Parser
from napari_xreg.cli.arguments.bones import add_bones
from napari_xreg.cli.arguments.demo import add_demo
from napari_xreg.cli.arguments.detect import add_detect
from napari_xreg.cli.arguments.doctor import add_doctor
from napari_xreg.cli.arguments.heatmap import add_heatmap
from napari_xreg.cli.arguments.inspect import add_inspect
from napari_xreg.cli.arguments.joint import add_joint
from napari_xreg.cli.arguments.register import add_register
from napari_xreg.cli.arguments.render import add_render
from napari_xreg.cli.arguments.simulate import add_simulate
from napari_xreg.cli.arguments.study import add_study
from napari_xreg.cli.arguments.track import add_track
from napari_xreg.cli.arguments.train import add_train
from napari_xreg.cli.arguments.values import threads


def build_parser() -> Parser:
    """The parser of ``napari-xreg``."""
    parser = Parser(
        prog="napari-xreg",
        description="Find where an X-ray was taken relative to a CT.",
        epilog="Exit codes: 0 done; 1 the registration is not to be trusted; 2 bad input; "
        "130 interrupted. World: patient LPS, mm. Angles as a C-arm displays them, degrees.",
    )
    parser.add_argument("--version", action="version", version=f"napari-xreg {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = _common()
    add_demo(commands, common)
    add_register(commands, common)
    add_bones(commands, common)
    add_track(commands, common)
    add_joint(commands, common)
    add_simulate(commands, common)
    add_render(commands, common)
    add_inspect(commands, common)
    add_train(commands, common)
    add_study(commands, common)
    add_heatmap(commands, common)
    add_detect(commands, common)
    add_doctor(commands, common)
    return parser


def _common() -> Parser:
    common = Parser(add_help=False)
    group = common.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="one JSON document on stdout")
    group.add_argument("--quiet", action="store_true", help="no progress and no words")
    group.add_argument("--debug", action="store_true", help="show tracebacks and warnings")
    group.add_argument("--threads", type=threads, metavar="N", help="CPU threads (default: all)")
    return common
