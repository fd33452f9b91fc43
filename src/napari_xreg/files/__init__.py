"""Files, whole or not at all: what every reader and writer of the other rooms stands on."""

from napari_xreg.files.whole import WriteError, written

__all__ = ["WriteError", "written"]
