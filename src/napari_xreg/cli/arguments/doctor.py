"""Arguments of `doctor`."""

from napari_xreg.cli.arguments.base import Commands, Parser


def add_doctor(commands: Commands, common: Parser) -> None:
    """Add `doctor`."""
    commands.add_parser(
        "doctor",
        parents=[common],
        help="say what this machine offers, and what to do where something is missing",
        description="Look at the installation: versions, devices, folders, and a DRR compared with "
        "the reference. Exit code 0: all is well; 1: there is a problem.",
    )
