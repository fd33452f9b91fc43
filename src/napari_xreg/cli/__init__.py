"""The same calls from a terminal: ``napari-xreg demo | render | simulate | register | inspect``."""

from napari_xreg.cli.main import main

__all__ = ["main"]
