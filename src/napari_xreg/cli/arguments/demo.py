"""Arguments of `demo`."""

from napari_xreg.cli.arguments.base import Commands, Parser
from napari_xreg.cli.arguments.options import add_out, add_settings
from napari_xreg.workflows import SampleSettings


def add_demo(commands: Commands, common: Parser) -> None:
    """Add `demo`."""
    demo = commands.add_parser(
        "demo",
        parents=[common],
        help="see it work on the built-in phantom: in napari, or headless with pictures and a report",
        description="Make the phantom's CT, simulate a radiograph of it, start from a wrong pose "
        "and register: in napari, or, with --headless and where there is no display, in the "
        "terminal, with pictures and a report. Needs no data and no network.",
    )
    demo.add_argument(
        "--headless",
        action="store_true",
        help="no window; the options below and --json belong to this",
    )
    add_out(demo, "xreg-demo")
    add_settings(demo, SampleSettings(), ("seed", "severity", "start_error"))
    demo.add_argument("--film", choices=("gif", "mp4", "none"), default="gif")
