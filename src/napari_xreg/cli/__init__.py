"""The same calls from a terminal: a file a command."""

from napari_xreg.cli.main import main

__all__ = ["main"]
